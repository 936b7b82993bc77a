"""Words for values that may not even be able to describe themselves."""

from collections.abc import Callable


def type_name(kind: type) -> str:
    """The class as a reader would look for it: ``str``, ``package.module.Class``."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def safe_repr(value: object) -> str:
    """``repr(value)``, or a text that says why there is none."""
    return _safely(repr, value)


def safe_str(value: object) -> str:
    """``str(value)``, or a text that says why there is none."""
    return _safely(str, value)


def _safely(describe: Callable[[object], str], value: object) -> str:
    try:
        return describe(value)
    except Exception as error:
        return f"<{type_name(type(value))}, whose {describe.__name__}() raised {type_name(type(error))}>"


def shortened(text: str, limit: int) -> str:
    """The text, cut to ``limit`` characters with a mark where it was cut."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def beginning(value: object, limit: int) -> str:
    """A value as Python writes it; of a long one the first ``limit`` characters, and how many there are."""
    if type(value) in (str, bytes) and len(value) > limit:  # type: ignore[arg-type]  # the types say so
        return _cut(repr(value[:limit]), limit, len(value))  # type: ignore[index, arg-type]
    text = safe_repr(value)
    return text if len(text) <= limit else _cut(text, limit, len(text))


def _cut(text: str, limit: int, length: int) -> str:
    return f"{text[:limit]}… ({length:,} characters)"

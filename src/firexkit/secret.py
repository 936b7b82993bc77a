"""Values that nobody is shown: a password in a log is known to everybody who may read the log.

A :class:`Secret` can be passed like any other argument. What people read of it is ``***``, and on its way through the
broker it is encrypted. Only who asks for it, with :meth:`Secret.reveal`, gets the value.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable
from typing import Any, Final, Generic, NoReturn, TypeVar, cast, final, get_args

from firexkit import _lazy

__all__ = ["MASK", "SECRET_ARGUMENTS", "Secret", "SecretNames"]

T_co = TypeVar("T_co", covariant=True)

MASK: Final = "***"
"""What is shown in the place of a secret."""
NEVER_SECRET: Final = frozenset({"true", "false", "none", "null"})
"""Values of settings that only have a name like a secret's."""
SECRET_ARGUMENTS: Final = (
    "api_key",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "secret",
    "secret_key",
    "token",
)
"""Names of arguments whose values are never shown, unless the app's setting says others: firexkit_secret_arguments."""


@final
class Secret(Generic[T_co]):
    """A value that is never shown: ``str()``, ``repr()``, formatting, logs, events and records of runs have ``***``.

    A task whose parameter is annotated with it gets one, also from a caller that gave the plain value. Between
    processes it travels encrypted; with another serializer than JSON it does not travel at all.

    Args:
        value: what is kept secret; of another Secret, what that keeps.
    """

    __slots__ = ("_value",)
    _value: T_co

    def __init__(self, value: T_co | Secret[T_co]) -> None:
        plain = value.reveal() if isinstance(value, Secret) else value
        object.__setattr__(self, "_value", plain)

    def reveal(self) -> T_co:
        """The value itself. Whatever is done with it is not hidden any more."""
        return self._value

    def firex_serializable(self) -> str:
        """What monitors and pages are given."""
        return MASK

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, "" if spec and not spec.endswith("s") else spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return _equal(self._value, other.reveal()) if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret[T_co]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret[T_co]:
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Secret can't be changed; make a new one instead of setting {name!r}")

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Secret can't be pickled, as everybody could read it there: send it with the serializer 'json', which "
            "encrypts it, or pickle what reveal() gives if that may be read"
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """For pydantic: any value, or one of the type in brackets, becomes a Secret; as JSON it is ``***``."""
        core = _lazy.module("pydantic_core.core_schema")
        inside = [handler(kind) for kind in get_args(source)] or [core.any_schema()]
        wrapped = core.no_info_after_validator_function(cls, inside[0])
        shown = core.plain_serializer_function_ser_schema(str, when_used="json")
        return core.union_schema([core.is_instance_schema(cls), wrapped], mode="left_to_right", serialization=shown)


def _equal(one: object, other: object) -> bool:
    """Whether two values are the same; of texts and bytes, the time tells nothing about how much of them is."""
    if isinstance(one, str) and isinstance(other, str):
        return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass"))
    if isinstance(one, bytes) and isinstance(other, bytes):
        return hmac.compare_digest(one, other)
    return bool(one == other)


class SecretNames(Collection[str]):
    """Names of arguments that hold secrets: ``name in names``.

    A word stands for each name that is the word or ends with it: ``token`` for ``token``, ``github_token`` and
    ``TOKEN``, but not for ``token_count``.

    Args:
        words: the words, lower case.
        exactly: further names, as they are.
    """

    def __init__(self, words: Collection[str] = SECRET_ARGUMENTS, exactly: Collection[str] = ()) -> None:
        self._words = tuple(word.lower() for word in words)
        self._ends = tuple(f"_{word}" for word in self._words)
        self._exactly = frozenset(exactly)
        self._known: dict[str, bool] = {}
        self._known_among: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def and_exactly(self, names: Collection[str]) -> SecretNames:
        """These, and further names as they are."""
        return SecretNames(self._words, self._exactly | {*names}) if names else self

    def among(self, names: Iterable[Any]) -> tuple[str, ...]:
        """Those of some names that hold secrets; quick if the same ones were asked about before.

        Args:
            names: of all arguments of a call, say.
        """
        asked = tuple(names)
        found = self._known_among.get(asked)
        if found is None:
            found = tuple(name for name in asked if name in self)
            if len(self._known_among) < _MOST_KNOWN:
                self._known_among[asked] = found
        return found

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        known = self._known.get(name)
        if known is None:
            lower = name.lower().replace("-", "_")
            known = name in self._exactly or lower in self._words or lower.endswith(self._ends)
            if len(self._known) < _MOST_KNOWN:
                self._known[name] = known
        return known

    def __iter__(self) -> Any:
        return iter((*self._words, *self._exactly))

    def __len__(self) -> int:
        return len(self._words) + len(self._exactly)


_MOST_KNOWN: Final = 10_000
"""Names of which an answer is kept."""


def revealed(value: T_co | Secret[T_co]) -> T_co:
    """A value, itself or out of a Secret."""
    return cast(T_co, value.reveal()) if isinstance(value, Secret) else value

"""What the pages of a run are made of: templates and links; and a process's umask, changed for a while."""

import os
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from firexkit import _lazy

if TYPE_CHECKING:
    from jinja2 import Environment

    JINJA_ENV: Environment

__all__ = ["JINJA_ENV", "ModifyUmask", "get_link"]

TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
ATTRIBUTE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")


def __getattr__(name: str) -> Any:
    """Build ``JINJA_ENV``, the environment of the kit's templates, when somebody first asks for it."""
    if name != "JINJA_ENV":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return _environment()


@cache
def _environment() -> "Environment":
    jinja2 = _lazy.module("jinja2")
    environment: Environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=jinja2.select_autoescape(["html", "xml"])
    )
    return environment


def get_link(
    url: str,
    text: str | None = None,
    html_class: str | None = None,
    title_attribute: str | None = None,
    attrs: Mapping[str, object] | None = None,
    other_elements: str = "",
) -> str:
    """An HTML link.

    Args:
        url: where it leads; escaped.
        text: what the reader sees; escaped; None shows the url.
        html_class: classes, separated by spaces.
        title_attribute: what the reader sees while pointing at the link.
        attrs: more attributes; their values are escaped, None leaves one out.
        other_elements: HTML to put before the text, **as it is**.

    Returns:
        The ``a`` element.

    Raises:
        ValueError: when a name in ``attrs`` cannot be the name of an attribute.
    """
    attributes = {"href": url, "class": html_class, "title": title_attribute, **(attrs or {})}
    given = "".join(_attribute(name, value) for name, value in attributes.items() if value is not None)
    return f"<a{given}>{other_elements}{escape(str(url if text is None else text))}</a>"


def _attribute(name: str, value: object) -> str:
    if not ATTRIBUTE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of an HTML attribute; use letters, digits and -_.:")
    return f' {name}="{escape(str(value))}"'


class ModifyUmask:
    """A ``with`` block in which the process creates files with another umask.

    Args:
        new: permission bits that new files and directories don't get, like ``0o002``.
    """

    def __init__(self, new: int) -> None:
        self.new = new
        self._outer: list[int] = []

    def __enter__(self) -> None:
        self._outer.append(os.umask(self.new))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.umask(self._outer.pop())

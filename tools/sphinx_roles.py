"""A hook of MkDocs: what docstrings say in Sphinx' form becomes what Markdown means by it."""

from __future__ import annotations

import re
from typing import Any


def on_page_content(html: str, **_: Any) -> str:
    """The page, with ``:func:`name``` as a link to the name, and ``::`` before examples as a colon."""
    html = re.sub(r":(?:meth|func|class|mod|data):<code>([\w.]+)</code>", _link, html)
    return html.replace("::</p>", ":</p>")


def _link(match: re.Match[str]) -> str:
    name = match[1]
    return f'<autoref identifier="{name}" optional><code>{name.rpartition(".")[2]}</code></autoref>'

"""``chain | task`` without copying the whole chain: n links cost what n copies of one task cost.

Celery copies every member at each ``|``, so that no two chains share one; a chain of 50 takes 1,225 copies. Here a
chain and the one linked from it share their copies as long as nobody looks at them. Who looks gets copies of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from celery.canvas import Signature, _chain, _chord, chain, group

Link = Callable[[Any, Any], Any]

_LOOKS: Final = (
    *("__getitem__", "__iter__", "get", "items", "keys", "values", "copy", "__reversed__"),
    *("__setitem__", "__delitem__", "pop", "popitem", "setdefault", "update", "clear"),
)
"""All ways into a dict, which a signature is; C code takes them too when ``__iter__`` is not the dict's own."""


def is_injection(sig: Any) -> bool:
    """Whether a signature is no task but arguments for the head of a chain."""
    return getattr(sig, "heads_a_chain", False)


def linked_with(link: Link) -> Link:
    """Celery's ``|`` for chains, faster where what it does is to copy the members and to append one."""

    @wraps(link)
    def linked(self: Any, other: Any) -> Any:
        if is_injection(other):
            # Python asks the right side first only when its type derives from the left side's.
            return other.__ror__(self) if self.tasks else other
        return _appended(self, other) if _is_appending(self, other) else link(self, other)

    return linked


def _is_appending(left: Any, right: Any) -> bool:
    kind = type(left)
    if kind not in _SHARING and kind not in _PLAIN:
        return False  # a user's kind of chain knows itself how it is linked
    if not isinstance(right, Signature) or isinstance(right, _chain | group):
        return False
    options, members = dict.__getitem__(left, "options"), _members(left)
    if options.get("link") or options.get("link_error"):
        return False  # its members take them over
    return isinstance(members, list | tuple) and bool(members) and not isinstance(members[-1], group | _chord)


def _appended(left: Any, right: Any) -> Any:
    # The members first: when another thread looks meanwhile, these are not the copies it gets.
    members, kind = _members(left), type(left)
    copies = left.unchain_tasks() if kind in _SHARING else [*members[:-1], members[-1].clone()]
    linked = _PLAIN.get(kind, kind)([*copies, right], app=left._app)
    linked.__class__ = _SHARING[type(linked)]
    return linked


def _members(sig: Any) -> Any:
    return dict.__getitem__(sig, "kwargs").get("tasks")


def _with_members_of_its_own(sig: Any) -> Any:
    """The chain itself, sharing nothing any more."""
    *shared, last = _members(sig)
    # Several threads may come here at once: they must agree on the copies, or one would change what is thrown away.
    own = vars(sig).setdefault("_own_members", [*(member.clone() for member in shared), last])
    dict.__getitem__(sig, "kwargs")["tasks"] = own
    sig.__class__ = _PLAIN.get(type(sig), type(sig))
    return sig


def _look(name: str) -> Callable[..., Any]:
    def look(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(_with_members_of_its_own(self), name)(*args, **kwargs)

    return look


class _SharingChain(_chain):  # type: ignore[misc]  # Celery carries no types
    """What ``|`` makes, until somebody looks: all members but the last are other chains' too."""


class _SharingPublicChain(chain):  # type: ignore[misc]  # as above
    """The same, made from a ``chain()`` of one or no task."""


for _kind in (_SharingChain, _SharingPublicChain):
    for _name in _LOOKS:
        setattr(_kind, _name, _look(_name))

_PLAIN: Final[dict[type, type]] = {_SharingChain: _chain, _SharingPublicChain: chain}
_SHARING: Final[dict[type, type]] = {plain: sharing for sharing, plain in _PLAIN.items()}

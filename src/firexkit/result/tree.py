"""Where a result stands among others: members of its chain, children, and which of them did not succeed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator
from functools import partial
from time import monotonic, sleep
from typing import Any, Final

from celery.result import AsyncResult
from celery.states import FAILURE, PENDING, READY_STATES, REVOKED

from firexkit import _wire
from firexkit._celery.patience import patiently
from firexkit._celery.states import refresh
from firexkit.result.lookups import (
    get_result_id,
    get_result_logging_name,
    get_task_name_from_result,
    id_of,
    patience_behind,
    records_behind,
    records_of_many,
)
from firexkit.revoke import RevokedRequests

logger: logging.Logger = logging.getLogger(__name__)

_SUCCEEDED = "succeeded"
_POLL = 0.5
"""Seconds between looks at a node whose children are not complete yet."""


def is_result_ready(result: Any, timeout: float | None = 900, retry_delay: float = 1) -> bool:
    """Whether a task has ended, with patience for a broker that is away.

    Args:
        result: the task's result.
        timeout: seconds after which a broker that does not answer is an error; None tries for ever.
        retry_delay: seconds before the second try.

    Raises:
        TimeoutError: the broker did not answer in time.
    """
    return bool(patiently(result.ready, timeout=timeout, retry_delay=retry_delay))


def state_of(result: Any) -> str:
    """The state of a task, with patience for a broker that is away."""
    return str(patiently(lambda: result.state, timeout=partial(patience_behind, result)))


def parents_of(result: Any) -> Iterator[Any]:
    """The chain members before a result, nearest first; a result that is its own parent ends the walk."""
    node, above = result, getattr(result, "parent", None)
    while above is not None and above is not node:
        yield above
        node, above = above, getattr(above, "parent", None)


def leaves_of(member: Any) -> Iterator[Any]:
    """The tasks that one member of a chain stands for: several, when it is a group."""
    parts = getattr(member, "results", None)
    if parts is None:
        yield member
    for part in parts or ():
        yield from leaves_of(part)


def tasks_of(result: Any) -> Iterator[Any]:
    """The tasks of a whole chain, by the result of its last member: that member's, then those before it."""
    for member in (result, *parents_of(result)):
        yield from leaves_of(member)


def climb_up_until_null_parent(result: Any) -> Any:
    """The first member of a result's chain."""
    head = result
    for head in parents_of(result):  # noqa: B007 - the last one is what is wanted
        pass
    return head


# ── who did not succeed ───────────────────────────────────────────────────────────────────


def find_all_unsuccessful(result: Any, ignore_non_ready: bool = False, depth: int = 0) -> dict[str, str]:
    """Every task in the tree below a result that failed, was revoked, or has not ended.

    Args:
        result: the root of the tree.
        ignore_non_ready: leave out tasks that have not ended.
        depth: how deep the caller is; for the indentation of log lines.

    Returns:
        Logging names by task id.
    """
    unsuccessful = {}
    state = state_of(result)
    logger.debug("%s%s: %s", "  " * depth, result.id, state)
    if state in (FAILURE, REVOKED) or not (ignore_non_ready or is_result_ready(result)):
        unsuccessful[result.id] = get_result_logging_name(result)
    children = list(result.children or ())
    _read_together(children)
    for child in children:
        unsuccessful.update(find_all_unsuccessful(child, ignore_non_ready, depth + 1))
    return unsuccessful


def find_unsuccessful_in_chain(result: Any) -> dict[str, list[Any]]:
    """The members of a result's chain that failed, were revoked, or never ran.

    Returns:
        Lists of results in chain order under ``failed``, ``revoked`` and ``not_run``; empty ones are absent.
    """
    by_fate: dict[str, list[Any]] = {}
    members = [result, *parents_of(result)][::-1]
    _read_together(members)
    for member in members:
        fate = _fate(member, broken_before=bool(by_fate.keys() - {_SUCCEEDED}))
        by_fate.setdefault(fate, []).append(member)
    found = create_unsuccessful_result(by_fate.get("failed"), by_fate.get("not_run"))
    if "revoked" in by_fate:
        found["revoked"] = by_fate["revoked"]
    return found


def _fate(member: Any, *, broken_before: bool) -> str:
    state = state_of(member)
    if state == REVOKED:
        return "revoked" if _ever_sent(member, state) else "not_run"
    if state == FAILURE:
        # Celery marks what comes after a failure as failed too, though nobody ever sent it.
        return "not_run" if broken_before and not _ever_sent(member, state) else "failed"
    return _SUCCEEDED if state in READY_STATES else "not_run"


def _ever_sent(member: Any, state: str) -> bool:
    records = records_behind(member)
    if not records.tasks.keeps_history:
        return state == REVOKED or bool(get_task_name_from_result(member))
    known = records_of_many([member], (_wire.FIELD_SENT, _wire.FIELD_ATTEMPT))[id_of(member)]
    return _wire.FIELD_ATTEMPT in known if state == REVOKED else bool(known)


def create_unsuccessful_result(failures: Any, did_not_run: Any) -> dict[str, Any]:
    """The shape of :func:`find_unsuccessful_in_chain`: a key only for what is not empty."""
    parts = {"failed": failures, "not_run": did_not_run}
    return {key: members for key, members in parts.items() if members}


# ── everything below a node ───────────────────────────────────────────────────────────────

_READ_TOGETHER: Final = 200
"""Results read in one round trip; they come with their values, and all of those at once could be too much."""


def get_all_children(
    node: Any, timeout: float | None = 180, skip_subtree_nodes: Iterable[Any] | None = None
) -> Iterator[Any]:
    """Iterate over the tree below a node, the node first, breadth first.

    Args:
        node: the root of the tree.
        timeout: seconds to wait, in all, for nodes that still run (their children are not complete before).
        skip_subtree_nodes: ids or results to leave out, with all below them.
    """
    skipped = {get_result_id(skipped) for skipped in skip_subtree_nodes or ()}
    for level in levels_below([node], lambda _: skipped, timeout=timeout):
        yield from level


def levels_below(
    heads: Iterable[Any], skipped: Callable[[list[Any]], Container[str]], *, timeout: float | None = 180
) -> Iterator[list[Any]]:
    """Iterate over the trees below some nodes, level by level, these nodes first.

    Args:
        heads: the roots of the trees.
        skipped: asked for each level: a container of the ids to leave out, with all below them.
        timeout: seconds to wait, in all, for nodes that still run.
    """
    deadline = None if timeout is None else monotonic() + timeout
    level = list(heads)
    while level:
        left_out = skipped(level)
        level = [node for node in level if node.id not in left_out]
        yield level
        _read_together(level)
        for node in level:
            _wait_for_children_of(node, deadline)
        level = [child for node in level for child in node.children or ()]


def _read_together(level: list[Any]) -> None:
    # Results that know their state in a way of their own are asked one by one, by whoever wants to know.
    own = [node for node in level if isinstance(node, AsyncResult) and type(node).state is AsyncResult.state]
    for start in range(0, len(own), _READ_TOGETHER):
        refresh(own[start : start + _READ_TOGETHER])


def _wait_for_children_of(node: Any, deadline: float | None) -> None:
    while not is_result_ready(node) and _may_still_run(node):
        remaining = None if deadline is None else deadline - monotonic()
        if remaining is not None and remaining <= 0:
            return
        sleep(_POLL if remaining is None else min(_POLL, remaining))


def _may_still_run(node: Any) -> bool:
    """Whether an unfinished node is worth waiting for: not one that nobody sent, nor one revoked before it ran."""
    records = records_behind(node)
    if state_of(node) != PENDING:
        return True
    if not records.tasks.keeps_history:
        return not RevokedRequests.instance().is_revoked(node.id)
    names = (_wire.FIELD_SENT, _wire.FIELD_ATTEMPT, _wire.FIELD_REVOKED)
    known = records_of_many([node], names)[id_of(node)]
    return _wire.FIELD_ATTEMPT in known or (_wire.FIELD_SENT in known and _wire.FIELD_REVOKED not in known)

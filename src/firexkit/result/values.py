"""What tasks returned, taken together along a chain and down its children."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from firexkit._celery.messages import bag_of
from firexkit._serialization.large import entries_of, fetched
from firexkit._wire import DYNAMIC_RETURN, RETURN_KEYS_KEY
from firexkit.result.lookups import get_result_logging_name
from firexkit.result.tree import parents_of

logger: logging.Logger = logging.getLogger(__name__)


def get_task_results(results: Mapping[str, Any]) -> dict[str, Any]:
    """The named returns in the bag a task returned.

    Args:
        results: the bag.
    """
    return {key: results[key] for key in results.get(RETURN_KEYS_KEY) or () if key in results}


def get_tasks_inputs_from_result(results: Any) -> Any:
    """Everything in the bag a task returned that is not one of its returns; the same object when it has none."""
    if RETURN_KEYS_KEY not in results:
        return results
    returned = {RETURN_KEYS_KEY, *(results[RETURN_KEYS_KEY] or ())}
    return {key: value for key, value in results.items() if key not in returned}


def results2tuple(results: Mapping[str, Any], return_keys: str | Iterable[str]) -> tuple[Any, ...]:
    """The values of the asked keys, in the asked order; None for what is missing.

    Args:
        results: values by name.
        return_keys: one key or several; the dynamic key stands for the whole dict.
    """
    keys = (return_keys,) if isinstance(return_keys, str) else return_keys
    return tuple(results if key == DYNAMIC_RETURN else results.get(key) for key in keys)


def get_results(
    result: Any,
    return_keys: str | Iterable[str] | None = (),
    parent_id: str | None = None,
    return_keys_only: bool = True,
    merge_children_results: bool = False,
    extract_from_parents: bool = True,
) -> Any:
    """Extract and return task results.

    Members of a chain are read from the first to the last, later ones win. Within a member: its inputs, then what
    its children give, then its own returns. Members that did not succeed contribute nothing of their own.

    Args:
        result: the result of the last member.
        return_keys: a single key, or several, to extract. Without any, a dict of all is returned.
        parent_id: go up the chain to this member (it included), not further.
        return_keys_only: only what tasks declare as returns; else their inputs, too.
        merge_children_results: add what the children of the members returned.
        extract_from_parents: consider the whole chain; else its last member only.

    Returns:
        A tuple in the order of ``return_keys`` (a single key gives a 1-tuple), else a dict.
    """
    members = _members(result, parent_id if extract_from_parents else getattr(result, "id", None))
    merged: dict[str, Any] = {}
    for member, next_member in zip(members, [*members[1:], None], strict=False):
        merged.update(_gathered(member, next_member, inputs=not return_keys_only, children=merge_children_results))
    keys = (return_keys,) if isinstance(return_keys, str) else tuple(return_keys or ())
    if not keys or DYNAMIC_RETURN in keys:
        merged = fetched(merged)
    else:
        merged = fetched({key: merged[key] for key in keys if key in merged})
    return results2tuple(merged, keys) if keys and keys != (DYNAMIC_RETURN,) else merged


def _members(result: Any, last_id: str | None) -> list[Any]:
    """The chain members to read, first one first."""
    if result is None:
        return []
    members = []
    for member in (result, *parents_of(result)):
        members.append(member)
        if member.id == last_id:
            break
    return members[::-1]


def _gathered(node: Any, next_member: Any, *, inputs: bool, children: bool) -> dict[str, Any]:
    bag = _bag_of(node)
    gathered: dict[str, Any] = dict(get_tasks_inputs_from_result(bag)) if inputs else {}
    if children:
        for child in _children_of(node):
            # The next chain member is a child in Celery's eyes, but it is read on its own.
            if next_member is None or child.id != next_member.id:
                gathered.update(_gathered(child, None, inputs=inputs, children=True))
    gathered.update(get_task_results(bag))
    return gathered


def _bag_of(node: Any) -> Mapping[str, Any]:
    """What a task returned as it is kept: its large values are fetched when it is known which of them are wanted."""
    return dict(entries_of(bag_of(node) or {})) if node.successful() else {}


def _children_of(node: Any) -> Iterable[Any]:
    try:
        return node.children or ()
    except AttributeError:
        return ()


def get_results_with_default(result: Any, default: Any = None, error_msg: str | None = None, **kwargs: Any) -> Any:
    """The results of a task that succeeded, else a default.

    Args:
        result: the task's result.
        default: what to return when it did not succeed.
        error_msg: what to log then.
        **kwargs: options of :func:`get_results`.
    """
    if result.successful():
        return get_results(result, **kwargs)
    reason = result.result if isinstance(result.result, Exception) else None
    logger.error(
        error_msg or "No results of %s", *(() if error_msg else (get_result_logging_name(result),)), exc_info=reason
    )
    return default

"""Dropping stored results, so that a long run does not fill the broker's memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery.result import EagerResult

from firexkit._celery.states import forget_what_was_read
from firexkit._celery.types import AsyncResult
from firexkit._records import records_of
from firexkit.result.lookups import get_result_id
from firexkit.result.tree import climb_up_until_null_parent, get_all_children


def forget_single_async_result(r: AsyncResult) -> None:
    """Forget the result of this task, and all that is on record about it.

    Celery's own ``forget`` also forgets the parent, which is not always desirable.

    Args:
        r: the task's result.
    """
    if isinstance(r, EagerResult):
        return  # it is its own, and only, record
    forget_what_was_read(r)
    r.backend.forget(r.id)
    records_of(r.backend).tasks.forget([r.id])


def forget_subtree_results(
    head_node_result: AsyncResult,
    skip_subtree_nodes: Iterable[Any] | None = None,
    do_not_forget_nodes: Iterable[Any] | None = None,
) -> None:
    """Forget the results of the subtree rooted at a node.

    Args:
        head_node_result: the root.
        skip_subtree_nodes: ids or results to keep, with all below them.
        do_not_forget_nodes: ids or results to keep, but not what is below them.
    """
    kept = {get_result_id(node) for node in do_not_forget_nodes or ()}
    # All of them first: deleting while walking would lose the links to what is below.
    nodes = list(get_all_children(head_node_result, skip_subtree_nodes=skip_subtree_nodes))
    for node in nodes:
        if node.id not in kept:
            forget_single_async_result(node)


def forget_chain_results(
    result: AsyncResult,
    forget_chain_head_node_result: bool = True,
    do_not_forget_nodes: Iterable[Any] | None = None,
    **kwargs: Any,
) -> None:
    """Forget the results of the tree rooted at the head of a result's chain.

    Celery records each chain member as a child of the one before, so the tree below the head covers the chain.

    Args:
        result: any member of the chain.
        forget_chain_head_node_result: forget the head, too.
        do_not_forget_nodes: ids or results to keep, but not what is below them.
        **kwargs: options of :func:`forget_subtree_results`.
    """
    head = climb_up_until_null_parent(result)
    kept = [*(do_not_forget_nodes or ()), *([] if forget_chain_head_node_result else [head])]
    forget_subtree_results(head, do_not_forget_nodes=kept, **kwargs)

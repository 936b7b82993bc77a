"""Dropping stored results, so that a long run does not fill the broker's memory."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from typing import Any, Final

from celery.result import EagerResult

from firexkit._celery.forgetting import deletes_many, let_go
from firexkit._celery.patience import patience_of, patiently
from firexkit._celery.states import forget_what_was_read
from firexkit._celery.types import AsyncResult
from firexkit._records import large_values_key, records_of
from firexkit.result.heirs import without_heirs
from firexkit.result.lookups import get_result_id
from firexkit.result.tree import climb_up_until_null_parent, levels_below

_FORGOTTEN_TOGETHER: Final = 1000
"""Tasks forgotten in one step: nobody else is served meanwhile."""


def forget_single_async_result(r: AsyncResult) -> None:
    """Forget the result of this task, and all that is on record about it.

    Celery's own ``forget`` also forgets the parent, which is not always desirable.

    Args:
        r: the task's result.
    """
    if not isinstance(r, EagerResult):
        _forget_together([r], without_heirs([r], [r.id]))


def _forget_together(results: Iterable[AsyncResult], heirless: Iterable[str]) -> None:
    """Forget tasks in few round trips, and the large values that came with the heirless among them."""
    by_backend: dict[Any, list[AsyncResult]] = {}
    for result in results:
        if not isinstance(result, EagerResult):  # it is its own, and only, record
            by_backend.setdefault(result.backend, []).append(result)
    owners = set(heirless)
    for backend, known in by_backend.items():
        for start in range(0, len(known), _FORGOTTEN_TOGETHER):
            _forget(backend, known[start : start + _FORGOTTEN_TOGETHER], owners)


def _forget(backend: Any, results: Sequence[AsyncResult], owners: Container[str]) -> None:
    ids = [result.id for result in results]
    for result in results:
        forget_what_was_read(result)
    if deletes_many(backend):
        values = [large_values_key(task_id) for task_id in ids if task_id in owners]
        drop = partial(records_of(backend).tasks.forget, ids, also=[*let_go(backend, ids), *values])
        patiently(drop, timeout=partial(patience_of, backend.app.conf))
        return
    for task_id in ids:
        backend.forget(task_id)
    records_of(backend).tasks.forget(ids)


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
    skipped = {get_result_id(node) for node in skip_subtree_nodes or ()}
    _forget_trees([head_node_result], lambda _: skipped, {get_result_id(node) for node in do_not_forget_nodes or ()})


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


def forget_chains(
    results: Iterable[AsyncResult],
    skipped: Callable[[Sequence[AsyncResult]], Container[str]],
    kept: Container[str],
    *,
    forget_chain_head_node_result: bool = True,
) -> None:
    """Forget the results of the trees rooted at the heads of several chains.

    Args:
        results: any member of each chain.
        skipped: asked for each level of the trees: ids to keep, with all below them.
        kept: ids to keep, but not what is below them.
        forget_chain_head_node_result: forget the heads, too.
    """
    heads = {head.id: head for head in map(climb_up_until_null_parent, results)}
    protected = () if forget_chain_head_node_result else heads
    _forget_trees(heads.values(), skipped, kept, protected)


def _forget_trees(
    heads: Iterable[AsyncResult],
    skipped: Callable[[Sequence[AsyncResult]], Container[str]],
    *kept: Container[str],
) -> None:
    # All of them first: deleting while walking would lose the links to what is below.
    nodes = [node for level in levels_below(heads, skipped) for node in level]
    forgotten = [node for node in nodes if not any(node.id in ids for ids in kept)]
    _forget_together(forgotten, without_heirs(nodes, [node.id for node in forgotten]))

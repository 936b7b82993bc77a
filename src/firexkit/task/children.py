"""The children of one execution: sent, waited for, revoked, forgotten."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from celery.canvas import Signature
from celery.result import AsyncResult

from firexkit._celery.states import refresh
from firexkit._wire import NOT_INHERITED
from firexkit.chain import InjectArgs, get_label, verify_chain_arguments
from firexkit.result import (
    forget_chain_results,
    get_results,
    wait_for_any_results,
    wait_for_running_tasks_from_results,
    wait_on_async_results_and_maybe_raise,
)
from firexkit.result.tree import parents_of
from firexkit.revoke import revoke_result
from firexkit.task.run_records import (
    get_current_cache_enabled_uids,
    get_current_enqueue_child_once_uids,
    get_current_reports_uids,
)

logger = logging.getLogger(__name__)

PENDING = "pending"
UNBLOCKED = "unblocked"


class PendingChildStrategy(Enum):
    """Available strategies for handling remaining pending child tasks upon successful completion of the parent."""

    Block = (0, "Default")
    Revoke = 1
    Continue = 2


@dataclass
class TaskEnqueueSpec:
    """A child to enqueue later, and how."""

    signature: Signature
    inject_abog: bool = True
    enqueue_opts: dict[str, Any] | None = None


_EXTRACTION_OPTIONS = (
    "return_keys",
    "extract_from_children",
    "extract_task_returns_only",
    "extract_from_parents",
    "forget",
)


def pop_extraction_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of an extraction out of those of the sending."""
    return {name: options.pop(name) for name in _EXTRACTION_OPTIONS if name in options}


class Children:
    """The children that one execution of a task has sent.

    Args:
        task: the task that runs.
        states: where each child's state is kept, in the order they were sent.
    """

    def __init__(self, task: Any, states: dict[AsyncResult, dict[str, str]]) -> None:
        self._task = task
        self._states = states

    # ── which there are ───────────────────────────────────────────────────────────────────

    def pending(self) -> list[AsyncResult]:
        """Those that nobody has waited for."""
        return [child for child, info in self._states.items() if info["state"] == PENDING]

    def nonready(self) -> list[AsyncResult]:
        """Those that have not ended."""
        if not self._states:
            return []
        refresh(list(self._states))
        return [child for child in self._states if not child.ready()]

    def _unblocked(self, results: Iterable[AsyncResult]) -> None:
        for result in results:
            if result in self._states:
                self._states[result]["state"] = UNBLOCKED

    # ── sending ───────────────────────────────────────────────────────────────────────────

    def enqueue(
        self,
        chain: Any,
        *,
        track: bool,
        block: bool,
        raise_on_failure: bool | None,
        sent: Callable[[AsyncResult], None] | None,
        options: Mapping[str, Any] | None,
        forget: bool,
        inject_uid: bool,
        wait_options: Mapping[str, Any],
    ) -> AsyncResult | None:
        """Verify and send a chain; wait for it if asked to."""
        if raise_on_failure is not None and not block:
            raise ValueError("raise_exception_on_failure needs block=True")
        if isinstance(chain, InjectArgs):
            return None
        if inject_uid:
            chain = InjectArgs(uid=self._task.uid) | chain
        verify_chain_arguments(chain)
        result: AsyncResult = chain.apply_async(**(options or {}))
        if sent is not None:
            sent(result)
        if track:
            self._states[result] = {"state": PENDING}
        if block:
            raising = {} if raise_on_failure is None else {"raise_exception_on_failure": raise_on_failure}
            self.wait_for([result], forget=forget, **{**wait_options, **raising})
        return result

    def enqueue_and_extract(
        self,
        enqueue: Callable[..., AsyncResult | None],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        return_keys: str | tuple[str, ...] = (),
        extract_from_children: bool = True,
        extract_task_returns_only: bool = False,
        extract_from_parents: bool = True,
        forget: bool = False,
    ) -> Any:
        """Send a chain, wait for it, and take out its results; forget them afterwards if asked to."""
        if not kwargs.pop("block", True):
            logger.warning("%s: results are extracted when they are there; block=False is ignored", self._task.name)
        result = enqueue(*args, block=True, **kwargs)
        results = get_results(
            result,
            return_keys,
            merge_children_results=extract_from_children,
            return_keys_only=extract_task_returns_only,
            extract_from_parents=extract_from_parents,
        )
        if forget and result is not None:
            self.forget(result)
        return results

    def enqueue_in_parallel(
        self,
        chains: Iterable[Any],
        *,
        at_once: int,
        wait: bool,
        raise_on_failure: bool,
        enqueue_options: Mapping[str, Any],
    ) -> list[AsyncResult | None]:
        """Send chains, never more than ``at_once`` of them under way."""
        if at_once < 1:
            raise ValueError(f"max_parallel_chains must be at least 1, not {at_once}")
        results: list[AsyncResult | None] = []
        under_way: list[AsyncResult] = []
        for chain in chains:
            if len(under_way) >= at_once:
                ended = next(wait_for_any_results(under_way, raise_exception_on_failure=raise_on_failure))
                under_way.remove(ended)
            logger.debug("Enqueuing %s", get_label(chain))
            results.append(self._task.enqueue_child(chain, **enqueue_options))
            under_way.extend(result for result in results[-1:] if result is not None)
        if wait or raise_on_failure:
            sent = [result for result in results if result is not None]
            self.wait_for(sent, raise_exception_on_failure=raise_on_failure)
        return results

    def enqueue_from_spec(self, spec: TaskEnqueueSpec, inject_args: Mapping[str, Any] | None) -> AsyncResult | None:
        """Send the child that a spec describes, with the parent's bag if it says so."""
        bag = {name: value for name, value in self._task.abog.items() if name not in NOT_INHERITED}
        injected = {**(bag if spec.inject_abog else {}), **(inject_args or {})}
        chain = InjectArgs(**injected) | spec.signature if injected else spec.signature
        result: AsyncResult | None = self._task.enqueue_child(chain, **(spec.enqueue_opts or {}))
        return result

    # ── waiting ───────────────────────────────────────────────────────────────────────────

    def wait_for(self, results: Any, *, forget: bool = False, **options: Any) -> None:
        """Wait for the given children; whatever comes of it, nobody needs to wait for them again."""
        awaited = [results] if isinstance(results, AsyncResult) else list(results)
        if not awaited:
            return
        try:
            wait_on_async_results_and_maybe_raise(awaited, caller_task=self._task, **options)
        finally:
            self._unblocked(awaited)
            if forget:
                for result in awaited:
                    self.forget(result)

    def wait_for_any(self, *, pending_only: bool, **options: Any) -> Iterator[AsyncResult]:
        """Yield each child as it ends."""
        awaited = self.pending() if pending_only else list(self._states)
        for child in wait_for_any_results(awaited, **options):
            self._unblocked([child])
            yield child

    @contextmanager
    def settled(self) -> Iterator[None]:
        """At the end of the task its children end, too, as its strategy says; also when the task is being ended."""
        strategy = self._task.pending_child_strategy
        try:
            yield
            if strategy is PendingChildStrategy.Block:
                self._wait_quietly()
        finally:
            if strategy is not PendingChildStrategy.Continue:
                self.revoke_nonready()

    def _wait_quietly(self) -> None:
        try:
            self.wait_for(self.pending())
        except Exception:
            # A child nobody waited for does not decide over its parent.
            logger.debug("%s: a child that was not waited for failed", self._task.name, exc_info=True)

    # ── revoking and forgetting ───────────────────────────────────────────────────────────

    def revoke(self, result: AsyncResult, *, terminate: bool, wait: bool, timeout: float | None) -> list[AsyncResult]:
        """Revoke a child and the members of its chain that have not ended."""
        revoked = [result, *(parent for parent in parents_of(result) if not parent.ready())]
        for member in revoked:
            revoke_result(member, terminate=terminate)
        self._unblocked([result])
        if wait:
            wait_for_running_tasks_from_results(revoked, max_wait=timeout)
        return revoked

    def revoke_nonready(self) -> None:
        """Revoke children that have not ended, and wait until their bodies have."""
        revoked = [member for child in self.nonready() for member in self._task.revoke_child(child)]
        wait_for_running_tasks_from_results(revoked)

    def forget(
        self,
        result: AsyncResult,
        *,
        keep_reports: bool = True,
        keep_once: bool = True,
        keep_cached: bool = True,
        **options: Any,
    ) -> None:
        """Drop the stored results of a child's chain and all below, but what others still need; stop tracking it."""
        db = self._task.app.backend
        skipped = {
            *(get_current_enqueue_child_once_uids(db) if keep_once else ()),
            *(get_current_cache_enabled_uids(db) if keep_cached else ()),
        }
        kept = get_current_reports_uids(db) if keep_reports else set()
        forget_chain_results(result, skip_subtree_nodes=skipped, do_not_forget_nodes=kept, **options)
        self._states.pop(result, None)

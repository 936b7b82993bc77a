"""The children of one execution: sent, waited for, revoked, forgotten."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

from firexkit import _wire
from firexkit._announce import is_heard
from firexkit._celery.states import keeps_results, refresh
from firexkit._celery.types import AsyncResult, Signature
from firexkit.chain import InjectArgs, get_label, verify_chain_arguments
from firexkit.result import (
    WaitOnChainTimeoutError,
    get_results,
    wait_for_any_results,
    wait_for_running_tasks_from_results,
    wait_on_async_results_and_maybe_raise,
)
from firexkit.result.forgetting import forget_chains
from firexkit.result.tree import parents_of
from firexkit.result.waiting import Window
from firexkit.revoke import revoke_result
from firexkit.task import rerun
from firexkit.task.run_records import Needed

logger: logging.Logger = logging.getLogger(__name__)

Extracted = tuple[Any, ...] | dict[str, Any]
"""Values in the asked order, or all by name."""

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


class Wait(NamedTuple):
    """Whether and how a sent child is waited for."""

    wanted: bool
    raises: bool | None
    forget: bool
    options: Mapping[str, Any]


_EXTRACTION_DEFAULTS: Final[dict[str, Any]] = {
    "return_keys": (),
    "extract_from_children": True,
    "extract_task_returns_only": False,
    "extract_from_parents": True,
    "forget": False,
}


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
        if not self._states or not keeps_results(self._task.app.backend):
            return []
        refresh(list(self._states))
        return [child for child in self._states if not child.ready()]

    def _unblocked(self, results: Iterable[AsyncResult]) -> None:
        for result in results:
            if result in self._states:
                self._states[result]["state"] = UNBLOCKED

    # ── sending ───────────────────────────────────────────────────────────────────────────

    def with_uid(self, chain: Any) -> Any:
        """A chain that gets the task's ``uid``; UidNotInjectedInAbog when the task has none."""
        return InjectArgs(uid=self._task.uid) | chain

    def enqueue(
        self,
        chain: Any,
        track: bool,
        wait: Wait,
        sent: Callable[[AsyncResult], None] | None,
        options: Mapping[str, Any],
    ) -> AsyncResult | None:
        """Verify and send a chain; wait for it if asked to."""
        if wait.raises is not None and not wait.wanted:
            raise ValueError("raise_exception_on_failure needs block=True")
        if isinstance(chain, InjectArgs):
            return None
        verify_chain_arguments(chain)
        result = rerun.send(self._task, chain, options)
        try:
            if sent is not None:
                sent(result)
        finally:  # a revocation may strike in what the caller does with it
            if track:
                self._states[result] = {"state": PENDING}
        if wait.wanted:
            raising = {} if wait.raises is None else {"raise_exception_on_failure": wait.raises}
            self.wait_for([result], forget=wait.forget, **{**wait.options, **raising})
        return result

    def enqueue_and_extract(
        self, enqueue: Callable[..., AsyncResult | None], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Extracted:
        """Send a chain, wait for it, and take out its results; forget them afterwards if asked to."""
        extraction = {name: kwargs.get(name, default) for name, default in _EXTRACTION_DEFAULTS.items()}
        options = {name: value for name, value in kwargs.items() if name not in extraction}
        if not options.pop("block", True):
            logger.warning("%s: results are extracted when they are there; block=False is ignored", self._task.name)
        result = enqueue(*args, block=True, **options)
        results: Extracted = get_results(
            result,
            extraction["return_keys"],
            merge_children_results=extraction["extract_from_children"],
            return_keys_only=extraction["extract_task_returns_only"],
            extract_from_parents=extraction["extract_from_parents"],
        )
        if extraction["forget"] and result is not None:
            self.forget([result])
        return results

    def enqueue_in_parallel(
        self, chains: Iterable[Any], at_once: int, wait: Wait, options: Mapping[str, Any]
    ) -> list[AsyncResult | None]:
        """Send chains, never more than ``at_once`` of them under way."""
        if at_once < 1:
            raise ValueError(f"max_parallel_chains must be at least 1, not {at_once}")
        results: list[AsyncResult | None] = []
        self._plan(len(chains) if isinstance(chains, Sized) else None)
        with closing(Window(at_once, raises=bool(wait.raises), caller_task=self._task)) as under_way:
            for chain in chains:
                under_way.make_room()
                if logger.isEnabledFor(logging.DEBUG):
                    logger.debug("Enqueuing %s", get_label(chain))
                result = self._task.enqueue_child(chain, **options)
                results.append(result)
                if result is not None:
                    under_way.add(result)
        self._plan(0)
        if wait.wanted or wait.raises:
            sent = [result for result in results if result is not None]
            self.wait_for(sent, raise_exception_on_failure=bool(wait.raises))
        return results

    def _plan(self, more: int | None) -> None:
        """Tell how many children more are about to be sent; None when nobody can tell."""
        if is_heard(self._task):
            planned = None if more is None else len(self._states) + more
            self._task.send_event(_wire.EVENT_PLANNED, **{_wire.PLANNED_CHILDREN: planned})

    def enqueue_from_spec(self, spec: TaskEnqueueSpec, inject_args: Mapping[str, Any] | None) -> AsyncResult | None:
        """Send the child that a spec describes, with the parent's bag if it says so."""
        bag = {name: value for name, value in self._task.abog.items() if name not in _wire.NOT_INHERITED}
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
        except WaitOnChainTimeoutError:
            # They still run: forgetting would wait for them, and the end of this task must find them.
            forget = False
            raise
        finally:
            self._unblocked(awaited)
            if forget:
                self.forget(awaited)

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
            if self._states and strategy is PendingChildStrategy.Block:
                self._wait_quietly()
        finally:
            if self._states and strategy is not PendingChildStrategy.Continue:
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
        revoked: list[AsyncResult] = []
        for child in self.nonready():
            try:
                revoked.extend(self._task.revoke_child(child))
            except Exception:
                # The others must end all the same, and how the task itself ended must not be hidden.
                logger.exception("%s: child %s could not be revoked", self._task.name, child.id)
        wait_for_running_tasks_from_results(revoked)

    def forget(
        self,
        results: Iterable[AsyncResult],
        do_not_forget_report_nodes: bool = True,
        do_not_forget_enqueue_once_nodes: bool = True,
        do_not_forget_cache_enabled_tasks_results: bool = True,
        **options: Any,
    ) -> None:
        """Drop the stored results of children's chains and all below, but what others still need; untrack them."""
        children = list(results)
        needed = Needed(
            self._task.app.backend,
            reports=do_not_forget_report_nodes,
            once=do_not_forget_enqueue_once_nodes,
            cached=do_not_forget_cache_enabled_tasks_results,
        )
        forget_chains(children, needed.subtrees, needed.nodes, **options)
        for child in children:
            self._states.pop(child, None)

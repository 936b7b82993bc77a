"""One call of a task, from its arguments to what it returns. All state of a call lives here, never on the task."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Final

from celery.exceptions import Ignore, Reject, Retry

from firexkit._announce import announce
from firexkit._celery import outbox
from firexkit._celery.messages import (
    JSON,
    carried,
    check_for_plain_task,
    following_of,
    header_of,
    received,
    travels_whole,
)
from firexkit._celery.requests import RequestForDirectCall, raised_by_machinery
from firexkit._celery.secret_settings import sealing_for
from firexkit._celery.termination import after_cleaning_up
from firexkit._celery.types import AsyncResult
from firexkit._celery.wakeup import being_told
from firexkit._serialization import redaction
from firexkit._serialization.keeping import Known
from firexkit._serialization.large import LateDict, entries_of, fetched
from firexkit._wire import CACHED_RESULT_FROM, CHAIN_DEPTH, EVENT_FAILING, INJECTED_HEADER
from firexkit.argument_conversion import ConverterRegister
from firexkit.bag_of_goodies import RETURNED, BagOfGoodies, Origin
from firexkit.result.errors import tells_of_revocation
from firexkit.task import cache, logfile
from firexkit.task.beginning import check_begun
from firexkit.task.children import Children
from firexkit.task.errors import TaskExitError
from firexkit.task.hooks import is_users
from firexkit.task.large_values import keeper_for_result, reader_of
from firexkit.task.secrets import names_of, wrap

logger: logging.Logger = logging.getLogger(__name__)

_ABSENT: Final = object()


@dataclass
class TaskContext:
    """What one call remembers."""

    enqueued_children: dict[AsyncResult, dict[str, str]] = field(default_factory=dict)
    bog: BagOfGoodies | None = None
    flame_configs: dict[Any, dict[str, Any]] = field(default_factory=dict)


class Execution:
    """One call of a task.

    Args:
        task: the task.
    """

    def __init__(self, task: Any) -> None:
        self.task = task
        self.request: Any = task.request
        self.context: TaskContext = task.initialize_context()
        self.children: Children = Children(task, self.context.enqueued_children)
        self.cached_from: str | None = None
        self.converted_from: dict[str, Any] = {}
        """What converters were given, by the names under which they left something else."""

    @property
    def bag(self) -> BagOfGoodies:
        """The bag of this call.

        Raises:
            RuntimeError: the call has not come as far as filling it.
        """
        if self.context.bog is None:
            raise RuntimeError(f"{self.task.name} has no arguments yet: it is not running")
        return self.context.bog

    @cached_property
    def known(self) -> Known:
        """The large values that this call may send on as they came."""
        return Known(str(self.request.id or ""))

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run within what surrounds a call: its log, its children, the report of its failure."""
        with logfile.attached(self.task), self.children.settled():
            try:
                with after_cleaning_up(tells_of_revocation):
                    returned = self._to_store(self.task._process_arguments_and_run(*args, **kwargs))
            except BaseException as error:
                self._report(error)
                raise
        if self._is_traced:
            self._await_state()
        return returned

    def _await_state(self) -> None:
        """Let what was told leave with the state, if that is still to be stored; hooks of the task come after it."""
        backend = self.task.backend
        if self.request.ignore_result or backend.serializer != JSON:
            outbox.dispatched()
        else:
            outbox.last_words(backend)

    @property
    def _is_traced(self) -> bool:
        """Whether a worker called, and stores what is returned."""
        return not self.request.called_directly and not self.request.is_eager

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The call as one straight line."""
        self.context.bog = self._filled_bag(args, kwargs)
        self._keep_secret()
        self._convert(pre_task=True)
        self._gather("pre_task_run")
        self.task.pre_task_run()
        outbox.dispatched()
        returned = self._returned()
        results = self._put_results(returned)
        self._convert(pre_task=False)
        self._tell(results)
        return self.bag.snapshot()

    def _gather(self, hook: str) -> None:
        """Let what a hook tells leave with what comes next: a state, or the first thing that is waited for."""
        if is_users(self.task, hook):
            outbox.dispatched()
        elif self._is_traced and not outbox.is_open():
            outbox.opened(self.task.backend)

    # ── the steps ─────────────────────────────────────────────────────────────────────────

    def _filled_bag(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> BagOfGoodies:
        depth = kwargs.get(CHAIN_DEPTH, 0)
        bag = BagOfGoodies(
            self.task.sig,
            args,
            kwargs,
            has_returns_from_previous_task=isinstance(depth, int) and depth > 0,
            injected=header_of(self.request, INJECTED_HEADER) or (),
        )
        if isinstance(kept := bag.get_bag(), LateDict):
            self.known.learn(dict(entries_of(kept)).values())
        return bag

    def _convert(self, *, pre_task: bool) -> None:
        register = ConverterRegister.get_register(self.task.name)
        if register is None:
            return
        outbox.dispatched()  # converters may take their time
        bag = self.bag.get_bag()
        conversion, kept = register.run(bag, pre_task=pre_task), dict(entries_of(bag))
        after = entries_of(conversion.values)
        changes = {name: value for name, value in after if kept.get(name, _ABSENT) is not value}
        self.converted_from.update({name: kept[name] for name in changes if name in kept})
        origins = {name: Origin("converter", converter) for name, converter in conversion.changed_by.items()}
        self.bag.update(changes, origins)
        if pre_task:
            self._keep_secret()

    def _keep_secret(self) -> None:
        wrap(self.bag, self.task.secret_parameters)
        redaction.know(self.bag.get_bag(), names_of(self.task))

    def _returned(self) -> Any:
        self.bag.close_defaults()
        if self.task.is_cache_enabled():
            return self.task.cache_call()
        return self.task.real_call()

    def returned_from_cache(self) -> Any:
        """What an earlier equal call returned, else what the function returns."""
        returned, self.cached_from = cache.returned_or(self.task, self.task.real_call)
        return returned if self.cached_from is None else self.task.convert_cached_results(returned)

    def _put_results(self, returned: Any) -> Any:
        if isinstance(returned, dict):
            self.bag.update(returned, RETURNED)
        return returned

    def _tell(self, returned: Any) -> None:
        """Call the hook with the results as converters left them; keys that converters added are none."""
        bag = self.bag.get_bag()
        results = {key: bag[key] for key in returned if key in bag} if isinstance(returned, dict) else returned
        self._gather("post_task_run")
        extra = {} if self.cached_from is None else {"extra_events": {CACHED_RESULT_FROM: self.cached_from}}
        self.task.post_task_run(results, **extra)

    def _to_store(self, returned: Any) -> Any:
        """What Celery gets: the bag, with its encoded form when somebody else will read it."""
        task = self.task
        if self.request.called_directly or not isinstance(returned, dict) or not _is_read(task):
            return returned
        if task.backend.serializer != JSON:
            return fetched(returned)
        following = following_of(task.request, task.app)
        if travels_whole(task.request, following):
            check_for_plain_task(whole := fetched(returned), following, task_name=task.name)
            return carried(whole, None, task_name=task.name, secret=names_of(task))
        keeper = partial(keeper_for_result, task, self.known)
        return carried(returned, keeper, task_name=task.name, secret=names_of(task))

    def _report(self, error: BaseException) -> None:
        """Tell how a call failed. A call for the end of the process is a failure, too, and is raised as one."""
        if isinstance(error, Retry | Ignore | Reject):
            # These steer Celery; they are no failures.
            logger.debug("%s: %s", self.task.name, type(error).__name__)
            redaction.cleaned(error)
        elif isinstance(error, Exception):
            if self._is_traced:
                announce(self.task, EVENT_FAILING)
            self.task.handle_exception(redaction.cleaned(error))
        elif self._ends_process(error):
            outbox.dropped()  # whoever ends it says so; nothing that was to be told before may come after that
        elif isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit):
            # Celery would let the process end and store no state, and whoever waits would wait on.
            shown = redaction.cleaned(error)
            failure = TaskExitError(f"{self.task.name} called for the end of its process: {shown!r}")
            self.task.handle_exception(failure.with_traceback(error.__traceback__), raise_exception=False)
            raise failure from None

    def _ends_process(self, error: BaseException) -> bool:
        """Whether it is a revocation, or the worker's end."""
        return bool(self.request.called_directly) or raised_by_machinery(error)


def execute(task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run one call of a task, made by a worker or by whoever calls the task as a function."""
    with sealing_for(task.app), redaction.forgetting():
        if _is_direct(task):
            with RequestForDirectCall(task, args, kwargs):
                return _executed(task, args, kwargs)
        check_begun(task)
        return _executed(task, *received(task.request, args, kwargs, reader_of(task.app)))


def _executed(task: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    task.executions.push(Execution(task))
    try:
        with being_told():
            return task._call(*args, **kwargs)
    finally:
        task.executions.pop()


def _is_direct(task: Any) -> bool:
    """Whether nobody made a request for this call: a worker did, unless the task calls itself from within."""
    request, outer = task.request_stack.top, task.executions.top
    return request is None or request.called_directly or (outer is not None and outer.request is request)


def _is_read(task: Any) -> bool:
    """Whether what the task returns leaves this process."""
    request = task.request
    if request.is_eager:
        return bool(task.store_eager_result)
    return not request.ignore_result or bool(request.chain or request.callbacks or request.chord)

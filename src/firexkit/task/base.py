"""FireXTask: a flat face. Each member is a signature, a sentence, and a return that hands over to a collaborator."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

from celery.utils.threads import LocalStack

from firexkit import _announce, _returns, _wire
from firexkit._celery.types import AsyncResult, Signature, Task
from firexkit._functions import parameters_of
from firexkit._serialization.large import entries_of, late
from firexkit.bag_of_goodies import BagOfGoodies
from firexkit.task import cache, declaration, logfile, names, once, run_records, telling
from firexkit.task.arguments import DictWillNotAllowWrites
from firexkit.task.children import Extracted, PendingChildStrategy, TaskEnqueueSpec, Wait
from firexkit.task.errors import UidNotInjectedInAbog
from firexkit.task.execution import Execution, TaskContext, execute
from firexkit.task.flame import collapse_op, flame_entry, shown
from firexkit.task.publishing import publication
from firexkit.task.retrying import options_of_retry
from firexkit.task.signals import get_task_start_time, get_time_from_task_start


def _documented_as_abstract(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a hook as the documentation does; the class has no abstract metaclass, so it can be instantiated."""
    method.__isabstractmethod__ = True  # type: ignore[attr-defined]  # a mark, as abc sets it
    return method


class FireXTask(Task):
    """Task object that facilitates passing of arguments and return values from one task to another, in chains.

    Use it as ``task_cls`` of a Celery app, or as ``base`` of a task. Options of ``@app.task`` beside Celery's:
    ``returns``, ``flame``, ``use_cache``, ``on_lost``, ``pending_child_strategy``.
    """

    DYNAMIC_RETURN = _wire.DYNAMIC_RETURN
    RETURN_KEYS_KEY = _wire.RETURN_KEYS_KEY

    takes_chain_depth = True
    request_stack: Any = LocalStack()
    pending_child_strategy: PendingChildStrategy = PendingChildStrategy.Block
    check_name_for_override_posfix: bool = True
    returns: ClassVar[Any] = None
    flame: ClassVar[Any] = None
    use_cache: bool | None = None
    on_lost: str | None = None

    # ── construction and identity ─────────────────────────────────────────────────────────

    sig: inspect.Signature
    undecorated: Callable[..., Any]
    return_keys: tuple[str, ...]
    code_filepath: str | None
    flame_data_configs: dict[Any, dict[str, Any]]
    executions: Any

    def __init__(self) -> None:
        declaration.read(self)

    @staticmethod
    def strip_orig_from_name(task_name: str) -> str:
        """A task's name without any trailing ``_orig``."""
        return names.strip_orig(task_name)

    @staticmethod
    def get_short_name(task_name: str) -> str:
        """What follows the last dot of a name; of a chain's name, its first task's."""
        return names.short(task_name)

    @classmethod
    def get_short_name_without_orig(cls, task_name: str) -> str:
        """The short name without any trailing ``_orig``."""
        return names.strip_orig(names.short(task_name))

    @property
    def name_without_orig(self) -> str:
        """The name without any trailing ``_orig``."""
        return names.strip_orig(self.name)

    @property
    def short_name(self) -> str:
        """What follows the last dot of the name."""
        return names.short(self.name)

    @property
    def short_name_without_orig(self) -> str:
        """The short name without any trailing ``_orig``."""
        return self.get_short_name_without_orig(self.name)

    @property
    def called_as_orig(self) -> bool:
        """Whether this is a replaced task, called by the one that replaces it."""
        return str(self.name or "").endswith(_wire.REPLACEMENT_TASK_NAME_POSTFIX)

    @property
    def root_orig(self) -> Any:
        """The very original task that this one, in one or more steps, replaces; itself when it replaces none."""
        task: Any = self
        while (replaced := getattr(task, "orig", None)) is not None:
            task = replaced
        return task

    @property
    def from_plugin(self) -> bool:
        """Whether the task came with a plugin."""
        return self._from_plugin

    @from_plugin.setter
    def from_plugin(self, value: bool) -> None:
        self._from_plugin = value

    @property
    def task_label(self) -> str:
        """The task's id, with ``_2`` if this is its second retry; the name when it does not run."""
        label = str(self.request.id or self.name)
        return f"{label}_{self.request.retries}" if self.request.retries else label

    @property
    def request_soft_time_limit(self) -> float | None:
        """The soft time limit, in seconds, that came with the message; None when none came."""
        return (self.request.timelimit or (None, None))[1]

    @property
    def required_args(self) -> list[str]:
        """The names of the arguments that must be supplied, in the order of the function's parameters."""
        return list(parameters_of(self.sig).required)

    @property
    def optional_args(self) -> dict[str, Any]:
        """The arguments that need not be supplied, and their defaults."""
        return dict(parameters_of(self.sig).defaults)

    # ── running ───────────────────────────────────────────────────────────────────────────

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the task in this process; a worker calls it the same way."""
        return execute(self, args, kwargs)

    def run(self, *_args: Any, **_kwargs: Any) -> Any:
        """The task's function; each task defines its own."""
        raise NotImplementedError(f"{self.name} must define run()")

    def _call(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.execution.call(args, kwargs)

    def _process_arguments_and_run(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.execution.run(args, kwargs)

    @property
    def execution(self) -> Execution:
        """The call that runs now in this thread; RuntimeError when none does."""
        top: Execution | None = self.executions.top
        if top is None:
            raise RuntimeError(f"{self.name} is not running; its arguments and children exist only while it does")
        return top

    @property
    def context(self) -> TaskContext | None:
        """What the call that runs now remembers; None when none does."""
        top: Execution | None = self.executions.top
        return top.context if top is not None else None

    def initialize_context(self) -> TaskContext:
        """A context for one call."""
        return TaskContext(flame_configs=self.flame_configs_for_a_run())

    def final_call(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the task's function."""
        return self.run(*args, **kwargs)

    def real_call(self) -> Any:
        """Call the task's function with its arguments out of the bag; its returns are named."""
        args, kwargs = self.execution.bag.split_for_signature()
        return self.convert_results_if_returns_defined_by_task_definition(self.final_call(*args, **kwargs))

    def cache_call(self) -> Any:
        """What an earlier equal call returned, else what the function returns."""
        return self.execution.returned_from_cache()

    def convert_cached_results(self, results: Any) -> Any:
        """Change cached results before they are used; they are used as they are by default."""
        return results

    @classmethod
    def convert_returns_to_dict(cls, return_keys: Any, result: Any) -> dict[str, Any]:
        """Pair return keys with returned values; ReturnsCodingException when they don't fit."""
        return _returns.named_results(return_keys, result, where=str(getattr(cls, "name", None) or cls.__name__))

    def convert_results_if_returns_defined_by_task_definition(self, result: Any) -> Any:
        """Name what the function returned if the task declares its returns by option."""
        if not self.returns:
            return result
        return _returns.named_results(self.return_keys, result, where=str(self.name))

    @staticmethod
    def is_dynamic_return(value: Any) -> bool:
        """Whether a declared return key stands for a dict of results."""
        return _returns.is_dynamic_return(value)

    @_documented_as_abstract
    def pre_task_run(self, extra_events: dict[str, Any] | None = None) -> None:
        """Overrideable method to allow subclasses to do something with the bag before the task runs.

        Args:
            extra_events: fields to add to the event that tells of the start.
        """
        execution = self.execution
        bound, defaults = execution.bag.bound_arguments(), execution.bag.default_arguments()
        if not execution.request.called_directly:
            telling.tell_start(self, extra_events)
        self.print_precall_header(bound, defaults)

    @_documented_as_abstract
    def post_task_run(self, results: Any, extra_events: dict[str, Any] | None = None) -> None:
        """Overrideable method to allow subclasses to do something with the bag after the task has been run.

        Args:
            results: the results by name, or what the function returned when it names none.
            extra_events: fields to add to the event that tells of the results.
        """
        if isinstance(results, dict):
            results = {key: value for key, value in results.items() if key != _wire.RETURN_KEYS_KEY}
        self.print_postcall_header(results)
        if not self.request.called_directly:
            telling.tell_results(self, results, extra_events)

    def print_precall_header(self, bound_args: Mapping[str, Any], default_bound_args: Mapping[str, Any]) -> None:
        """Log what the task was started with."""
        telling.log_start(self, bound_args, default_bound_args)

    def print_postcall_header(self, result: Any) -> None:
        """Log what the task returned."""
        telling.log_completion(self, result)

    def handle_exception(
        self, e: Exception, logging_extra: dict[str, Any] | None = None, raise_exception: bool = True
    ) -> None:
        """Log a failure, and tell monitors which task it comes from.

        Args:
            e: what the task failed with.
            logging_extra: attributes to add to the log record.
            raise_exception: raise it again.
        """
        telling.report_failure(self, e, logging_extra)
        if raise_exception:
            raise e

    def retry(self, *args: Any, **kwargs: Any) -> Any:
        """Send the task's message again; parameters, and what is returned, are those of Celery's ``Task.retry``.

        Raises:
            celery.exceptions.Retry: to tell the worker that the task was sent again.
            celery.exceptions.MaxRetriesExceededError: no retry is left.
        """
        return super().retry(**options_of_retry(self, args, kwargs))

    # ── sending ───────────────────────────────────────────────────────────────────────────

    def signature(self, *args: Any, **kwargs: Any) -> Signature:
        """Create a signature of the task that is registered under this task's name: a plugin, if one replaced it.

        Parameters are those of Celery's ``Task.signature``.
        """
        registered = self.app.tasks.get(self.name, self) if self.name else self
        return super(FireXTask, registered if isinstance(registered, FireXTask) else self).signature(*args, **kwargs)

    def s(self, /, *args: Any, **kwargs: Any) -> Signature:
        """Create a signature: ``.s(*a, **k) -> .signature(a, k)``."""
        return self.signature(args, kwargs)

    def si(self, /, *args: Any, **kwargs: Any) -> Signature:
        """Create an immutable signature: it takes nothing from the task before it."""
        return self.signature(args, kwargs, immutable=True)

    def delay(self, /, *args: Any, **kwargs: Any) -> AsyncResult:
        """Send the task with these arguments."""
        return self.apply_async(args, kwargs)

    def apply_async(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """Send the task; parameters are those of Celery's ``Task.apply_async``. A broker that is away is waited for.

        Raises:
            WireError: an argument can't travel; the text names it, with the key path and the type.
            kombu.exceptions.OperationalError: the broker can't be reached in the time that ``firexkit_patience`` says.
        """
        with publication(self, *args, **kwargs) as message:
            return message.send(super(FireXTask, message.task).apply_async)

    # ── arguments, while it runs ──────────────────────────────────────────────────────────

    @property
    def args(self) -> list[Any]:
        """The positional values the function is called with."""
        return self.execution.bag.args

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword values the function is called with."""
        return self.execution.bag.kwargs

    @property
    def bound_args(self) -> dict[str, Any]:
        """What was supplied for the parameters, by name; TypeError when a required one is missing."""
        return self.execution.bag.bound_arguments()

    @property
    def default_bound_args(self) -> dict[str, Any]:
        """The parameters that nobody supplied, with their defaults."""
        return self.execution.bag.default_arguments()

    @property
    def all_args(self) -> MappingProxyType[str, Any]:
        """Supplied arguments and defaults, by name."""
        return MappingProxyType({**self.bound_args, **self.default_bound_args})

    @property
    def bag(self) -> MappingProxyType[str, Any]:
        """The bag, live: what was supplied, what passes through, and results once there are any."""
        return MappingProxyType(self.execution.bag.get_bag())

    @property
    def abog(self) -> DictWillNotAllowWrites:
        """The bag with the defaults of parameters that nobody supplied; a new dict each time."""
        bag = self.execution.bag
        return DictWillNotAllowWrites.of(late({**dict(entries_of(bag.get_bag())), **bag.default_arguments()}), self)

    @property
    def uid(self) -> Any:
        """The run's identity; UidNotInjectedInAbog when nobody put it into the bag."""
        abog = self.abog
        if _wire.UID not in abog:
            raise UidNotInjectedInAbog(f"{self.name} wants uid: enqueue it with inject_uid=True or InjectArgs(uid=...)")
        return abog[_wire.UID]

    def map_args(self, /, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What the function would get for these arguments, by parameter name; the task does not run."""
        bag = BagOfGoodies(self.sig, args, kwargs, has_returns_from_previous_task=False)
        return {**bag.bound_arguments(), **bag.default_arguments()}

    def map_input_args_kwargs(self, args: Iterable[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The positionals and keywords the function would be called with; the task does not run."""
        return BagOfGoodies(self.sig, args, kwargs, has_returns_from_previous_task=False).split_for_signature()

    @property
    def default_use_cache(self) -> bool | None:
        """Whether the task's definition asks for cached results."""
        return self.use_cache

    def is_cache_enabled(self) -> bool:
        """Whether this call may be answered from the cache."""
        return cache.is_enabled(self)

    # ── children ──────────────────────────────────────────────────────────────────────────

    @property
    def enqueued_children(self) -> list[AsyncResult]:
        """The children that this call has sent, in that order."""
        return list(self.execution.context.enqueued_children)

    @property
    def pending_enqueued_children(self) -> list[AsyncResult]:
        """The children that nobody has waited for."""
        return self.execution.children.pending()

    @property
    def nonready_enqueued_children(self) -> list[AsyncResult]:
        """The children that have not ended."""
        return self.execution.children.nonready()

    def enqueue_child(
        self,
        chain: Signature,
        add_to_enqueued_children: bool = True,
        block: bool = False,
        raise_exception_on_failure: bool | None = None,
        apply_async_epilogue: Callable[[AsyncResult], None] | None = None,
        apply_async_options: Any = None,
        forget: bool = False,
        inject_uid: bool = False,
        **kwargs: Any,
    ) -> AsyncResult | None:
        """Schedule a child task to run.

        Args:
            chain: a signature or chain.
            add_to_enqueued_children: revoke it, or wait for it, when this task ends.
            block: wait for its end.
            raise_exception_on_failure: with ``block`` only: raise when it failed (the default).
            apply_async_epilogue: called with the result as soon as the child is sent.
            apply_async_options: options of Celery's ``apply_async``.
            forget: with ``block``: drop the child's stored results afterwards.
            inject_uid: give it this task's ``uid``.
            **kwargs: with ``block``: options of the wait (``max_wait``, ``callbacks`` …).

        Returns:
            The result of the last task; None if ``chain`` is a bare ``InjectArgs``.

        Raises:
            InvalidChainArgsException: the chain's arguments don't add up; nothing was sent.
            ChainInterruptedException: with ``block``: it failed.
            ChainRevokedException: with ``block``: it was revoked.
        """
        wait = Wait(block, raise_exception_on_failure, forget, kwargs)
        chain = self.execution.children.with_uid(chain) if inject_uid else chain
        options = apply_async_options or {}
        return self.execution.children.enqueue(chain, add_to_enqueued_children, wait, apply_async_epilogue, options)

    def enqueue_child_and_extract(self, *args: Any, **kwargs: Any) -> Extracted:
        """Apply a chain, and extract results from it.

        Args:
            *args: of :meth:`enqueue_child`.
            **kwargs: of :meth:`enqueue_child`, and ``return_keys``, ``extract_from_children`` (True),
                ``extract_task_returns_only`` (False), ``extract_from_parents`` (True), ``forget`` (False).
        """
        if kwargs.pop("enqueue_once_key", None):
            raise ValueError("enqueue_once_key belongs to enqueue_child_once_and_extract")
        return self.execution.children.enqueue_and_extract(self.enqueue_child, args, kwargs)

    def enqueue_child_and_get_results(
        self,
        *args: Any,
        return_keys: str | tuple[str, ...] = (),
        return_keys_only: bool = True,
        merge_children_results: bool = False,
        extract_from_parents: bool = True,
        **kwargs: Any,
    ) -> Extracted:
        """Apply a chain, wait for it, and return its results: :meth:`enqueue_child` followed by ``get_results``.

        Args:
            *args: of :meth:`enqueue_child`.
            return_keys: a single key, or several; without any, a dict of all is returned.
            return_keys_only: only what tasks declare as returns; else their inputs, too.
            merge_children_results: add what the children of the tasks returned.
            extract_from_parents: consider the whole chain; else its last task only.
            **kwargs: of :meth:`enqueue_child`.

        Returns:
            A tuple in the order of ``return_keys`` (a single key gives a 1-tuple), else a dict.
        """
        return self.enqueue_child_and_extract(
            *args,
            return_keys=return_keys,
            extract_task_returns_only=return_keys_only,
            extract_from_children=merge_children_results,
            extract_from_parents=extract_from_parents,
            **kwargs,
        )

    def enqueue_child_once(
        self, *args: Any, enqueue_once_key: once.Key, block: bool = False, **kwargs: Any
    ) -> AsyncResult | None:
        """Run a chain at most once per key and run, whichever task asks first.

        Args:
            *args: of :meth:`enqueue_child`.
            enqueue_once_key: the key; of a Secret, only a digest is used.
            block: wait for the chain's end.
            **kwargs: of :meth:`enqueue_child`.
        """
        result: AsyncResult | None = once.enqueue_once(self, args, kwargs, key=enqueue_once_key, block=block)
        return result

    def enqueue_child_once_and_extract(self, *args: Any, enqueue_once_key: once.Key, **kwargs: Any) -> Extracted:
        """Apply a chain with a unique key only once per run, and extract results from it.

        Args:
            *args: of :meth:`enqueue_child`.
            enqueue_once_key: the key.
            **kwargs: of :meth:`enqueue_child_and_extract`, except ``extract_from_parents``.
        """
        if kwargs.pop("extract_from_parents", None):
            raise ValueError("Results of a task enqueued once have no parents to extract from")

        enqueue = partial(self.enqueue_child_once, enqueue_once_key=enqueue_once_key)
        return self.execution.children.enqueue_and_extract(enqueue, args, {**kwargs, "extract_from_parents": False})

    def enqueue_child_from_spec(
        self, task_spec: TaskEnqueueSpec, inject_args: dict[str, Any] | None = None
    ) -> AsyncResult | None:
        """Schedule the child that a spec describes; ``inject_args`` go over the bag that it may get."""
        return self.execution.children.enqueue_from_spec(task_spec, inject_args)

    def enqueue_in_parallel(
        self,
        chains: Iterable[Signature],
        max_parallel_chains: int = 15,
        wait_for_completion: bool = True,
        raise_exception_on_failure: bool = False,
        **kwargs: Any,
    ) -> list[AsyncResult | None]:
        """Execute signatures or chains in parallel.

        Args:
            chains: what to execute.
            max_parallel_chains: how many may be under way at a time.
            wait_for_completion: wait for all of them.
            raise_exception_on_failure: wait for all of them, then raise if one failed. A revocation always raises.
            **kwargs: of :meth:`enqueue_child`.

        Returns:
            Their results, in the order of ``chains``.
        """
        wait = Wait(wait_for_completion, raise_exception_on_failure, False, {})
        return self.execution.children.enqueue_in_parallel(chains, max_parallel_chains, wait, kwargs)

    def wait_for_children(self, pending_only: bool = True, **kwargs: Any) -> None:
        """Wait for all enqueued child tasks to run and complete; only those nobody waited for, unless told."""
        self.wait_for_specific_children(
            self.pending_enqueued_children if pending_only else self.enqueued_children, **kwargs
        )

    def wait_for_specific_children(self, child_results: Any, forget: bool = False, **kwargs: Any) -> None:
        """Wait for the explicitly provided child_results to run and complete.

        With ``forget``, their stored results are dropped afterwards; ``**kwargs`` are those of
        ``firexkit.result.wait_on_async_results_and_maybe_raise``.
        """
        self.execution.children.wait_for(child_results, forget=forget, **kwargs)

    def wait_for_any_children(self, pending_only: bool = True, **kwargs: Any) -> Iterator[AsyncResult]:
        """Yield each enqueued child as it completes; keywords as for ``firexkit.result.wait_for_any_results``."""
        return self.execution.children.wait_for_any(pending_only=pending_only, **kwargs)

    def revoke_child(
        self, result: AsyncResult, terminate: bool = True, wait: bool = False, timeout: float | None = None
    ) -> list[AsyncResult]:
        """Revoke a child and the unfinished members of its chain, and return what was revoked.

        With ``terminate``, what runs already is ended; with ``wait``, it is waited for, ``timeout`` seconds at most.
        """
        return self.execution.children.revoke(result, terminate=terminate, wait=wait, timeout=timeout)

    def revoke_nonready_children(self) -> None:
        """Revoke the children that have not ended, and wait until what ran has ended."""
        self.execution.children.revoke_nonready()

    def forget_child_result(
        self,
        child_result: AsyncResult,
        do_not_forget_report_nodes: bool = True,
        do_not_forget_enqueue_once_nodes: bool = True,
        do_not_forget_cache_enabled_tasks_results: bool = True,
        **kwargs: Any,
    ) -> None:
        """Forget results of the tree rooted at the "chain-head" of child_result, but those that others need.

        Args:
            child_result: the child.
            do_not_forget_report_nodes: keep tasks with reports.
            do_not_forget_enqueue_once_nodes: keep the subtrees of tasks enqueued once.
            do_not_forget_cache_enabled_tasks_results: keep the subtrees of tasks whose results are cached.
            **kwargs: of ``firexkit.result.forget_chain_results``.
        """
        keep = (do_not_forget_report_nodes, do_not_forget_enqueue_once_nodes, do_not_forget_cache_enabled_tasks_results)
        self.execution.children.forget([child_result], *keep, **kwargs)

    def forget_specific_children_results(self, child_results: list[AsyncResult], **kwargs: Any) -> None:
        """Forget results for the explicitly provided child_results; keywords as for :meth:`forget_child_result`."""
        self.execution.children.forget(child_results, **kwargs)

    def forget_enqueued_children_results(self, **kwargs: Any) -> None:
        """Forget results for the enqueued children of current task; keywords as for :meth:`forget_child_result`."""
        self.forget_specific_children_results(self.enqueued_children, **kwargs)

    # ── telling ───────────────────────────────────────────────────────────────────────────

    def send_event(self, *args: Any, **kwargs: Any) -> None:
        """Tell monitors an event of this type, with JSON-able fields; nothing when it was called as a function."""
        if not self.request.called_directly:
            _announce.announce(self, *args, **kwargs)

    def flame_configs_for_a_run(self) -> dict[Any, dict[str, Any]]:
        """How values are shown, for one call: showing marks some as done."""
        return {key: dict(config) for key, config in self.flame_data_configs.items()}

    def send_firex_data(self, data: Mapping[str, Any]) -> None:
        """Show the values, given by name, that the task's flame configs ask for."""
        configs = self.execution.context.flame_configs
        if configs and not self.request.called_directly and (entries := shown(configs, data, self)):
            self.send_event(_wire.EVENT_FLAME, **{_wire.FLAME_DATA: entries})

    def update_firex_data(self, **kwargs: Any) -> None:
        """Show these values, as :meth:`send_firex_data` does."""
        self.send_firex_data(kwargs)

    def send_firex_html(self, **kwargs: Any) -> None:
        """Show HTML, by key; no config is needed."""
        entries = {key: flame_entry(html) for key, html in kwargs.items()}
        self.send_event(_wire.EVENT_FLAME, **{_wire.FLAME_DATA: entries})

    def send_firex_event_raw(self, data: dict[str, Any]) -> None:
        """Send fields of the flame event as they are."""
        self.send_event(_wire.EVENT_FLAME, **data)

    def send_display_collapse(self, task_uuid: str | None = None) -> None:
        """Collapse the current task (default), or collapse the task with the supplied UUID."""
        own = str(self.request.id)
        entry = flame_entry([collapse_op(own, task_uuid or own)], "object")
        self.send_event(_wire.EVENT_FLAME, **{_wire.FLAME_DATA: {_wire.FLAME_COLLAPSE_KEY: entry}})

    def has_report_meta(self) -> bool:
        """Whether the task's results go into reports."""
        return hasattr(self, "report_meta")

    def add_task_result_with_report_to_db(self) -> None:
        """Maintain a list in the backend of all executed tasks that will generate reports."""
        run_records.add_task_result_with_report_to_db(self.app.backend, self.request.id)

    def start_time(self) -> float | None:
        """Unix time, in seconds, of this task's first start."""
        return get_task_start_time(self.request.id, self.app.backend)

    def duration(self) -> float | None:
        """Seconds since this task's first start."""
        return get_time_from_task_start(self.request.id, self.app.backend)

    # ── logging ───────────────────────────────────────────────────────────────────────────

    @property
    def root_logger(self) -> logging.Logger:
        """The root logger."""
        return logging.getLogger()

    @property
    def root_logger_file_handler(self) -> logging.Handler | None:
        """The handler of the worker's log file; None when the worker has none."""
        return logfile.worker_handler(self.root_logger)

    @property
    def worker_log_file(self) -> str | None:
        """The worker's log file; None when it has none, and so are all paths below."""
        return logfile.worker_log_file()

    @property
    def file_logging_dirpath(self) -> str | None:
        """The directory of the worker's log file."""
        return logfile.directory_of_worker_log()

    @property
    def logs_dir_for_worker(self) -> str | None:
        """The directory above the worker's."""
        return logfile.parent_of_worker_logs()

    @property
    def task_logging_dirpath(self) -> str | None:
        """The directory of this worker's task logs."""
        return self.get_task_logging_dirpath_from_request(self.request)

    @property
    def task_logfile(self) -> str | None:
        """This task's log file."""
        return self.get_task_logfile_from_request(self.request)

    @property
    def task_log_url(self) -> str | None:
        """Where people read this task's log."""
        return logfile.url_of(self.task_logfile, self.app.conf)

    @property
    def worker_log_url(self) -> str | None:
        """Where people read the worker's log, at this task."""
        path = logfile.url_of(self.worker_log_file, self.app.conf)
        return f"{path}#{self.task_label}" if path else None

    def get_task_logging_dirpath_from_request(self, request: Any) -> str | None:
        """The directory of the task logs of the worker that a request belongs to."""
        return logfile.directory_for(request.hostname)

    def get_task_logfile_from_request(self, request: Any) -> str | None:
        """The log file of the task that a request belongs to."""
        return logfile.path_for(request.hostname, str(self.name), str(request.id))

    @classmethod
    def get_task_logfile(cls, task_logging_dirpath: str, task_name: str, uuid: str) -> str:
        """The log file of a task in a directory."""
        return logfile.join(task_logging_dirpath, cls.get_task_logfilename(task_name, uuid))

    @staticmethod
    def get_task_logfilename(task_name: str, uuid: str) -> str:
        """The name of a task's log file."""
        return logfile.file_name(task_name, uuid)

    def write_task_log_html_header(self) -> None:
        """Begin the task's log page unless it was begun."""
        if self.task_logfile:
            logfile.write_header(self.task_logfile, self)

    def add_task_logfile_handler(self) -> list[tuple[logging.Logger, logging.Handler]]:
        """Log to the task's file, too; returns the handlers that were added, with their loggers."""
        return logfile.add_handlers(self.task_logfile) if self.task_logfile else []

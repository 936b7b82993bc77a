"""Chains: what their tasks declare to return, what is injected into them, and whether their arguments add up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import wraps
from typing import Any, NoReturn

from celery.local import PromiseProxy

from firexkit import _lazy, _returns
from firexkit._celery import chains, signature_methods
from firexkit._celery.chains import is_chain, is_parallel
from firexkit._celery.types import AsyncResult, Signature
from firexkit._celery.wakeup import being_told
from firexkit._faces import adopt
from firexkit._functions import (
    RETURN_KEYS_ATTRIBUTE,
    get_attr_unwrapped,
    parse_signature,
    undecorate,
    undecorate_func,
)
from firexkit._returns import ReturnsCodingException
from firexkit._verification import InvalidChainArgsException, verify_chain_arguments
from firexkit._wire import INJECTED_HEADER, NOT_INHERITED
from firexkit.bag_of_goodies import BagOfGoodies
from firexkit.result import wait_on_async_results_and_maybe_raise

__all__ = [
    "BagOfGoodies",
    "FireXTask",  # noqa: F822 - looked up when asked for, see below
    "InjectArgs",
    "InvalidChainArgsException",
    "ReturnsCodingException",
    "get_attr_unwrapped",
    "get_label",
    "parse_signature",
    "returns",
    "set_execution_options",
    "set_label",
    "set_priority",
    "set_queue",
    "set_soft_time_limit",
    "set_use_cache",
    "undecorate",
    "verify_chain_arguments",
]

# Callers of the reference find the task class here; it stands above this module, so it is looked up when asked for.
__getattr__: Callable[[str], Any] = _lazy.reexport(__name__, {"FireXTask": "firexkit.task"})


# ── what tasks return ─────────────────────────────────────────────────────────────────────


def returns(*args: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The decorator is used to allow us to specify the keys of the dict that the task returns.

    Written below ``@app.task``, on the plain function. It tells what the values that the function returns are called,
    and lets a chain be checked before it is sent.

    Args:
        *args: the keys, in the order of the returned values; ``FireXTask.DYNAMIC_RETURN`` stands for a dict.

    Raises:
        ReturnsCodingException: no key, a key given twice, or the decorator stands above ``@app.task``.
    """
    if not args or len(set(args)) != len(args):
        raise ReturnsCodingException(f"@returns needs different names, not {args!r}")

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if isinstance(function, PromiseProxy) or hasattr(function, "apply_async"):
            raise ReturnsCodingException("@returns must stand below @app.task, on the plain function")
        where = getattr(function, "__qualname__", repr(function))
        setattr(undecorate_func(function), RETURN_KEYS_ATTRIBUTE, args)

        @wraps(function)
        def named(*call_args: Any, **call_kwargs: Any) -> dict[str, Any]:
            return _returns.named_results(args, function(*call_args, **call_kwargs), where=where)

        return named

    return decorate


# ── injected arguments ────────────────────────────────────────────────────────────────────


class InjectArgs(Signature):
    """Arguments for the head of a chain: ``InjectArgs(uid=1) | first.s() | second.s()``.

    They fill gaps only: what the first task was given explicitly stays. They reach the rest of the chain in the bag.

    Args:
        **kwargs: the arguments. What tells about one call only (``chain_depth``, the return keys) is left behind.
    """

    heads_a_chain = True
    inject_args: dict[str, Any]

    def __init__(self, /, **kwargs: Any) -> None:
        dict.__init__(self)
        self.inject_args = {name: value for name, value in kwargs.items() if name not in NOT_INHERITED}

    def __or__(self, other: Any) -> Any:
        if isinstance(other, InjectArgs):
            return InjectArgs(**{**self.inject_args, **other.inject_args})
        if isinstance(other, Signature):
            copy = other.clone()
            _inject(copy, self.inject_args)
            return copy
        return NotImplemented

    def __ior__(self, other: Any) -> Any:
        return self | other

    def __ror__(self, other: Any) -> NoReturn:
        raise TypeError(f"InjectArgs goes before the tasks it is for: InjectArgs(...) | {_name_of(other)}")

    def clone(self, *_args: Any, **_kwargs: Any) -> InjectArgs:
        """A copy."""
        return InjectArgs(**self.inject_args)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_inject_args, (self.inject_args,)

    def __repr__(self) -> str:
        return f"InjectArgs({', '.join(f'{name}={value!r}' for name, value in self.inject_args.items())})"


def _rebuild_inject_args(arguments: dict[str, Any]) -> InjectArgs:
    return InjectArgs(**arguments)


def _name_of(sig: Any) -> str:
    return str(getattr(sig, "task", None) or type(sig).__name__)


def _inject(sig: Any, arguments: Mapping[str, Any]) -> None:
    """Put arguments into the first task of ``sig``, into each one when it is a group."""
    if is_chain(sig):
        _inject(sig.tasks[0], arguments)
    elif is_parallel(sig):
        for member in sig.tasks:
            _inject(member, arguments)
    else:
        added = {name: value for name, value in arguments.items() if name not in sig.kwargs}
        headers = sig.options.get("headers") or {}
        injected = [*headers.get(INJECTED_HEADER, ()), *added]
        # New dicts: clones of a signature may share theirs with the original.
        sig["kwargs"] = {**sig.kwargs, **added}
        sig["options"] = {**sig.options, "headers": {**headers, INJECTED_HEADER: injected}}


def _inject_args(self: Any, /, **kwargs: Any) -> None:
    """Inject arguments into this signature, or into the first task of this chain."""
    _inject(self, {name: value for name, value in kwargs.items() if name not in NOT_INHERITED})


# ── options, labels, sending ──────────────────────────────────────────────────────────────


def set_execution_options(sig: Any, **options: Any) -> None:
    """Set arbitrary executions options in every task in the ``sig``.

    Args:
        sig: a signature or chain.
        **options: options of Celery's ``apply_async``.
    """
    for member in _tasks_of(sig):
        member.set(**options)


def _tasks_of(sig: Any) -> Iterable[Any]:
    if not is_chain(sig):
        return (sig,)
    return (task for member in sig.tasks for task in _tasks_of(member))


def set_priority(sig: Any, priority: int) -> None:
    """Set the ``priority`` execution option in every task in ``sig``: 0 to 9."""
    set_execution_options(sig, priority=priority)


def set_queue(sig: Any, queue: str) -> None:
    """Set the ``queue`` execution option in every task in ``sig``."""
    set_execution_options(sig, queue=queue)


def set_soft_time_limit(sig: Any, soft_time_limit: float) -> None:
    """Set the ``soft_time_limit`` execution option, in seconds, in every task in ``sig``."""
    set_execution_options(sig, soft_time_limit=soft_time_limit)


def set_use_cache(sig: Any, use_cache: bool) -> None:
    """Set the ``use_cache`` execution option in every task in ``sig``: it wins over the tasks' own."""
    set_execution_options(sig, use_cache=use_cache)


def set_label(sig: Any, label: str) -> None:
    """Name a signature or chain for people."""
    sig.set(label=label)


def get_label(sig: Any) -> str:
    """The label of a signature or chain, else the names of its tasks joined with ``|``."""
    if label := sig.options.get("label"):
        return str(label)
    return "|".join(_name_of(member) for member in (sig.tasks if is_chain(sig) else (sig,)))


def enqueue(
    self: Any,
    block: bool = False,
    raise_exception_on_failure: bool = True,
    caller_task: Any = None,
    queue: str | None = None,
    priority: int | None = None,
    soft_time_limit: float | None = None,
) -> AsyncResult:
    """Verify this signature or chain and send it.

    Args:
        self: the signature.
        block: wait for its end.
        raise_exception_on_failure: when waiting, raise if it failed.
        caller_task: the task that waits, for monitors.
        queue: where to send every task.
        priority: of every task, 0 to 9.
        soft_time_limit: of every task, in seconds.

    Returns:
        The result of the last task.

    Raises:
        InvalidChainArgsException: the arguments don't add up; nothing was sent.
    """
    verify_chain_arguments(self)
    options = {"queue": queue, "priority": priority, "soft_time_limit": soft_time_limit}
    given = {name: value for name, value in options.items() if value is not None}
    chain = self.clone() if given else self
    set_execution_options(chain, **given)
    with being_told() if block else nullcontext():
        results: AsyncResult = chain.delay()
    if block:
        wait_on_async_results_and_maybe_raise(results, raise_exception_on_failure, caller_task)
    return results


adopt(__name__, globals(), ("InvalidChainArgsException", "verify_chain_arguments"))
chains.install()
signature_methods.install(
    {
        "injectArgs": _inject_args,
        "set_execution_options": set_execution_options,
        "set_priority": set_priority,
        "set_use_cache": set_use_cache,
        "set_queue": set_queue,
        "set_soft_time_limit": set_soft_time_limit,
        "set_label": set_label,
        "get_label": get_label,
        "enqueue": enqueue,
    }
)

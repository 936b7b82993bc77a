"""Tasks that every app has once this module is imported: shared tasks, named ``firexkit.tasks.nop`` and so on."""

from __future__ import annotations

import getpass
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from celery import shared_task
from celery.canvas import maybe_signature

from firexkit._celery.types import AsyncResult, Signature
from firexkit._wire import DYNAMIC_RETURN, RUN_UNSUCCESSFUL_NAME
from firexkit.chain import InjectArgs
from firexkit.result import find_unsuccessful_in_chain, get_result_logging_name, get_results
from firexkit.result.tree import parents_of
from firexkit.task import FireXTask
from firexkit.task_names import chain_of

__all__ = ["CopyBogKeys", "ScheduleSubChain", "getusername", "nop", "sleep"]

logger: logging.Logger = logging.getLogger(__name__)


def _task(**options: Any) -> Callable[[Callable[..., Any]], FireXTask]:
    decorator: Callable[[Callable[..., Any]], FireXTask] = shared_task(base=FireXTask, **options)
    return decorator


@_task()
def nop() -> None:
    """Nothing; what is in the bag passes through."""


@_task()
def sleep(seconds: float) -> None:
    """Take that long.

    Args:
        seconds: how long.
    """
    # A revocation ends it: the signal that Celery sends to the pool's process interrupts the call.
    time.sleep(float(seconds))


@_task(returns="username")
def getusername() -> str:
    """The name of the user whose worker runs the task, as ``username``."""
    return getpass.getuser()


@_task(bind=True, returns=DYNAMIC_RETURN)
def CopyBogKeys(self: FireXTask, bog_key_map: dict[str, str], strict: bool = False) -> dict[str, Any]:  # noqa: N802 - the documented name
    """Values of the bag under other names, too: each new name is one of the task's returns.

    Args:
        self: the task.
        bog_key_map: new names by the names that there are.
        strict: fail if one of those is missing; else it is left out.

    Raises:
        LookupError: with ``strict``: something is missing.
    """
    bag = self.abog
    missing = [name for name in bog_key_map if name not in bag]
    if strict and missing:
        raise LookupError(f"nothing in the bag is called {', '.join(missing)}; there are {', '.join(sorted(bag))}")
    return {new_name: bag[name] for name, new_name in bog_key_map.items() if name in bag}


@_task(bind=True, returns=DYNAMIC_RETURN)
def ScheduleSubChain(  # noqa: N802 - the documented name
    self: FireXTask,
    chain: str | list[str] | dict[str, Any],
    enqueue_args: dict[str, Any] | None = None,
    catch_errors: bool = False,
    inject_abog: bool = True,
) -> dict[str, Any]:
    """Run a chain as a child, and return what its tasks return.

    Args:
        self: the task.
        chain: names of tasks, in a list or with commas between them; or a signature.
        enqueue_args: keywords of :meth:`firexkit.task.FireXTask.enqueue_child`; the child is waited for in any case.
        catch_errors: do not fail if the chain fails: ``unsuccessful_services`` is returned beside what the tasks that
            succeeded return, a dict with the lists ``failed`` and ``not_run``. A revocation is raised all the same.
        inject_abog: give the chain what is in this task's bag, except these four arguments.

    Raises:
        UnknownTaskError: a name is no task's.
        InvalidChainArgsException: the arguments of the chain don't add up.
        ChainInterruptedException: without ``catch_errors``: it failed.
        ChainRevokedException: it was revoked.
    """
    steps = maybe_signature(chain, app=self.app) if isinstance(chain, Mapping) else chain_of(self.app, chain)
    # What this task is told about its own chain is not for the tasks in it.
    bag = {name: value for name, value in self.abog.items() if name not in self.sig.parameters} if inject_abog else {}
    options = {**(enqueue_args or {}), "block": True, "raise_exception_on_failure": not catch_errors}
    forget = options.pop("forget", False)
    result: Any = self.enqueue_child(InjectArgs(**bag) | steps, **options)
    results: dict[str, Any] = get_results(result)
    if not result.successful():
        results[RUN_UNSUCCESSFUL_NAME] = _told_unsuccessful(result, steps)
    if forget:
        self.forget_child_result(result)
    return results


def _told_unsuccessful(result: AsyncResult, steps: Signature) -> dict[str, list[str]]:
    """The tasks of a chain that did not succeed, logged and as text: name, id and error."""
    members = getattr(steps, "tasks", None) or [steps]
    # Only what was sent has a name on record, so names come from the chain, last one first.
    names = {member.id: sig.task for member, sig in zip((result, *parents_of(result)), members[::-1], strict=False)}
    unsuccessful: dict[str, list[str]] = {}
    for fate, results in find_unsuccessful_in_chain(result).items():
        for member in results:
            text = get_result_logging_name(member, names.get(member.id))
            if fate == "failed":
                error = member.result
                text = f"{text}: {type(error).__name__}: {error}"
                logger.error("The chain failed, and this task goes on: %s", text, exc_info=error)
            unsuccessful.setdefault(fate, []).append(text)
    return unsuccessful

"""What a test wants to run: a signature, a task, or names of tasks; and the app that this is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celery.app.task import Task

from firexkit._celery.types import Signature
from firexkit.chain import InjectArgs
from firexkit.task import FireXTask
from firexkit.task_names import chain_of
from firexkit.uid import Uid

if TYPE_CHECKING:
    from firexkit._celery.types import Celery


def chain_asked_for(app: Celery, asked: Any) -> Signature:
    """The signature of what was asked for.

    Args:
        app: where names are looked up.
        asked: a signature or a chain, a task, or names of tasks with commas between them.

    Raises:
        TypeError: it is something else.
        LookupError: no task has the name, or several have.
    """
    if isinstance(asked, str):
        return chain_of(app, asked)
    if isinstance(asked, InjectArgs):
        raise TypeError(f"{asked!r} has arguments, but no task to give them to")
    if isinstance(asked, Signature):
        return asked
    if isinstance(asked, Task):
        signature: Signature = asked.s()
        return signature
    raise TypeError(f"a run needs a signature, a task, or names of tasks with commas between them, not {asked!r}")


def members_of(chain: Signature) -> list[Any]:
    """The tasks of a chain, or the one signature."""
    return list(chain.tasks) if chain.get("task") == "celery.chain" else [chain]


def app_for(chain: Signature, own: Celery) -> Celery:
    """The app that a chain is run with: the test's own if one of its tasks is, else that of the first."""
    apps = [getattr(member, "app", None) for member in members_of(chain)]
    app = own if any(app is own for app in apps) else apps[0] or own
    # What the current app stands for is a proxy; the app itself is wanted.
    return getattr(app, "_get_current_object", lambda: app)()


def with_arguments(chain: Signature, arguments: Mapping[str, Any], uid: Uid) -> Signature:
    """The chain with arguments for its head, whose id is that of the run.

    Raises:
        TypeError: the head is a plain Celery task, which takes no arguments by name.
    """
    head = members_of(chain)[0]
    is_ours = isinstance(getattr(head, "type", None), FireXTask)
    if arguments and not is_ours:
        raise TypeError(f"{head.task} is no FireXTask: give its arguments to its signature, not to the run")
    injected: Signature = InjectArgs(**{"uid": uid, **arguments}) | chain if is_ours else chain.clone()
    members_of(injected)[0].set(task_id=str(uid))
    return injected

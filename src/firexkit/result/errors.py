"""What a wait may end with, other than success."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar


class WaitOnChainTimeoutError(Exception):
    """A wait took longer than allowed. ``failures`` holds what had failed by then."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.failures: list[Exception] = []


class ChainException(Exception):
    """A chain did not come to its end."""

    MESSAGE: ClassVar[str] = ""
    task_id: str | None = None
    task_name: str | None = None

    def __str__(self) -> str:
        if not self.MESSAGE:
            return super().__str__()
        name = self.task_name or ""
        return f"{self.MESSAGE}{name}[{self.task_id}]" if self.task_id else f"{self.MESSAGE}{name}"


class ChainRevokedException(ChainException):
    """A member of the chain was revoked."""

    MESSAGE: ClassVar[str] = "The chain has been interrupted by the revocation of microservice "

    def __init__(self, task_id: str | None = None, task_name: str | None = None) -> None:
        super().__init__(task_id, task_name)
        self.task_id = task_id
        self.task_name = task_name


class ChainRevokedPreRunException(ChainRevokedException):
    """A member of the chain was revoked before a worker started it."""


class ChainInterruptedException(ChainException):
    """A member of the chain failed.

    Args:
        task_id: the failed task.
        task_name: its name.
        cause: what it failed with. An exception becomes ``__cause__``; anything else, such as the text that a
            serializer made of one, is kept in ``cause_repr``.
    """

    MESSAGE: ClassVar[str] = "The chain has been interrupted by a failure in microservice "

    def __init__(self, task_id: str | None = None, task_name: str | None = None, cause: Any = None) -> None:
        super().__init__(task_id, task_name, cause)
        self.task_id = task_id
        self.task_name = task_name
        self.cause_repr: str | None = None
        if isinstance(cause, BaseException):
            self.__cause__: BaseException | None = cause
        elif cause is not None:
            self.cause_repr = str(cause)


class ChainInterruptedByZombieTaskException(ChainInterruptedException):
    """A member of the chain is held by no living worker, so it will never end."""

    def __str__(self) -> str:
        return f"{super().__str__()}: (zombie task)"


class BrokerDataLostError(ChainInterruptedException):
    """The broker has lost its data, and with them the tasks that were waited for: they will never end.

    Whoever waits is told, also one that does not want failures to be raised.

    Args:
        tasks: the names of these tasks by their ids; empty where the name is not known.
    """

    def __init__(self, tasks: Mapping[str, str] | None = None) -> None:
        lost = dict(tasks or {})
        super().__init__(*next(iter(lost.items()), ()))
        self.args: tuple[Any, ...] = (lost,)
        self.tasks: dict[str, str] = lost

    def __str__(self) -> str:
        lost = ", ".join(f"{name}[{task_id}]" for task_id, name in self.tasks.items()) or "what was waited for"
        return (
            f"The broker has lost its data, and with them {lost}. Run it again; a broker that keeps its data over a "
            "restart is one with appendonly set to yes"
        )


class MultipleFailuresException(ChainInterruptedException):
    """Several of the awaited chains failed; ``failures`` holds each one's exception."""

    MESSAGE: ClassVar[str] = "The chain has been interrupted by multiple failing microservices: %s"

    def __init__(self, task_ids: Iterable[str] = ("UNKNOWN",)) -> None:
        ids = task_ids if isinstance(task_ids, Sequence) else tuple(task_ids)
        super().__init__(ids[0] if ids else None)
        self.args: tuple[Any, ...] = (ids,)
        self.task_ids = ids
        self.failures: list[Exception] = []

    def __str__(self) -> str:
        return self.MESSAGE % ", ".join(str(task_id) for task_id in self.task_ids)


def first_non_chain_interrupted_exception(ex: BaseException) -> BaseException:
    """The root cause: the first exception down the causes that is not a chain interruption."""
    while isinstance(ex, ChainInterruptedException) and ex.__cause__ is not None:
        ex = ex.__cause__
    return ex


def last_causing_chain_interrupted_exception(ex: BaseException) -> BaseException:
    """The deepest chain interruption down the causes: the one that names the task that really failed."""
    while isinstance(ex.__cause__, ChainInterruptedException):
        ex = ex.__cause__
    return ex


def tells_of_revocation(error: BaseException | None) -> bool:
    """Whether an error, or what lies behind it, says that a task was revoked."""
    seen = set[int]()
    left = [error]
    while left:
        error = left.pop()
        if isinstance(error, ChainRevokedException):
            return True
        if error is not None and id(error) not in seen:
            seen.add(id(error))
            left += [error.__cause__, error.__context__, *getattr(error, "failures", ())]
    return False

"""Survive a broker that is away for a moment: try again until it answers or the time is up."""

import logging
import random
import sys
from collections.abc import Callable, Iterator
from math import inf
from time import monotonic, sleep
from typing import Final, TypeVar, TypeVarTuple

from kombu.exceptions import OperationalError

logger: logging.Logger = logging.getLogger(__name__)

Value = TypeVar("Value")
Arguments = TypeVarTuple("Arguments")
Report = Callable[[bool, int], None]
"""Told once, after the last try: did the call succeed, and how many tries did it take."""

_OUTAGES: Final = (TimeoutError, ConnectionError, OperationalError)
OUTAGE_NAMES: Final = frozenset({"TimeoutError", "ConnectionError"})
"""Clients we don't know call their outages so; only a class with exactly this name counts."""

DENIALS: Final = frozenset({"AuthenticationError", "AuthorizationError", "ExternalAuthProviderError", "AccessRefused"})
"""Class names of refused credentials, by name since not every supported client has each class."""

GROWTH: Final = 1.1
MOST_GROWTH: Final = 10
JITTER: Final = 0.05


def outages() -> tuple[type[Exception], ...]:
    """What is raised when the broker is away; those of its client once somebody has imported that."""
    client = sys.modules.get("redis.exceptions")
    return _OUTAGES if client is None else (*_OUTAGES, client.TimeoutError, client.ConnectionError)


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later, with nothing changed but the time."""
    return _is_outage(error) and not any(_is_denial(cause) for cause in _causes(error))


def _is_outage(error: BaseException) -> bool:
    return isinstance(error, outages()) or type(error).__name__ in OUTAGE_NAMES


def _is_denial(error: BaseException) -> bool:
    return any(base.__name__ in DENIALS for base in type(error).__mro__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    # kombu wraps what the client raised, so a refused password arrives as the cause of an OperationalError.
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def growing(initial: float) -> Iterator[float]:
    """Delays in seconds, without end: each a tenth longer than the one before, up to ten times the first."""
    delay = initial
    while True:
        yield delay
        delay = min(delay * GROWTH, initial * MOST_GROWTH)


def jittered(delay: float) -> float:
    """The delay moved by up to a twentieth either way, so that many waiters don't all come back at once."""
    return delay * random.uniform(1 - JITTER, 1 + JITTER)


def ignore(_succeeded: bool, _tries: int) -> None:
    """Tell nobody how the tries ended."""


def patiently(
    call: Callable[[*Arguments], Value],
    *args: *Arguments,
    timeout: float | None = 900,
    retry_delay: float = 1,
    report: Report = ignore,
) -> Value:
    """Return what ``call(*args)`` returns, trying again while the broker is away.

    Args:
        call: what to do; it must be safe to repeat after it failed.
        *args: its positional arguments; keywords go through `functools.partial`.
        timeout: seconds after which the last try starts; None tries forever, 0 tries once.
        retry_delay: seconds before the second try; later pauses grow to ten times as much.
        report: told how it ended, if there was more than one try or the time was up.

    Raises:
        Exception: what the call raised, at once if it isn't about the connection, else after ``timeout``.
    """
    deadline = inf if timeout is None else monotonic() + timeout
    delays = growing(retry_delay)
    tries = 1
    while True:
        try:
            value = call(*args)
            break
        except Exception as error:
            remaining = deadline - monotonic()
            if not is_transient(error):
                raise
            if remaining <= 0:
                report(False, tries)
                raise
            logger.debug("try %d: %s: %s; trying again for up to %g s", tries, type(error).__name__, error, remaining)
        sleep(min(jittered(next(delays)), remaining))
        tries += 1
    if tries > 1:
        report(True, tries)
    return value

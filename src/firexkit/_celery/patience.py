"""Survive a broker that is away for a moment: try again until it answers or the time is up."""

import logging
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from time import monotonic, sleep
from typing import Any, Final, TypeAlias, TypeVar, TypeVarTuple

from celery import current_app
from kombu.exceptions import OperationalError

from firexkit._wire import PATIENCE_SETTING

logger: logging.Logger = logging.getLogger(__name__)

Value = TypeVar("Value")
Arguments = TypeVarTuple("Arguments")
Report = Callable[[bool, int], None]
"""Told once, after the last try: did the call succeed, and how many tries did it take."""
Timeout: TypeAlias = float | Callable[[], float] | None
"""Seconds, or what tells them once somebody wants to know; None for ever."""

PATIENCE: Final = 60.0
"""Seconds that an outage may last, unless the app says otherwise."""
_RETURN: Final = 1.25
"""A server that is back has to load its data, and who waits for it looks now and then."""

_OUTAGES: Final = (TimeoutError, ConnectionError, OperationalError)
OUTAGE_NAMES: Final = frozenset({"TimeoutError", "ConnectionError"})
"""Clients we don't know call their outages so; only a class with exactly this name counts."""

DENIALS: Final = frozenset({"AuthenticationError", "AuthorizationError", "ExternalAuthProviderError", "AccessRefused"})
"""Class names of refused credentials, by name since not every supported client has each class."""

GROWTH: Final = 1.1
MOST_GROWTH: Final = 10
JITTER: Final = 0.05
_GIVEN_UP: Final = "firexkit_given_up"
"""Attribute of an outage that was waited out in vain."""

_latest: ContextVar[float] = ContextVar("firexkit_latest_try", default=inf)


def patience_of(conf: Any) -> float:
    """Seconds for which an app tries again while its broker is away: enough to get over an outage as long as it says.

    Args:
        conf: the app's configuration.

    Raises:
        ValueError: the setting is no number of seconds.
    """
    seconds = conf.get(PATIENCE_SETTING, PATIENCE)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < inf:
        raise ValueError(f"{PATIENCE_SETTING} is {seconds!r}; give a number of seconds, 0 to try once")
    return float(seconds) * _RETURN


def _of_current_app() -> float:
    return patience_of(current_app.conf)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Try nothing again in a block after this time.

    Args:
        deadline: by the clock `monotonic`.
    """
    token = _latest.set(min(deadline, _latest.get()))
    try:
        yield
    finally:
        _latest.reset(token)


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
    timeout: Timeout = _of_current_app,
    retry_delay: float = 0.1,
    report: Report = ignore,
) -> Value:
    """Return what ``call(*args)`` returns, trying again while the broker is away.

    Args:
        call: what to do; it must be safe to repeat after it failed.
        *args: its positional arguments; keywords go through `functools.partial`.
        timeout: seconds after which the last try starts, or a function that tells them (`patience_of` the current
            app when not given); None tries forever, 0 tries once. A block around may end earlier (`until`).
        retry_delay: seconds before the second try; later pauses grow to ten times as much.
        report: told how it ended, if there was more than one try or the time was up.

    Raises:
        Exception: what the call raised, at once if it isn't about the connection, else after ``timeout``.
    """
    start, delays, tries = monotonic(), growing(retry_delay), 1
    while True:
        try:
            value = call(*args)
            break
        except Exception as error:
            if not is_transient(error):
                raise
            remaining = _remaining(start, timeout, is_first=tries == 1 and not was_given_up(error))
            if remaining is None:
                report(False, tries)
                _give_up(error, monotonic() - start)
                raise
            logger.debug("try %d: %s: %s; trying again for up to %g s", tries, type(error).__name__, error, remaining)
        sleep(min(jittered(next(delays)), remaining))
        tries += 1
    if tries > 1:
        report(True, tries)
    return value


def _remaining(start: float, timeout: Timeout, *, is_first: bool) -> float | None:
    """Seconds in which to try again; None when that is over."""
    seconds = timeout() if callable(timeout) else timeout
    last, latest, now = start + (inf if seconds is None else seconds), _latest.get(), monotonic()
    if seconds == 0 or latest <= now:
        return None
    # A server that is only stopped keeps the first try waiting for longer than there is time.
    return max(0.0, min(last, latest) - now) if last > now or is_first else None


def was_given_up(error: BaseException) -> bool:
    """Whether an outage was waited out in vain."""
    return getattr(error, _GIVEN_UP, False)


def _give_up(error: Exception, seconds: float) -> None:
    if not was_given_up(error) and seconds >= 1:
        error.add_note(
            f"The broker did not answer for {seconds:.0f} s; {PATIENCE_SETTING} says how long it is waited for"
        )
    setattr(error, _GIVEN_UP, True)

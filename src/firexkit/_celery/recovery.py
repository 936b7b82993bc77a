"""A worker gets over the death of a Redis broker: what it fetched is neither lost for an hour nor a reason to exit.

Celery and kombu, observed with a server killed and started again on its data (docs/design/engine.md has the evidence):

- kombu 5.7.0 puts unacknowledged messages back when a channel closes (`transport/virtual/base.py`, `Channel.close`).
  After a broken connection that can't work. They stay in the key `unacked` until the visibility timeout, an hour.
- Celery 5.7.0 closes the connection a second time (`worker/consumer/consumer.py:487`). The channel has lost its address
  by then, so putting messages back raises `AttributeError: 'NoneType' object has no attribute 'hostname'`, which is no
  connection error: the worker exits.
- kombu 5.7.0 takes a message off its queue and writes it into `unacked` in a second step (`transport/redis.py`,
  `_brpop_read`, `QoS.append`). When the broker dies in between, the message is nowhere but in the worker's memory.
- A message keeps the channel it came by, so its late acknowledgement goes to one that is closed (all versions).
- Celery 5.3.1 (`worker/consumer/consumer.py:447`) and 5.6.3 (`worker/loops.py:126`) clear the whole timer, and with it
  the time limits of running tasks.
- Celery makes the pool forget tasks that it has handed to a process which has not said yet that it runs them; 5.3.1
  forgets all (`concurrency/asynpool.py`, `flush`): no late acknowledgement, no sign of a lost process. Before 5.7 it
  forgets, too, which processes are busy. It may then hand a task to the very process that waits for it.

So we take the messages off the dying channel before Celery cleans up, settle them once there is a new one, and keep
what the pool and the timer know of running tasks. Nothing here applies to other brokers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from functools import cache, partial, wraps
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

import celery
from celery.concurrency.asynpool import AsynPool
from celery.worker import state
from celery.worker.consumer import Consumer, Tasks
from celery.worker.consumer.mingle import Mingle
from celery.worker.request import Request
from kombu.transport import redis

from firexkit._crash_points import crash_point

logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetched:
    """A message whose acknowledgement had not reached the broker when the connection broke.

    Attributes:
        message: The message.
        in_pool: Whether a process or thread of the pool has the task; that goes on whatever the broker does.
    """

    message: Any
    in_pool: bool = False


# By consumer and delivery tag. A consumer outlives its connections, its channels do not.
_fetched: Final[WeakKeyDictionary[Consumer, dict[str, Fetched]]] = WeakKeyDictionary()
# That of this process, which has one consumer. kombu forgets it while a connection breaks.
_loop: Final[list[Any]] = []
# By the book-keeping of a channel: messages that were taken off their queue while the broker died.
_unrecorded: Final[WeakKeyDictionary[redis.QoS, list[Any]]] = WeakKeyDictionary()
# Messages that the worker is done with. Whether the broker heard that is another question.
_acknowledged: Final[WeakSet[Any]] = WeakSet()


@cache
def install() -> None:
    """Make every worker of this process get over a broker that dies; calling it again does nothing."""
    mends: list[tuple[type, str, Callable[[Any], Any]]] = [
        (Consumer, "on_connection_error_after_connected", _rescuing),
        (Tasks, "start", _settling),
        (Request, "acknowledge", _noting),
        (redis.QoS, "append", _keeping_unrecorded),
        (AsynPool, "flush", _keeping_running),
    ]
    if celery.VERSION < (5, 6):
        mends.append((Mingle, "start", _first_time_only))
    for owner, name, mend in mends:
        setattr(owner, name, mend(getattr(owner, name)))


def _first_time_only(start: Callable[[Mingle, Consumer], None]) -> Callable[[Mingle, Consumer], None]:
    """Celery 5.3.1 may hang in its search for neighbours after a reconnect; it has met them when it started."""
    met: WeakSet[Consumer] = WeakSet()

    @wraps(start)
    def start_first_time(step: Mingle, consumer: Consumer) -> None:
        if consumer not in met:
            met.add(consumer)
            start(step, consumer)

    return start_first_time


def _rescuing(clean_up: Callable[[Consumer, Exception], None]) -> Callable[[Consumer, Exception], None]:
    @wraps(clean_up)
    def on_connection_error_after_connected(consumer: Consumer, exc: Exception) -> None:
        channel = _task_channel(consumer)
        if channel is None:
            return clean_up(consumer, exc)
        fetched = _fetched.setdefault(consumer, {})
        fetched.update(_take_fetched(channel, _tags_in_pool(consumer.app.conf)))
        _cancel(consumer.timer, (consumer.apply_eta_task, consumer._limit_post_eta))
        clean_up(consumer, exc)
        fetched.update(_take_unrecorded(channel.qos))  # cleaning up may have read a last message
        # Celery asks for less, as it can't count what runs. We count it: `_settle` gives it to the new channel.
        consumer.initial_prefetch_count = consumer.max_prefetch_count
        consumer._maximum_prefetch_restored = True
        return None

    return on_connection_error_after_connected


def _settling(start: Callable[[Tasks, Consumer], None]) -> Callable[[Tasks, Consumer], None]:
    @wraps(start)
    def start_and_settle(step: Tasks, consumer: Consumer) -> None:
        start(step, consumer)
        _loop[:] = [consumer.hub]
        channel = _task_channel(consumer)
        if channel is not None:
            fetched = _fetched.get(consumer, {})
            _move(fetched, channel)
            _settle(fetched, channel, counted=_pool_of(consumer) is not None)
            _spare_time_limits(consumer)

    return start_and_settle


def _noting(acknowledge: Callable[[Request], None]) -> Callable[[Request], None]:
    @wraps(acknowledge)
    def acknowledge_and_note(request: Request) -> None:
        _acknowledged.add(request.message)
        crash_point("main: before an acknowledgement")
        acknowledge(request)
        crash_point("main: after an acknowledgement")

    return acknowledge_and_note


def _keeping_unrecorded(append: Callable[[redis.QoS, Any, str], None]) -> Callable[[redis.QoS, Any, str], None]:
    @wraps(append)
    def append_or_keep(qos: redis.QoS, message: Any, delivery_tag: str) -> None:
        try:
            crash_point("main: after fetch")
            append(qos, message, delivery_tag)
            crash_point("main: after fetch was recorded")
        except qos.channel.connection_errors:
            _unrecorded.setdefault(qos, []).append(message)
            raise

    return append_or_keep


def _pool_of(consumer: Consumer) -> AsynPool | None:
    """Its pool of processes, if it has one."""
    pool = getattr(consumer.pool, "_pool", None)
    return pool if isinstance(pool, AsynPool) else None


def _task_channel(consumer: Consumer) -> redis.Channel | None:
    """Where the tasks come from, if that is Redis."""
    channel = getattr(consumer.task_consumer, "channel", None)
    return channel if isinstance(channel, redis.Channel) else None


def _tags_in_pool(conf: Any) -> set[str]:
    cancels = conf.worker_cancel_long_running_tasks_on_connection_loss
    known = {*state.reserved_requests, *state.active_requests}
    return {task.message.delivery_tag for task in known if _in_pool(task) and not (cancels and task.task.acks_late)}


def _in_pool(task: Request) -> bool:
    """Whether it runs or will run without us; what a pool has not begun to send to a process is dropped by Celery."""
    if task in state.active_requests or task._apply_result is None:
        return task in state.active_requests
    return getattr(task._apply_result(), "_write_to", task) is not None


def _take_fetched(channel: redis.Channel, in_pool: Set[str]) -> dict[str, Fetched]:
    """What the channel has not acknowledged; it forgets that, so that closing it has nothing to put back."""
    channel.qos._flush()
    delivered = channel.qos._delivered
    fetched = {tag: Fetched(message, tag in in_pool) for tag, message in delivered.items()}
    delivered.clear()
    return fetched


def _take_unrecorded(qos: redis.QoS) -> dict[str, Fetched]:
    return {message.delivery_tag: Fetched(message) for message in _unrecorded.pop(qos, [])}


def _move(fetched: dict[str, Fetched], channel: redis.Channel) -> None:
    """Let whoever acknowledges one of them from now on reach the broker."""
    for one in fetched.values():
        one.message.channel = channel


def _settle(fetched: dict[str, Fetched], channel: redis.Channel, *, counted: bool) -> None:
    """Give each message what it needs now; one that could not be settled waits for the next connection."""
    crash_point("settle: before")
    if fetched:
        logger.info("The broker is back; settling %d messages fetched before", len(fetched))
    # The latest first: each is put in front, and the oldest was at the front.
    for tag, one in reversed(list(fetched.items())):
        if _is_settled(one, tag, channel, counted=counted):
            del fetched[tag]


def _is_settled(one: Fetched, tag: str, channel: redis.Channel, *, counted: bool) -> bool:
    if one.message in _acknowledged:
        channel.qos.ack(tag)
        return True
    if not one.in_pool:
        _put_back(one, tag, channel)
        return True
    if counted:
        channel.qos.append(one.message, tag)
    # A threads pool tells nobody that a result could not be stored: counting could fill the prefetch for good.
    return counted


def _put_back(one: Fetched, tag: str, channel: redis.Channel) -> None:
    # The broker may not have heard that we have it; writing it again changes nothing.
    channel.qos.append(one.message, tag)
    channel.qos._delivered.pop(tag)
    channel.qos.restore_by_tag(tag)


def _keeping_running(flush: Callable[[AsynPool], None]) -> Callable[[AsynPool], None]:
    """What was handed to a process runs, whether the process has said so by now or not, and keeps it busy."""

    @wraps(flush)
    def flush_but_running(pool: AsynPool) -> None:
        handed = {number: job for number, job in pool._cache.items() if job._write_to}
        flush(pool)
        running = {number: job for number, job in handed.items() if not job.ready() and job._write_to._is_alive()}
        pool._cache.update(running)
        pool._busy_workers.update(job._write_to.inqW_fd for job in running.values())

    return flush_but_running


def _spare_time_limits(consumer: Consumer) -> None:
    """Celery that clears the timer when the connection breaks leaves the pool's own entries alone."""
    pool = _pool_of(consumer)
    if pool is not None:
        consumer.hub.timer.clear = partial(_clear_but_of, pool, consumer.hub.timer)


def later(seconds: float, function: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    """Call a function from the event loop of a worker's main process, also when the connection breaks meanwhile.

    Args:
        seconds: until then.
        function: it.
        *args: for it.
        **kwargs: for it.
    """
    _loop[0].call_later(seconds, _Kept(function, *args, **kwargs))


class _Kept(partial[None]):
    """A function whose entry in the timer stays when a connection breaks."""


def _clear_but_of(pool: AsynPool, timer: Any) -> None:
    for entry in _entries(timer):
        if getattr(entry.fun, "__self__", None) is not pool and not isinstance(entry.fun, _Kept):
            timer.cancel(entry)


def _cancel(timer: Any, functions: Iterable[Callable[..., Any]]) -> None:
    """A task that waits for its time is fetched again, so it must not begin from here too."""
    for entry in _entries(timer):
        if entry.fun in functions:
            timer.cancel(entry)


def _entries(timer: Any) -> list[Any]:
    return [scheduled.entry for scheduled in timer.queue]

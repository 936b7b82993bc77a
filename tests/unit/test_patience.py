"""What is tried again, how often, how long, and who is told."""

from contextlib import suppress
from itertools import islice
from time import monotonic, sleep

import pytest
import redis.exceptions
from celery import Celery, Task
from kombu.exceptions import OperationalError

from firexkit._celery.patience import growing, is_transient, jittered, patience_of, patiently, until
from firexkit._celery.recall import among
from firexkit.broker import handle_broker_timeout, send_task_instrumentation_event


class RecordingTask(Task):
    """A task whose events end in a list."""

    sent: list[tuple[str, dict]]

    def send_event(self, type_, **fields):
        self.sent.append((type_, fields))


class MuteTask(Task):
    """A task that cannot send an event."""

    def send_event(self, type_, **fields):
        raise redis.exceptions.ConnectionError("still away")


def task_of(body, base=RecordingTask):
    """A task that does what the body does; `sent` has the events it sent."""
    app = Celery("patience", broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(base=base, sent=[], shared=False)
    def task():
        return body()

    return task


def failing(times, error, value="done"):
    """A function that raises the error the first times, then returns the value; `calls` counts."""

    def call():
        call.calls += 1
        if call.calls <= times:
            raise error
        return value

    call.calls = 0
    return call


def caused_by(error, cause):
    error.__cause__ = cause
    return error


FOREIGN_TIMEOUT = type("TimeoutError", (Exception,), {})("a client we don't know")
FOREIGN_REFUSAL = type("AuthenticationError", (ConnectionError,), {})("a client we don't know")


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionError(),
        ConnectionResetError(),
        ConnectionRefusedError(),
        BrokenPipeError(),
        redis.exceptions.TimeoutError(),
        redis.exceptions.ConnectionError(),
        redis.exceptions.BusyLoadingError(),
        OperationalError(),
        FOREIGN_TIMEOUT,
        caused_by(OperationalError(), ConnectionRefusedError()),
    ],
    ids=repr,
)
def test_q14_outages_are_matched_by_type_and_subclass(error):
    """What the network or a loading server raises may pass, whichever subclass it is."""
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        OSError(),
        redis.exceptions.ResponseError(),
        redis.exceptions.AuthenticationError(),
        redis.exceptions.AuthorizationError(),
        FOREIGN_REFUSAL,
        caused_by(OperationalError(), redis.exceptions.AuthenticationError()),
        type("ChildTimeoutError", (FOREIGN_TIMEOUT.__class__,), {})(),
    ],
    ids=repr,
)
def test_q14_refusals_and_other_errors_are_final(error):
    """A wrong password stays wrong, also when kombu has wrapped it."""
    assert not is_transient(error)


def test_a_loop_of_causes_ends():
    """When an error is its own cause, the search for a refusal still ends."""
    error = ConnectionError()
    error.__cause__ = error

    assert is_transient(error)


def test_delays_grow_by_a_tenth_up_to_ten_times_the_first():
    """Delays start at the initial one, grow by a tenth and stop growing at ten times."""
    delays = list(islice(growing(2), 100))

    assert delays[:3] == pytest.approx([2, 2.2, 2.42])
    assert delays[-1] == 20
    assert delays == sorted(delays)


def test_jitter_moves_a_delay_by_a_twentieth_at_most():
    """A jittered delay stays near the delay, and is not always the same."""
    delays = {jittered(1) for _ in range(1000)}

    assert len(delays) > 1
    assert all(0.95 <= delay <= 1.05 for delay in delays)


def test_arguments_reach_the_call():
    """The caller gets what the call makes of its arguments."""
    assert patiently(divmod, 7, 2) == (3, 1)


def test_no_time_means_one_try():
    """With a timeout of 0, the first outage is final."""
    call = failing(1, ConnectionError("away"))
    with pytest.raises(ConnectionError, match="away"):
        patiently(call, timeout=0)

    assert call.calls == 1


def test_the_report_tells_the_number_of_tries():
    """After two outages and a success, the report says: success at the third try."""
    told = []
    patiently(failing(2, ConnectionError()), retry_delay=0.001, report=lambda *ending: told.append(ending))

    assert told == [(True, 3)]


@pytest.mark.parametrize("call", [failing(0, None), failing(1, ValueError())], ids=["value", "other error"])
def test_nothing_is_reported_without_an_outage(call):
    """A call that never met an outage has nothing to tell."""
    told = []
    with suppress(ValueError):
        patiently(call, report=lambda *ending: told.append(ending))

    assert told == []


def test_q14_the_pause_is_cut_at_the_deadline():
    """A delay that is longer than the time left does not stretch the timeout."""
    start = monotonic()
    with pytest.raises(ConnectionError):
        patiently(failing(9, ConnectionError()), timeout=0.05, retry_delay=60)

    assert 0.05 <= monotonic() - start < 1


@pytest.mark.parametrize(
    ("setting", "seconds"), [({}, 60), ({"firexkit_patience": 4}, 4), ({"firexkit_patience": 0}, 0)]
)
def test_an_outage_as_long_as_the_setting_is_got_over(setting, seconds):
    """Tries go on for a quarter longer: a server that is back has to load its data."""
    assert patience_of(setting) == seconds * 1.25


@pytest.mark.parametrize("wrong", [-1, "60", None, True, float("inf"), float("nan")])
def test_a_patience_that_is_no_number_of_seconds_is_refused(wrong):
    """The error names the setting."""
    with pytest.raises(ValueError, match=r"firexkit_patience is .*; give a number of seconds"):
        patience_of({"firexkit_patience": wrong})


def test_the_time_is_asked_for_only_in_an_outage():
    """A call that succeeds at once need not know it."""
    asked = []

    assert patiently(failing(0, None), timeout=lambda: asked.append("no") or 0) == "done"
    assert asked == []


def test_a_deadline_around_ends_the_tries_earlier():
    """A wait of a tenth of a second does not wait out an outage of a minute; the shorter of two deadlines counts."""
    start = monotonic()
    with pytest.raises(ConnectionError), until(start + 0.1), until(start + 60):
        patiently(failing(999, ConnectionError()), timeout=60, retry_delay=0.01)

    assert 0.1 <= monotonic() - start < 1


def test_a_first_try_that_took_all_the_time_is_followed_by_another():
    """A server that is stopped answers nothing for longer than there is patience, and then goes on."""
    tries = []

    def stopped_once():
        tries.append("try")
        sleep(0.05)
        if len(tries) == 1:
            raise TimeoutError
        return "done"

    assert patiently(stopped_once, timeout=0.01) == "done"


def test_patience_within_patience_takes_the_time_once():
    """What was given up is not begun anew around it."""
    call = failing(999, ConnectionError("away"))
    with pytest.raises(ConnectionError):
        patiently(lambda: patiently(call, timeout=0.02, retry_delay=0.01), timeout=0.02, retry_delay=0.01)

    assert call.calls <= 5


def test_who_gives_up_says_after_what_time():
    """The error is the client's own; a note tells what was tried."""
    with pytest.raises(ConnectionError) as raised:
        patiently(failing(99, ConnectionError("away")), timeout=1, retry_delay=0.3)

    assert raised.value.__notes__ == [
        "The broker did not answer for 1 s; firexkit_patience says how long it is waited for"
    ]


def test_a_worker_that_was_cut_off_learns_what_was_revoked():
    """Tasks that run are ended only if that was asked for."""
    fields = [[None, None], [b"1.5", None], [b"1.5", b"1.5"]]

    assert among(["kept", "revoked", "ended"], fields) == ({"revoked"}, {"ended"})


def test_handle_broker_timeout_returns_the_value():
    """Positional and keyword arguments reach the call, its value reaches the caller."""
    assert handle_broker_timeout(int, args=("ff",), kwargs={"base": 16}) == 255


def test_handle_broker_timeout_raises_other_errors_at_once():
    """An error that isn't about the connection rises without a pause or a second try."""
    call = failing(1, ValueError("wrong"))
    start = monotonic()
    with pytest.raises(ValueError, match="wrong"):
        handle_broker_timeout(call, retry_delay=60, reraise_on_timeout=False)

    assert call.calls == 1
    assert monotonic() - start < 1


def test_handle_broker_timeout_waits_between_tries():
    """Three outages with a delay of 0.1 s last between 0.3 and 0.4 s."""
    start = monotonic()
    value = handle_broker_timeout(failing(3, TimeoutError()), retry_delay=0.1)
    elapsed = monotonic() - start

    assert value == "done"
    assert 0.3 <= elapsed <= 0.4


def test_handle_broker_timeout_raises_the_original_when_the_time_is_up():
    """An outage longer than the timeout of 0.5 s rises as it is, between 0.5 and 1.5 s."""
    error = TimeoutError("away")
    start = monotonic()
    with pytest.raises(TimeoutError) as raised:
        handle_broker_timeout(failing(99, error), timeout=0.5, retry_delay=0.1)
    elapsed = monotonic() - start

    assert raised.value is error
    assert 0.5 <= elapsed <= 1.5


def test_handle_broker_timeout_can_return_none_when_the_time_is_up():
    """A caller that prefers None to an error gets None."""
    call = failing(99, ConnectionError())

    assert handle_broker_timeout(call, timeout=0.01, retry_delay=0.001, reraise_on_timeout=False) is None
    assert call.calls > 1


@pytest.mark.parametrize("never", [None, 0])
def test_handle_broker_timeout_without_timeout_keeps_trying(never):
    """No timeout means: as often as it takes."""
    assert handle_broker_timeout(failing(50, ConnectionError()), timeout=never, retry_delay=0.0001) == "done"


def test_retries_are_told_in_the_name_of_the_current_task():
    """A task that met outages sends one event, with label, number of tries and stack."""
    task = task_of(lambda: handle_broker_timeout(failing(2, ConnectionError()), retry_delay=0.001))
    task.apply()
    [(event, fields)] = task.sent

    assert event == "task-instrumentation"
    assert fields["instrumentation_label"] == "handle_broker_timeout-success"
    assert fields["broker_timeout_tries"] == 3
    assert any("handle_broker_timeout" in frame for frame in fields["instrumentation_event_stack"])


def test_giving_up_is_told_in_the_name_of_the_current_task():
    """A task whose broker stays away sends one event that says so."""
    task = task_of(lambda: handle_broker_timeout(failing(99, ConnectionError()), timeout=0.001, retry_delay=0.001))
    task.apply()
    [(_, fields)] = task.sent

    assert fields["instrumentation_label"] == "handle_broker_timeout-failure"


def test_a_call_that_needs_no_retry_tells_nothing():
    """A task whose broker answers at once sends no event."""
    task = task_of(lambda: handle_broker_timeout(failing(0, None)))
    task.apply()

    assert task.sent == []


def test_an_event_that_cannot_be_sent_is_logged_only(caplog):
    """A task survives that its event about the broker gets lost."""
    task = task_of(lambda: send_task_instrumentation_event(reason="test"), base=MuteTask)
    result = task.apply()

    assert result.state == "SUCCESS"
    assert "could not send the event task-instrumentation" in caplog.text


def test_events_have_their_own_type_and_fields():
    """The caller chooses the event and its fields; the stack comes along."""
    task = task_of(lambda: send_task_instrumentation_event("task-mine", colour="red"))
    task.apply()
    [(event, fields)] = task.sent

    assert event == "task-mine"
    assert set(fields) == {"colour", "instrumentation_event_stack"}


def test_a_direct_call_sends_no_event():
    """A task called as a plain function is no execution that listeners know of."""
    task = task_of(send_task_instrumentation_event)
    task()

    assert task.sent == []


def test_without_a_task_nothing_is_sent():
    """Outside a task there is nobody to speak for, and that is fine."""
    assert send_task_instrumentation_event(reason="test") is None

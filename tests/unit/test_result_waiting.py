"""Waiting for results: what ends a wait, what it raises, and what happens meanwhile (spec result §5, §6)."""

import logging
import time
from threading import Timer

import pytest
from celery.states import FAILURE, PENDING, RETRY, REVOKED, STARTED, SUCCESS

from firexkit.result import (
    ChainInterruptedByZombieTaskException,
    ChainInterruptedException,
    ChainRevokedException,
    ChainRevokedPreRunException,
    MultipleFailuresException,
    WaitLoopCallBack,
    WaitOnChainTimeoutError,
    find_unsuccessful_in_chain,
    get_task_postrun_info,
    wait_for_any_results,
    wait_for_running_tasks_from_results,
    wait_on_async_results,
    wait_on_async_results_and_maybe_raise,
)
from unit.results_support import (
    CallerTask,
    ScriptedResult,
    began,
    hash_app,
    published,
    ran,
    revoked_list,
    scripted_chain,
    stored,
    stored_chain,
)

pytestmark = pytest.mark.timeout(20)
SOON = {"sleep_between_iterations": 0.01}


@pytest.fixture(autouse=True)
def revoked():
    """The ids in the revoked list: none, until a test adds one."""
    with revoked_list() as ids:
        yield ids


def seconds(function, *args, **kwargs):
    """How long the call took."""
    begin = time.monotonic()
    function(*args, **kwargs)
    return time.monotonic() - begin


# ── what is waited for ───────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("nothing", [None, [], ()])
def test_nothing_to_wait_for(nothing):
    """Without results the wait is over at once."""
    assert wait_on_async_results(results=nothing) is None


@pytest.mark.parametrize("kind", [ScriptedResult, stored])
@pytest.mark.parametrize("several", [False, True])
def test_success_gives_none(kind, several):
    """One result or a list: when all succeeded, the wait just ends."""
    results = [kind(), kind()] if several else kind()

    assert wait_on_async_results(results=results) is None


def test_result_is_polled_through_its_states():
    """A result that is pending, then started, then successful ends the wait at success."""
    result = ScriptedResult([PENDING, STARTED, SUCCESS])

    assert wait_on_async_results(result, **SOON) is None
    assert result.state == SUCCESS


def test_all_are_waited_for_after_a_failure():
    """The middle one of three failed: the other two still run to their end, then the failure is raised."""
    first = ScriptedResult([PENDING, STARTED, SUCCESS])
    last = ScriptedResult([PENDING, STARTED, STARTED, STARTED, SUCCESS])

    with pytest.raises(ChainInterruptedException):
        wait_on_async_results([first, ScriptedResult(FAILURE), last], **SOON)
    assert (first.state, last.state) == (SUCCESS, SUCCESS)


@pytest.mark.parametrize("chain_of", [scripted_chain, stored_chain])
def test_successful_chain(chain_of):
    """Waiting on the last of three members works, and nobody was unsuccessful."""
    *_, last = chain_of(SUCCESS, SUCCESS, SUCCESS)

    assert wait_on_async_results(last) is None
    assert find_unsuccessful_in_chain(last) == {}


def test_result_that_is_its_own_parent_ends():
    """A knot in the parents hangs nobody."""
    result = ScriptedResult([STARTED, SUCCESS])
    result.parent = result

    assert wait_on_async_results(result, **SOON) is None


def test_unknown_keywords_are_ignored():
    """Keywords of other releases do no harm."""
    assert wait_on_async_results(stored(), colour="red", log_msg=False) is None


# ── failures ─────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("chain_of", [scripted_chain, stored_chain])
def test_failed_member_interrupts_the_chain(chain_of):
    """The middle member failed without an exception: no cause, and the finder tells who failed and who never ran."""
    _first, middle, last = chain_of(SUCCESS, FAILURE, PENDING)

    with pytest.raises(ChainInterruptedException) as caught:
        wait_on_async_results(last)
    assert caught.value.__cause__ is None
    assert find_unsuccessful_in_chain(last) == {"not_run": [last], "failed": [middle]}


@pytest.mark.parametrize("states", [(FAILURE, FAILURE, FAILURE), (FAILURE, FAILURE, PENDING), (FAILURE, PENDING)])
def test_first_failing_member_is_blamed(states):
    """Celery marks the tail as failed too; the error names the member that failed first."""
    first, *_, last = scripted_chain(*states)

    with pytest.raises(ChainInterruptedException) as caught:
        wait_on_async_results(last)
    assert caught.value.task_id == first.id


def test_stored_exception_is_the_cause():
    """The failing result holds an OSError: that very error is the cause."""
    error = OSError("disk full")

    with pytest.raises(ChainInterruptedException) as caught:
        wait_on_async_results(ScriptedResult(FAILURE, error))
    assert caught.value.__cause__ is error


def test_exception_of_a_real_backend_is_the_cause():
    """An error that travelled through Celery's backend is the cause as well."""
    with pytest.raises(ChainInterruptedException) as caught:
        wait_on_async_results(stored(FAILURE, OSError("disk full")))
    assert isinstance(caught.value.__cause__, OSError)
    assert "disk full" in str(caught.value.__cause__)


def test_several_failures_are_raised_together():
    """A failed chain, a good result and another failure: one error with both failures in order."""
    a1, a2 = scripted_chain(FAILURE, PENDING)
    a0, a3 = ScriptedResult(), ScriptedResult(FAILURE)

    with pytest.raises(MultipleFailuresException) as caught:
        wait_on_async_results([a0, a2, a3])
    assert [type(failure) for failure in caught.value.failures] == [ChainInterruptedException] * 2
    assert [failure.task_id for failure in caught.value.failures] == [a1.id, a3.id]


def test_single_failure_is_raised_itself():
    """Exactly one failure among several results is raised as it is."""
    failed = ScriptedResult(FAILURE)

    with pytest.raises(ChainInterruptedException) as caught:
        wait_on_async_results([stored(), failed, stored()])
    assert type(caught.value) is ChainInterruptedException
    assert caught.value.task_id == failed.id


# ── revocations ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("revoked_member", [0, 1, 2])
@pytest.mark.parametrize("chain_of", [scripted_chain, stored_chain])
def test_any_revoked_member_revokes_the_chain(chain_of, revoked_member):
    """Whichever member was revoked, waiting on the last one tells, and names it."""
    states = [SUCCESS] * revoked_member + [REVOKED] + [PENDING] * (2 - revoked_member)
    chain = chain_of(*states)

    with pytest.raises(ChainRevokedException) as caught:
        wait_on_async_results(chain[-1])
    assert caught.value.task_id == chain[revoked_member].id


@pytest.mark.parametrize("kind", [ScriptedResult, stored])
def test_revoked_before_it_ran(kind, revoked):
    """A pending result in the revoked list will never run: the wait ends, and the finder says not run."""
    result = kind(PENDING)
    revoked.add(result.id)

    with pytest.raises(ChainRevokedPreRunException):
        wait_on_async_results(result)
    assert find_unsuccessful_in_chain(result) == {"not_run": [result]}


def test_parent_revoked_before_it_ran(revoked):
    """A pending chain whose first member is in the revoked list is over."""
    first, last = scripted_chain(PENDING, PENDING)
    revoked.add(first.id)

    with pytest.raises(ChainRevokedException) as caught:
        wait_on_async_results(last)
    assert caught.value.task_id == first.id


# ── max_wait ─────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("state", [PENDING, STARTED, RETRY])
def test_wait_ends_after_max_wait(state):
    """A result that never ends gives a time-out after `max_wait` seconds, not before."""
    begin = time.monotonic()

    with pytest.raises(WaitOnChainTimeoutError):
        wait_on_async_results(ScriptedResult(state), max_wait=0.2)
    assert 0.2 <= time.monotonic() - begin < 2


def test_max_wait_is_for_the_whole_call():
    """Three results that never end cost one `max_wait`."""
    begin = time.monotonic()

    with pytest.raises(WaitOnChainTimeoutError):
        wait_on_async_results([stored(STARTED), stored(STARTED), stored(STARTED)], max_wait=0.2)
    assert time.monotonic() - begin < 0.5


@pytest.mark.timeout(5)
def test_max_wait_bounds_the_wait_for_a_revoked_body():
    """The body of a revoked task is still busy: `max_wait` ends that part of the wait as well."""
    app = hash_app()
    result = stored(REVOKED, app=app)
    began(app, result, "cook")

    with pytest.raises((ChainRevokedException, WaitOnChainTimeoutError)):
        wait_on_async_results(result, max_wait=0.2, **SOON)


def test_result_ready_in_time_gives_no_timeout():
    """A result that ends before `max_wait` ends the wait."""
    assert wait_on_async_results(ScriptedResult([PENDING, STARTED, SUCCESS]), max_wait=5, **SOON) is None


# ── callbacks ────────────────────────────────────────────────────────────────────────────
def test_callback_fields():
    """A callback is the triple of function, frequency and keywords."""
    assert WaitLoopCallBack._fields == ("func", "frequency", "kwargs")
    assert WaitLoopCallBack(print, 2, {}) == (print, 2, {})


def test_callback_that_ends_the_wait_on_its_fifth_call_is_called_five_times():
    """Callbacks run at their frequency and not once more after the last result ended."""
    calls = []
    result = ScriptedResult(lambda: SUCCESS if len(calls) >= 5 else STARTED)
    count = WaitLoopCallBack(func=lambda: calls.append("call"), frequency=0.05, kwargs={})

    took = seconds(wait_on_async_results, result, callbacks=[count], **SOON)

    assert len(calls) == 5
    assert took >= 5 * 0.05


def test_callback_gets_its_keywords():
    """The keywords of the triple are passed on."""
    seen = {}
    result = ScriptedResult(lambda: SUCCESS if seen else STARTED)

    wait_on_async_results(result, callbacks=[WaitLoopCallBack(seen.update, 0.01, {"colour": "red"})], **SOON)

    assert seen == {"colour": "red"}


def test_callback_may_end_the_wait_with_its_error():
    """What a callback raises is raised to the caller."""

    def give_up():
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        wait_on_async_results(stored(STARTED), callbacks=[WaitLoopCallBack(give_up, 0.01, {})], **SOON)


def test_slow_callback_is_not_called_in_a_short_wait():
    """A callback whose frequency has not passed is not called."""
    calls = {}

    with pytest.raises(WaitOnChainTimeoutError):
        wait_on_async_results(stored(STARTED), max_wait=0.1, callbacks=[WaitLoopCallBack(calls.update, 60, {"x": 1})])
    assert calls == {}


# ── is the worker alive? ─────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("info", [None, "text", {"pid": 7}])
@pytest.mark.parametrize("state", [STARTED, PENDING, RETRY])
def test_task_of_an_unknown_worker_counts_as_alive(state, info):
    """When in doubt the task is alive: without a host name or a known queue the wait goes on."""
    result = ScriptedResult(state, info)

    with pytest.raises(WaitOnChainTimeoutError):
        wait_on_async_results(
            result, max_wait=0.15, check_task_worker_frequency=0.01, fail_on_worker_failures=1, **SOON
        )


@pytest.mark.parametrize("off", [{"check_task_worker_frequency": 0}, {"fail_on_worker_failures": 0}])
def test_worker_check_can_be_switched_off(off):
    """With either number at 0, a dead worker is nobody's business."""
    result = ScriptedResult(STARTED, {"hostname": "nobody@nowhere", "pid": 7})

    with pytest.raises(WaitOnChainTimeoutError):
        wait_on_async_results(
            result, max_wait=0.1, **{"check_task_worker_frequency": 0.01, "fail_on_worker_failures": 1, **off}
        )


# ── raise, or not ────────────────────────────────────────────────────────────────────────
def test_failure_is_raised_by_default():
    """The maybe-raising wait raises unless it is told not to."""
    with pytest.raises(ChainInterruptedException):
        wait_on_async_results_and_maybe_raise(stored(FAILURE))


@pytest.mark.parametrize("failed", [1, 2])
def test_failures_can_be_swallowed(failed):
    """With `raise_exception_on_failure=False` one failure or many end the wait quietly."""
    results = [stored(FAILURE, ValueError("no")) for _ in range(failed)]

    assert wait_on_async_results_and_maybe_raise(results, raise_exception_on_failure=False) is None


def test_timeout_is_never_swallowed():
    """A time-out is not a failure of a task: it always rises."""
    with pytest.raises(WaitOnChainTimeoutError):
        wait_on_async_results_and_maybe_raise(stored(STARTED), raise_exception_on_failure=False, max_wait=0.1)


def test_revocation_is_never_swallowed():
    """A revoked result always rises."""
    with pytest.raises(ChainRevokedException):
        wait_on_async_results_and_maybe_raise(stored(REVOKED), raise_exception_on_failure=False)


# ── the first of several ─────────────────────────────────────────────────────────────────
def test_results_are_yielded_as_they_complete():
    """The one that ends first comes first, whatever its place in the list."""
    slow, quick = ScriptedResult([STARTED] * 30 + [SUCCESS]), stored()

    assert list(wait_for_any_results([slow, quick], poll_max_wait=0.02, **SOON)) == [quick, slow]


def test_caller_may_stop_after_the_first():
    """A result that never ends does not hold up the first one."""
    done = stored()

    assert next(wait_for_any_results([stored(STARTED), done], poll_max_wait=0.02)) == done


@pytest.mark.parametrize("kind", [ScriptedResult, stored])
def test_single_result_is_a_list_of_one(kind):
    """One result will do."""
    result = kind()

    assert list(wait_for_any_results(result)) == [result]


def test_waiting_for_any_ends_after_max_wait():
    """None of them ends: a time-out."""
    with pytest.raises(WaitOnChainTimeoutError):
        list(wait_for_any_results([stored(STARTED)], max_wait=0.2, poll_max_wait=0.05))


def test_failed_result_raises_out_of_the_generator():
    """A failure rises where the caller asks for the next result."""
    with pytest.raises(ChainInterruptedException):
        next(wait_for_any_results([stored(FAILURE)]))


def test_failed_result_can_be_yielded():
    """With `raise_exception_on_failure=False` a failed result comes like the others."""
    failed, done = stored(FAILURE), stored()

    assert set(wait_for_any_results([failed, done], raise_exception_on_failure=False)) == {failed, done}


# ── until the bodies ended ───────────────────────────────────────────────────────────────
def test_body_without_a_known_end_is_not_waited_for():
    """A backend that keeps no marks cannot tell, so nobody waits."""
    assert seconds(wait_for_running_tasks_from_results, [stored(STARTED)], max_wait=5) < 1


@pytest.mark.parametrize("state", [PENDING, REVOKED])
def test_body_that_did_not_begin_is_not_waited_for(state):
    """Only bodies that began can end."""
    app = hash_app()
    result = ScriptedResult(state, id=published(app, "cook").id, app=app)

    assert seconds(wait_for_running_tasks_from_results, [result], max_wait=5) < 1


@pytest.mark.parametrize("state", [SUCCESS, FAILURE, REVOKED, STARTED, RETRY])
def test_marked_body_has_ended(state):
    """A body whose end was marked is not waited for."""
    app = hash_app()
    result = published(app, "cook")
    ran(app, result, "cook")

    assert seconds(wait_for_running_tasks_from_results, [ScriptedResult(state, id=result.id, app=app)], max_wait=5) < 1


@pytest.mark.parametrize("state", [REVOKED, STARTED, RETRY])
def test_body_that_does_not_end_is_given_up(state, caplog):
    """After `max_wait` seconds an error is logged, and nothing raised."""
    app = hash_app()
    running = ScriptedResult(state, app=app)
    began(app, running, "cook")

    with caplog.at_level(logging.DEBUG):
        took = seconds(wait_for_running_tasks_from_results, [running], max_wait=0.2, sleep_between_iterations=0.01)

    assert 0.2 <= took < 2
    assert [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_revoked_wait_lasts_until_the_body_ended():
    """Celery says REVOKED before the body's `finally` blocks ran; the wait ends when the end is marked."""
    app = hash_app()
    result = stored(REVOKED, app=app)
    began(app, result, "cook")
    body = Timer(0.15, ran, (app, result, "cook"))
    body.start()

    with pytest.raises(ChainRevokedException):
        wait_on_async_results(result, **SOON)
    assert get_task_postrun_info(result) == "True"
    body.join()


# ── telling the task that waits ──────────────────────────────────────────────────────────
@pytest.mark.parametrize(("state", "error"), [(FAILURE, ChainInterruptedException), (REVOKED, ChainRevokedException)])
def test_caller_is_unblocked_after_an_error(state, error):
    """However the wait ends, the waiting task is unblocked again."""
    caller = CallerTask()

    with pytest.raises(error):
        wait_on_async_results(ScriptedResult([STARTED, STARTED, STARTED, state]), caller_task=caller, **SOON)
    assert caller.events == ["task-blocked", "task-unblocked"]


def test_directly_called_task_sends_no_events():
    """A task called as a function runs in no worker: nobody is told."""
    caller = CallerTask(called_directly=True)

    wait_on_async_results(ScriptedResult([STARTED, STARTED, SUCCESS]), caller_task=caller, **SOON)

    assert caller.events == []


def test_zombie_is_a_chain_interruption():
    """Who catches chain interruptions catches zombies too."""
    assert issubclass(ChainInterruptedByZombieTaskException, ChainInterruptedException)


def test_a_chain_has_ended_when_its_earlier_members_are_stored():
    """Celery starts the next member before it stores the one before, so the last may be there first."""
    reads = iter([STARTED, STARTED, SUCCESS])
    parent = ScriptedResult(lambda: next(reads, SUCCESS))
    wait_on_async_results(ScriptedResult(SUCCESS, parent=parent), **SOON)

    assert next(reads, "all read") == "all read"

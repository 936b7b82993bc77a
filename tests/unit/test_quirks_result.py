"""Defects of earlier releases, one regression each: the Q rows of the specification of results and revokes (§16)."""

import gc
import logging
import time
from threading import Timer

import pytest
from celery.result import AsyncResult
from celery.signals import before_task_publish, task_postrun, task_prerun
from celery.states import FAILURE, PENDING, RETRY, REVOKED, STARTED, SUCCESS

from firexkit.result import (
    ChainInterruptedException,
    ChainRevokedException,
    ChainRevokedPreRunException,
    MultipleFailuresException,
    WaitLoopCallBack,
    WaitOnChainTimeoutError,
    find_all_unsuccessful,
    find_unsuccessful_in_chain,
    forget_chain_results,
    forget_single_async_result,
    forget_subtree_results,
    get_all_children,
    get_results,
    get_task_name_from_result,
    wait_for_any_results,
    wait_for_running_tasks_from_results,
    wait_on_async_results,
    wait_on_async_results_and_maybe_raise,
)
from firexkit.revoke import RevokedRequests, get_chain_head, revoke_nodes_up_to_parent
from unit.results_support import (
    MEMORY,
    CallerTask,
    ScriptedResult,
    as_current,
    began,
    hash_app,
    memory_app,
    new_id,
    no_work,
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


# ── waiting ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("state", [STARTED, RETRY])
def test_q01_revoked_but_running_task_is_waited_for(state, revoked):
    """Q1: a running task in the revoked list keeps the wait going until its state is final."""
    result = ScriptedResult(state)
    revoked.add(result.id)

    with pytest.raises(WaitOnChainTimeoutError):
        wait_on_async_results(result, max_wait=0.2, **SOON)


@pytest.mark.parametrize("state", [STARTED, RETRY])
def test_q01_revoked_but_running_task_ends_with_its_final_state(state, revoked):
    """Q1: when the running task then succeeds, the wait ends as success; when it is killed, as revoked."""
    survivor, killed = ScriptedResult([state] * 9 + [SUCCESS]), ScriptedResult([state] * 9 + [REVOKED])
    revoked.update({survivor.id, killed.id})

    assert wait_on_async_results(survivor, **SOON) is None
    assert survivor.state == SUCCESS
    with pytest.raises(ChainRevokedException):
        wait_on_async_results(killed, **SOON)


@pytest.mark.parametrize(
    "states", [(REVOKED,), (REVOKED, REVOKED), (FAILURE, REVOKED), (REVOKED, FAILURE), (FAILURE, SUCCESS, REVOKED)]
)
def test_q02_any_revocation_raises(states):
    """Q2: one revoked result or many, alone or among failures: the first revoked one is raised all the same."""
    results = [ScriptedResult(state) for state in states]

    with pytest.raises(ChainRevokedException) as caught:
        wait_on_async_results_and_maybe_raise(results, raise_exception_on_failure=False)
    assert caught.value.task_id == results[states.index(REVOKED)].id


@pytest.mark.parametrize("states", [(REVOKED, REVOKED), (FAILURE, REVOKED)])
def test_q02_several_failures_with_a_revocation_are_raised_together(states):
    """Q2: the plain wait raises all of them in one error, the revoked ones included."""
    results = [ScriptedResult(state) for state in states]

    with pytest.raises(MultipleFailuresException) as caught:
        wait_on_async_results(results)
    assert [failure.task_id for failure in caught.value.failures] == [result.id for result in results]
    assert isinstance(caught.value.failures[-1], ChainRevokedException)


def test_q03_late_revoke_of_a_finished_parent_is_no_revocation(revoked):
    """Q3: a parent that had succeeded before it was revoked does not spoil the chain: its state wins."""
    first, last = scripted_chain(SUCCESS, SUCCESS)
    revoked.update({first.id, last.id})

    assert wait_on_async_results(last) is None


def test_q03_failed_parent_in_the_revoked_list_has_failed(revoked):
    """Q3: a parent that failed is told as failed, whatever the list says."""
    first, last = scripted_chain(FAILURE, PENDING)
    revoked.add(first.id)

    with pytest.raises(ChainInterruptedException):
        wait_on_async_results(last)


@pytest.mark.parametrize("answer", [None, {"a@host": ["id1"], "b@host": []}])
def test_q04_without_a_main_worker_all_are_asked(answer):
    """Q4: with no `mc` in the configuration all workers are asked, and nothing is raised."""
    with as_current(memory_app()) as app:
        app.control.revoked_by_worker = answer

        assert RevokedRequests(skip_first_cycle=False).is_revoked("id1") is (answer is not None)
    assert [asked.get("destination") for asked in app.control.inspected] == [None]


# ── finding what went wrong ──────────────────────────────────────────────────────────────
def test_q05_tail_that_never_ran_is_not_run():
    """Q5: Celery marks the members after a failed one as failed; those never published have not run."""
    app = hash_app()
    good, bad = published(app, "good"), published(app, "bad")
    bad.parent = good
    tail = AsyncResult(new_id(), app=app, parent=bad)
    for result, state in ((good, SUCCESS), (bad, FAILURE), (tail, FAILURE)):
        stored(state, id=result.id, app=app)

    assert find_unsuccessful_in_chain(tail) == {"failed": [bad], "not_run": [tail]}


def test_q05_published_failures_are_failed():
    """Q5: a failed member that was really published stays under `failed`, named."""
    app = hash_app()
    bad = published(app, "bad")
    stored(FAILURE, ValueError("no"), id=bad.id, app=app)

    assert find_unsuccessful_in_chain(bad) == {"failed": [bad]}
    assert get_task_name_from_result(bad) == "bad"


@pytest.mark.parametrize("chain_of", [scripted_chain, stored_chain])
def test_q06_revoked_member_has_its_own_key(chain_of):
    """Q6: a member that was revoked while it ran is told under `revoked`."""
    _first, middle, last = chain_of(SUCCESS, REVOKED, PENDING)

    assert find_unsuccessful_in_chain(last) == {"revoked": [middle], "not_run": [last]}


def test_q06_member_revoked_before_it_ran_has_not_run(revoked):
    """Q6: a member that was revoked before a worker took it stays under `not_run`."""
    first, last = scripted_chain(SUCCESS, PENDING)
    revoked.add(last.id)

    assert find_unsuccessful_in_chain(last) == {"not_run": [last]}
    assert find_unsuccessful_in_chain(first) == {}


@pytest.mark.parametrize(("started", "key"), [(False, "not_run"), (True, "revoked")])
def test_q06_start_on_record_tells_revoked_from_not_run(started, key):
    """Q6: Celery may say REVOKED for a task nobody started; the record of its start decides where it is told."""
    app = hash_app()
    result = published(app, "cook")
    stored(REVOKED, id=result.id, app=app)
    if started:
        ran(app, result, "cook")

    assert find_unsuccessful_in_chain(result) == {key: [result]}


@pytest.mark.parametrize("ignore_non_ready", [True, False])
def test_q06_revoked_nodes_are_unsuccessful(ignore_non_ready):
    """Q6: a revoked node anywhere in the tree is told among the unsuccessful."""
    node = stored(REVOKED)

    found = find_all_unsuccessful(stored(children=[node]), ignore_non_ready=ignore_non_ready)

    assert found == {node.id: f"[{node.id}]"}


# ── time-outs ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("order", [1, -1])
def test_q07_timeout_carries_the_failures_so_far(order):
    """Q7: the time-out error tells which results had failed, before or after the slow one in the list."""
    slow, failed = ScriptedResult(STARTED), ScriptedResult([STARTED, STARTED, FAILURE])

    with pytest.raises(WaitOnChainTimeoutError) as caught:
        wait_on_async_results([failed, slow][::order], max_wait=0.2, **SOON)
    assert [type(failure) for failure in caught.value.failures] == [ChainInterruptedException]
    assert caught.value.failures[0].task_id == failed.id


def test_q07_timeout_without_failures_carries_none():
    """Q7: nobody failed: the list is empty."""
    with pytest.raises(WaitOnChainTimeoutError) as caught:
        wait_on_async_results(stored(STARTED), max_wait=0.05)
    assert caught.value.failures == []


def test_q07_all_results_are_polled_each_round():
    """Q7: a slow result does not keep the others from being looked at."""
    quick = ScriptedResult([STARTED, STARTED, STARTED, SUCCESS])

    with pytest.raises(WaitOnChainTimeoutError):
        wait_on_async_results([ScriptedResult(STARTED), quick], max_wait=0.3, **SOON)
    assert quick.state == SUCCESS


WAITS = [
    lambda result: wait_on_async_results(result, max_wait=0),
    lambda result: wait_on_async_results_and_maybe_raise(result, max_wait=0),
    lambda result: list(wait_for_any_results([result], max_wait=0)),
]


@pytest.mark.parametrize("wait", WAITS)
def test_q08_zero_checks_once(wait):
    """Q8: `max_wait=0` looks once and raises for what is not ready; it does not mean forever."""
    begin = time.monotonic()

    with pytest.raises(WaitOnChainTimeoutError):
        wait(stored(STARTED))
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize("wait", WAITS)
def test_q08_zero_is_enough_for_a_ready_result(wait):
    """Q8: what is ready at the first look ends the wait as ever."""
    result = stored()

    assert wait(result) in (None, [result])


def test_q08_zero_does_not_wait_for_bodies():
    """Q8: waiting for bodies to end with `max_wait=0` looks once and gives up."""
    app = hash_app()
    running = ScriptedResult(STARTED, app=app)
    began(app, running, "cook")
    begin = time.monotonic()

    wait_for_running_tasks_from_results([running], max_wait=0)

    assert time.monotonic() - begin < 1


# ── values and errors ────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("value", [5, 0, "x", "", [1], [], True, None, 1.5])
@pytest.mark.parametrize("options", [{}, {"return_keys_only": False}, {"merge_children_results": True}])
def test_q09_result_that_is_no_dict_contributes_nothing(value, options):
    """Q9: a plain Celery task in a chain returns what it likes; it has no named values."""
    parent = stored(value={"a": 1, "__task_return_keys": ["a"]})

    assert get_results(stored(value=value, parent=parent), **options) == {"a": 1}


def test_q10_chain_error_survives_json():
    """Q10: JSON turns the cause into text; the stored error still comes back as what it was."""
    error = ChainInterruptedException("id1", "wash", OSError("disk full"))

    back = stored(FAILURE, error).result

    assert type(back) is ChainInterruptedException
    assert (back.task_id, back.task_name) == ("id1", "wash")
    assert "disk full" in f"{back.__cause__!r} {getattr(back, 'cause_repr', None)!r}"


@pytest.mark.parametrize(("cause", "told"), [("OSError('disk full')", "disk full"), (["disk"], "disk"), (28, "28")])
def test_q10_cause_may_be_anything(cause, told):
    """Q10: a cause that is no exception is kept as text beside the error."""
    error = ChainInterruptedException("id1", "wash", cause)

    assert error.__cause__ is None
    assert told in error.cause_repr


def test_q11_several_failures_fill_the_fields_of_one():
    """Q11: the error about several tasks names the first one, and keeps its arguments."""
    error = MultipleFailuresException(("id1", "id2", "id3"))

    assert error.task_id == "id1"
    assert hasattr(error, "task_name")
    assert error.args == (("id1", "id2", "id3"),)


@pytest.mark.parametrize("ids", [("id1",), ("id1", "id2"), ["id1", "id2"], ("id1", "id2", "id3")])
def test_q11_text_joins_any_number_of_ids(ids):
    """Q11: the ids stand in the text one after another, also when there are two in a tuple."""
    assert str(MultipleFailuresException(ids)) == MultipleFailuresException.MESSAGE % ", ".join(ids)


# ── what a caller hands in ───────────────────────────────────────────────────────────────
def test_q12_callbacks_may_come_from_a_generator():
    """Q12: callbacks that can be read only once run again and again all the same."""
    calls = []
    result = ScriptedResult(lambda: SUCCESS if len(calls) >= 3 else STARTED)
    callback = WaitLoopCallBack(lambda: calls.append("call"), 0.01, {})

    wait_on_async_results(result, callbacks=(each for each in [callback]), **SOON)

    assert len(calls) == 3


def test_q12_callbacks_of_waiting_for_any_may_come_from_a_generator():
    """Q12: the same holds while waiting for any of several."""
    calls = []
    result = ScriptedResult(lambda: SUCCESS if len(calls) >= 3 else STARTED)
    callback = WaitLoopCallBack(lambda: calls.append("call"), 0.01, {})

    found = list(wait_for_any_results([result], callbacks=(each for each in [callback]), **SOON))

    assert found == [result]


@pytest.mark.parametrize("kind", [list, tuple, set, iter])
def test_q13_waiting_for_any_takes_any_iterable(kind):
    """Q13: a list, a tuple, a set, an iterator: all are results to wait for."""
    results = [stored(), stored()]

    assert set(wait_for_any_results(kind(results))) == set(results)


def test_q13_waiting_for_any_leaves_the_list_alone():
    """Q13: the caller's list is still full when the wait is over."""
    results = [stored(), stored()]
    given = list(results)

    list(wait_for_any_results(given))

    assert given == results


# ── forgetting ───────────────────────────────────────────────────────────────────────────
def test_q15_revoked_pending_nodes_do_not_hold_up_the_walk(revoked):
    """Q15: a revoked node will never be ready, so nobody waits for it."""
    node = ScriptedResult(PENDING)
    revoked.add(node.id)
    begin = time.monotonic()

    walked = list(get_all_children(ScriptedResult(children=[node]), timeout=10))

    assert walked[1:] == [node]
    assert time.monotonic() - begin < 2


def test_q15_never_published_tail_does_not_hold_up_forgetting():
    """Q15: the tail of a failed chain was never published: forgetting does not wait for it."""
    app = hash_app()
    head = published(app, "bad")
    tail = AsyncResult(new_id(), app=app, parent=head)
    stored(FAILURE, ValueError("no"), id=head.id, children=[tail], app=app)
    begin = time.monotonic()

    forget_chain_results(tail)

    assert time.monotonic() - begin < 2


FORGETS = [forget_single_async_result, forget_subtree_results, forget_chain_results]


@pytest.mark.parametrize("forget", FORGETS)
def test_q16_forgetting_frees_everything(forget):
    """Q16: the record and the start time go with the result; nothing of the task is left in the backend."""
    app = hash_app()
    result = published(app, "cook")
    ran(app, result, "cook")
    stored(SUCCESS, {"a": 1}, id=result.id, app=app)

    forget(result)

    assert [key for key in app.backend.client.store if result.id in key] == []


# ── events ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("results", [None, [], ()])
@pytest.mark.parametrize("wait", [wait_on_async_results, wait_on_async_results_and_maybe_raise])
def test_q19_no_events_without_results(wait, results):
    """Q19: with nothing to wait for the caller never blocks, and nobody is told so."""
    caller = CallerTask()

    wait(results, caller_task=caller)

    assert caller.events == []


@pytest.mark.parametrize("wait", [wait_on_async_results, wait_on_async_results_and_maybe_raise])
def test_q19_no_events_when_all_are_ready(wait):
    """Q19: results that are ready at the first look are no real wait."""
    caller = CallerTask()

    wait([stored(), stored()], caller_task=caller)

    assert caller.events == []


@pytest.mark.parametrize("wait", [wait_on_async_results, wait_on_async_results_and_maybe_raise])
def test_q19_events_around_a_real_wait(wait):
    """Q19: the caller of a real wait is blocked once and unblocked once, however many results there are."""
    caller = CallerTask()
    results = [ScriptedResult([STARTED] * 9 + [SUCCESS]), ScriptedResult([STARTED] * 19 + [SUCCESS])]

    wait(results, caller_task=caller, **SOON)

    assert caller.events == ["task-blocked", "task-unblocked"]


def test_q20_events_once_around_waiting_for_any():
    """Q20: a wait of many probes tells the caller's state once, not at every probe."""
    caller = CallerTask()
    results = [ScriptedResult([STARTED] * 30 + [SUCCESS]), ScriptedResult([STARTED] * 60 + [SUCCESS])]

    list(wait_for_any_results(results, poll_max_wait=0.02, caller_task=caller, **SOON))

    assert caller.events == ["task-blocked", "task-unblocked"]


def test_q20_stopping_early_unblocks_the_caller():
    """Q20: who takes the first result and leaves is unblocked."""
    caller = CallerTask()
    waiting = wait_for_any_results([ScriptedResult([STARTED] * 9 + [SUCCESS]), stored(STARTED)], caller_task=caller)

    next(waiting)
    waiting.close()

    assert caller.events == ["task-blocked", "task-unblocked"]


# ── records ──────────────────────────────────────────────────────────────────────────────
def test_q21_records_go_to_the_publishing_app():
    """Q21: the app that publishes keeps the record, whichever app is current."""
    publisher = hash_app(task_cls="firexkit.task:FireXTask")
    with as_current(hash_app()) as bystander:
        result = publisher.task(no_work, name="cook").apply_async()

    assert get_task_name_from_result(result) == "cook"
    assert bystander.backend.client.store == {}


@pytest.mark.parametrize("backend", ["cache+memory://", "disabled://", "rpc://", None])
def test_q21_other_backends_are_quiet(backend, caplog):
    """Q21: publishing and running on a backend without hashes works and logs no error."""
    app = memory_app(backend=backend)
    with as_current(app), caplog.at_level(logging.INFO):
        ran(app, published(app, "cook"), "cook")

    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("signal", [before_task_publish, task_prerun, task_postrun])
def test_q21_records_are_kept_by_signal_handlers(signal):
    """Q21: the handlers are attached for good: collecting garbage does not detach them."""
    gc.collect()

    assert signal.has_listeners()


@pytest.mark.parametrize("app", [hash_app(), MEMORY])
def test_q22_own_revokes_need_no_worker(app):
    """Q22: what we revoked ourselves is known from the backend, even when no worker answers."""
    result = stored(PENDING, app=app)

    with as_current(app):
        revoke_nodes_up_to_parent(result, None)

        assert RevokedRequests(skip_first_cycle=False).is_revoked(result.id) is True


@pytest.mark.parametrize("make_app", [hash_app, memory_app])
def test_q22_waiter_learns_of_our_revoke_from_the_backend(make_app):
    """Q22: a task that we revoke while somebody waits for it ends the wait with the next poll, not a minute later."""
    app = make_app()
    result = stored(PENDING, app=app)
    revoke = Timer(0.1, revoke_nodes_up_to_parent, (result, None))
    revoke.start()

    with as_current(app), pytest.raises(ChainRevokedPreRunException):
        wait_on_async_results(result, max_wait=5, **SOON)
    revoke.join()


def test_q23_forgetting_scans_no_keys():
    """Q23: the client of our app knows no KEYS and no SCAN, and forgetting does without them."""
    app = hash_app()
    result = published(app, "cook")
    stored(SUCCESS, id=result.id, app=app)

    forget_chain_results(result)

    assert not {"keys", "scan", "scan_iter"} & set(dir(app.backend.client))
    assert AsyncResult(result.id, app=app).state == PENDING


# ── chains ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("parent", [ScriptedResult(), None])
def test_q27_revoking_up_to_a_stranger_ends_at_the_top(parent):
    """Q27: when the given parent is not above, the whole chain is revoked and nothing is raised."""
    app = memory_app()
    first = ScriptedResult(STARTED, app=app)
    last = ScriptedResult(PENDING, app=app, parent=first)

    revoke_nodes_up_to_parent(last, parent)

    assert app.control.calls == [(last.id, True), (first.id, True)]


def test_q27_revoking_nobody_is_harmless():
    """Q27: a chain that ends in None ends there."""
    assert revoke_nodes_up_to_parent(None, None) is None


def test_q27_long_chain_has_a_head():
    """Q27: a chain longer than Python's stack is climbed, not recursed."""
    chain = scripted_chain(*[STARTED] * 3000)

    assert get_chain_head(chain[0], chain[-1]) is chain[1]

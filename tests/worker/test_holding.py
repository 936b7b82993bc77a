"""Who holds a task, and who may begin it, as the store decides."""

import json
import time

import pytest
from celery.exceptions import WorkerLostError

from firexkit import _wire
from firexkit._celery.leases import Lease, lease_time
from firexkit._celery.outbox import ask
from firexkit._records import Loss, Refusal, holding_of
from firexkit.app import FireX
from firexkit.result.lookups import body_runs
from firexkit.result.lost import MOST_BODIES, Vigil, is_lost, may_run_again, mend, revive

TASK, TAG, QUEUE = "the-task", "the-tag", "the-queue"
ALIVE, DEAD = f"{_wire.LEASE}h/1/alive", f"{_wire.LEASE}h/2/dead"


@pytest.fixture
def app(server):
    app = FireX("holding", broker=server.url, backend=server.url, set_as_current=False)
    run(app, ("DEL", "unacked", QUEUE, TASK, app.backend.get_key_for_task(TASK)), ("SET", ALIVE, 1))
    return app


@pytest.fixture
def holding(app):
    return holding_of(app.backend)


def run(app, *commands):
    return ask(app.backend, commands)


def sent(app, *, holder=None, queued=False, tag=TAG):
    """The store after a task was sent; in its queue or not, fetched by a worker or by nobody."""
    properties = {"delivery_tag": tag, "delivery_info": {}, **({_wire.HOLDER_PROPERTY: holder} if holder else {})}
    message = {"body": "W1tdLCB7fSwge31d", "headers": {"id": TASK}, "properties": properties}
    run(
        app,
        ("HSET", TASK, _wire.FIELD_TAG, tag, _wire.FIELD_LIST, QUEUE, _wire.FIELD_NAME, "a.task"),
        ("HSET", "unacked", tag, json.dumps([message, "", QUEUE])),
    )
    if queued:
        run(app, ("LPUSH", QUEUE, "a message"))


def begin(holding, *, call="first", holder=ALIVE, tag=TAG, fields=(_wire.FIELD_LATE, 1)):
    return holding.begin(TASK, tag=tag, call=call, holder=holder, is_forced=False, fields=fields)


def ended(app, status="SUCCESS"):
    state = {"status": status, "result": None, "traceback": None, "children": []}
    run(app, ("SET", app.backend.get_key_for_task(TASK), json.dumps(state)))


# ── begin ─────────────────────────────────────────────────────────────────────────────────


def test_what_was_sent_begins(app, holding):
    sent(app)

    assert begin(holding) == (1, None)


def test_what_nobody_is_known_to_have_sent_begins(holding):
    assert begin(holding) == (1, None)


def test_a_beginning_whose_answer_was_lost_gets_the_same_again(app, holding):
    sent(app)
    first = begin(holding)

    assert begin(holding) == first


def test_what_was_revoked_does_not_begin(app, holding):
    sent(app)
    run(app, ("HSET", TASK, _wire.FIELD_REVOKED, 1))

    assert begin(holding) == (0, Refusal.REVOKED)


def test_a_second_copy_does_not_begin_while_the_body_is_held(app, holding):
    sent(app)
    begin(holding)

    assert begin(holding, call="second") == (0, Refusal.HELD)


def test_the_body_goes_on_when_a_second_copy_is_acknowledged(app, holding):
    sent(app, holder=ALIVE)
    begin(holding)
    begin(holding, call="second")
    run(app, ("HDEL", "unacked", TAG))

    assert holding.losses([TASK]) == {}


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "REVOKED"])
def test_a_second_copy_does_not_begin_after_the_end(app, holding, status):
    sent(app)
    begin(holding)
    ended(app, status)

    assert begin(holding, call="second") == (0, Refusal.ENDED)


def test_a_second_copy_begins_when_nobody_holds_the_body(app, holding):
    sent(app)
    begin(holding, holder=DEAD)

    assert begin(holding, call="second") == (2, None)


def test_a_message_that_was_rejected_begins_again(app, holding):
    sent(app)
    begin(holding)
    run(app, ("HSET", TASK, _wire.FIELD_POST_RUN, "True"))

    assert begin(holding, call="second") == (2, None)


def test_of_two_messages_the_newer_one_counts(app, holding):
    sent(app, tag="newer")

    assert begin(holding) == (0, Refusal.STALE)


def test_a_retry_begins_after_the_attempt_that_sent_it(app, holding):
    sent(app)
    begin(holding)
    sent(app, tag="of the retry")

    assert begin(holding, call="second", tag="of the retry") == (2, None)


# ── losses ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("holder", "queued", "loss"),
    [
        (None, True, None),  # waits in its queue
        (None, False, Loss.UNFETCHED),
        (ALIVE, False, None),  # fetched
        (DEAD, False, Loss.RESERVED),
        (DEAD, True, Loss.RESERVED),  # others wait in its queue
    ],
)
def test_what_became_of_a_message(app, holding, holder, queued, loss):
    sent(app, holder=holder, queued=queued)

    assert holding.losses([TASK]).get(TASK) is loss


def test_a_message_that_is_nowhere_is_gone(app, holding):
    sent(app)
    run(app, ("DEL", "unacked"))

    assert holding.losses([TASK]) == {TASK: Loss.GONE}


def test_in_a_queue_that_is_not_empty_a_thorough_look_finds_what_left_it(app, holding):
    sent(app)
    run(app, ("LPUSH", QUEUE, "another message"))

    assert holding.losses([TASK]) == {}
    assert holding.losses([TASK], is_thorough=True) == {TASK: Loss.UNFETCHED}
    assert mend(app, holding, TASK, Loss.UNFETCHED)


def test_a_thorough_look_finds_what_waits_in_its_queue(app, holding):
    sent(app, holder=DEAD)
    mend(app, holding, TASK, Loss.RESERVED)
    run(app, ("RPUSH", QUEUE, "another message"))

    assert holding.losses([TASK], is_thorough=True) == {}
    assert not mend(app, holding, TASK, Loss.UNFETCHED)


@pytest.mark.parametrize(
    ("holders", "loss"),
    [
        (ALIVE, None),
        (DEAD, Loss.BODY),
        (f"{DEAD} {ALIVE}", None),  # its worker's main process would tell that its process has died
        (f"{ALIVE} {DEAD}", None),  # it outlives its worker's main process
        (f"{DEAD} {DEAD}", Loss.BODY),
    ],
)
def test_what_became_of_a_body(app, holding, holders, loss):
    sent(app, holder=DEAD)
    begin(holding, holder=holders)

    assert holding.losses([TASK]).get(TASK) is loss


def test_a_body_whose_message_was_acknowledged_late_and_without_result_was_dropped(app, holding):
    sent(app, holder=ALIVE)
    begin(holding)
    run(app, ("DEL", "unacked"))

    assert holding.losses([TASK]) == {TASK: Loss.DROPPED}


def test_a_body_whose_message_is_acknowledged_early_is_held_by_its_process(app, holding):
    sent(app, holder=ALIVE)
    begin(holding, fields=())
    run(app, ("DEL", "unacked"))

    assert holding.losses([TASK]) == {}


def test_what_has_ended_leaves_its_message_if_its_worker_is_gone(app, holding):
    sent(app, holder=DEAD)
    begin(holding, holder=DEAD)
    ended(app)

    assert holding.losses([TASK]) == {TASK: Loss.LEFT}
    mend(app, holding, TASK, Loss.LEFT)
    assert run(app, ("EXISTS", "unacked"), ("LLEN", QUEUE)) == [0, 0]


def test_of_what_was_never_sent_nothing_is_known(app, holding):
    run(app, ("DEL", TASK, app.backend.get_key_for_task(TASK)))

    assert holding.losses([TASK]) == {TASK: Loss.FORGOTTEN}
    assert not mend(app, holding, TASK, Loss.FORGOTTEN)


@pytest.mark.parametrize("trace", [_wire.FIELD_SENT, _wire.FIELD_BEGUN, None])
def test_of_what_was_sent_by_others_something_is_known(app, holding, trace):
    run(app, ("DEL", TASK, app.backend.get_key_for_task(TASK)))
    if trace:
        run(app, ("HSET", TASK, trace, 1))
    else:
        ended(app)

    assert holding.losses([TASK]) == {}


def test_suspects_are_tasks_whose_messages_nobody_has(app, holding):
    sent(app)

    assert holding.suspects(0) == ([TASK], [])


@pytest.mark.parametrize(
    ("holder", "status", "suspects"), [(ALIVE, None, []), (ALIVE, "SUCCESS", [TASK]), (DEAD, None, [TASK])]
)
def test_suspects_are_tasks_whose_messages_should_be_gone(app, holding, holder, status, suspects):
    sent(app, holder=holder)
    if status:
        ended(app, status)

    assert holding.suspects(0) == (suspects, [])


@pytest.mark.parametrize("offset", [0, 1, 7])
def test_of_tasks_in_a_queue_some_are_looked_for(app, holding, offset):
    sent(app, queued=True)

    assert holding.suspects(offset) == ([], [TASK])


def test_copies_that_do_not_count_leave(app, holding):
    sent(app, tag="older")
    sent(app, tag="newer")

    assert holding.suspects(0) == ([TASK], [])
    assert run(app, ("HKEYS", "unacked")) == [[b"newer"]]


@pytest.mark.parametrize(("holder", "may_be"), [(None, True), (ALIVE, True), (DEAD, False), (f"{DEAD} {ALIVE}", True)])
def test_a_body_may_be_held_if_a_holder_lives_or_none_is_known(app, holding, holder, may_be):
    sent(app)
    if holder:
        begin(holding, holder=holder)

    assert holding.may_be_held(TASK) is may_be


def test_a_revoked_body_whose_process_is_gone_runs_no_more(app, holding):
    sent(app, holder=DEAD)
    begin(holding, holder=DEAD)
    ended(app, "REVOKED")

    assert not body_runs(app.AsyncResult(TASK))


def test_a_revoked_body_whose_process_lives_may_run(app, holding):
    sent(app, holder=ALIVE)
    begin(holding, holder=ALIVE)
    ended(app, "REVOKED")

    assert body_runs(app.AsyncResult(TASK))


# ── mending ───────────────────────────────────────────────────────────────────────────────


def test_what_had_not_begun_is_sent_again_once_whoever_asks(app, holding):
    sent(app, holder=DEAD)

    assert [mend(app, holding, TASK, Loss.RESERVED) for _ in range(2)] == [True, False]
    assert run(app, ("LLEN", QUEUE), ("HLEN", "unacked")) == [1, 1]


def test_what_was_sent_again_is_another_message_for_nobody(app, holding):
    sent(app, holder=DEAD)
    mend(app, holding, TASK, Loss.RESERVED)
    (payload,) = run(app, ("LPOP", QUEUE))
    message = json.loads(payload)

    assert begin(holding) == (0, Refusal.STALE)
    assert _wire.HOLDER_PROPERTY not in message["properties"]
    assert begin(holding, tag=message["properties"]["delivery_tag"]) == (1, None)


def test_a_lost_body_fails_unless_told_otherwise(app, holding):
    sent(app, holder=DEAD)
    begin(holding, holder=DEAD)

    assert mend(app, holding, TASK, Loss.BODY) is False
    result = app.AsyncResult(TASK)
    assert (result.state, type(result.result), is_lost(result.result)) == ("FAILURE", WorkerLostError, True)
    assert "a.task[the-task]" in str(result.result)


def test_a_body_runs_again_three_times_at_most(app, holding):
    sent(app, holder=DEAD)
    fields, tags, answers = (_wire.FIELD_ON_LOST, _wire.RETRY_LOST, _wire.FIELD_LATE, 1), [TAG], []
    for number in range(MOST_BODIES + 1):
        begun = begin(holding, call=str(number), holder=DEAD, tag=tags[-1], fields=fields)
        answers.append((begun.attempt, mend(app, holding, TASK, Loss.BODY)))
        tags += [json.loads(payload)["properties"]["delivery_tag"] for payload in run(app, ("LPOP", QUEUE)) if payload]

    assert answers == [(1, True), (2, True), (3, False), (0, False)]
    assert "begun 3 times" in str(app.AsyncResult(TASK).result)


@pytest.mark.parametrize("has_begun", [True, False])
def test_a_task_that_kills_its_process_is_sent_again_twice(app, holding, has_begun):
    sent(app, holder=ALIVE)
    tag, answers = TAG, []
    for number in range(MOST_BODIES):
        if has_begun:
            begin(holding, call=str(number), tag=tag, fields=(_wire.FIELD_ON_LOST, _wire.RETRY_LOST))
        answers.append(revive(app, TASK, "killed"))
        tag = holding.message(TASK).tag

    assert answers == [0, 0, MOST_BODIES]


def test_a_task_that_has_ended_needs_no_process(app, holding):
    sent(app, holder=ALIVE)
    begin(holding)
    ended(app)

    assert revive(app, TASK, "killed") == 0
    assert run(app, ("LLEN", QUEUE)) == [0]


def test_whoever_dies_between_giving_up_and_saying_so_is_followed_by_others(app, holding):
    sent(app, holder=DEAD, queued=True)
    begin(holding, holder=DEAD)
    holding.give_up(TASK, TAG, is_sure=False)

    assert holding.losses([TASK]) == {TASK: Loss.GONE}
    mend(app, holding, TASK, Loss.GONE)
    assert app.AsyncResult(TASK).state == "FAILURE"


def test_a_revoked_task_is_not_sent_again(app, holding):
    sent(app, holder=DEAD)
    run(app, ("HSET", TASK, _wire.FIELD_REVOKED, 1))

    assert mend(app, holding, TASK, Loss.RESERVED) is False
    assert app.AsyncResult(TASK).state == "REVOKED"


@pytest.mark.parametrize("holder", [ALIVE, DEAD, None])
@pytest.mark.parametrize("stores", [True, False], ids=["with a result", "without"])
def test_what_has_ended_is_not_sent_again_whatever_its_worker_says(app, holding, holder, stores):
    sent(app, holder=holder)
    begin(holding, fields=(_wire.FIELD_LATE, 1, _wire.FIELD_ON_LOST, _wire.RETRY_LOST))
    ended(app) if stores else run(app, ("HSET", TASK, _wire.FIELD_NO_RESULT, 1))

    assert mend(app, holding, TASK, Loss.BODY, is_sure=True) is False
    assert run(app, ("LLEN", QUEUE)) == [0]


def test_what_is_not_lost_is_left_alone(app, holding):
    sent(app, holder=ALIVE)

    assert mend(app, holding, TASK, Loss.RESERVED) is False
    assert app.AsyncResult(TASK).state == "PENDING"


def test_without_its_message_a_task_cannot_run_again(app, holding):
    sent(app)
    run(app, ("DEL", "unacked"))

    assert not may_run_again(Loss.GONE, holding.message(TASK))


# ── the vigil ─────────────────────────────────────────────────────────────────────────────


class Looks:
    """Answers as a broker gives them, one for each look."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def losses(self, _task_ids, *, is_thorough):
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


LOST = {TASK: Loss.BODY}


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("firexkit.result.lost.monotonic", lambda: now[0])
    return now


def looked(vigil, clock, pauses):
    found = {}
    for pause in pauses:
        clock[0] += pause
        try:
            found = vigil.lost([TASK])
        except ConnectionError:
            found = {}
    return found


def test_a_task_is_lost_when_nobody_held_it_for_the_time_of_a_lease(clock):
    assert looked(Vigil(Looks(*[LOST] * 6), lease=5), clock, [1] * 6) == LOST


def test_looks_that_are_far_from_each_other_tell_less(clock):
    assert looked(Vigil(Looks(*[LOST] * 5), lease=5), clock, [60] * 5) == LOST


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        ([LOST] * 5, [1] * 5),  # not for long enough
        ([LOST, LOST, {}, LOST, LOST, LOST], [1] * 6),  # held in between
        ([LOST, LOST], [1, 60]),  # who knows what was in between
        ([LOST, LOST, ConnectionError(), LOST, LOST, LOST, LOST], [1] * 7),  # the broker was away
        ([LOST, LOST, LOST, {TASK: Loss.RESERVED}, LOST, LOST], [1] * 6),  # something happened
    ],
)
def test_nothing_is_lost_by_less(clock, answers, pauses):
    assert looked(Vigil(Looks(*answers), lease=5), clock, pauses) == {}


# ── the lease ─────────────────────────────────────────────────────────────────────────────


def test_a_lease_that_was_just_renewed_is_sure(app):
    lease = Lease()
    assert not lease.is_sure_of(TASK, app.conf)
    lease.renewed(time.monotonic())

    assert lease.is_sure_of(TASK, app.conf)


def test_a_lease_that_was_late_leaves_its_bodies_in_doubt(app):
    lease, now = Lease(), time.monotonic()
    lease.renewed(now - 60)
    lease.task_ids.add(TASK)
    lease.renewed(now)

    assert not lease.is_sure_of(TASK, app.conf)
    assert lease.is_sure_of("begun since then", app.conf)


def test_a_lease_is_renewed_when_it_is_time(app):
    lease = Lease()

    assert lease.due(app.conf) == [("SET", lease.name, "1", "PX", 5000)]
    lease.renewed(time.monotonic())
    assert lease.due(app.conf) == []


@pytest.mark.parametrize("seconds", [0, 0.5, -1, "5", True, float("inf"), float("nan")])
def test_a_lease_lasts_a_second_at_least(seconds):
    with pytest.raises(ValueError, match="firexkit_lease_time"):
        lease_time({_wire.LEASE_SETTING: seconds})

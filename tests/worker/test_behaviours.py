"""What the library promises, under a plain `celery worker` with Celery's defaults: prefork, then threads."""

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from celery.result import AsyncResult

from firexkit.chain import InjectArgs
from firexkit.result import ChainInterruptedException, ChainRevokedException, get_results
from firexkit.revoke import revoke_result
from worker.apps import behaviours as tasks
from worker.apps.behaviours import hear, say
from worker.ear import Ear
from worker.rig import wait_until

APP = "worker.apps.behaviours"
RK = "__task_return_keys"

pytestmark = pytest.mark.timeout(60)
only_prefork = pytest.mark.parametrize("pool", ["prefork"], scope="module")
"""For what a pool of threads cannot do: end a task that runs, whether by a time limit or a revocation."""
only_threads = pytest.mark.parametrize("pool", ["threads"], scope="module")


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture
def worker(worker_for, pool):
    return worker_for(APP, pool=pool, concurrency=10, options=("-Q", f"{APP},{tasks.OTHER_QUEUE}"))


@pytest.fixture
def listed(server):
    """How many words are in a list."""
    with server.client() as client:
        yield client.llen


def result_of(task_id):
    return AsyncResult(task_id, app=tasks.app)


# ── chains ───────────────────────────────────────────────────────────────────────────────


def test_a_chain_passes_values_by_name_and_by_reference(worker):
    """What a task returns reaches a later one by its name, or by a reference to it."""
    chain = tasks.mix.s(1, blue=2) | tasks.frame.s("@violet") | tasks.hang.s(owner="@green")

    bag = chain.delay().get(timeout=10)

    assert (bag["violet"], bag["picture"], bag["framed"], bag["hung"]) == (3, 3, "oak(3)", "oak(3) of 2")
    assert set(bag) == {*("red", "blue", "violet", "green", "picture", "framed", "owner", "hung", "chain_depth"), RK}
    assert bag[RK] == ("hung",)


def test_more_than_a_function_takes_passes_through(worker):
    """Celery's strict typing lets a FireX task have what only later tasks of its chain need."""
    chain = tasks.mix.s(1, blue=2, owner="X") | tasks.frame.s("@violet", unknown=None) | tasks.hang.s()

    assert chain.delay().get(timeout=10)["hung"] == "oak(3) of X"


def test_injected_arguments_reach_the_whole_chain_and_children(worker):
    """What is injected into the head fills gaps down the chain, and a child that gets the whole bag has it too."""
    chain = InjectArgs(uid="U", red=1, blue=5, picture="P") | tasks.mix.s(blue=2) | tasks.inherit.s() | tasks.frame.s()
    result = chain.delay()

    assert result.get(timeout=10)["framed"] == "oak(P)"
    assert get_results(result, ("violet", "seen")) == (3, ["U", "U", "U", 1])


def test_plain_celery_and_firex_tasks_mix_in_a_chain(worker):
    """A task of plain Celery gets the whole bag, and what it declares to return goes on by name."""
    chain = tasks.plain_pair.s(3) | tasks.mix.s() | tasks.plain_bag.s() | tasks.mix.s(yellow=1)
    bag = chain.delay().get(timeout=10)

    assert bag == {
        "red": 9,
        "blue": 1,
        "yellow": 1,
        "violet": 10,
        "green": 2,
        "chain_depth": 3,
        RK: ("violet", "green"),
    }


def test_plain_celery_and_firex_tasks_mix_in_a_child_chain(worker):
    """A parent's child may be such a chain, too."""
    assert tasks.mixing_parent.delay(3).get(timeout=10)["mixed"] == 10


# ── children ─────────────────────────────────────────────────────────────────────────────


def test_eight_children_run_at_the_same_time(worker):
    """Eight children that end only when all have come together do end, and are answered in order."""
    assert tasks.fan_out.delay("meeting", 8).get(timeout=20)["numbers"] == list(range(8))


def test_eight_levels_of_blocking_parents(worker):
    """Each level waits for the one below, and all end."""
    assert tasks.nest.delay(levels=8).get(timeout=20)["depth"] == 8


def test_a_failure_reaches_the_parent_with_its_cause(worker):
    """The parent's failure names the child, and holds the child's exception with its arguments and its own cause."""
    result = tasks.failing_parent.delay()
    with pytest.raises(ChainInterruptedException) as failed:
        result.get(timeout=10)
    (child,) = result.children
    cause = failed.value.__cause__

    assert (failed.value.task_id, failed.value.task_name) == (child.id, tasks.fail.name)
    assert (type(cause), cause.args) == (ValueError, ("broken", 7))
    assert (type(cause.__cause__), cause.__cause__.args) == (KeyError, ("deep",))


# ── once, cache ──────────────────────────────────────────────────────────────────────────


def test_a_task_enqueued_once_from_eight_callers_runs_once(worker, listed):
    """Eight callers that ask at the same time all get the answer of the one task that ran."""
    children = tasks.ask_once_together.delay("once", 8).get(timeout=20)["children"]

    assert listed("once.ran") == 1
    assert children == [hear("once.ran")] * 8


def test_equal_calls_are_answered_from_the_cache(worker, listed):
    """Four equal calls in a chain run once; the fifth is told not to use the cache and runs."""
    anew = tasks.square.s(number=3)
    anew.set_use_cache(False)
    equal = tasks.square.s(3, "cache") | tasks.square.s() | tasks.square.s() | tasks.square.s()

    assert (equal | anew).delay().get(timeout=10)["square"] == 9
    assert listed("cache.ran") == 2


def test_equal_calls_at_the_same_time_are_all_right(worker):
    """Whoever runs and whoever is answered from the cache, each has the right value."""
    assert tasks.squares_at_once.delay(4, "cache", 6).get(timeout=20)["squares"] == [16] * 6


# ── revoking ─────────────────────────────────────────────────────────────────────────────


def test_a_queued_child_revoked_in_mid_wait_ends_the_wait(worker):
    """The parent of a child that was revoked before it started ends at once, and says which child it was."""
    parent = tasks.wait_for_child.delay("k", queue=tasks.UNCONSUMED_QUEUE)
    child = result_of(hear("k.id"))
    revoke_result(child)
    with pytest.raises(ChainRevokedException) as revoked:
        parent.get(timeout=5)

    assert (revoked.value.task_id, revoked.value.task_name) == (child.id, tasks.never.name)


@only_prefork
def test_a_running_child_revoked_in_mid_wait_ends_the_wait(worker):
    """The parent ends when the revoked child's body has, its `finally` included."""
    parent = tasks.wait_for_child.delay("k")
    child = result_of(hear("k.id"))
    hear("k.started")
    revoke_result(child)
    with pytest.raises(ChainRevokedException) as revoked:
        parent.get(timeout=10)

    assert revoked.value.task_id == child.id
    assert hear("k.ended", timeout=1)


@only_prefork
def test_a_parent_revoked_in_mid_wait_takes_its_children_along(worker):
    """Ending a parent that waits revokes the child it waits for."""
    parent = tasks.wait_for_child.delay("k")
    child = result_of(hear("k.id"))
    hear("k.started")
    revoke_result(parent)
    wait_until(lambda: parent.state == child.state == "REVOKED", what="end of both")

    assert hear("k.ended", timeout=5)


@only_threads
def test_a_thread_cannot_be_ended_so_the_wait_goes_on(worker):
    """In a pool of threads the body of a revoked task runs to its end, and the parent goes by that."""
    parent = tasks.wait_for_child.delay("k", child=tasks.wait_for_word.name)
    child = result_of(hear("k.id"))
    hear("k.started")
    revoke_result(child)
    say("k", "all the same")
    parent.get(timeout=10)

    assert child.result["answer"] == "all the same"


def test_children_left_to_go_on_outlive_their_parent(worker):
    """With the strategy `Continue` the parent ends while its child runs, and the child goes on."""
    parent = tasks.leave_child.delay("k")
    parent.get(timeout=10)
    child = result_of(hear("k.id"))
    hear("k.started")
    say("k", "later")

    assert child.get(timeout=10)["answer"] == "later"


def test_children_are_waited_for_at_the_end(worker):
    """With the strategy `Block` the parent has not ended while its child runs."""
    parent = tasks.await_child_at_end.delay("k")
    child = result_of(hear("k.id"))
    hear("k.started")
    state_meanwhile = parent.state
    say("k", "now")
    parent.get(timeout=10)

    assert state_meanwhile != "SUCCESS"
    assert child.result["answer"] == "now"


def test_children_are_dropped_at_the_end(worker, listed):
    """With the strategy `Revoke` a child that has not started when its parent ends never runs."""
    tasks.drop_child.delay("k").get(timeout=10)
    child_id = hear("k.id")
    with worker.app.connection_for_read() as connection:
        late = connection.default_channel.basic_get(tasks.UNCONSUMED_QUEUE, no_ack=True)
        assert late.headers["id"] == child_id
        worker.app.amqp.Producer(connection).publish(late.payload, routing_key=APP, headers=late.headers)
    tasks.mix.delay(1, 2).get(timeout=10)

    assert listed("k.started") == 0


# ── retry, limits, options ───────────────────────────────────────────────────────────────


def test_a_retry_repeats_the_whole_call(worker):
    """A task that gives up twice succeeds at the third attempt, with the arguments it had."""
    result = (tasks.mix.s(1, 2) | tasks.succeed_at_third.s(box={1: (2,)})).delay()
    bag = result.get(timeout=10)

    assert (bag["attempts"], bag["box"], bag["violet"]) == (3, {1: (2,)}, 3)
    assert get_results(result, ("green", "attempts")) == (2, 3)


def test_retries_come_to_an_end(worker):
    """After the last attempt the task has failed with what it was retried for."""
    with pytest.raises(ValueError, match="still not"):
        tasks.never_succeed.delay().get(timeout=10)


@only_prefork
def test_a_soft_time_limit_is_raised_in_the_body(worker):
    """A body that goes on for too long is told, and may still answer."""
    result = tasks.hit_soft_limit.s().enqueue(soft_time_limit=1)

    assert result.get(timeout=10)["fate"] == "soft limit of 1 s"


@only_prefork
def test_a_soft_time_limit_nobody_handles_is_a_failure(worker):
    """A body that does not care for the limit has failed with it."""
    with pytest.raises(SoftTimeLimitExceeded):
        tasks.sleep_on.s().enqueue(soft_time_limit=1).get(timeout=10)


@only_prefork
def test_a_hard_time_limit_ends_the_body(worker):
    """A body is ended at its hard limit; the task has failed, and the worker serves the next."""
    with pytest.raises(TimeLimitExceeded):
        tasks.sleep_on.apply_async(time_limit=1).get(timeout=15)

    assert tasks.mix.delay(1, 2).get(timeout=10)["violet"] == 3


@only_threads
def test_threads_have_no_time_limits_but_know_them(worker):
    """Celery's pool of threads enforces no limit; a body can still ask for its soft one."""
    result = tasks.hit_soft_limit.s(seconds=1.2).enqueue(soft_time_limit=1)

    assert result.get(timeout=10)["fate"] == "ended under 1 s"


def test_queue_and_priority_reach_every_task_of_a_chain(worker):
    """The options of `enqueue` hold for each member, and for the queue that a worker takes it from."""
    chain = tasks.tell_options.s() | tasks.tell_options.s()
    result = chain.enqueue(queue=tasks.OTHER_QUEUE, priority=0, block=True)

    assert [get_results(one, ("queue", "priority")) for one in (result.parent, result)] == [(tasks.OTHER_QUEUE, 0)] * 2


# ── converters, what needs the product ───────────────────────────────────────────────────


def test_converters_change_arguments_and_results(worker):
    """What converters make of arguments is what the function gets; what they make of results goes on."""
    bag = tasks.convert.delay("12").get(timeout=10)

    assert bag["area"] == "144 square metres"
    assert (bag["side"], bag["note"], bag[RK]) == (12, "from the converter after", ("area",))


def test_flame_events_need_no_option_of_the_worker(worker):
    """Monitors are told what the task shows, though the worker does not send Celery's own events."""
    with Ear(worker.app) as ear:
        result = tasks.convert.delay("2")

        assert ear.told_by(result) == ["task-started-info", "task-send-flame", "task-results", "task-send-flame"]
    assert [sorted(event["flame_data"]) for event in ear.of_type("task-send-flame")] == [["side"], ["area", "side"]]


def test_what_needs_the_product_is_none_without_it(worker):
    """Without a log file there are no paths; without an injected uid its error says what to do."""
    told = tasks.tell_surroundings.delay().get(timeout=10)["told"]

    assert told["paths"] == (None,) * 5
    assert "inject_uid=True" in told["uid"]
    assert told["has_start"]


def test_the_worker_logs_no_trace_of_ours(worker):
    """A chain with children, once and cache leaves no error and no warning in the worker's log."""
    before = worker.log.stat().st_size
    tasks.use_everything.delay("quiet").get(timeout=10)
    lines = worker.log.read_bytes()[before:].decode().splitlines()
    # A process that a test before has killed may be told only now.
    told = "\n".join(line for line in lines if "exited with 'signal" not in line)

    assert "ERROR" not in told
    assert "WARNING" not in told
    assert "Traceback" not in told

"""Who waits is woken: in these workers nobody looks by himself, so a wait that nobody ends lasts until a test fails."""

import gc
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from celery.result import AsyncResult

from firexkit.result import ChainInterruptedException, forget_chain_results, hearing, wait_on_async_results
from firexkit.revoke import RevokedRequests, is_known_revoked, revoke_result
from firexkit.task import FireXTask
from worker.apps import waking as tasks
from worker.apps.waking import hear, say
from worker.rig import keys_of_tasks, wait_until

APP = "worker.apps.waking"
ONLY_WOKEN = {tasks.ONLY_WOKEN: "yes"}
SLOTS = 10

pytestmark = pytest.mark.timeout(60)
only_prefork = pytest.mark.parametrize("pool", ["prefork"], scope="module")


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture
def worker(worker_for, pool):
    return worker_for(APP, pool=pool, concurrency=SLOTS, env=ONLY_WOKEN)


@pytest.fixture
def only_woken(monkeypatch):
    """The waits of this process are only woken, too."""
    monkeypatch.setattr(hearing, "_FIRST_SAFEGUARD", tasks.NEVER)


def result_of(task_id):
    return AsyncResult(task_id, app=tasks.app)


def followers():
    """How many follow the result that most follow."""
    client = tasks.app.backend.client
    channels = client.pubsub_channels("celery-task-meta-*")
    return max((count for _, count in client.pubsub_numsub(*channels)), default=0)


def seen(task, *args, **kwargs):
    """What a parent has seen when it was woken."""
    return task.delay(*args, **kwargs).get(timeout=15)["seen"]


# ── children that it sent ────────────────────────────────────────────────────────────────

INTERRUPTED, REVOKED = "ChainInterruptedException", "ChainRevokedException"


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        (tasks.of_one.s(), 1),
        (tasks.of_one_that_was_early.s(), 1),
        (tasks.of_large_ones.s(), [10_000, 10_000]),
        (tasks.of_many.s(), [*range(8)]),
        (tasks.of_any.s("any"), [3, 2, 1, 0]),
        (tasks.of_a_sliding_window.s("window"), [*range(6)]),
        (tasks.of_a_window_with_a_failure.s(raises=True), [[INTERRUPTED, "broken"], 2]),
        (tasks.of_a_window_with_a_failure.s(raises=False), [None, 3]),
        (tasks.of_a_chain.s(), 1),
        (tasks.of_a_chain_that_was_early.s(), 1),
        (tasks.of_a_broken_chain.s(), [INTERRUPTED, "broken"]),
        (tasks.of_a_broken_chain.s(early=True), [INTERRUPTED, "broken"]),
        (tasks.of_one_it_revokes.s(), [[REVOKED, "quick"]] * 2),
        (tasks.of_a_retried_one.s(), 2),
        (tasks.of_a_retried_one.s(countdown=0), 2),
        (tasks.of_a_replaced_one.s(), 1),
        (tasks.of_a_replaced_one.s(by_chain=True), 1),
        (tasks.of_a_replaced_one.s(before=[1], after=[1]), 1),
        (tasks.of_a_replaced_one.s(before=[1], by_chain=True), 1),
        (tasks.of_a_silent_one.s(), True),
        (tasks.of_a_silent_early_one.s(), True),
        (tasks.of_a_group.s(), 3),
        (tasks.of_a_group.s(after_one=True), 3),
        (tasks.of_a_plain_one.s(), 1),
        (tasks.of_a_plain_one.s(in_chain=True), 1),
        (tasks.of_one_enqueued_once_twice.s("twice"), True),
        (tasks.of_one_within_another_wait.s("within"), [0, "third", 1]),
        (tasks.of_one_whose_news_another_wait_took.s(), 10_000),
        (tasks.of_two_results_of_one.s(), True),
    ],
    ids=lambda value: str(value.task.rpartition(".")[2] if hasattr(value, "task") else ""),
)
def test_a_parent_is_woken(worker, parent, expected):
    """The parent is told of the end of what it waits for, whatever that is and however it ends."""
    assert parent.delay().get(timeout=15)["seen"] == expected


@pytest.mark.parametrize("early", [False, True], ids=["late", "early"])
@pytest.mark.parametrize("member", [0, 1], ids=["head", "middle"])
def test_a_revoked_member_that_never_starts(worker, member, early):
    """Nobody takes what waits in that queue; that it was revoked is told all the same, before the wait or within it."""
    parent = tasks.of_a_revoked_one.delay("k", member=member, early=early)
    victim = result_of(hear("k.id"))
    wait_until(lambda: tasks.app.backend.client.hget(victim.id, "sent"), what="it to be sent")
    revoke_result(victim)
    say("k.revoked")

    assert parent.get(timeout=15)["seen"] == [REVOKED, "quick"]


@only_prefork
@pytest.mark.parametrize("early", [False, True], ids=["late", "early"])
@pytest.mark.parametrize("member", [0, 1], ids=["head", "middle"])
def test_a_revoked_member_that_runs(worker, member, early):
    """The parent goes on when the body of the member has ended, whether it waits then or not yet."""
    parent = tasks.of_a_revoked_one.delay("k", member=member, early=early, terminate=True)
    victim = hear("k.id")
    hear("k.started")
    revoke_result(result_of(victim))
    hear("k.ended")
    tasks.until_stored(victim, "REVOKED")
    say("k.revoked")

    assert parent.get(timeout=15)["seen"] == [REVOKED, "endless"]


# ── what others have sent ────────────────────────────────────────────────────────────────


def test_guests_of_a_task_enqueued_once(worker):
    """Whoever asks for the key is told of the end of the one task, which only the first has sent."""
    parent = tasks.of_three_with_one_child.delay("once")
    hear("once.started")
    wait_until(lambda: followers() >= 2, what="the guests to follow the task's result")
    say("once")

    assert parent.get(timeout=15)["seen"] == [7] * 3


@pytest.mark.parametrize("word", ["before", "meanwhile"])
def test_a_task_that_somebody_else_sent(worker, word):
    """A parent that only has an id is told of the end, or finds it at its first look."""
    foreign = tasks.told_to.delay("k", 7)
    if word == "before":
        say("k")
        tasks.until_stored(foreign.id)
    parent = tasks.of_a_foreign_one.delay(foreign.id)
    hear("k.started")
    say("k")

    assert parent.get(timeout=15)["seen"] == 7


def test_a_client_that_waits(worker, only_woken):
    """A client is told when it says that it waits; else at first by the task's own channel, and then by its own."""
    block = tasks.late.s(1).enqueue(block=True)
    results = [tasks.late.delay(number) for number in (2, 3)]
    for result in results:
        wait_on_async_results(result)

    assert [result.result["answer"] for result in (block, *results)] == [1, 2, 3]


# Celery has a backend for each thread, whose connections are collected with it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_task_that_the_worker_does_not_know(worker, only_woken):
    """Who sent it knows it, and is told that it failed."""

    @tasks.app.task(name="only.here", shared=False, base=FireXTask)
    def only_here():
        """Nothing."""

    with pytest.raises(ChainInterruptedException, match=r"only\.here"):
        only_here.s().enqueue(block=True)
    tasks.app.tasks.unregister("only.here")


# What a thread leaves is collected in cycles, and sockets may come before the redis-py connections that close them.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_threads_of_a_client(worker, only_woken):
    """Threads that wait at the same time are told of their own tasks, and leave no connection when they end."""

    def answers():
        with ThreadPoolExecutor(4) as threads:
            return [*threads.map(lambda number: tasks.late.s(number).enqueue(block=True).result["answer"], range(8))]

    assert answers() == [*range(8)]
    gc.collect()
    before = sockets()
    assert [answers() for _ in range(3)] == [[*range(8)]] * 3

    def are_gone():
        gc.collect()  # what one cycle lets go of may be another one
        return sockets() - before <= 4

    wait_until(are_gone, what="the end of the connections of twelve threads")


# ── what cuts a wait short ───────────────────────────────────────────────────────────────


@only_prefork
def test_a_time_limit_in_the_middle_of_a_wait(worker):
    """Whoever goes on after it waits as before."""
    parent = tasks.whose_time_ends_while_it_waits.delay("k")

    assert parent.get(timeout=15)["seen"] == [1, 2]


@only_prefork
def test_a_time_limit_while_the_server_does_not_answer(worker):
    """Late answers are nobody's: neither a message nor a subscription that was cut short confuses what comes after."""
    sending = tasks.whose_time_ends_while_it_sends.delay()
    answers, seen = sending.get(timeout=15)["seen"]
    foreign = tasks.told_to.delay("k", 7)
    following = tasks.whose_time_ends_while_it_follows.delay(foreign.id)
    hear("k.started")
    say("k")

    assert answers == "abc"
    assert seen in ([1], [1, 2])
    assert following.get(timeout=15)["seen"] == [7, "own"]


@only_prefork
def test_a_process_that_was_ended_in_the_middle_of_a_wait(worker):
    """A revoked parent ends its child, and the next parents are told."""
    parent = tasks.of_a_revoked_one.delay("k", terminate=True)
    hear("k.started")
    revoke_result(parent)
    hear("k.ended")

    wait_until(lambda: parent.state == "REVOKED", what="its end")
    assert [tasks.of_one.delay().get(timeout=15)["seen"] for _ in range(3)] == [1, 1, 1]


@only_prefork
def test_a_task_that_forks(worker):
    """A forked process shares no connection with the one that it was forked from."""
    assert tasks.that_forks.delay().get(timeout=15)["seen"] == ["before", "meanwhile", "forked", "after"]


def test_a_connection_that_is_lost(worker):
    """Whoever waits connects again, and reads what it may have missed."""
    parent = tasks.of_two_in_turn.delay("k")
    hear("k.started")
    wait_until(waiters, what="the parent to listen")
    for client in tasks.app.backend.client.client_list():
        if client["sub"] != "0" and client["psub"] == "0":  # the worker's main process hears patterns
            tasks.app.backend.client.client_kill_filter(client["id"])
    say("k")

    assert parent.get(timeout=15)["seen"] == [1, 2]


# ── what waits leave behind ──────────────────────────────────────────────────────────────


def sockets():
    """How many this process has; the worker's connections change with the processes that its tasks need."""
    return sum("socket:" in os.path.realpath(descriptor) for descriptor in Path("/proc/self/fd").iterdir())


def clients():
    """How many connections the server has, of each kind."""
    return Counter("pubsub" if client["sub"] != "0" else "normal" for client in tasks.app.backend.client.client_list())


def waiters():
    return tasks.app.backend.client.pubsub_channels("FIREXKIT_WAKE:*")


def test_a_thousand_waits_leave_nothing(worker):
    """No keys; in the memory of who waited, connections and channels: nothing that each wait would add to."""
    client = tasks.app.backend.client
    [tasks.of_many_one_by_one.delay(20).get(timeout=15) for _ in range(5)]
    connections, channels, keys = clients(), set(client.pubsub_channels()), keys_of_tasks(client)
    parents = [tasks.of_many_one_by_one.delay(500) for _ in range(2)]
    remembered = [parent.get(timeout=50)["seen"] for parent in parents]
    [forget_chain_results(parent) for parent in parents]
    del parents
    gc.collect()
    last = tasks.quick.delay()  # what results of this client followed, and are no more, is left when the next is sent
    last.get(timeout=15)
    forget_chain_results(last)

    assert max(remembered) <= 5  # of 500: one that was looked up before it was told is noted for whoever asks again
    few = 3 * SLOTS  # a slot that is lent makes room for another thread
    wait_until(lambda: clients() - connections <= Counter(pubsub=few, normal=few), what="few connections")
    wait_until(lambda: len({*client.pubsub_channels()} - channels) <= few, what="few channels")
    assert keys_of_tasks(client) <= keys


# ── how long a wait lasts, and what is done meanwhile ────────────────────────────────────


@pytest.fixture
def fresh_revocations():
    """A process that has not asked for revocations yet."""
    before = RevokedRequests.instance()
    yield RevokedRequests.instance(RevokedRequests(skip_first_cycle=False))
    RevokedRequests.instance(before)


def test_what_others_have_revoked_is_asked_for_meanwhile(worker, fresh_revocations):
    """The workers take a second or two to answer; nobody's wait stands still for that."""
    tasks.app.control.revoke("foreign")

    assert not is_known_revoked("foreign")  # the question has only begun
    wait_until(lambda: is_known_revoked("foreign"), what="the workers' answer")


def test_callbacks_keep_their_frequency(worker):
    """One runs five times, not sooner than it asked for, before it ends the wait; another is not due."""
    assert tasks.with_callbacks.delay("k").get(timeout=15)["seen"] == [5, 0, True]


def test_much_news_does_not_outlast_a_wait(worker):
    """A wait ends in time though there is always something to look at."""
    parent = tasks.of_one_for_a_while.delay("k", max_wait=1)
    child, channel = hear("k.child"), hear("k.channel")
    news = tasks.app.backend.client.pipeline(transaction=False)
    for _ in range(100):
        news.publish(channel, f"firexkit-look-at:{child}")
    wait_until(lambda: [news.execute() for news in [news]] and parent.ready(), 20, what="the wait to end", every=0)
    say("k")

    assert parent.get(timeout=15)["seen"] == "WaitOnChainTimeoutError"


def test_a_wait_without_time_looks_once(worker):
    """It finds a child that has ended."""
    assert tasks.of_one_at_once.delay().get(timeout=15)["seen"] == 1

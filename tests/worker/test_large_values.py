"""Large values under real workers: stored once, fetched by those who take them, gone with their tasks."""

import json

import pytest
from celery import chord, group
from celery.result import AsyncResult

from firexkit._serialization.errors import LostValueError
from firexkit.result import (
    ChainInterruptedException,
    forget_chain_results,
    get_results,
    wait_on_async_results,
    wait_on_async_results_and_maybe_raise,
)
from worker.apps import large_values as tasks
from worker.apps.large_values import LIMIT, TEXT, VALUES, digest, text
from worker.apps.wire import same

APP = "worker.apps.large_values"
PREFIX = "FIREXKIT_VALUES:"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", params=["prefork", "threads"])
def pool(request):
    return request.param


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def worker(worker_for, pool, client):
    return worker_for(APP, pool=pool, concurrency=4)


@pytest.fixture
def stored(client):
    """The digests that are stored, by the tasks that own them."""

    def stored():
        keys = client.keys(f"{PREFIX}*")
        return {key.decode().removeprefix(PREFIX): client.hkeys(key) for key in keys}

    return stored


@pytest.fixture
def read(server):
    """How many large values were read since the test began, by anybody."""
    with server.client() as listening, server.client() as asking, listening.monitor() as monitor:
        count = 0

        def read():
            nonlocal count
            asking.echo("so far")
            while "so far" not in (command := monitor.next_command()["command"]):
                count += command.startswith(f"HGET {PREFIX}")
            return count

        yield read


@pytest.fixture
def limit():
    """Set the threshold in this process."""
    yield lambda value: tasks.app.conf.update(firexkit_large_values=value)
    tasks.app.conf.update(firexkit_large_values=LIMIT)


def bag_of(signature):
    return signature.delay().get(timeout=15)


def raw(client, task_id):
    """What is stored as a result, as text."""
    return client.get(f"celery-task-meta-{task_id}").decode()


# ── values ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_any_type_is_what_it_was(worker, stored, name):
    """A result, the next task of a chain and the bag at its end have the value; it is stored once."""
    result = (tasks.give.s(name) | tasks.pass_on.s() | tasks.look.s() | tasks.pass_on.s()).delay()
    bag = result.get(timeout=15)

    assert same(bag["value"], VALUES[name])
    assert bag["seen"] == digest(VALUES[name])
    assert same(AsyncResult(result.id, app=tasks.app).result["value"], VALUES[name])
    assert [len(digests) for digests in stored().values()] == [1]


@pytest.mark.parametrize("name", VALUES)
def test_an_argument_of_any_type_is_what_it_was(worker, name):
    """By position, by name, and in the middle of a chain."""
    seen = {digest(VALUES[name])}

    assert {bag_of(tasks.look.s(VALUES[name]))["seen"], bag_of(tasks.look.s(value=VALUES[name]))["seen"]} == seen
    assert {bag_of(tasks.pass_on.s() | tasks.look.s(value=VALUES[name]))["seen"]} == seen
    assert same(bag_of(tasks.look.s(VALUES[name]))["value"], VALUES[name])


def test_small_values_stay_in_their_messages(worker, stored):
    """Below the threshold everything is as it was."""
    assert bag_of(tasks.look.s("x" * LIMIT))["value"] == "x" * LIMIT
    assert stored() == {}


def test_every_way_into_the_bag_gives_the_value(worker):
    """Views of the bag, of the arguments and all keywords hold values."""
    seen = digest(TEXT)
    chain = tasks.give.s("text") | tasks.look_into_bag.s("value")

    assert set(bag_of(chain)["seen"].values()) == {seen}
    assert set(bag_of(tasks.give.s("text") | tasks.look_at_arguments.s())["seen"]) == {seen}
    assert bag_of(tasks.give.s("text") | tasks.look_at_all.s())["seen"] == {"value": seen}


def test_a_reference_in_the_bag_is_followed(worker):
    """``@name`` gives a large value to a parameter of another name."""
    bag = bag_of(tasks.give.s("text") | tasks.shout.s(big="@value"))

    assert bag["shouted"] == digest(TEXT.upper())


def test_a_converter_gets_the_value(worker):
    """What a converter makes of it, the function gets."""
    assert bag_of(tasks.make.s("a") | tasks.shout.s())["shouted"] == digest(text("a").upper())


def test_a_value_that_a_task_changes_in_place_goes_on_changed(worker, stored):
    """The next task and the result have the list with the new line."""
    bag = bag_of(tasks.give.s("list") | tasks.add_line.s() | tasks.look.s())

    assert bag["value"] == [*VALUES["list"], "added"]
    assert bag["seen"] == digest(bag["value"])
    assert sum(map(len, stored().values())) == 2


def test_a_value_that_comes_back_is_not_stored_again(worker, stored):
    """A task that returns what it got, under two names, stores nothing."""
    bag = bag_of(tasks.make.s("a") | tasks.give_again.s())

    assert bag["big"] == bag["other"] == text("a")
    assert [len(digests) for digests in stored().values()] == [1]


# ── who fetches ──────────────────────────────────────────────────────────────────────────


def test_only_who_takes_a_value_fetches_it(worker, read, stored):
    """Of five links one takes the value; waiting for the chain and asking how it ended fetch nothing."""
    chain = tasks.make.s("a") | tasks.pass_on.s() | tasks.pass_on.s() | tasks.give_again.s() | tasks.pass_on.s()
    result = chain.delay()
    wait_on_async_results(result)

    assert (result.state, result.successful()) == ("SUCCESS", True)
    assert sum(map(len, stored().values())) == 1
    assert read() == 1


def test_what_a_task_shows_is_fetched_and_nothing_else(worker, read):
    """A flame config for one value of the bag reads that one, at the start and at the end."""
    result = tasks.show.s(big=text("abc"), other=TEXT).delay()
    wait_on_async_results(result)

    assert get_results(result, "shown") == (True,)
    assert read() <= 1


def test_results_that_are_not_asked_for_are_not_fetched(worker, read):
    """Of a bag with a large value only the asked keys are read; who asks for it gets it."""
    result = (tasks.make.s("a") | tasks.pass_on.s()).delay()
    wait_on_async_results(result)

    assert get_results(result, "passed") == (1,)
    assert get_results(result, "big", extract_from_parents=False) == (None,)
    assert read() == 0
    assert get_results(result, ("big", "passed")) == (text("a"), 1)
    assert read() == 1
    assert get_results(result) == {"big": text("a"), "passed": 1}
    assert get_results(result, return_keys_only=False)["big"] == text("a")


def test_several_values_come_in_one_round_trip(worker, read, client):
    """A result with many large values is read by one pipeline, and only once by one handle."""
    values = {name: text(name) for name in "abcdef"}
    result = tasks.pass_on.s(**values).delay()

    assert result.get(timeout=15) == {**values, "passed": 1, "__task_return_keys": ("passed",)}
    assert result.result is result.result
    assert read() == 6


def test_the_messages_are_small(worker, client, server):
    """A link's message and result have the place of the value, not the value."""
    result = (tasks.make.s("a") | tasks.pass_on.s()).delay()
    result.get(timeout=15)

    assert len(raw(client, result.id)) < 2000
    assert len(raw(client, result.parent.id)) < 2000
    assert _told(raw(client, result.id))["big"]["__firexkit__"] == "large-value"


def _told(meta):
    return json.loads(meta)["result"]["value"]


def test_what_a_chain_was_given_for_its_later_members_is_stored_with_its_head(worker, stored):
    """Arguments of the third member do not ride in the messages of the first two."""
    result = (tasks.pass_on.s() | tasks.pass_on.s() | tasks.look.s(value=TEXT)).delay()
    head = result.parent.parent

    assert list(stored()) == [head.id]
    assert result.get(timeout=15)["seen"] == digest(TEXT)


def test_celerys_hooks_get_the_values(worker, client):
    """What a task returned is given to ``on_success`` with its values."""
    result = (tasks.make.s("a") | tasks.hooked.s()).delay()
    result.get(timeout=15)

    heard = [client.blpop(f"hooked {result.id}", timeout=15)[1].decode() for _ in range(2)]
    assert heard == [digest(text("a"))] * 2


# ── children ─────────────────────────────────────────────────────────────────────────────


def test_a_value_for_many_children_is_stored_twice_at_most(worker, stored):
    """The first child has its own, the others share their parent's; what the parent was sent is not stored again."""
    result = tasks.send_to_many.s(text("big"), 6).delay()

    assert result.get(timeout=15)["seen"] == [[digest(text("own")), digest(text("big"))]] * 6
    owners = stored()
    assert (len(owners), len(owners[result.id])) == (2, 2)


def test_a_child_that_inherits_the_bag_has_the_value(worker, stored):
    """``InjectArgs(**self.abog)`` passes large values on as they came."""
    bag = bag_of(tasks.give.s("text") | tasks.inherit.s())

    assert bag["seen"] == {"value": digest(TEXT)}
    assert sum(map(len, stored().values())) == 1


def test_a_result_of_a_forgotten_child_lives_on_in_its_parents(worker):
    """A parent may use and return what a child returned, though the child is forgotten."""
    assert bag_of(tasks.take_and_forget.s("a"))["got"] == digest(text("a"))
    assert bag_of(tasks.return_from_child.s("a"))["got"] == text("a")


# ── attempts ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("send", ["alone", "in a chain"])
def test_a_retry_has_its_values(worker, stored, send):
    """The message is sent again as it came; nothing is stored anew."""
    signature = tasks.try_again.s(text("a")) if send == "alone" else tasks.make.s("a") | tasks.try_again.s()
    bag = bag_of(signature)

    assert (bag["seen"], bag["attempts"]) == (digest(text("a")), 2)
    assert sum(map(len, stored().values())) == 1


@pytest.mark.parametrize("send", ["alone", "in a chain"])
def test_a_retry_with_other_arguments_has_them(worker, send):
    """What a task gives its next attempt arrives."""
    head = [] if send == "alone" else [tasks.make.s("a")]
    signature = tasks.try_with_other.s(text("a")) if not head else head[0] | tasks.try_with_other.s()

    assert bag_of(signature)["seen"] == [digest(text("a")), digest(text("other"))]


@pytest.mark.parametrize("pool", ["prefork"], scope="module")
def test_an_attempt_after_a_lost_process_has_its_values(worker, stored):
    """The broker hands the message out again, and what it refers to is still there."""
    bag = bag_of(tasks.make.s("a") | tasks.die_once.s())

    assert bag["seen"] == digest(text("a"))
    assert sum(map(len, stored().values())) == 1


def test_a_cached_result_has_its_values(worker, client):
    """A call that was made before is known by its values, and answered with those that it returned."""
    bag = bag_of(tasks.compute_twice.s(text("a")))

    assert bag["seen"] == [digest(text("computed"))] * 2
    assert client.get("computed") == b"1"


# ── others ───────────────────────────────────────────────────────────────────────────────


def test_a_plain_celery_task_gets_the_whole_bag(worker):
    """In the middle of a chain it has the values themselves; what comes after it is as before."""
    bag = bag_of(tasks.make.s("a") | tasks.pass_on.s() | tasks.plain.s() | tasks.shout.s())

    assert bag["seen"] == digest(text("a"))
    assert bag["shouted"] == digest(text("a").upper())


def test_a_callback_gets_the_whole_bag(worker, client):
    """What is linked to a task may be anybody's."""
    result = (tasks.make.s("a") | tasks.pass_on.s()).apply_async(link=tasks.note.s("noted"))
    result.get(timeout=15)

    assert client.blpop("noted", timeout=15)[1].decode() == digest(text("a"))


def test_members_of_a_group_and_of_a_chord(worker):
    """What groups return and what a chord's body gets are values."""
    results = group(tasks.make.s("a"), tasks.look.s(text("b"))).delay().get(timeout=15)

    assert [results[0]["big"], results[1]["value"]] == [text("a"), text("b")]
    assert chord([tasks.make.s("a"), tasks.make.s("b")], tasks.plain_sum.s()).delay().get(timeout=15) == [
        digest(text("a")),
        digest(text("b")),
    ]


def test_a_group_inside_a_chain(worker):
    """Each member has the bag of the task before, with its values."""
    chain = tasks.make.s("a") | group(tasks.give_again.s(), tasks.give_again.s()) | tasks.plain_sum.s()

    assert chain.delay().get(timeout=15, propagate=False) == [digest(text("a"))] * 2


def test_eager_mode_stores_nothing(server, stored):
    """Nothing leaves the process, so nothing is stored."""
    tasks.app.conf.task_always_eager = True
    try:
        bag = (tasks.make.s("a") | tasks.shout.s()).apply_async().get()
    finally:
        tasks.app.conf.task_always_eager = False

    assert bag["shouted"] == digest(text("a").upper())
    assert stored() == {}


# ── off, lost, expired, forgotten ────────────────────────────────────────────────────────


@pytest.mark.parametrize("off", [None, 0])
def test_off_by_setting(worker, stored, limit, off):
    """A sender without a limit stores nothing; whoever has one still takes and gives large values."""
    limit(off)
    result = (tasks.make.s("a") | tasks.look.s(value=TEXT)).delay()
    bag = result.get(timeout=15)

    assert (bag["big"], bag["seen"]) == (text("a"), digest(TEXT))
    assert set(stored()) == {result.id, result.parent.id}


def test_a_worker_that_is_off_passes_on_what_others_store(worker_for, pool, stored, read):
    """It stores nothing of its own, and leaves what came stored as it is."""
    worker_for(APP, pool=pool, concurrency=4, env={"LARGE_VALUES": "0"})
    result = (tasks.pass_on.s(value=TEXT) | tasks.make.s("a") | tasks.pass_on.s()).delay()
    wait_on_async_results(result)

    assert list(stored()) == [result.parent.parent.id]
    assert read() == 0
    bag = result.get(timeout=15)
    assert (bag["value"], bag["big"]) == (TEXT, text("a"))


def test_a_message_for_later_has_its_values_inside(worker, stored):
    """By the time it is read, what is stored beside it could have expired."""
    result = tasks.look.apply_async((TEXT,), countdown=0.1)

    assert stored() == {}
    assert result.get(timeout=15)["seen"] == digest(TEXT)


def test_the_threshold_is_a_setting(worker, stored, limit):
    """In bytes, of what a value is as JSON."""
    limit(1000)
    result = tasks.pass_on.s(large="x" * 1001, small="x" * 1000).delay()

    assert [len(digests) for digests in stored().values()] == [1]
    assert result.get(timeout=15)["large"] == "x" * 1001


@pytest.fixture
def lose(client, stored):
    """Delete every large value while a task waits for the word that it is given then."""

    def lose(key):
        client.unlink(*(f"{PREFIX}{owner}" for owner in stored()))
        client.rpush(key, "go")

    return lose


def test_a_lost_value_fails_the_task_that_needs_it(worker, lose):
    """The task says which value is gone and why that may be."""
    result = (tasks.hold.s("go on") | tasks.look.s(value=TEXT)).delay()
    lose("go on")

    lost = rf"'value' \(\d+ bytes, came with task {result.parent.id}\).*result_expires"
    with pytest.raises(LostValueError, match=lost):
        result.get(timeout=15)
    with pytest.raises(ChainInterruptedException) as failed:
        wait_on_async_results_and_maybe_raise(result)
    assert isinstance(failed.value.__cause__, LostValueError)


def test_a_lost_value_is_missed_only_by_who_needs_it(worker, lose):
    """A task that does not take it runs, and what it returned can be asked for."""
    result = (tasks.hold.s("go on") | tasks.pass_on.s(value=TEXT)).delay()
    lose("go on")
    wait_on_async_results(result)

    assert (result.state, get_results(result, "passed")) == ("SUCCESS", (1,))
    with pytest.raises(LostValueError, match="'value'"):
        _ = result.result


def test_values_expire_after_the_results_that_refer_to_them(worker, client, stored):
    """A value has more time than a result, and gets more when it is passed on late."""
    result = (tasks.make.s("a") | tasks.pass_on.s()).delay()
    result.get(timeout=15)
    (owner,) = stored()

    assert client.ttl(f"celery-task-meta-{result.id}") <= 1000 < client.ttl(f"{PREFIX}{owner}") <= 1251


def test_a_value_that_is_passed_on_late_gets_more_time(worker, client, stored, monkeypatch):
    """The value of an old message lives as long as a result that was stored just now."""
    monkeypatch.setattr(tasks.app.backend, "expires", 100)
    result = tasks.pass_on.s(value=TEXT).delay()
    result.get(timeout=15)
    (owner,) = stored()

    assert owner == result.id
    assert client.ttl(f"{PREFIX}{owner}") > 1000


# ── forgotten ────────────────────────────────────────────────────────────────────────────


def test_values_are_forgotten_with_their_tasks(worker, stored):
    """Whoever forgets a chain forgets what it stored."""
    result = (tasks.pass_on.s(value=TEXT) | tasks.make.s("a")).delay()
    result.get(timeout=15)
    assert set(stored()) == {result.id, result.parent.id}

    forget_chain_results(result)
    assert stored() == {}


def test_values_that_something_kept_refers_to_stay(worker, stored):
    """A chain whose last member is kept can still be read as it was."""
    result = (tasks.make.s("a") | tasks.pass_on.s()).delay()
    result.get(timeout=15)
    forget_chain_results(result, do_not_forget_nodes=[result])

    assert list(stored()) == [result.parent.id]
    assert AsyncResult(result.id, app=tasks.app).result["big"] == text("a")


def test_a_parent_forgets_its_childrens_values(worker, stored):
    """What a forgotten child brought goes with it, while the parent runs on."""
    result = tasks.take_and_forget.s("a").delay()
    result.get(timeout=15)

    assert stored() == {}

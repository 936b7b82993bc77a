"""What the store answers to those who claim something: the first has it as long as it lives."""

import pytest

from firexkit import _wire
from firexkit._records import Claim, Claimant, Standing, records_of
from worker.apps.single_flight import app

RUN = "run"
FIRST, AGAIN, HELD, LOST, SETTLING, DONE = Standing

pytestmark = pytest.mark.usefixtures("server")
client = app.backend.client
runs = records_of(app.backend).runs


def claimant(task_id, **options):
    """A task in a process of its own, with a main process of its own."""
    leases = (f"lease-of-{task_id}", f"lease-of-{task_id}-main")
    results = app.backend.get_key_for_task(task_id).decode().removesuffix(task_id)
    return Claimant(task_id, leases, renewal=60_000, results=results, **{"is_tracked": False, **options})


def store(task_id, state):
    client.set(app.backend.get_key_for_task(task_id), f'{{"status": "{state}", "result": null}}')


def once(task_id, wanted="new", **options):
    return runs.claim_once("k", RUN, wanted, claimant(task_id, **options))


def call(task_id, useless="", **options):
    return runs.claim_call("call", RUN, useless, claimant(task_id, **options))


def nothing(_):
    """It lives."""


def loses_its_lease(task_id):
    client.delete(claimant(task_id).leases[0])


def succeeds(task_id):
    store(task_id, "SUCCESS")


def fails(task_id):
    store(task_id, "FAILURE")


def is_to_be_retried(task_id):
    store(task_id, "RETRY")
    client.hset(task_id, _wire.FIELD_POST_RUN, _wire.POST_RUN_MARK)


def has_begun(task_id):
    store(task_id, "STARTED")


# ── once ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("event", "standing"),
    [(nothing, HELD), (has_begun, HELD), (loses_its_lease, LOST), (succeeds, AGAIN), (fails, AGAIN)],
)
def test_a_key_is_its_owners_until_that_is_gone(event, standing):
    """Who comes second has the key if the body of the first has ended; with the id that the first has used."""
    assert once("a", "child") == Claim(FIRST, "child", "a")
    event("a")

    assert once("b") == Claim(standing, "child", "b" if standing is AGAIN else "a")


def test_a_dead_owner_has_lost_its_key_when_that_is_sure():
    """Leases that are over may be the store's own doing, so whoever asks has to know for how long."""
    once("a", "child")
    loses_its_lease("a")

    assert once("b") == Claim(LOST, "child", "a")
    assert once("b", is_sure=True) == Claim(AGAIN, "child", "b")


def test_a_main_process_vouches_for_its_own():
    """A key is its owner's as long as the owner's main process lives: that says when one of its processes dies."""
    once("a", "child")
    client.set(claimant("a").leases[1], 1)
    loses_its_lease("a")

    assert once("b", is_sure=True) == Claim(HELD, "child", "a")


def test_an_attempt_that_is_to_be_retried_has_nothing():
    """A body that ended without a final state has lost what it claimed."""
    once("a", "child")
    is_to_be_retried("a")

    assert once("b") == Claim(AGAIN, "child", "b")


@pytest.mark.parametrize(("is_tracked", "standing"), [(True, AGAIN), (False, HELD)])
def test_a_state_that_must_be_there_and_is_not_was_deleted(is_tracked, standing):
    """Of a task that has stored its beginning, nothing is stored only when somebody has forgotten it."""
    once("a", "child", is_tracked=is_tracked)

    assert once("b").standing is standing


def test_an_owner_that_asks_again_has_the_key():
    """It may have sent its task already, so it is told that it is not the first."""
    once("a", "child")

    assert once("a") == Claim(AGAIN, "child", "a")


@pytest.mark.parametrize(("releasing", "standing"), [("a", AGAIN), ("b", HELD)])
def test_only_its_owner_gives_a_key_back(releasing, standing):
    """Then the next one has it, and sends under the same id."""
    once("a", "child")
    runs.release_once("k", RUN, releasing)

    assert once("c") == Claim(standing, "child", "c" if standing is AGAIN else "a")


def test_a_published_key_tells_what_was_sent_by_whom():
    """All who come later are told so, whatever became of the owner."""
    once("a", "child")
    runs.publish_once("k", RUN, "child")
    loses_its_lease("a")

    assert once("b") == once("a") == Claim(DONE, "child", "a")


# ── cached calls ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("event", "standing"),
    [(nothing, HELD), (loses_its_lease, LOST), (succeeds, FIRST), (fails, FIRST), (is_to_be_retried, FIRST)],
)
def test_a_call_is_computed_by_one_that_lives(event, standing):
    """Who comes second computes if the first has ended without telling that it has computed."""
    assert call("a") == Claim(FIRST, "a", "a")
    event("a")
    expected = "b" if standing is FIRST else "a"

    assert call("b") == Claim(standing, expected, expected)


def test_a_call_of_the_dead_is_computed_by_whoever_is_sure():
    """As with a key."""
    call("a")
    loses_its_lease("a")

    assert call("b", is_sure=True) == Claim(FIRST, "b", "b")


@pytest.mark.parametrize(("is_tracked", "standing"), [(True, HELD), (False, SETTLING)])
def test_what_was_computed_may_still_be_stored(is_tracked, standing):
    """Between the value and the stored result others wait; where beginnings are not stored, not for long."""
    call("a", is_tracked=is_tracked)
    has_begun("a")
    runs.remember_cached("call", RUN, "a")

    assert call("b") == Claim(standing, "a", "a")


@pytest.mark.parametrize("end", [succeeds, fails, loses_its_lease])
def test_what_was_computed_is_the_answer(end):
    """When the one that has computed is over, its result is to be looked at, whatever that is."""
    call("a")
    runs.remember_cached("call", RUN, "a")
    end("a")

    assert call("b", is_sure=True) == Claim(DONE, "a", "a")


def test_of_those_who_find_a_source_useless_one_computes():
    """The others are told that somebody computes."""
    call("a")
    runs.remember_cached("call", RUN, "a")

    assert [call(name, useless="a").task_id for name in "bcd"] == ["b"] * 3


def test_a_source_that_runs_again_computes_again():
    """Its result was never stored, so its next body has nothing to be answered with."""
    call("a")
    runs.remember_cached("call", RUN, "a")

    assert call("a") == Claim(FIRST, "a", "a")


# ── all ──────────────────────────────────────────────────────────────────────────────────


def test_whatever_is_written_expires_or_is_forgotten():
    """Claims that nobody ever asks for again go by themselves; those of a forgotten task go with it."""
    for ask in (once, call):
        ask("a")
    runs.publish_once("k", RUN, "a")
    runs.remember_cached("call", RUN, "a")
    claims = [key for key in client.keys("*:k") + client.keys("*:claim") if b"UID" not in key]
    kept = [client.ttl(key) > 0 for key in claims]
    records_of(app.backend).tasks.forget(["a"])

    assert kept == [True, True]
    assert not client.exists(*claims)

"""What a result is called, where it was sent, whether it is ready, and which ones went wrong (spec result §3, §4)."""

import time

import pytest
from celery.states import FAILURE, PENDING, REVOKED, STARTED, SUCCESS

from firexkit.result import (
    create_unsuccessful_result,
    find_all_unsuccessful,
    find_unsuccessful_in_chain,
    get_result_logging_name,
    get_task_info_from_result,
    get_task_name_from_result,
    get_task_postrun_info,
    get_task_queue_from_result,
    get_tasks_names_from_results,
    is_result_ready,
    mark_queues_ready,
    was_queue_ready,
)
from unit.results_support import (
    MEMORY,
    FakeResult,
    ScriptedResult,
    as_current,
    hash_app,
    published,
    ran,
    scripted_chain,
    stored,
    stored_chain,
)


@pytest.fixture
def hashes():
    """The current app, with a backend that knows hashes."""
    with as_current(hash_app()) as app:
        yield app


def named(name):
    """A result whose task name was stored in the in-memory backend."""
    result = stored(PENDING)
    MEMORY.backend.set(result.id, name)
    return result


# ── names ────────────────────────────────────────────────────────────────────────────────
def test_unknown_task_has_an_empty_name():
    """A result nobody published is called ''."""
    assert get_task_name_from_result(stored(PENDING)) == ""


@pytest.mark.parametrize("kept", ["yes", b"yes"])
def test_name_is_read_from_a_backend_without_hashes(kept):
    """Where the client has no hashes, the name is the plain value under the bare id; bytes are decoded."""
    assert get_task_name_from_result(named(kept)) == "yes"


def test_name_is_read_from_a_plain_id():
    """An id is as good as a result: the current app's backend is asked."""
    result = named("yes")

    with as_current(MEMORY):
        assert get_task_name_from_result(result.id) == "yes"


def test_name_is_the_published_name(hashes):
    """Publishing a task records its full name."""
    assert get_task_name_from_result(published(hashes, "kitchen.cook")) == "kitchen.cook"


def test_name_follows_the_task_that_really_ran(hashes):
    """When a plugin took over, the worker's name replaces the published one."""
    result = published(hashes, "kitchen.cook")
    ran(hashes, result, "plugin.cook")

    assert get_task_name_from_result(result) == "plugin.cook"


@pytest.mark.parametrize(("key", "info"), [("name", "cook"), ("queue", "pots"), ("colour", "")])
def test_info_is_one_field_of_the_record(hashes, key, info):
    """With a key, the caller gets that field; a missing one is ''."""
    result = published(hashes, "cook", queue="pots")

    assert get_task_info_from_result(result, key) == info


def test_info_without_a_key_is_the_plain_value():
    """Without a key, the caller gets what stands under the bare id, or ''."""
    assert get_task_info_from_result(named("yes")) == "yes"
    assert get_task_info_from_result(stored(PENDING)) == ""


@pytest.mark.parametrize(("name", "logged"), [("yes", "yes[anything]"), ("", "[anything]")])
def test_logging_name_is_name_and_id(name, logged):
    """The logging name is NAME[ID]; an unknown name leaves [ID]."""
    MEMORY.backend.set("anything", name)
    result = stored(PENDING, id="anything")

    assert get_result_logging_name(result) == logged


def test_logging_name_with_a_given_name_looks_nothing_up():
    """A given name is used as it is, so even an object without a backend will do."""
    assert get_result_logging_name(FakeResult(id="anything"), name="given") == "given[anything]"


def test_logging_names_keep_the_order():
    """Several results give their logging names in order."""
    wash, dry = named("wash"), named("dry")

    assert list(get_tasks_names_from_results([wash, dry])) == [f"wash[{wash.id}]", f"dry[{dry.id}]"]


# ── queues ───────────────────────────────────────────────────────────────────────────────
def test_queue_is_the_published_queue(hashes):
    """The queue is the one the task was sent to."""
    assert get_task_queue_from_result(published(hashes, "cook", queue="pots")) == "pots"


def test_queue_of_an_unpublished_member_is_that_of_its_parent(hashes):
    """A later chain member is not published yet: the nearest parent with a queue tells."""
    first = published(hashes, "cook", queue="pots")
    last = stored(PENDING, parent=stored(PENDING, parent=first, app=hashes), app=hashes)

    assert get_task_queue_from_result(last) == "pots"


def test_queue_is_empty_where_nobody_knows_it(hashes):
    """Without a record anywhere up the chain the queue is ''."""
    assert get_task_queue_from_result(stored(PENDING, app=hashes)) == ""


def test_queue_is_empty_on_a_backend_without_hashes():
    """A backend that keeps no queues answers '' and raises nothing."""
    assert get_task_queue_from_result(stored(STARTED)) == ""


def test_announced_queue_was_ready(hashes):
    """A queue is ready once a worker announced it, and only then."""
    mark_queues_ready("pots", "pans")

    assert was_queue_ready("pots")
    assert was_queue_ready("pans")
    assert not was_queue_ready("lids")


def test_announcing_queues_without_sets_is_quiet():
    """A backend without sets forgets the announcement and complains about nothing."""
    with as_current(MEMORY):
        mark_queues_ready("pots")


# ── the end of the body ──────────────────────────────────────────────────────────────────
def test_body_that_ended_is_marked(hashes):
    """The mark is '' before the task's body ended and the text 'True' after."""
    result = published(hashes, "cook")
    before = get_task_postrun_info(result)
    ran(hashes, result, "cook")

    assert before == ""
    assert get_task_postrun_info(result) == "True"


def test_body_has_always_ended_without_hashes():
    """A backend that keeps no marks must not make anyone wait for one."""
    assert get_task_postrun_info(stored(STARTED))


# ── ready ────────────────────────────────────────────────────────────────────────────────
READY = [(SUCCESS, True), (FAILURE, True), (REVOKED, True), (STARTED, False), (PENDING, False)]


@pytest.mark.parametrize(("state", "ready"), READY)
@pytest.mark.parametrize("kind", [FakeResult, ScriptedResult, stored])
def test_ready_is_success_failure_or_revoked(kind, state, ready):
    """A result is ready in Celery's three final states."""
    assert is_result_ready(kind(state)) is ready


def raising(error, times=None):
    """A state that raises: always, or so many times before SUCCESS."""
    left = [error] * times if times is not None else None

    def state():
        if left is None or left:
            raise left.pop() if left else error
        return SUCCESS

    return state


@pytest.mark.parametrize("options", [{}, {"timeout": 5}, {"timeout": 5, "retry_delay": 0}, {"timeout": None}])
def test_other_errors_rise_at_once(options):
    """An error that is no time-out propagates, with a timeout or without."""
    result = ScriptedResult(raising(AssertionError("mine")))
    begin = time.monotonic()

    with pytest.raises(AssertionError, match="mine"):
        is_result_ready(result, **options)
    assert time.monotonic() - begin < 0.5


@pytest.mark.parametrize("retry_delay", [0, 0.01])
def test_broker_that_comes_back_is_asked_again(retry_delay):
    """A time-out of the broker is retried until it answers."""
    result = ScriptedResult(raising(TimeoutError("away"), times=3))

    assert is_result_ready(result, timeout=5, retry_delay=retry_delay) is True


@pytest.mark.parametrize("retry_delay", [0, 0.01])
def test_broker_that_stays_away_gives_its_error(retry_delay):
    """After `timeout` seconds, and not before, the time-out is raised."""
    result = ScriptedResult(raising(TimeoutError("away")))
    begin = time.monotonic()

    with pytest.raises(TimeoutError, match="away"):
        is_result_ready(result, timeout=0.1, retry_delay=retry_delay)
    assert time.monotonic() - begin >= 0.1


# ── which ones went wrong ────────────────────────────────────────────────────────────────
def family():
    """A tree: a good head with a failed child, a running child, and a failed grandchild below the running one."""
    grandchild, failed = ScriptedResult(FAILURE), ScriptedResult(FAILURE)
    running = ScriptedResult(STARTED, children=[grandchild])
    return ScriptedResult(children=[failed, running]), failed, running, grandchild


def test_unsuccessful_are_the_failed_and_the_unfinished():
    """The whole tree below a result is searched; the dict tells ids and logging names."""
    head, *wrong = family()

    assert find_all_unsuccessful(head) == {result.id: f"[{result.id}]" for result in wrong}


def test_unfinished_can_be_ignored():
    """With `ignore_non_ready` only finished failures are told."""
    head, failed, _running, grandchild = family()

    assert set(find_all_unsuccessful(head, ignore_non_ready=True)) == {failed.id, grandchild.id}


def test_successful_tree_has_no_unsuccessful():
    """Nothing went wrong: the dict is empty."""
    assert find_all_unsuccessful(ScriptedResult(children=[ScriptedResult()])) == {}


def test_depth_changes_no_answer():
    """`depth` only indents debug lines."""
    result = ScriptedResult(FAILURE)

    assert find_all_unsuccessful(result, depth=3) == find_all_unsuccessful(result)


def test_unsuccessful_real_results_are_found():
    """Children that Celery recorded in its backend are searched too, and told by name."""
    child = stored(FAILURE, ValueError("no"))
    MEMORY.backend.set(child.id, "wash")

    assert find_all_unsuccessful(stored(children=[child])) == {child.id: f"wash[{child.id}]"}


IN_CHAIN = [
    ((SUCCESS, SUCCESS, SUCCESS), {}),
    ((SUCCESS, FAILURE, PENDING), {"failed": [1], "not_run": [2]}),
    ((FAILURE, PENDING, PENDING), {"failed": [0], "not_run": [1, 2]}),
    ((SUCCESS, STARTED, PENDING), {"not_run": [1, 2]}),
    ((SUCCESS, SUCCESS, FAILURE), {"failed": [2]}),
]


@pytest.mark.parametrize(("states", "expected"), IN_CHAIN)
@pytest.mark.parametrize("chain_of", [scripted_chain, stored_chain])
def test_unsuccessful_members_of_a_chain(chain_of, states, expected):
    """Failed and never-run members stand in chain order, and a key without members is absent."""
    chain = chain_of(*states)

    found = find_unsuccessful_in_chain(chain[-1])

    assert found == {key: [chain[position] for position in positions] for key, positions in expected.items()}


def test_unsuccessful_in_chain_looks_up_from_the_given_member():
    """Members after the given one do not matter."""
    chain = scripted_chain(SUCCESS, FAILURE)

    assert find_unsuccessful_in_chain(chain[0]) == {}


@pytest.mark.parametrize(
    ("failures", "did_not_run", "unsuccessful"),
    [
        ([], [], {}),
        (["a"], [], {"failed": ["a"]}),
        ([], ["b"], {"not_run": ["b"]}),
        (["a"], ["b"], {"failed": ["a"], "not_run": ["b"]}),
    ],
)
def test_unsuccessful_has_only_keys_with_members(failures, did_not_run, unsuccessful):
    """An empty list leaves no key."""
    assert create_unsuccessful_result(failures, did_not_run) == unsuccessful

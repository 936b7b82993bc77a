"""The list of revoked requests, and revoking a chain from its end (spec result §11)."""

from datetime import UTC, datetime, timedelta

import pytest

from firexkit.revoke import RevokedRequests, get_chain_head, revoke_nodes_up_to_parent
from unit.results_support import ScriptedResult, as_current, memory_app, revoked_list, scripted_chain


@pytest.fixture
def app():
    """The current app; its workers tell what `app.control.revoked_by_worker` says."""
    with as_current(memory_app()) as app:
        app.conf.mc = "host"
        yield app


def ago(seconds):
    """A moment so long ago, as the singleton keeps it: naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=seconds)


# ── the singleton ────────────────────────────────────────────────────────────────────────
def test_object_that_only_has_is_revoked_can_be_installed():
    """Users' tests install a fake; it is what everyone asks from then on."""
    with revoked_list("id1") as fake:
        assert RevokedRequests.instance() is fake


def test_instance_is_always_the_same():
    """The singleton is created once."""
    assert RevokedRequests.instance() is RevokedRequests.instance()


def test_new_list_knows_nobody():
    """By default nothing was revoked in the first minute."""
    revoked = RevokedRequests()

    assert revoked.timer_expiry == timedelta(seconds=60)
    assert revoked.revoked_list == []
    assert ago(5) < revoked.last_updated <= ago(0)


def test_first_question_can_update():
    """Without skipping the first cycle, nothing was ever updated."""
    assert RevokedRequests(skip_first_cycle=False).last_updated is None


# ── asking the workers ───────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("answer", "ids"),
    [
        (None, []),
        ({}, []),
        ({"mc@host": ["id1", "id2"]}, ["id1", "id2"]),
        ({"mc@host": ["id1"], "other@host": ["id2"]}, ["id1", "id2"]),
    ],
)
def test_list_is_what_the_workers_tell(app, answer, ids):
    """The lists of all answers are joined; no answer is an empty list."""
    app.control.revoked_by_worker = answer

    assert RevokedRequests.get_revoked_list_from_app() == ids


def test_only_the_main_worker_is_asked(app):
    """One worker keeps the list for all, so only that one is asked."""
    RevokedRequests.get_revoked_list_from_app()

    assert [list(asked["destination"]) for asked in app.control.inspected] == [["mc@host"]]


def test_update_replaces_the_list(app):
    """An update brings the new list and the time of the update."""
    revoked = RevokedRequests(skip_first_cycle=False)
    revoked.revoked_list = ["stale"]
    app.control.revoked_by_worker = {"mc@host": ["id1"]}

    revoked.update(verbose=True)

    assert revoked.revoked_list == ["id1"]
    assert ago(5) < revoked.last_updated <= ago(0)


# ── is it revoked? ───────────────────────────────────────────────────────────────────────
def test_listed_id_is_revoked(app):
    """An id or a result whose id is in the list is revoked, and nobody is asked."""
    revoked = RevokedRequests()
    revoked.revoked_list = ["id1"]

    assert revoked.is_revoked("id1") is True
    assert revoked.is_revoked(ScriptedResult(id="id1")) is True
    assert app.control.inspected == []


def test_fresh_list_is_believed(app):
    """Shortly after an update an unknown id is not revoked, and nobody is asked."""
    app.control.revoked_by_worker = {"mc@host": ["id1"]}

    assert RevokedRequests().is_revoked("id1") is False
    assert app.control.inspected == []


@pytest.mark.parametrize(("id", "is_revoked"), [("id1", True), ("id2", False)])
def test_first_question_updates_a_list_that_never_was(app, id, is_revoked):
    """Without a first update the workers are asked before the answer."""
    app.control.revoked_by_worker = {"mc@host": ["id1"]}

    assert RevokedRequests(skip_first_cycle=False).is_revoked(id) is is_revoked


def test_old_list_is_updated(app):
    """After the expiry an unknown id makes the workers be asked again."""
    revoked = RevokedRequests(timer_expiry_secs=60)
    revoked.last_updated = ago(61)
    app.control.revoked_by_worker = {"mc@host": ["id1"]}

    assert revoked.is_revoked("id1") is True


def test_caller_may_shorten_the_expiry(app):
    """The expiry of one question is that question's."""
    revoked = RevokedRequests(timer_expiry_secs=60)
    revoked.last_updated = ago(10)
    app.control.revoked_by_worker = {"mc@host": ["id1"]}

    assert revoked.is_revoked("id1") is False
    assert revoked.is_revoked("id1", timer_expiry_secs=5) is True


# ── chains ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("parent", "child", "head"), [(0, 3, 1), (2, 3, 3), (3, 3, 3), (0, 1, 1)])
def test_chain_head_stands_just_below_the_parent(parent, child, head):
    """Climbing from the child ends below the parent; the parent itself gives itself."""
    chain = scripted_chain(*["STARTED"] * 4)

    assert get_chain_head(chain[parent], chain[child]) is chain[head]


def test_chain_head_of_a_stranger_is_the_top():
    """Climbing for a parent that is not above ends at the top."""
    top, _middle, last = scripted_chain(*["STARTED"] * 3)

    assert get_chain_head(ScriptedResult(), last) is top


def test_chain_head_without_one_of_the_two():
    """Without a parent or without a child there is nothing to climb: the child comes back."""
    _first, last = scripted_chain("STARTED", "STARTED")

    assert get_chain_head(None, last) is last
    assert get_chain_head(last, None) is None


def test_chain_is_revoked_up_to_its_parent():
    """Each node from the given one upward is revoked with `terminate`, last first, the parent is not."""
    app = memory_app()
    parent = ScriptedResult(app=app)
    middle = ScriptedResult("STARTED", app=app, parent=parent)
    last = ScriptedResult("PENDING", app=app, parent=middle)

    revoke_nodes_up_to_parent(last, parent)

    assert app.control.calls == [(last.id, True), (middle.id, True)]


def test_parent_itself_is_not_revoked():
    """Starting at the parent there is nothing to revoke."""
    app = memory_app()
    node = ScriptedResult(app=app)

    revoke_nodes_up_to_parent(node, node)

    assert app.control.calls == []

"""Remembering every result object, and switching results off before the broker goes away (spec result §10)."""

import gc

import pytest
from celery.result import AsyncResult
from celery.states import PENDING

from firexkit.result import (
    disable_all_async_results,
    disable_async_result,
    is_async_result_monkey_patched_to_track,
    monkey_patch_async_result_to_track_instances,
    teardown_monkey_patch_async_result_to_track_instances,
)
from unit.results_support import ScriptedResult, stored


@pytest.fixture
def tracking():
    """Results are tracked during the test, and no longer afterwards."""
    monkey_patch_async_result_to_track_instances()
    yield
    teardown_monkey_patch_async_result_to_track_instances()


@pytest.fixture(autouse=True)
def untouched_class():
    """After every test Celery's class is what it was."""
    before = dict(vars(AsyncResult))
    yield
    assert dict(vars(AsyncResult)) == before


# ── tracking ─────────────────────────────────────────────────────────────────────────────
def test_results_are_not_tracked_at_first():
    """Nothing is patched until somebody asks for it."""
    assert not is_async_result_monkey_patched_to_track()
    assert not hasattr(AsyncResult, "get_ar_instances")


def test_tracked_instances_come_in_creation_order(tracking):
    """Every new result is remembered, those of subclasses too."""
    created = [stored(), ScriptedResult(), stored()]

    assert is_async_result_monkey_patched_to_track()
    assert [id(result) for result in AsyncResult.get_ar_instances()] == [id(result) for result in created]


def test_two_results_of_one_id_are_both_tracked(tracking):
    """Results are equal by id; instances are remembered one by one."""
    created = [stored(id="same"), stored(id="same")]

    assert len(list(AsyncResult.get_ar_instances())) == len(created)


def test_collected_instances_are_forgotten(tracking):
    """Tracking keeps no result alive."""
    kept, dropped = stored(), stored()
    del dropped
    gc.collect()

    assert [result.id for result in AsyncResult.get_ar_instances()] == [kept.id]


def test_tracked_result_works_as_before(tracking):
    """A result created while patched has its id, value and equality."""
    result = stored(value={"a": 1})

    assert result.result == {"a": 1}
    assert result == result.id


def test_patching_twice_is_an_error(tracking):
    """A second patch would lose the first one's instances."""
    with pytest.raises(AssertionError):
        monkey_patch_async_result_to_track_instances()


def test_failed_second_patch_changes_nothing(tracking):
    """After the error the first patch still works and can be undone."""
    with pytest.raises(AssertionError):
        monkey_patch_async_result_to_track_instances()
    created = stored()

    assert [result.id for result in AsyncResult.get_ar_instances()] == [created.id]


def test_teardown_undoes_the_patch():
    """After the teardown nobody is tracked, and patching works again."""
    for _ in range(2):
        monkey_patch_async_result_to_track_instances()
        teardown_monkey_patch_async_result_to_track_instances()

    assert not is_async_result_monkey_patched_to_track()


def test_teardown_without_patch_is_safe():
    """There is nothing to undo: nothing happens."""
    teardown_monkey_patch_async_result_to_track_instances()

    assert not is_async_result_monkey_patched_to_track()


# ── switching off ────────────────────────────────────────────────────────────────────────
def test_disabled_result_has_no_backend():
    """A result without a backend touches none when it is collected."""
    result = stored()

    disable_async_result(result)

    assert result.backend is None


def test_cached_children_are_disabled_too():
    """Children that the result already knows are switched off, down to the last."""
    grandchild = stored()
    head = stored(children=[stored(children=[grandchild])])
    [child] = head.children
    [cached_grandchild] = child.children

    disable_async_result(head)

    assert [head.backend, child.backend, cached_grandchild.backend] == [None, None, None]


def test_backend_is_gone_before_children_are_looked_for():
    """Looking for children must not ask the broker: the backend goes first."""
    seen = []

    class Curious(ScriptedResult):
        @property
        def children(self):
            seen.append(self.backend)
            return []

    disable_async_result(Curious())

    assert set(seen) <= {None}


def test_unread_result_is_disabled_quietly():
    """A result whose children cannot be read is switched off all the same."""
    result = stored(PENDING)

    disable_async_result(result)

    assert result.backend is None


def test_all_tracked_results_are_disabled(tracking):
    """Every live result loses its backend."""
    results = [stored(), stored(PENDING)]

    disable_all_async_results()

    assert [result.backend for result in results] == [None, None]


def test_disabling_all_without_tracking_does_nothing():
    """Who tracks nothing knows no results to switch off."""
    result = stored()

    disable_all_async_results()

    assert result.backend is not None

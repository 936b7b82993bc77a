"""What becomes of a task whose process dies: who says so."""

import pytest

from firexkit import _wire
from firexkit.app import FireX
from firexkit.task.beginning import check_settings, mode_of


def task_of(app_says=None, **options):
    app = FireX("modes", set_as_current=False)
    app.conf[_wire.ON_LOST_SETTING] = app_says

    @app.task(shared=False, **options)
    def one():
        """Nothing."""

    return app.tasks[one.name]


@pytest.mark.parametrize(
    ("app_says", "options", "mode"),
    [
        (None, {}, "fail"),
        ("retry", {}, "retry"),
        ("retry", {"on_lost": "fail"}, "fail"),
        ("fail", {"on_lost": "retry"}, "retry"),
        (None, {"reject_on_worker_lost": True}, "retry"),
        ("fail", {"reject_on_worker_lost": True}, "fail"),
    ],
)
def test_the_task_has_the_last_word(app_says, options, mode):
    assert mode_of(task_of(app_says, **options)) == mode


def test_a_task_is_not_defined_with_another_word():
    with pytest.raises(ValueError, match=r"one: on_lost is 'again'; give 'fail' or 'retry'"):
        task_of(on_lost="again")


@pytest.mark.parametrize(
    ("setting", "value"),
    [(_wire.ON_LOST_SETTING, "again"), (_wire.LEASE_SETTING, 0), (_wire.PATIENCE_SETTING, "long")],
)
def test_a_setting_that_makes_no_sense_is_told_by_its_name(setting, value):
    app = FireX("modes", set_as_current=False)
    app.conf[setting] = value

    with pytest.raises(ValueError, match=setting):
        check_settings(app.conf)

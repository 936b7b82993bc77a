"""One test for each row of the quirk register that concerns a task, named after the row (section 12)."""

import json
import logging
import sys
import threading
import types

import pytest
from celery.exceptions import Ignore, Reject, Retry
from celery.result import AsyncResult
from kombu.utils.uuid import uuid

from firexkit.chain import InvalidChainArgsException
from firexkit.result import ChainRevokedException, MultipleFailuresException
from firexkit.task import FireXTask, TaskEnqueueSpec, convert_to_serializable, flame, is_jsonable
from unit.task_support import (
    RK,
    eager_app,
    events_of,
    hearing_class,
    inside,
    make_app,
    next_message,
    request_of,
    worker_log,
)

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def app():
    return eager_app()


@pytest.fixture
def one(app):
    return app.task(lambda x: x + 1, shared=False, name="m.one", returns="y")


# ── once (1, 2) ──────────────────────────────────────────────────────────────────────────


def test_fix_01_a_second_caller_gets_the_first_ones_child():
    """The other caller's result is the owner's, and the page draws the extra edge."""
    hearing, heard = hearing_class()
    app = eager_app(hearing)
    child = app.task(lambda: None, shared=False, name="m.once_child")

    def body(task):
        owned, other = (task.enqueue_child_once(child.s(), enqueue_once_key="k", block=True) for _ in range(2))
        return owned.id, other.id, [tracked.id for tracked in task.enqueued_children]

    owned, other, tracked = inside(app, body)

    assert owned == other
    assert tracked == [owned]
    assert events_of(heard, "task-send-flame") == [{"additional_children": [owned]}]


def test_fix_02_an_owner_that_fails_gives_the_key_back(app, one):
    """After a failed attempt to send, the next caller owns the key at once."""

    def body(task):
        with pytest.raises(InvalidChainArgsException):
            task.enqueue_child_once(one.s(), enqueue_once_key="k")
        return task.enqueue_child_once(one.s(1), enqueue_once_key="k", block=True).get()["y"]

    assert inside(app, body) == 2


def test_fix_02_the_raise_flag_is_checked_for_every_caller(app, one):
    """The flag without a wait is an error for the second caller too."""

    def body(task):
        task.enqueue_child_once(one.s(1), enqueue_once_key="k")
        task.enqueue_child_once(one.s(1), enqueue_once_key="k", raise_exception_on_failure=False)

    with pytest.raises(ValueError, match="raise_exception_on_failure"):
        inside(app, body)


# ── options (3) ──────────────────────────────────────────────────────────────────────────


def test_fix_03_enqueue_takes_limits_and_priority_zero():
    """A soft time limit and the priority 0 are in the message."""
    app = make_app()
    app.task(lambda: None, shared=False, name="m.limited").s().enqueue(soft_time_limit=5, priority=0)
    message = next_message(app)

    assert list(message.headers["timelimit"]) == [None, 5]
    assert message.properties["priority"] == 0


# ── arguments (9) ────────────────────────────────────────────────────────────────────────


def test_fix_09_an_unused_named_rest_is_nowhere():
    """A **kw that got nothing is no default, neither in views nor in events nor in injected arguments."""
    hearing, heard = hearing_class()
    app = eager_app(hearing)
    seen = []
    task = app.task(lambda self, x, **kw: seen.append(self.abog), shared=False, name="m.unused", bind=True)
    task.apply((1,), throw=True)
    (started,) = events_of(heard, "task-started-info")

    assert seen == [{"x": 1}]
    assert (started["firex_bound_args"], started["firex_default_bound_args"]) == ({"x": 1}, {})
    assert task.map_args(1) == {"x": 1}


# ── cache (17, 18) ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stored", [None, (ValueError("x"), "FAILURE"), (7, "SUCCESS"), (None, "SUCCESS")])
def test_fix_17_an_entry_without_a_result_is_a_miss(stored):
    """When the source's result is gone, failed or no dict, the task runs again."""
    ran = []
    app = make_app()
    task = app.task(lambda: ran.append(1), shared=False, name="m.cached", use_cache=True, returns="y")
    root = uuid()
    for _ in range(2):
        with request_of(task, root_id=root) as request:
            task()
            if stored:
                app.backend.store_result(request.id, *stored)

    assert ran == [1, 1]


def test_fix_18_a_direct_call_passes_the_cache_by():
    """A cached task called as a function runs each time."""
    ran = []
    task = make_app().task(lambda: ran.append(1), shared=False, name="m.cached_direct", use_cache=True, returns="y")

    assert [task(), task()] == [{"y": None, RK: ("y",)}] * 2
    assert ran == [1, 1]


def test_fix_18_a_direct_call_takes_nothing_from_the_cache(app):
    """A direct call runs even where a worker's result of the same call is cached."""
    ran = []
    task = app.task(lambda: ran.append(1), shared=False, name="m.cached_before", use_cache=True, returns="y")
    for _ in range(2):
        with request_of(task) as request:
            app.backend.store_result(request.id, task(), "SUCCESS")
    task()

    assert ran == [1, 1]


# ── log files (19, 20) ───────────────────────────────────────────────────────────────────


def test_fix_19_a_task_runs_without_a_log_file(one):
    """Eager mode works with no watched file handler anywhere."""
    assert one.apply((1,), throw=True).get() == {"x": 1, "y": 2, RK: ("y",)}


def handlers_now():
    return [
        handler for logger in (logging.getLogger(), logging.getLogger("celery.task")) for handler in logger.handlers
    ]


def test_fix_20_log_handlers_are_closed(tmp_path):
    """When the run is over its handlers are off the loggers and their files are closed, after a failure too."""
    handlers = []

    def body():
        handlers.extend(handlers_now())
        return 1 // 0

    with worker_log(tmp_path / "w.html"):
        before, task = handlers_now(), make_app().task(body, shared=False, name="m.closing")
        with request_of(task), pytest.raises(ZeroDivisionError):
            task()
        after = handlers_now()

    assert [[handler.stream for handler in handlers if handler not in before], after] == [[None, None], before]


# ── one object for all (21) ──────────────────────────────────────────────────────────────


def test_fix_21_a_task_that_calls_itself_keeps_its_context():
    """After the inner call the outer one still has its own bag (threads: see test_task_threads)."""
    task = make_app().task(
        lambda self, n: (self(n - 1) if n else None, self.bag["n"])[1],
        shared=False,
        name="m.again",
        bind=True,
        returns="y",
    )

    assert task(3)["y"] == 3


# ── control flow (22) ────────────────────────────────────────────────────────────────────


def reporting(failures):
    """A task class whose failure hook appends to the list."""

    class Reporting(FireXTask):
        def handle_exception(self, e, logging_extra=None, raise_exception=True):
            failures.append(e)
            return super().handle_exception(e, logging_extra, raise_exception)

    return Reporting


@pytest.mark.parametrize("signal", [Retry("again"), Ignore(), Reject("no", requeue=False)])
def test_row_22_control_flow_is_no_failure(signal, caplog):
    """Retry, Ignore and Reject pass without an error in the log and without the failure hook."""
    failures = []

    def body():
        raise signal

    task = make_app(reporting(failures)).task(body, shared=False, name="m.signalling")
    with caplog.at_level(logging.DEBUG), request_of(task), pytest.raises(type(signal)):
        task()

    assert failures == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


# ── retry (23, 35) ───────────────────────────────────────────────────────────────────────


def test_fix_23_a_retry_that_does_not_throw_is_returned():
    """With throw=False the body gets the retry."""
    found = []
    app = make_app()
    task = app.task(
        lambda self: found.append(self.retry(throw=False, countdown=0)), shared=False, name="m.soft", bind=True
    )
    with request_of(task, args=[], kwargs={}):
        task()

    assert [type(answer) for answer in found] == [Retry]


@pytest.mark.parametrize(("parent", "told"), [("i-root", None), ("i-parent", "i-parent"), (None, None)])
def test_row_35_a_retried_root_is_not_its_own_parent(parent, told):
    """Celery gives a retried root task its own id as parent; the event has none."""
    hearing, heard = hearing_class()
    task = make_app(hearing).task(lambda: None, shared=False, name="m.root")
    with request_of(task, id="i-root", parent_id=parent, retries=1):
        task()

    assert events_of(heard, "task-started-info")[0]["task_parent_id"] == told


# ── values for events (24, 25) ───────────────────────────────────────────────────────────


def circular(kind):
    value = kind()
    value.update(me=value) if kind is dict else value.append(value)
    return value


@pytest.mark.parametrize("value", [{(1, 2): "v"}, {None: 1, (1,): {(2,): 3}}, [b"x", {"k": b"\xff"}], {1.5: {b"k": 1}}])
def test_fix_24_odd_keys_and_bytes_are_made_text(value):
    """Keys that JSON has no room for become text, bytes become text and no list of numbers."""
    converted = json.loads(json.dumps(convert_to_serializable(value)))

    assert type(converted) is type(value)
    assert not any(isinstance(item, list) for item in (converted if isinstance(converted, list) else ()))


@pytest.mark.parametrize("kind", [dict, list])
def test_fix_24_circular_values_come_to_an_end(kind):
    """A value that contains itself is not JSON, and is converted all the same."""
    value = circular(kind)

    assert is_jsonable(value) is False
    assert json.dumps(convert_to_serializable(value))


def test_fix_24_a_class_is_not_asked_to_serialize_itself():
    """The method that converts an object is not called on its class."""

    class Own:
        def firex_serializable(self):
            return 1

    assert convert_to_serializable(Own) == repr(Own)


@pytest.mark.parametrize("value", [{(1, 2): "v"}, {"k": b"x"}, circular(dict), {"lock": threading.Lock()}])
def test_fix_24_no_argument_breaks_the_events(value):
    """Whatever the argument, the task runs and its events are JSON."""
    hearing, heard = hearing_class()
    make_app(hearing).task(lambda x: x, shared=False, name="m.odd_argument", returns="y").apply((value,), throw=True)

    assert [name for name, _ in heard] == ["task-started-info", "task-results"]
    assert json.dumps(heard)


def test_fix_25_a_formatter_may_return_anything():
    """What a formatter returns is made fit for the event."""
    hearing, heard = hearing_class()
    odd = threading.Lock()
    decorated = flame("x", formatter=lambda value: {"o": odd})(lambda x: None)
    task = make_app(hearing).task(decorated, shared=False, name="m.odd_flame")
    with request_of(task):
        task(1)

    assert events_of(heard, "task-send-flame")[0]["flame_data"]["x"]["value"] == {"o": repr(odd)}


@pytest.mark.parametrize("option", [("x",), {"x"}])
def test_fix_25_the_flame_option_takes_tuples_and_sets(option):
    """They are lists of names too."""
    hearing, heard = hearing_class()
    task = make_app(hearing).task(lambda x: None, shared=False, name="m.tuple_flame", flame=option)
    with request_of(task):
        task("v")

    assert events_of(heard, "task-send-flame")[0]["flame_data"]["x"]["value"] == "v"


# ── waits (27, 28) ───────────────────────────────────────────────────────────────────────


def test_keep_27_an_unwaited_childs_failure_is_not_the_parents(app):
    """The implicit wait at the end of a task swallows its children's failures."""
    bad = app.task(lambda: 1 // 0, shared=False, name="m.bad_child")
    parent = app.task(lambda self: self.enqueue_child(bad.s()).id, shared=False, name="m.p", bind=True, returns="y")
    result = parent.apply()

    assert result.state == "SUCCESS"
    assert app.AsyncResult(result.result["y"]).state == "FAILURE"


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("others", [[], ["FAILURE"], ["SUCCESS"]])
def test_keep_28_a_revocation_always_raises(app, number, others):
    """Revoked children raise whatever the flag says: one, several, or among others."""
    results = []
    for state in ["REVOKED"] * number + others:
        results.append(AsyncResult(uuid(), app=app))
        app.backend.store_result(results[-1].id, ValueError("x") if state != "SUCCESS" else {}, state)

    def body(task):
        task.wait_for_specific_children(results, raise_exception_on_failure=False)

    with pytest.raises((ChainRevokedException, MultipleFailuresException)):
        inside(app, body)


# ── the rest (33, 36, 38) ────────────────────────────────────────────────────────────────


def test_fix_33_a_child_from_a_spec_is_returned(app, one):
    """The caller gets the result of what it enqueued."""
    result = inside(app, lambda task: task.enqueue_child_from_spec(TaskEnqueueSpec(one.s(1))))

    assert result.get()["y"] == 2


def test_row_36_the_first_of_several_failures_is_told_as_the_cause():
    """Several failed children are told by the first one's id."""
    hearing, heard = hearing_class()

    def body():
        raise MultipleFailuresException(("child-1", "child-2"))

    task = make_app(hearing).task(body, shared=False, name="m.several")
    with request_of(task), pytest.raises(MultipleFailuresException):
        task()

    assert events_of(heard, "task-exception-cause") == [{"exception_cause_uuid": "child-1"}]


@pytest.mark.parametrize("known", [True, False])
def test_fix_38_a_task_typed_at_a_prompt_has_no_file(known, monkeypatch):
    """A module without a file, or one that is nowhere, gives None."""
    if known:
        monkeypatch.setitem(sys.modules, "typed_in", types.ModuleType("typed_in"))
    namespace = {"__name__": "typed_in"}
    exec("def service(x): return x", namespace)
    task = make_app().task(namespace["service"], shared=False, name="typed_in.service", returns="y")

    assert task.code_filepath is None
    assert task(1)["y"] == 1

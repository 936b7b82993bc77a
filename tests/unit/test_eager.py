"""Eager mode: chains and children of FireX tasks run end to end in one process, without a log file (5.11-5.14)."""

import pytest
from celery import Task
from kombu.utils.uuid import uuid

from firexkit.chain import InjectArgs, InvalidChainArgsException, returns
from firexkit.result import ChainInterruptedException, MultipleFailuresException, WaitLoopCallBack
from firexkit.task import FireXTask, TaskEnqueueSpec, UidNotInjectedInAbog, get_current_reports_uids
from unit.task_support import RK, eager_app, events_of, hearing_class, inside

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def app():
    return eager_app()


@pytest.fixture
def tasks(app):
    """Small tasks, by name."""
    return {
        "one": app.task(lambda x, d="D": x + 1, shared=False, name="m.one", returns="y"),
        "two": app.task(lambda y, w="@y": (y * 10, w), shared=False, name="m.two", returns=("z", "w2")),
        "bad": app.task(lambda **kw: 1 // 0, shared=False, name="m.bad"),
    }


# ── chains ───────────────────────────────────────────────────────────────────────────────


def test_a_chain_runs_end_to_end(tasks):
    """References, injected arguments and results flow through a chain without any log file."""
    chain = InjectArgs(uid="U", x=1) | tasks["one"].s() | tasks["two"].s()

    assert chain.apply_async().get() == {
        "uid": "U",
        "x": 1,
        "chain_depth": 1,
        "y": 2,
        "z": 20,
        "w": 2,
        "w2": 2,
        RK: ("z", "w2"),
    }


def test_a_chain_can_be_run_twice(tasks):
    """The second run of the same chain object gives the same."""
    chain = tasks["one"].s(1) | tasks["two"].s()
    first, second = chain.apply_async().get(), chain.apply_async().get()

    assert first == second


def test_an_explicit_reference_is_resolved(tasks):
    """A reference in the second task asks for what the first returned."""
    chain = tasks["one"].s(1) | tasks["one"].s(x="@y")

    assert chain.apply_async().get()["y"] == 3


def test_a_chain_may_mix_plain_celery_tasks_in(app, tasks):
    """A plain function with named returns gives its results to the next task."""
    plain = app.task(returns("y")(lambda: 4), shared=False, name="m.plain", base=Task)

    assert (plain.s() | tasks["two"].s()).apply_async().get()["z"] == 40


def test_a_lone_task_gets_its_request(app):
    """In eager mode the body sees the request that it was called with."""

    @app.task(bind=True, shared=False, name="m.requested", returns=["id", "direct"])
    def task(self):
        return self.request.id, self.request.called_directly

    answer = task.apply(task_id="i-1", throw=True).get()

    assert (answer["id"], answer["direct"]) == ("i-1", False)


def test_a_signature_enqueues_itself(tasks):
    """A chain can be verified, sent and waited for in one call."""
    result = (tasks["one"].s(1) | tasks["two"].s()).enqueue(block=True)

    assert result.get()["z"] == 20


def test_enqueuing_leaves_the_callers_signature_alone(tasks):
    """Options given to enqueue are those of this sending, not of the signature."""
    chain = tasks["one"].s(1) | tasks["two"].s()
    chain.enqueue(queue="fast", priority=0, soft_time_limit=9)

    assert [dict(member.options) for member in chain.tasks] == [{}, {}]


# ── children ─────────────────────────────────────────────────────────────────────────────


def test_a_child_is_sent_and_tracked(app, tasks):
    """The parent gets the child's result and remembers it."""

    def body(task):
        child = task.enqueue_child(tasks["one"].s(1))
        return child.get()["y"], [found.id for found in task.enqueued_children] == [child.id]

    assert inside(app, body) == (2, True)


def test_a_child_need_not_be_tracked(app, tasks):
    """A child that the parent wants to forget about is not remembered."""

    def body(task):
        task.enqueue_child(tasks["one"].s(1), add_to_enqueued_children=False)
        return task.enqueued_children

    assert inside(app, body) == []


def test_a_child_that_was_waited_for_is_not_pending(app, tasks):
    """After a blocking call nothing is left to wait for."""

    def body(task):
        task.enqueue_child(tasks["one"].s(1))
        waited = task.enqueue_child(tasks["one"].s(2), block=True)
        return [child.id == waited.id for child in task.pending_enqueued_children]

    assert inside(app, body) == [False]


@pytest.mark.parametrize("flag", [True, False])
def test_the_raise_flag_needs_a_wait(app, tasks, flag):
    """Whether a failure rises can only be said of a blocking call."""
    with pytest.raises(ValueError, match="raise_exception_on_failure"):
        inside(app, lambda task: task.enqueue_child(tasks["one"].s(1), raise_exception_on_failure=flag))


def test_injected_arguments_alone_are_no_child(app):
    """There is nothing to run."""
    assert inside(app, lambda task: (task.enqueue_child(InjectArgs(x=1)), task.enqueued_children)) == (None, [])


def test_a_child_with_missing_arguments_is_not_sent(app, tasks):
    """The chain is verified before anything is sent."""

    def body(task):
        with pytest.raises(InvalidChainArgsException):
            task.enqueue_child(tasks["one"].s(1) | tasks["two"].s(w="@none"))
        with pytest.raises(InvalidChainArgsException):
            task.enqueue_child(tasks["one"].s())
        return task.enqueued_children

    assert inside(app, body) == []


def test_the_epilogue_is_given_the_result_before_it_is_tracked(app, tasks):
    """What a caller does with the result comes first."""

    def body(task):
        known = []
        child = task.enqueue_child(
            tasks["one"].s(1), apply_async_epilogue=lambda result: known.append((result.id, task.enqueued_children))
        )
        return known == [(child.id, [])]

    assert inside(app, body) is True


def test_options_reach_the_sending(app, tasks):
    """The options are those of apply_async."""
    task_id = uuid()
    child = inside(app, lambda task: task.enqueue_child(tasks["one"].s(1), apply_async_options={"task_id": task_id}))

    assert child.id == task_id


def test_the_uid_can_be_injected(app):
    """The child gets the parent's uid, and a parent without one says so."""
    echo = app.task(lambda uid: uid, shared=False, name="m.echo", returns="y")

    def body(task):
        return task.enqueue_child(echo.s(), inject_uid=True).get()["y"]

    assert inside(app, body, uid="U") == "U"
    with pytest.raises(UidNotInjectedInAbog):
        inside(app, body)


def test_a_failed_child_raises_when_waited_for(app, tasks):
    """The failure names the child's id and has its error as cause."""

    def body(task):
        with pytest.raises(ChainInterruptedException) as caught:
            task.enqueue_child(tasks["bad"].s(), block=True)
        return caught.value.task_id == task.enqueued_children[0].id, caught.value.__cause__

    is_the_child, cause = inside(app, body)

    assert (is_the_child, type(cause)) == (True, ZeroDivisionError)


def test_a_failed_child_need_not_raise(app, tasks):
    """With the flag the parent gets the failed result."""

    options = {"block": True, "raise_exception_on_failure": False}

    assert inside(app, lambda task: task.enqueue_child(tasks["bad"].s(), **options)).state == "FAILURE"


def test_a_wait_is_told():
    """A wait for a child that still runs is framed by blocked and unblocked; a wait for nothing sends nothing."""
    hearing, heard = hearing_class()
    app, late = eager_app(hearing), uuid()
    ends = WaitLoopCallBack(lambda: app.backend.store_result(late, {}, "SUCCESS"), 0, {})

    def body(task):
        heard.clear()
        task.wait_for_children()
        task.wait_for_specific_children([])
        task.wait_for_specific_children(app.AsyncResult(late), callbacks=[ends])
        return [name for name, _ in heard]

    assert inside(app, body) == ["task-blocked", "task-unblocked"]


def test_any_children_are_yielded(app, tasks):
    """Each child comes once, and is then no longer pending."""

    def body(task):
        sent = [task.enqueue_child(tasks["one"].s(n)).id for n in range(3)]
        found = [child.id for child in task.wait_for_any_children()]
        return sorted(sent) == sorted(found), task.pending_enqueued_children

    assert inside(app, body) == (True, [])


def test_specific_children_are_waited_for(app, tasks):
    """A single result is taken as a list of one; the others stay pending."""

    def body(task):
        first, second = task.enqueue_child(tasks["one"].s(1)), task.enqueue_child(tasks["one"].s(2))
        task.wait_for_specific_children(first)
        return [child.id == second.id for child in task.pending_enqueued_children]

    assert inside(app, body) == [True]


# ── results of children ──────────────────────────────────────────────────────────────────

RESULTS = [
    ({}, {"y": 2, "z": 20, "w2": 2}),
    ({"return_keys": "z"}, (20,)),
    ({"return_keys": ("z", "none", "y")}, (20, None, 2)),
    ({"extract_from_parents": False}, {"z": 20, "w2": 2}),
    ({"return_keys": (FireXTask.DYNAMIC_RETURN,), "extract_from_parents": False}, {"z": 20, "w2": 2}),
]


@pytest.mark.parametrize(("options", "results"), RESULTS)
def test_results_of_a_chain_are_extracted(app, tasks, options, results):
    """A dict of the named results, or a tuple of those asked for."""
    chain = tasks["one"].s(1) | tasks["two"].s()

    assert inside(app, lambda task: task.enqueue_child_and_get_results(chain, **options)) == results


@pytest.mark.parametrize(("options", "results"), [({}, {}), ({"return_keys": ("a", "b")}, (None, None))])
def test_injected_arguments_alone_have_no_results(app, options, results):
    """Nothing runs, nothing is returned."""
    assert inside(app, lambda task: task.enqueue_child_and_get_results(InjectArgs(x=1), **options)) == results


def test_extracting_includes_inputs_by_default(app, tasks):
    """The older call gives what flowed through as well, unless only returns are asked for."""

    def body(task):
        first = task.enqueue_child_and_extract(tasks["one"].s(1, passing=5))
        return first, task.enqueue_child_and_extract(tasks["one"].s(1), extract_task_returns_only=True)

    everything, named = inside(app, body)

    assert {"x": 1, "passing": 5, "y": 2}.items() <= everything.items()
    assert named == {"y": 2}


@pytest.mark.parametrize(
    "call",
    [
        lambda task, child: task.enqueue_child_and_extract(child, enqueue_once_key="k"),
        lambda task, child: task.enqueue_child_once_and_extract(child, enqueue_once_key="k", extract_from_parents=True),
    ],
)
def test_once_and_not_once_are_not_mixed(app, tasks, call):
    """A key needs the once call, and a result found by its key has no parents."""
    with pytest.raises(ValueError, match=r"enqueue_once_key|parents"):
        inside(app, lambda task: call(task, tasks["one"].s(1)))


# ── in parallel ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("at_once", [1, 2, 15])
def test_results_come_in_the_order_of_the_chains(app, tasks, at_once):
    """However many run at a time, the results are in order."""

    def body(task):
        found = task.enqueue_in_parallel([tasks["one"].s(n) for n in range(4)], max_parallel_chains=at_once)
        return [result.get()["y"] for result in found]

    assert inside(app, body) == [1, 2, 3, 4]


@pytest.mark.parametrize(("failing", "error"), [(1, ChainInterruptedException), (2, MultipleFailuresException)])
def test_failures_in_parallel_rise_when_asked(app, tasks, failing, error):
    """One failure is that child's, several are told together."""

    def body(task):
        chains = [tasks["one"].s(1), *(tasks["bad"].s() for _ in range(failing))]
        task.enqueue_in_parallel(chains, raise_exception_on_failure=True)

    with pytest.raises(ChainInterruptedException) as caught:
        inside(app, body)

    assert type(caught.value) is error


def test_failures_in_parallel_stay_with_their_results(app, tasks):
    """By default the caller looks at the results."""

    results = inside(app, lambda task: task.enqueue_in_parallel([tasks["bad"].s(), tasks["one"].s(1)]))

    assert [result.state for result in results] == ["FAILURE", "SUCCESS"]


@pytest.mark.parametrize("at_once", [0, -1])
def test_at_least_one_runs_at_a_time(app, tasks, at_once):
    """A limit below one would never send anything."""
    with pytest.raises(ValueError, match="max_parallel_chains"):
        inside(app, lambda task: task.enqueue_in_parallel([tasks["one"].s(1)], max_parallel_chains=at_once))


# ── from a spec, once, reports ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spec", "given", "kwargs"),
    [
        ({}, None, {"a": 1, "b": 2}),
        ({}, {"b": 3}, {"a": 1, "b": 3}),
        ({"inject_abog": False}, {"b": 3}, {"b": 3}),
        ({"inject_abog": False}, None, {}),
    ],
)
def test_a_child_from_a_spec_gets_the_abog(app, spec, given, kwargs):
    """The parent's bag and the given arguments are injected, as the spec says."""
    echo = app.task(lambda **kw: kw, shared=False, name="m.echo_all", returns="y")

    def body(task):
        return task.enqueue_child_from_spec(TaskEnqueueSpec(echo.s(), **spec), inject_args=given)

    assert inside(app, body, a=1, b=2).get()["y"] == kwargs


def test_the_options_of_a_spec_are_those_of_the_enqueue(app, tasks):
    """A spec may ask for a child that is not tracked."""

    def body(task):
        spec = TaskEnqueueSpec(tasks["one"].s(1), enqueue_opts={"add_to_enqueued_children": False})
        task.enqueue_child_from_spec(spec)
        return task.enqueued_children

    assert inside(app, body) == []


def test_a_child_runs_once_per_key(app):
    """The second caller gets the first one's results, another key runs again."""
    ran = []
    child = app.task(lambda n: ran.append(n) or n, shared=False, name="m.once", returns="y")

    def body(task):
        keys = ["k", "k", "other"]
        return [task.enqueue_child_once_and_extract(child.s(n), enqueue_once_key=k)["y"] for n, k in enumerate(keys)]

    assert (inside(app, body), ran) == ([0, 0, 2], [0, 2])


def test_a_task_with_reports_is_remembered(app):
    """The ids of tasks that carry report metadata are found in the backend."""
    task_id = uuid()
    task = app.task(lambda: None, shared=False, name="m.reporting")
    plain = app.task(lambda: None, shared=False, name="m.not_reporting")
    task.report_meta = [{"key_name": "y", "priority": 1}]
    task.apply(task_id=task_id, throw=True)

    assert (task.has_report_meta(), plain.has_report_meta()) == (True, False)
    assert task_id in get_current_reports_uids(app.backend)


def test_results_of_children_are_told_in_order():
    """The events of a child stand between those of its parent; nobody is blocked by what has ended."""
    hearing, heard = hearing_class()
    app = eager_app(hearing)
    child = app.task(lambda x: x, shared=False, name="m.child_told", returns="y")
    inside(app, lambda task: task.enqueue_child(child.s(1), block=True))

    assert [name for name, _ in heard] == ["task-started-info"] * 2 + ["task-results"] * 2
    assert [fields["firex_result"] for fields in events_of(heard, "task-results")] == [{"y": 1}, None]

"""One task object serves every thread, and may call itself (5.3; acceptance test 6)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from firexkit.task import PendingChildStrategy, create_flame_config
from unit.task_support import RK, eager_app, events_of, hearing_class, make_app

THREADS = 8


@pytest.fixture
def together():
    """A barrier at which all threads wait for each other."""
    return threading.Barrier(THREADS, timeout=30)


def in_threads(function):
    """The function's answers for 0 to 7, each from a thread of its own."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, range(THREADS)))


def meeting(app, together):
    """A task whose executions all stand in their bodies at the same time before they look at themselves."""

    @app.task(bind=True, shared=False, name="m.meeting", returns=["seen", "context"])
    def task(self, n, d="D", **kw):
        before = id(self.context)
        together.wait()
        views = [self.bag["n"], self.abog["n"], self.bound_args["n"], self.args[0], self.bag["own"]]
        together.wait()
        return views, before == id(self.context)

    return task


@pytest.mark.timeout(60)
@pytest.mark.parametrize("way", ["direct", "eager"])
def test_eight_threads_never_mix_their_bags(together, way):
    """Checked while all eight stand in the body: each sees its own arguments and returns its own bag."""
    task = meeting(eager_app(), together)
    calls = {
        "direct": lambda n: task(n, own=n),
        "eager": lambda n: task.apply((n,), {"own": n}, throw=True).get(),
    }
    answers = in_threads(calls[way])

    assert answers == [
        {"n": n, "own": n, "seen": [n] * 5, "context": True, RK: ("seen", "context")} for n in range(THREADS)
    ]


def test_a_thread_with_the_context_of_a_call_knows_it():
    """Whoever takes a task's context along, as asyncio.to_thread does, takes its arguments along."""
    app = eager_app()

    @app.task(bind=True, shared=False, name="m.asks_elsewhere", returns="seen")
    def task(self, n):
        context = copy_context()
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(context.run, lambda: self.bag["n"]).result()

    assert task(7)["seen"] == 7


@pytest.mark.timeout(60)
def test_eight_threads_never_mix_their_children(together):
    """Each execution has the children it enqueued, and no others."""
    app = make_app()
    child = app.task(lambda n: n, shared=False, name="m.child")

    @app.task(bind=True, shared=False, pending_child_strategy=PendingChildStrategy.Continue)
    def parent(self, n):
        together.wait()
        sent = self.enqueue_child(child.s(n))
        together.wait()
        return {"sent": sent.id, "children": [result.id for result in self.enqueued_children]}

    answers = in_threads(lambda n: parent.apply((n,), throw=True).get())

    assert [answer["children"] for answer in answers] == [[answer["sent"]] for answer in answers]


@pytest.mark.timeout(60)
def test_eight_threads_fire_their_flame_once_each(together):
    """What is shown once a run is shown once by each of eight runs at a time."""
    hearing, heard = hearing_class()
    option = {"page": create_flame_config({}, formatter=lambda: "v", on_next=True)}
    task = eager_app(hearing).task(lambda n: together.wait() and None, shared=False, name="m.flamed", flame=option)
    in_threads(lambda n: task.apply((n,), throw=True))

    assert len(events_of(heard, "task-send-flame")) == THREADS


def counting_down(app):
    """A task that calls itself with one less, and then looks into its own bag."""

    @app.task(bind=True, shared=False, name="m.countdown", returns=["seen", "below"])
    def task(self, n, **kw):
        below = self(n - 1, level=n - 1)["seen"] if n else None
        return [self.bag["n"], self.abog.get("level"), self.bound_args["n"]], below

    return task


@pytest.mark.parametrize("way", ["direct", "eager"])
def test_a_task_that_calls_itself_keeps_its_own_bag(way):
    """After the inner call, the outer one still has its own arguments."""
    task = counting_down(eager_app())
    answer = task(2, level=2) if way == "direct" else task.apply((2,), {"level": 2}, throw=True).get()

    assert (answer["seen"], answer["below"]) == ([2, 2, 2], [1, 1, 1])


def test_a_failed_inner_call_leaves_the_outer_one_alone():
    """An exception of the inner call drops the inner bag only."""

    @make_app().task(bind=True, shared=False, name="m.failing_inside", returns="seen")
    def task(self, n):
        if n == 0:
            raise ValueError(n)
        with pytest.raises(ValueError, match="0"):
            self(n - 1)
        return self.bag["n"]

    assert task(1)["seen"] == 1


def test_a_task_calls_another_of_its_kind():
    """Two tasks that call each other directly see their own bags."""
    app = make_app()

    @app.task(bind=True, shared=False, name="m.inner_of_two", returns="inner")
    def inner(self, n):
        return self.bag["n"]

    @app.task(bind=True, shared=False, name="m.outer_of_two", returns=["found", "own"])
    def outer(self, n):
        return inner(n * 10)["inner"], self.bag["n"]

    assert outer(3) == {"n": 3, "found": 30, "own": 3, RK: ("found", "own")}


def test_after_a_call_nothing_is_left():
    """When the call is over the task holds no execution."""
    task = counting_down(make_app())
    task(1)

    assert task.context is None

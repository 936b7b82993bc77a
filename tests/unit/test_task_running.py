"""One call of a task, from arguments to results (5.3, 5.4, 5.5, 6, 8.2, 9)."""

import logging

import pytest
from celery.exceptions import Ignore

from firexkit.argument_conversion import ConverterRegister
from firexkit.chain import returns
from firexkit.result import ChainInterruptedException, ChainRevokedException
from firexkit.task import FireXTask
from unit.task_support import RK, eager_app, events_of, hearing_class, make_app, request_of

DYNAMIC = FireXTask.DYNAMIC_RETURN
P = {"y": 2, "z": 9, RK: ("y",)}
PASSED = {"y": 2, "z": 9, "chain_depth": 1}
Y = {RK: ("y",)}


# ── the table of section 8.2 ─────────────────────────────────────────────────────────────


def look(task, got):
    """What a body sees: its own arguments and the task's views of them."""
    return got, task.bound_args, task.default_bound_args, dict(task.abog)


def section_8_2(app, seen):
    """The six tasks of the table; each appends what it sees to the list."""
    task = app.task(bind=True, shared=False, name="m.T", returns=["y"])
    tasks = {"T": task(lambda self, x, d="D": seen.append(look(self, (x, d))) or x)}
    task = app.task(bind=True, shared=False, name="m.R", returns=["y"])
    tasks["R"] = task(lambda self, x, w="@y": seen.append(look(self, (x, w))) or [x, w])
    task = app.task(bind=True, shared=False, name="m.K", returns=["y", DYNAMIC])
    tasks["K"] = task(lambda self, x, **kw: seen.append(look(self, (x, kw))) or (x, {"x": "new-x", "dyn": 1}))
    task = app.task(bind=True, shared=False, name="m.N")
    tasks["N"] = task(lambda self, x=None: seen.append(look(self, (x,))) or {"q": 1})
    task = app.task(bind=True, shared=False, name="m.V")
    tasks["V"] = task(lambda self, x=None: seen.append(look(self, (x,))) or 42)
    task = app.task(bind=True, shared=False, name="m.OD", returns=["d"])
    tasks["OD"] = task(lambda self, x, d=3: seen.append(look(self, (x, d))) or "ret-d")
    return tasks


CD = {"chain_depth": 1}
K_GOT = {"chain_depth": 1, "y": 2, "z": 9}
TABLE = {  # row: task, args, kwargs | got, bound, default, abog | returned
    1: ("T", (1,), {}, (1, "D"), {"x": 1}, {"d": "D"}, {"x": 1, "d": "D"}, {"x": 1, "y": 1} | Y),
    2: (
        *("T", (), {"x": 1, "extra": 5}, (1, "D"), {"x": 1}, {"d": "D"}),
        *({"x": 1, "extra": 5, "d": "D"}, {"x": 1, "extra": 5, "y": 1} | Y),
    ),
    3: (
        *("T", ({"k": 1},), {}, ({"k": 1}, "D"), {"x": {"k": 1}}, {"d": "D"}),
        *({"x": {"k": 1}, "d": "D"}, {"x": {"k": 1}, "y": {"k": 1}} | Y),
    ),
    5: (
        *("T", (P,), {"x": 7} | CD, (7, "D"), {"x": 7}, {"d": "D"}),
        *({"x": 7, "d": "D"} | PASSED, {"x": 7, "y": 7, "z": 9} | CD | Y),
    ),
    6: (
        *("T", (P | {"x": 1}, 7), CD, (7, "D"), {"x": 7}, {"d": "D"}),
        *({"x": 7, "d": "D"} | PASSED, {"x": 7, "y": 7, "z": 9} | CD | Y),
    ),
    7: (
        *("T", (P | {"d": "up"},), {"x": "@y"} | CD, (2, "up"), {"x": 2, "d": "up"}, {}),
        *({"x": 2, "d": "up"} | PASSED, {"x": 2, "d": "up", "y": 2, "z": 9} | CD | Y),
    ),
    8: (
        *("T", (P, "@z"), CD, (9, "D"), {"x": 9}, {"d": "D"}),
        *({"x": 9, "d": "D"} | PASSED, {"x": 9, "y": 9, "z": 9} | CD | Y),
    ),
    9: (
        *("T", (), {"x": "@nope"}, ("@nope", "D"), {"x": "@nope"}, {"d": "D"}),
        *({"x": "@nope", "d": "D"}, {"x": "@nope", "y": "@nope"} | Y),
    ),
    10: (
        *("T", (), {"x": "@a", "a": "@b", "b": 5}, (5, "D"), {"x": 5}, {"d": "D"}),
        *({"x": 5, "a": "@b", "b": 5, "d": "D"}, {"x": 5, "a": "@b", "b": 5, "y": 5} | Y),
    ),
    11: ("R", (1,), {}, (1, ""), {"x": 1, "w": ""}, {}, {"x": 1}, {"x": 1, "y": [1, ""]} | Y),
    12: (
        *("R", (P, 1), CD, (1, 2), {"x": 1, "w": 2}, {}),
        *({"x": 1, "w": 2} | PASSED, {"x": 1, "y": [1, 2], "z": 9, "w": 2} | CD | Y),
    ),
    13: (
        *("R", (P | {"w": "W"}, 1), CD, (1, "W"), {"x": 1, "w": "W"}, {}),
        *({"x": 1, "w": "W"} | PASSED, {"x": 1, "y": [1, "W"], "z": 9, "w": "W"} | CD | Y),
    ),
    14: (
        *("K", (P,), {"x": 1} | CD, (1, K_GOT), {"x": 1, "kw": K_GOT}, {}, {"x": 1} | K_GOT),
        {"x": "new-x", "y": 1, "z": 9, "dyn": 1, RK: ("y", "x", "dyn")} | CD,
    ),
    15: ("N", (), {}, (None,), {}, {"x": None}, {"x": None}, {"q": 1}),
    16: ("N", (P,), CD, (None,), {}, {"x": None}, PASSED | {"x": None}, PASSED | {"q": 1}),
    17: ("V", (P,), CD, (None,), {}, {"x": None}, PASSED | {"x": None}, PASSED),
    18: ("OD", (1,), {}, (1, 3), {"x": 1}, {"d": 3}, {"x": 1, "d": 3}, {"x": 1, "d": "ret-d", RK: ("d",)}),
    19: (
        *("T", (None,), CD, (None, "D"), {"x": None}, {"d": "D"}),
        *({"x": None, "d": "D"} | CD, {"x": None, "y": None} | CD | Y),
    ),
}


@pytest.mark.parametrize("way", ["direct", "worker"])
@pytest.mark.parametrize("row", TABLE)
def test_a_row_of_section_8_2(row, way):
    """A task called as the row says sees the row's arguments and returns the row's bag."""
    name, args, kwargs, got, bound, default, abog, returned = TABLE[row]
    seen = []
    task = section_8_2(make_app(hearing_class()[0]), seen)[name]
    if way == "direct":
        answer = task(*args, **kwargs)
    else:
        with request_of(task):
            answer = task(*args, **kwargs)

    assert seen == [(got, bound, default, abog)]
    assert answer == returned


@pytest.mark.parametrize("row", TABLE)
def test_the_answer_of_a_row_of_section_8_2_is_a_plain_dict(row):
    """What a task returns to its caller is a dict of its own, of no other class."""
    name, args, kwargs, *_ = TABLE[row]

    assert type(section_8_2(make_app(), [])[name](*args, **kwargs)) is dict


def test_row_4_of_section_8_2():
    """A required argument that nothing gives is a TypeError, and the body does not run."""
    seen = []
    task = section_8_2(make_app(), seen)["T"]

    with pytest.raises(TypeError, match="x"):
        task(P, chain_depth=1)

    assert seen == []


@pytest.mark.parametrize(
    ("name", "args", "results"),
    [("T", (1,), {"y": 1}), ("N", (), {"q": 1}), ("V", (), 42), ("K", (1,), {"y": 1, "x": "new-x", "dyn": 1})],
)
def test_the_results_event_tells_what_the_body_gave(name, args, results):
    """The event has the named results without their mark, any dict, or the bare value."""
    hearing, heard = hearing_class()
    section_8_2(eager_app(hearing), [])[name].apply(args, throw=True)

    assert [fields["firex_result"] for fields in events_of(heard, "task-results")] == [results]


def test_what_a_call_is_given_stays_as_it_was():
    """Neither the previous result nor the arguments of the caller are changed by a run."""
    previous, inner = dict(P), {"k": 1}
    section_8_2(make_app(), [])["T"](previous, x=inner, chain_depth=1)["new"] = 1

    assert (previous, inner) == (P, {"k": 1})


# ── names to values (more in test_returns.py) ──────────────────────────────────────────────────────────────────────

SPELLINGS = {
    "decorator": ({}, returns("y"), lambda x: x),
    "option": ({"returns": "y"}, None, lambda x: x),
    "dynamic decorator": ({}, returns(DYNAMIC), lambda x: {"y": x}),
    "dynamic option": ({"returns": DYNAMIC}, None, lambda x: {"y": x}),
    "dynamic in a tuple": ({"returns": (DYNAMIC,)}, None, lambda x: ({"y": x},)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_five_spellings_of_a_return_give_the_same(spelling):
    """Checklist 15: each spelling gives a plain dict of the argument, the result and its mark."""
    options, decorate, function = SPELLINGS[spelling]
    task = make_app().task(decorate(function) if decorate else function, shared=False, name="m.spelt", **options)
    answer = task("the arg")

    assert (answer, type(answer)) == ({"x": "the arg", "y": "the arg", RK: ("y",)}, dict)


# ── hooks ────────────────────────────────────────────────────────────────────────────────


def hooked(calls, **members):
    """A task class whose hooks append their names to the list; members replace its own."""

    def pre_task_run(self):
        calls.append("pre_task_run")

    def post_task_run(self, results, extra_events=None):
        calls.append(("post_task_run", results))

    def handle_exception(self, e, logging_extra=None, raise_exception=True):
        calls.append(("handle_exception", str(e)))

    hooks = (pre_task_run, post_task_run, handle_exception)
    return type("Hooked", (FireXTask,), {hook.__name__: hook for hook in hooks} | members)


def test_one_call_is_one_straight_line():
    """Converters, hooks and body run in the documented order."""
    calls = []
    task = make_app(hooked(calls)).task(
        lambda x: calls.append(("run", x)) or x, shared=False, name="m.straight_line", returns="y"
    )
    ConverterRegister.register_for_task(task, True)(lambda kwargs: calls.append("before") or {"x": 2})
    ConverterRegister.register_for_task(task, False)(lambda kwargs: calls.append("after") or {"y": 3})
    answer = task(1)

    assert calls == ["before", "pre_task_run", ("run", 2), "after", ("post_task_run", {"y": 3, RK: ("y",)})]
    assert answer == {"x": 2, "y": 3, RK: ("y",)}


def test_converters_run_for_a_class_registered_task():
    """Checklist 30: converters registered with a task class change its arguments and its results."""

    class ConvertedByClass(FireXTask):
        name = "m.ConvertedByClass"

        def run(self, x):
            return {"y": x + 1}

    ConverterRegister.register_for_task(ConvertedByClass, True)(lambda kwargs: {"x": kwargs["x"] * 10})
    ConverterRegister.register_for_task(ConvertedByClass, False)(lambda kwargs: {"y": -kwargs["y"]})

    assert ConvertedByClass()(1) == {"x": 10, "y": -11}


def section_8_3(seen, results):
    """The task of the section; it and its converters append what they see, its hook the results."""
    cls = hooked([], post_task_run=lambda self, found, extra_events=None: results.append(dict(found)))
    task = make_app(cls).task(lambda a, b=2: seen.append((a, b)) or b, shared=False, name="m.conv_8_3", returns="r")

    @ConverterRegister.register_for_task(task, True)
    def before(kwargs):
        seen.append(dict(kwargs))
        kwargs["a"] *= 2
        kwargs["extra"] = "E"
        del kwargs["gone"]
        return {"b": 20}

    @ConverterRegister.register_for_task(task, False)
    def after(kwargs):
        seen.append(dict(kwargs))
        return {"r": "converted", "newkey": "N"}

    return task


def test_section_8_3():
    """Converters see supplied values only; what a post converter adds flows on and is no result."""
    seen, results = [], []
    answer = section_8_3(seen, results)(1, gone="x", ind="@a", ind2="@zzz")
    plain = {"a": 2, "gone": "x", "extra": "E", "b": 20}

    assert seen == [{"a": 1, "gone": "x"}, (2, 20), plain | {"r": 20, RK: ("r",)}]
    assert [{k: v for k, v in found.items() if k != RK} for found in results] == [{"r": "converted"}]
    assert answer == plain | {"ind": "@a", "ind2": "@zzz", "r": "converted", RK: ("r",), "newkey": "N"}


@pytest.mark.parametrize("given", [{}, {"x": 1}])
def test_a_failure_is_reported_once_and_rises(given):
    """A missing argument and a failing body both reach handle_exception and then the caller."""
    calls = []
    cls = hooked(calls, pre_task_run=lambda self: self.bound_args)
    task = make_app(cls).task(lambda x: 1 // 0, shared=False, name="m.failing")

    with pytest.raises((TypeError, ZeroDivisionError)):
        task(**given)

    assert [call[0] for call in calls] == ["handle_exception"]


def test_a_failure_is_logged_with_its_class():
    """The record has the class and the text, the span of exceptions, and what the caller adds."""
    task = make_app().task(lambda: None, shared=False, name="m.logged")
    records = []
    logging.getLogger().addHandler(handler := logging.Handler())
    handler.emit = records.append
    task.handle_exception(ValueError("bad x"), logging_extra={"extra_field": 7}, raise_exception=False)
    logging.getLogger().removeHandler(handler)
    record = next(record for record in records if getattr(record, "span_class", None) == "exception")

    assert record.getMessage().startswith("ValueError: bad x")
    assert (record.levelname, record.extra_field) == ("ERROR", 7)


def test_handle_exception_rises_by_default():
    """Whoever calls it gets the exception back."""
    task = make_app().task(lambda: None, shared=False, name="m.rising")

    with pytest.raises(ValueError, match="bad x"):
        task.handle_exception(ValueError("bad x"))


def test_a_subclass_may_wrap_the_whole_call():
    """The pipeline is overridden in _call."""

    class Wrapping(FireXTask):
        def _call(self, *args, **kwargs):
            return super()._call(*args, **kwargs) | {"wrapped": True}

    task = make_app(Wrapping).task(lambda x: x, shared=False, name="m.wrapped", returns="y")

    assert task(1) == {"x": 1, "y": 1, RK: ("y",), "wrapped": True}


def test_hooks_add_event_fields_through_super():
    """What a hook passes on as extra events stands in the event."""
    hearing, heard = hearing_class()

    class Adding(hearing):
        def pre_task_run(self, extra_events=None):
            super().pre_task_run(extra_events={"code_url": "u"})

        def post_task_run(self, results, extra_events=None):
            super().post_task_run(results, extra_events={"cost": 3})

    eager_app(Adding).task(lambda: None, shared=False, name="m.adding").apply(throw=True)

    assert events_of(heard, "task-started-info")[0]["code_url"] == "u"
    assert events_of(heard, "task-results")[0]["cost"] == 3


# ── events ───────────────────────────────────────────────────────────────────────────────


STARTED = {
    "firex_bound_args": {"x": 1, "kw": {"q": 5}},
    "firex_default_bound_args": {"d": "D"},
    "called_as_orig": False,
    "long_name": "m.started",
    "log_filepath": None,
    "chain_depth": 0,
    "from_plugin": False,
    "code_filepath": __file__,
    "retries": 2,
    "task_parent_id": "the-parent",
}


def test_the_started_event_tells_everything_of_section_9():
    """Bound and default arguments, names, files, attempt and parent."""
    hearing, heard = hearing_class()
    task = make_app(hearing).task(lambda x, d="D", **kw: None, shared=False, name="m.started")
    with request_of(task, retries=2, parent_id="the-parent"):
        task(1, q=5)

    assert events_of(heard, "task-started-info") == [STARTED]


def test_a_direct_call_sends_nothing():
    """A task called as a function tells nobody."""
    hearing, heard = hearing_class()
    make_app(hearing).task(lambda x: x, shared=False, name="m.silent", flame="x", returns="y")(1)

    assert heard == []


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ChainInterruptedException("child-1", "m.child"), "child-1"),
        (ChainRevokedException("child-2", "m.child"), "child-2"),
        (ChainInterruptedException("outer", "m.o", cause=ChainInterruptedException("inner", "m.i")), "inner"),
        (ChainInterruptedException("last", "m.l", cause=ValueError("x")), "last"),
    ],
)
def test_a_failed_child_is_told_as_the_cause(error, cause):
    """The deepest interrupted task is the cause of the failure."""
    hearing, heard = hearing_class()

    def body():
        raise error

    task = make_app(hearing).task(body, shared=False, name="m.caused")
    with request_of(task), pytest.raises(type(error)):
        task()

    assert events_of(heard, "task-exception-cause") == [{"exception_cause_uuid": cause}]


@pytest.mark.parametrize("error", [ValueError("x"), ChainInterruptedException(), Ignore()])
def test_other_failures_have_no_cause(error):
    """Without the id of a failed child there is nothing to tell."""
    hearing, heard = hearing_class()

    def body():
        raise error

    task = make_app(hearing).task(body, shared=False, name="m.no_cause")
    with request_of(task), pytest.raises(type(error)):
        task()

    assert events_of(heard, "task-exception-cause") == []

"""The views of a task on its own arguments, valid during a run (5.1, 5.6)."""

import contextlib
import logging

import pytest

from firexkit.task import DictWillNotAllowWrites, UidNotInjectedInAbog
from unit.task_support import RK, hearing_class, inside, make_app, request_of

VIEWS = ("args", "kwargs", "bound_args", "default_bound_args", "all_args", "bag", "abog")


def views(function, *args, **kwargs):
    """What each view shows while a task with the function's parameters runs with the arguments."""
    seen = {}

    class Looking(hearing_class()[0]):
        def pre_task_run(self):
            seen.update({name: getattr(self, name) for name in VIEWS})

    make_app(Looking).task(function, shared=False, name="m.looking")(*args, **kwargs)
    return seen


def take_one(x): ...
def take_default(x, d="D"): ...
def take_none_default(x=None): ...
def take_rest(x, *rest): ...
def take_named(x, **kw): ...
def take_keyword_only(x, *, k=3): ...
def take_reference(x, w="@y"): ...


SHAPES = [  # function, args, kwargs | args, kwargs, bound, default, abog
    (take_one, (1,), {}, [1], {}, {"x": 1}, {}, {"x": 1}),
    (take_one, (), {"x": 1}, [], {"x": 1}, {"x": 1}, {}, {"x": 1}),
    (take_default, (1,), {}, [1], {}, {"x": 1}, {"d": "D"}, {"x": 1, "d": "D"}),
    (take_default, (1, 2), {}, [1, 2], {}, {"x": 1, "d": 2}, {}, {"x": 1, "d": 2}),
    (take_none_default, (), {}, [], {}, {}, {"x": None}, {"x": None}),
    (take_rest, (1, 2, 3), {}, [1, 2, 3], {}, {"x": 1, "rest": (2, 3)}, {}, {"x": 1, "rest": (2, 3)}),
    (take_one, (1,), {"q": 2}, [1], {}, {"x": 1}, {}, {"x": 1, "q": 2}),
    (take_named, (1,), {"q": 2}, [1], {"q": 2}, {"x": 1, "kw": {"q": 2}}, {}, {"x": 1, "q": 2}),
    (take_keyword_only, (1,), {}, [1], {}, {"x": 1}, {"k": 3}, {"x": 1, "k": 3}),
]


@pytest.mark.parametrize(("function", "given", "named", "args", "kwargs", "bound", "default", "abog"), SHAPES)
def test_nine_call_shapes(function, given, named, args, kwargs, bound, default, abog):
    """Checklist 33: each view shows its part of the call; args is a list."""
    seen = views(function, *given, **named)

    assert (seen["args"], type(seen["args"]), seen["kwargs"]) == (args, list, kwargs)
    assert (seen["bound_args"], seen["default_bound_args"], seen["abog"]) == (bound, default, abog)
    assert dict(seen["all_args"]) == bound | default


def test_a_rest_that_got_nothing_is_an_empty_tuple():
    """Unlike an unused **kw, an unused *rest stands among the defaults."""
    seen = views(take_rest, 1)

    assert (seen["bound_args"], seen["default_bound_args"]) == ({"x": 1}, {"rest": ()})


def test_an_unresolved_reference_default_is_bound_to_the_empty_string():
    """The function gets '' for a reference to nothing, and the bag does not have it."""
    seen = views(take_reference, 1)

    assert (seen["bound_args"], dict(seen["bag"])) == ({"x": 1, "w": ""}, {"x": 1})


def test_the_bag_has_what_the_function_does_not_take():
    """The bag shows supplied and passing values, without defaults."""
    seen = views(take_default, {"x": 1, "p": 2, RK: ("p",)}, chain_depth=1)

    assert dict(seen["bag"]) == {"x": 1, "p": 2, "chain_depth": 1}


@pytest.mark.parametrize("view", ["all_args", "bag"])
def test_read_only_views_refuse_writes(view):
    """all_args and bag cannot be written; their copies are dicts that can."""
    seen = views(take_default, 1)[view]

    with pytest.raises(TypeError):
        seen["x"] = 2

    assert type(seen.copy()) is dict


def test_bound_args_of_an_incomplete_call_are_a_type_error():
    """A required argument that is missing is named."""
    with pytest.raises(TypeError, match="x"):
        views(take_default, d=1)


def test_each_access_makes_a_new_abog():
    """What is written into one abog is not seen in the next, nor in the bag."""

    def body(task):
        task.abog.update(written=1)
        return dict(task.abog), dict(task.bag)

    assert inside(make_app(), body, x=1) == ({"x": 1}, {"x": 1})


def test_the_bag_after_the_run_has_the_results():
    """After the body, the bag and the abog have the results and their mark."""
    seen = []

    class After(hearing_class()[0]):
        def post_task_run(self, results, extra_events=None):
            seen.append((dict(self.bag), dict(self.abog)))

    make_app(After).task(lambda x, d="D": 2, shared=False, name="m.after", returns="y")(1)
    bag = {"x": 1, "y": 2, RK: ("y",)}

    assert seen == [(bag, bag | {"d": "D"})]


def test_uid_is_that_of_the_abog():
    """The run's identifier is an injected argument."""
    assert inside(make_app(), lambda task: task.uid, uid="FireX-1") == "FireX-1"


def test_a_missing_uid_is_told():
    """A task that was not given the uid says so."""
    with pytest.raises(UidNotInjectedInAbog):
        inside(make_app(), lambda task: task.uid)


# ── a dry run ────────────────────────────────────────────────────────────────────────────

DRY_RUNS = [
    (take_default, (1,), {}, {"x": 1, "d": "D"}),
    (take_default, (), {"x": 1}, {"x": 1, "d": "D"}),
    (take_default, (1, 2), {}, {"x": 1, "d": 2}),
    (take_default, (1,), {"d": 2}, {"x": 1, "d": 2}),
    (take_default, (1,), {"extra": 5}, {"x": 1, "d": "D"}),
    (take_default, ({"x": 1},), {}, {"x": {"x": 1}, "d": "D"}),
    (take_named, (1,), {"q": 2}, {"x": 1, "kw": {"q": 2}}),
    (take_rest, (1, 2, 3), {}, {"x": 1, "rest": (2, 3)}),
    (take_one, ("@a",), {"a": 5}, {"x": 5}),
    (take_keyword_only, (1,), {"k": 4}, {"x": 1, "k": 4}),
]


@pytest.mark.parametrize(("function", "args", "kwargs", "mapped"), DRY_RUNS)
def test_ten_dry_runs(function, args, kwargs, mapped):
    """Checklist 34: map_args tells what the function would get."""
    task = make_app().task(function, shared=False, name="m.mapped")

    assert task.map_args(*args, **kwargs) == mapped


def test_a_dry_run_needs_the_required_arguments():
    """Checklist 34: a missing required argument is a TypeError."""
    task = make_app().task(take_default, shared=False, name="m.mapped")

    with pytest.raises(TypeError, match="x"):
        task.map_args(d=1)


def test_input_is_mapped_without_binding():
    """Unaccepted keywords are dropped, a missing argument is not missed."""
    task = make_app().task(take_default, shared=False, name="m.mapped")
    args, kwargs = task.map_input_args_kwargs((), {"d": 2, "extra": 5})

    assert (list(args), kwargs) == ([], {"d": 2})


def test_a_dry_run_inside_a_run_leaves_its_arguments_alone():
    """A running task may ask what another call would get."""
    other = make_app().task(take_default, shared=False, name="m.mapped")

    assert inside(make_app(), lambda task: (other.map_args(2), dict(task.bag)), x=1) == (
        {"x": 2, "d": "D"},
        {"x": 1},
    )


# ── a dict that tells about writes ───────────────────────────────────────────────────────

WRITES = {
    "item set": (lambda d: d.__setitem__("a", 2), {"a": 2, "b": 1}),
    "item delete": (lambda d: d.__delitem__("a"), {"b": 1}),
    "pop": (lambda d: d.pop("a"), {"b": 1}),
    "pop with default": (lambda d: d.pop("none", None), {"a": 1, "b": 1}),
    "popitem": (lambda d: d.popitem(), {"a": 1}),
    "clear": (lambda d: d.clear(), {}),
    "setdefault": (lambda d: d.setdefault("c", 3), {"a": 1, "b": 1, "c": 3}),
    "update": (lambda d: d.update(a=2), {"a": 2, "b": 1}),
    "merge in place": (lambda d: d.__ior__({"a": 2}), {"a": 2, "b": 1}),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_works_and_is_told(name, caplog):
    """Every kind of write changes the dict and leaves a log record."""
    write, after = WRITES[name]
    found = DictWillNotAllowWrites(a=1, b=1)
    with caplog.at_level(logging.DEBUG):
        write(found)

    assert found == after
    assert caplog.records


def test_a_copy_is_a_plain_dict(caplog):
    """The copy is written without a word."""
    copied = DictWillNotAllowWrites(a=1).copy()
    with caplog.at_level(logging.DEBUG):
        copied["a"] = 2

    assert (type(copied), copied) == (dict, {"a": 2})
    assert caplog.records == []


def test_a_bag_may_have_the_names_of_the_dicts_own_parameters():
    """Arguments called self or like the constructor's parameter reach the abog."""
    task = make_app().task(lambda **kw: kw, shared=False, name="m.odd_names", bind=False, returns="y")
    odd = {"_instrumentation_context": 1, "verbose": 2, "pre_task": 3, "task_name": 4, "cls": 5}
    with request_of(task):
        answer = task(**odd)

    assert answer["y"] == odd


def test_reading_makes_no_record(caplog):
    """Reads, membership, iteration and copies are silent."""
    found = DictWillNotAllowWrites(a=1)
    with caplog.at_level(logging.DEBUG), contextlib.suppress(KeyError):
        _ = (found["a"], "a" in found, list(found), found.get("b"), found | {"b": 2}, found["none"])

    assert caplog.records == []

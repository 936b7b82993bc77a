"""What a caller gets out of results: returns, inputs, parents and children (spec result §8)."""

import logging
from itertools import count

import pytest
from celery.states import FAILURE, PENDING, SUCCESS

from firexkit.result import (
    RETURN_KEYS_KEY,
    get_results,
    get_results_with_default,
    get_task_results,
    get_tasks_inputs_from_result,
    results2tuple,
)
from unit.results_support import ScriptedResult, stored

DYNAMIC_RETURN = "__DYNAMIC_RETURN__"
IDS = count()


class BareResult:
    """The least that get_results may ask for: id, result, successful(), children and parent."""

    def __init__(self, value=None, *, good=True, parent=None, children=(), id=None):
        self.id = id or f"bare{next(IDS)}"
        self.result = value
        self.successful = lambda: good
        self.parent = parent
        self.children = list(children)


def bag(inputs=None, **returns):
    """What a task with named returns leaves behind: its inputs, its returns and which of them are returns."""
    return {**(inputs or {}), **returns, RETURN_KEYS_KEY: tuple(returns)}


# ── the worked example ───────────────────────────────────────────────────────────────────
def worked_chain(*, parse_failed=False):
    """The chain fetch → parse → publish of the specification; parse also started lookup."""
    fetch = BareResult(bag({"url": "U"}, text="T", size=3), id="fetch")
    lookup = BareResult(bag({"word": "w"}, hits=2, doc="D-child"), id="lookup")
    parsed = bag({"url": "U", "text": "T"}, doc="D", size=7)
    parse = BareResult(
        ValueError("no") if parse_failed else parsed, good=not parse_failed, parent=fetch, children=[lookup], id="parse"
    )
    publish = BareResult(bag({"url": "U", "text": "T", "size": 7, "doc": "D"}, link="L"), parent=parse, id="publish")
    fetch.children.append(parse)
    parse.children.append(publish)
    return publish


DEFAULT = {"text": "T", "size": 7, "doc": "D", "link": "L"}
WORKED = [
    ({}, DEFAULT),
    ({"extract_from_parents": False}, {"link": "L"}),
    ({"parent_id": "parse"}, {"doc": "D", "size": 7, "link": "L"}),
    ({"parent_id": "publish"}, {"link": "L"}),
    ({"merge_children_results": True}, {"text": "T", "size": 7, "hits": 2, "doc": "D", "link": "L"}),
    ({"return_keys_only": False}, {"url": "U", **DEFAULT}),
    (
        {"return_keys_only": False, "merge_children_results": True},
        {"url": "U", **DEFAULT, "word": "w", "hits": 2},
    ),
    ({"return_keys": "doc"}, ("D",)),
    ({"return_keys": ("link", "size", "nope")}, ("L", 7, None)),
    ({"return_keys": ("url",)}, (None,)),
    ({"return_keys": ("url",), "return_keys_only": False}, ("U",)),
    ({"return_keys": DYNAMIC_RETURN}, DEFAULT),
    ({"return_keys": (DYNAMIC_RETURN,)}, DEFAULT),
    ({"return_keys": ("link", DYNAMIC_RETURN)}, ("L", DEFAULT)),
    ({"return_keys": ["link", "size"]}, ("L", 7)),
    ({"return_keys": None}, DEFAULT),
]


@pytest.mark.parametrize(("options", "expected"), WORKED)
def test_worked_example(options, expected):
    """Every row of the specification's table about the `publish` result."""
    assert get_results(worked_chain(), **options) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"text": "T", "size": 3, "link": "L"}),
        (
            {"merge_children_results": True},
            {"text": "T", "size": 3, "hits": 2, "doc": "D-child", "link": "L"},
        ),
    ],
)
def test_worked_example_with_a_failed_member(options, expected):
    """A failed member contributes nothing, its children still do."""
    assert get_results(worked_chain(parse_failed=True), **options) == expected


def test_worked_example_on_a_middle_member():
    """Asked for `parse` alone, the next chain member counts as its child."""
    parse = worked_chain().parent

    results = get_results(parse, merge_children_results=True, extract_from_parents=False)

    assert results == {"hits": 2, "doc": "D", "link": "L", "size": 7}


# ── one result ───────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("nothing", [None, BareResult(None), BareResult({}), BareResult(bag(a=1), good=False)])
@pytest.mark.parametrize("return_keys_only", [True, False])
def test_nothing_gives_an_empty_dict(nothing, return_keys_only):
    """No result, a result without a value, an unsuccessful one: all give {}."""
    assert get_results(nothing, return_keys_only=return_keys_only) == {}


def test_result_without_marker_is_all_input():
    """Without named returns nothing is a return and everything an input."""
    result = BareResult({"a": 1, "b": 2})

    assert get_results(result) == {}
    assert get_results(result, return_keys_only=False) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("marker", "returns"), [(None, {}), ((), {}), ([], {}), (("a", "ghost"), {"a": 1}), (["a"], {"a": 1})]
)
def test_only_existing_named_keys_are_returns(marker, returns):
    """A marker that is None, empty or names absent keys gives the existing named keys only."""
    assert get_results(BareResult({"a": 1, "b": 2, RETURN_KEYS_KEY: marker})) == returns


@pytest.mark.parametrize("marker", [None, (), ("a",), ("ghost",)])
def test_marker_itself_is_never_a_value(marker):
    """Whatever the marker says, the caller does not see it."""
    assert get_results(BareResult({"a": 1, RETURN_KEYS_KEY: marker}), return_keys_only=False) == {"a": 1}


def test_stored_value_is_not_edited():
    """Looking at a result changes nothing in it."""
    value = bag({"url": "U"}, text="T")

    get_results(BareResult(value, parent=BareResult(bag(size=3))), return_keys_only=False)

    assert value == {"url": "U", "text": "T", RETURN_KEYS_KEY: ("text",)}


def test_real_result_gives_its_returns():
    """What went through Celery's backend, where tuples become lists, is read the same."""
    assert get_results(stored(SUCCESS, {"url": "U", "text": "T", RETURN_KEYS_KEY: ("text",)})) == {"text": "T"}


# ── children ─────────────────────────────────────────────────────────────────────────────
def unreadable(error, **members):
    """A result whose children raise when they are read."""

    class Unreadable(BareResult):
        @property
        def children(self):
            raise error

        @children.setter
        def children(self, children):
            pass

    return Unreadable(bag(a=1), **members)


def test_children_are_not_read_unless_merged():
    """Reading children may cost a trip to the backend: without merging nobody does."""
    assert get_results(unreadable(AssertionError("touched"), parent=unreadable(AssertionError("touched")))) == {"a": 1}


def test_result_without_children_attribute_is_childless():
    """An AttributeError from `.children` is harmless when merging."""
    assert get_results(unreadable(AttributeError("children")), merge_children_results=True) == {"a": 1}


@pytest.mark.parametrize("children", [None, [], ()])
def test_no_children_merge_to_nothing(children):
    """A result with no children, as Celery may say it, gives its own returns."""
    result = BareResult(bag(a=1))
    result.children = children

    assert get_results(result, merge_children_results=True) == {"a": 1}


@pytest.mark.parametrize(("order", "winner"), [((1, 2), 2), ((2, 1), 1)])
def test_later_sibling_wins(order, winner):
    """Siblings that return the same key: the later one decides."""
    children = [BareResult(bag(key=value)) for value in order]

    assert get_results(BareResult(children=children), merge_children_results=True) == {"key": winner}


def test_unsuccessful_sibling_gives_nothing():
    """A failed later sibling hides nothing."""
    children = [BareResult(bag(key=1)), BareResult(bag(key=2), good=False)]

    assert get_results(BareResult(children=children), merge_children_results=True) == {"key": 1}


def test_children_of_an_unsuccessful_result_count():
    """What the children of a failed task returned is not lost."""
    failed = BareResult(bag(a=1), good=False, children=[BareResult(bag(b=2))])

    assert get_results(failed, merge_children_results=True) == {"b": 2}


def test_grandchildren_are_merged_and_their_parents_win():
    """Merging goes all the way down; a parent's returns beat its children's."""
    grandchild = BareResult(bag(a="grandchild", b="grandchild", c="grandchild"))
    child = BareResult(bag(a="child", b="child"), children=[grandchild])
    head = BareResult(bag(a="head"), children=[child])

    assert get_results(head, merge_children_results=True) == {"a": "head", "b": "child", "c": "grandchild"}


def test_child_returns_beat_parent_inputs():
    """An input of the parent gives way to what a child returned, and to a child's input of that name."""
    child = BareResult(bag({"a": "child input"}, b="child return"))
    head = BareResult(bag({"a": "head input", "b": "head input"}, c=3), children=[child])

    merged = get_results(head, merge_children_results=True, return_keys_only=False)

    assert merged == {"a": "child input", "b": "child return", "c": 3}


# ── the small ones ───────────────────────────────────────────────────────────────────────
def test_task_results_are_the_named_returns():
    """Of one task's dict, the caller gets the returns that are there."""
    assert get_task_results({"a": 1, "b": 2, RETURN_KEYS_KEY: ("b", "ghost")}) == {"b": 2}
    assert get_task_results({"a": 1}) == {}


def test_task_inputs_are_the_rest():
    """Of one task's dict, the caller gets what is neither a return nor the marker."""
    assert get_tasks_inputs_from_result({"a": 1, "b": 2, RETURN_KEYS_KEY: ("b",)}) == {"a": 1}


def test_task_inputs_without_marker_are_the_dict_itself():
    """Without a marker the same object comes back."""
    inputs = {"a": 1}

    assert get_tasks_inputs_from_result(inputs) is inputs


VALUES = {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("keys", "given"),
    [
        ("a", (1,)),
        (("b", "a"), (2, 1)),
        (["a"], (1,)),
        (("a", "ghost"), (1, None)),
        (("a", DYNAMIC_RETURN), (1, VALUES)),
    ],
)
def test_tuple_follows_the_asked_keys(keys, given):
    """A tuple in the asked order, None for a missing key, everything for the dynamic one."""
    assert results2tuple(VALUES, keys) == given


@pytest.mark.parametrize("kind", [ScriptedResult, stored])
def test_successful_result_needs_no_default(kind):
    """A successful result gives what get_results gives, with the same keywords."""
    result = kind(SUCCESS, {"a": 1, RETURN_KEYS_KEY: ["a"]})

    assert get_results_with_default(result, default=0) == {"a": 1}
    assert get_results_with_default(result, default=0, return_keys=("a",)) == (1,)


@pytest.mark.parametrize("state", [FAILURE, PENDING])
def test_unsuccessful_result_gives_the_default(state, caplog):
    """Otherwise the caller gets the default, and the given text is logged as an error."""
    assert get_results_with_default(stored(state), default="nothing", error_msg="no luck today") == "nothing"
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["no luck today"]


def test_stored_exception_is_logged_with_the_default(caplog):
    """When the result holds an exception, the log shows it."""
    error = OSError("disk full")

    assert get_results_with_default(ScriptedResult(FAILURE, error)) is None
    assert any(record.exc_info and record.exc_info[1] is error for record in caplog.records)

"""What a task shows on the page, and values made fit for events (5.7, 5.8, 5.18)."""

import datetime
import json
import re
from dataclasses import dataclass

import pytest

from firexkit.chain import returns
from firexkit.task import (
    convert_to_serializable,
    create_collapse_ops,
    create_flame_config,
    expand_self_op,
    flame,
    flame_collapse,
    flame_collapse_formatter,
    is_jsonable,
)
from unit.task_support import eager_app, events_of, hearing_class, make_app, request_of

HTML = {"type": "html", "order": 0}


def shown(function, *args, runs=1, **options):
    """The flame data of each event that a task with the function sends, as listeners read it."""
    hearing, heard = hearing_class()
    task = eager_app(hearing).task(function, shared=False, name="m.shown", **options)
    for _ in range(runs):
        task.apply(args, throw=True)
    return [json.loads(json.dumps(fields["flame_data"])) for fields in events_of(heard, "task-send-flame")]


def sent(body):
    """The fields of each flame event that body(task) sends from inside of a run."""
    hearing, heard = hearing_class()
    task = make_app(hearing).task(body, shared=False, name="m.sender", bind=True)
    with request_of(task, id="own-id"):
        task()
    return events_of(heard, "task-send-flame")


# ── configs ──────────────────────────────────────────────────────────────────────────────


def test_a_config_says_how_a_value_is_shown():
    """A new config has the six documented entries."""
    config = create_flame_config({}, str, "text", True, True, (1,))

    assert config == {
        "formatter": str,
        "data_type": "text",
        "bind": True,
        "on_next": True,
        "on_next_args": (1,),
        "order": 0,
    }


def test_a_config_stands_behind_the_existing_ones():
    """The order is one more than the highest so far."""
    existing = {"a": {"order": 4}, "b": {"order": 2}}

    assert create_flame_config(existing)["order"] == 5


@pytest.mark.parametrize(
    ("value", "text"), [(None, None), ("<b>x</b>", "<b>x</b>"), (1, "1"), ({"a": [1]}, '{"a": [1]}'), ({1}, "{1}")]
)
def test_the_default_formatter_makes_text(value, text):
    """Text stays, None stays, JSON where JSON can carry it, else str()."""
    assert create_flame_config({})["formatter"](value) == text


def test_the_decorator_leaves_its_mark_on_the_function():
    """The lowest decorator has order 0, and the function is returned unchanged."""

    def service(x):
        return x

    decorated = flame("b")(flame("a")(service))

    assert decorated is service
    assert {key: config["order"] for key, config in service.flame_data_configs.items()} == {"a": 0, "b": 1}


def test_the_decorator_marks_the_innermost_function():
    """The configs stand on the undecorated function."""

    def service(x):
        return x

    flame("a")(returns("y")(service))

    assert list(service.flame_data_configs) == ["a"]


@pytest.mark.parametrize(("decorate", "name"), [(flame("x"), "flame"), (flame("x", decorator_name="shiny"), "shiny")])
def test_the_decorator_above_app_task_is_refused(decorate, name):
    """The error names the decorator that stands in the wrong place."""
    proxy = make_app().task(lambda x: x, shared=False, name="m.proxy")

    with pytest.raises(Exception, match=name):
        decorate(proxy)


# ── data ─────────────────────────────────────────────────────────────────────────────────


def test_an_argument_is_shown_before_and_after_the_run():
    """An argument's key is sent twice."""
    assert shown(flame("x")(lambda x: None), "v") == [{"x": HTML | {"value": "v"}}] * 2


def test_a_result_is_shown_once():
    """A result's key is sent after the run only."""
    assert shown(flame("y")(lambda: "v"), returns="y") == [{"y": HTML | {"value": "v"}}]


def test_a_default_is_shown():
    """What is shown comes from the abog, so defaults too."""
    assert shown(flame("d")(lambda d="D": None))[0] == {"d": HTML | {"value": "D"}}


@pytest.mark.parametrize(("option", "key"), [("*", "*"), (None, "null")])
def test_a_star_shows_everything(option, key):
    """Without a name, the formatter gets the whole mapping."""
    first = shown(flame(option, formatter=sorted)(lambda x, d="D": None), 1)[0]

    assert first == {key: HTML | {"value": ["d", "x"]}}


def test_a_config_on_next_fires_once_a_run():
    """Two runs send it once each, with the given arguments."""
    decorate = flame("page", formatter=lambda a, b: a + b, on_next=True, on_next_args=("a", "b"), data_type="text")

    assert shown(decorate(lambda: None), runs=2) == [{"page": {"value": "ab", "type": "text", "order": 0}}] * 2


def test_a_value_beats_on_next():
    """When the key is there, the formatter gets its value."""
    decorate = flame("x", formatter=lambda *values: list(values), on_next=True, on_next_args=("unused",))

    assert shown(decorate(lambda x: None), 1)[0] == {"x": HTML | {"value": [1]}}


def test_a_bound_formatter_gets_the_task():
    """With bind, the formatter is told which task it formats for."""
    decorate = flame("x", formatter=lambda value, task: f"{task.short_name} {value}", bind=True)

    assert shown(decorate(lambda x: None), 1)[0]["x"]["value"] == "shown 1"


@pytest.mark.parametrize("formatter", [lambda value: None, lambda value: 1 // 0])
def test_a_formatter_that_gives_nothing_hides_only_its_key(formatter):
    """None and errors skip the key; the others are sent."""
    decorated = flame("x")(flame("bad", formatter=formatter)(lambda x, bad: None))

    assert [list(data) for data in shown(decorated, 1, 2)] == [["x"], ["x"]]


def test_nothing_to_show_sends_nothing():
    """Without a value for any key there is no event."""
    assert shown(flame("absent")(lambda x: None), 1) == []


# ── the option ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("option", ["x", ["x"], ("x",), {"x"}])
def test_the_option_takes_a_name_or_names(option):
    """A str, list, tuple or set names the values to show."""
    assert shown(lambda x: None, 1, flame=option)[0] == {"x": HTML | {"value": "1"}}


@pytest.mark.parametrize("option", [["x", "d"], ("x", "d")])
def test_names_in_the_option_are_ordered(option):
    """Each name gets the next order."""
    first = shown(lambda x, d="D": None, 1, flame=option)[0]

    assert {key: data["order"] for key, data in first.items()} == {"x": 0, "d": 1}


def test_the_option_takes_full_configs():
    """A dict of configs is used as it is."""
    config = create_flame_config({}, formatter=lambda value: value + 1, data_type="object")

    assert shown(lambda x: None, 1, flame={"x": config})[0] == {"x": {"value": 2, "type": "object", "order": 0}}


def test_the_option_wins_over_the_decorator():
    """For a key in both the option's config is used; other keys stay."""
    config = create_flame_config({}, formatter=lambda value: "option")
    decorated = flame("d")(flame("x", formatter=lambda value: "decorator")(lambda x, d="D": None))
    first = shown(decorated, 1, flame={"x": config})[0]

    assert {key: data["value"] for key, data in first.items()} == {"x": "option", "d": "D"}


# ── on demand ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "send", [lambda task: task.send_firex_data({"x": 5}), lambda task: task.update_firex_data(x=5)]
)
def test_data_can_be_sent_from_the_body(send):
    """A body sends new values for the configured keys."""

    def body(self):
        send(self)

    assert shown(body, bind=True, flame="x") == [{"x": HTML | {"value": "5"}}]


def test_html_needs_no_config():
    """Each keyword is a key of type html, ordered by the time."""
    (fields,) = sent(lambda task: task.send_firex_html(page="<i>x</i>"))

    assert list(fields["flame_data"]) == ["page"]
    assert (fields["flame_data"]["page"]["value"], fields["flame_data"]["page"]["type"]) == ("<i>x</i>", "html")
    assert isinstance(fields["flame_data"]["page"]["order"], float)


def test_raw_fields_stand_at_the_top():
    """The application adds fields of its own to a flame event."""
    fields = {"external_commands": {"c": 1}}

    assert sent(lambda task: task.send_firex_event_raw(fields)) == [fields]


@pytest.mark.parametrize(("given", "relative_to"), [((), "own-id"), (("other-id",), "other-id")])
def test_a_task_can_be_collapsed(given, relative_to):
    """The operation collapses this task, or another, from this one."""
    (fields,) = sent(lambda task: task.send_display_collapse(*given))
    data = fields["flame_data"]["_default_display"]
    (op,) = data["value"]

    assert data["type"] == "object"
    assert op == {
        "relative_to_nodes": {"type": "task_uuid", "value": relative_to},
        "source_node": {"type": "task_uuid", "value": "own-id"},
        "operation": "collapse",
        "targets": ["self"],
    }


@pytest.mark.parametrize(
    "send",
    [
        lambda task: task.send_event("task-any"),
        lambda task: task.send_firex_data({"x": 1}),
        lambda task: task.update_firex_data(x=1),
        lambda task: task.send_firex_html(x="1"),
        lambda task: task.send_firex_event_raw({"x": 1}),
        lambda task: task.send_display_collapse(),
    ],
)
def test_nothing_is_sent_when_called_directly(send):
    """A direct call has nobody to tell, and does not need a broker to find out."""
    app = make_app(broker_url="amqp://127.0.0.1:1//")
    app.task(send, shared=False, name="m.direct", bind=True, flame="x")()


# ── collapse operations ──────────────────────────────────────────────────────────────────

COLLAPSE = [
    ("self", [{"targets": ["self"]}]),
    ([{"targets": ["self"], "operation": "expand"}], [{"targets": ["self"], "operation": "expand"}]),
    ({"Build": "self"}, [{"relative_to_nodes": {"type": "task_name", "value": "Build"}, "targets": ["self"]}]),
    (
        {re.compile("B.*"): ["self", "descendants"]},
        [{"relative_to_nodes": {"type": "task_name_regex", "value": "B.*"}, "targets": ["self", "descendants"]}],
    ),
    ({None: "descendants"}, [{"targets": ["descendants"]}]),
    ({None: {"targets": ["self"], "operation": "expand"}}, [{"targets": ["self"], "operation": "expand"}]),
    ({None: {"operation": "expand"}}, []),
    (5, []),
    (None, []),
]


@pytest.mark.parametrize(("spec", "ops"), COLLAPSE)
def test_a_collapse_spec_becomes_operations(spec, ops):
    """Text, lists and dicts become operations; what has no targets is dropped."""
    assert create_collapse_ops(spec) == ops


def test_the_operation_to_expand():
    """One operation expands a task itself."""
    assert expand_self_op() == {"operation": "expand", "targets": ["self"]}


def test_operations_get_their_defaults():
    """Missing parts are filled with the own task; without a list of targets an operation is dropped."""
    task = make_app().task(lambda: None, shared=False, name="m.collapsing")
    own = {"type": "task_uuid", "value": "own-id"}
    named = {"relative_to_nodes": {"type": "task_name", "value": "B"}, "operation": "expand", "targets": ["self"]}
    with request_of(task, id="own-id"):
        ops = flame_collapse_formatter([{"targets": ["self"]}, {"targets": "self"}, {}, named], task)

    assert ops == [
        {"targets": ["self"], "relative_to_nodes": own, "source_node": own, "operation": "collapse"},
        named | {"source_node": own},
    ]


def test_collapse_is_sent_once_a_run():
    """The decorator sends its operations with the first flame data of a run."""
    (data,) = shown(flame_collapse("descendants")(lambda: None))

    assert list(data) == ["_default_display"]
    assert data["_default_display"]["type"] == "object"
    assert [op["targets"] for op in data["_default_display"]["value"]] == [["descendants"]]


# ── values made fit for events ───────────────────────────────────────────────────────────


class Odd:
    def __repr__(self):
        return "<odd>"


class Own:
    def firex_serializable(self):
        return {"own": 1}


@dataclass
class Point:
    x: int
    y: object


NOON = datetime.datetime(2024, 1, 2, 12, 0, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("value", "jsonable"), [({"a": [1]}, True), ((1, 2), True), ({1}, False), (Odd(), False), (b"x", False)]
)
def test_what_json_carries_is_told(value, jsonable):
    """True for what json.dumps takes."""
    assert is_jsonable(value) is jsonable


@pytest.mark.parametrize(
    ("value", "converted"),
    [
        ({"a": (1, None)}, {"a": (1, None)}),
        (Odd(), "<odd>"),
        ([1, Odd(), {"k": Odd()}], [1, "<odd>", {"k": "<odd>"}]),
        (Own(), {"own": 1}),
        ({1, 2} - {2}, [1]),
        (NOON, NOON.isoformat()),
        (Point(1, Odd()), {"x": 1, "y": "<odd>"}),
    ],
)
def test_values_are_made_fit_for_events(value, converted):
    """Checklist 36: what JSON cannot carry is converted, the rest stays as it is."""
    assert convert_to_serializable(value) == converted


def test_deep_values_end_in_their_repr():
    """Checklist 36: at the depth limit the whole remaining container becomes its repr."""
    odd = Odd()
    value = [{"a": {"b": {"c": odd}}}]

    assert convert_to_serializable(value, max_recursive_depth=3) == [{"a": {"b": repr({"c": odd})}}]

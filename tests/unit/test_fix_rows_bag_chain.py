"""The quirk register, rows on bag, converters and chains: each defect stays mended, each promise stays kept."""

import pytest
from celery import Task, group

from firexkit.argument_conversion import (
    ConverterRegister,
    MissingConverterDependencyError,
    SingleArgDecorator,
)
from firexkit.chain import InjectArgs, InvalidChainArgsException, returns, verify_chain_arguments
from unit.support import RK, add_task, bag_of, new_app, published, received

RESERVED = ["verbose", "pre_task", "task_name", "self", "cls", "_instrumentation_context"]


def depths(message):
    """The place in the chain stamped on each task of a published chain, None where there is no stamp."""
    return [kwargs.get("chain_depth") for kwargs in (message.kwargs, *(f["kwargs"] for f in message.followers))]


@pytest.fixture
def app():
    return new_app()


@pytest.fixture
def eager():
    return new_app(eager=True)


def test_fix_04_the_same_signature_twice_in_a_chain(app):
    """Row 4: Every member of a chain is stamped with its own place, though it is the same object."""
    signature = add_task(app, lambda x=0: None, "s").s()
    (signature | signature | signature).apply_async()

    assert depths(published(app)) == [0, 1, 2]


def test_fix_04_callers_signatures_are_not_stamped(app):
    """Row 4: Applying a chain leaves the signatures in it, and their clones, as they were."""
    signature = add_task(app, lambda x=0: None, "s").s(x=1)
    clone, applied = signature.clone(), signature | signature
    applied.apply_async()

    assert [signature.kwargs, clone.kwargs, *(t.kwargs for t in applied.tasks)] == [{"x": 1}] * 4


def test_fix_04_a_lone_signature_used_in_a_chain_before(app):
    """Row 4: A signature that was part of a chain is sent alone without a place in a chain."""
    task = add_task(app, lambda x=0: None, "s")
    signature = task.s(x=1)
    (task.s() | signature).apply_async()
    in_chain = published(app)
    signature.apply_async()

    assert depths(in_chain) == [0, 1]
    assert published(app).kwargs == {"x": 1}


def test_fix_04_plain_tasks_are_not_stamped(app):
    """Row 4: A plain Celery task in a chain gets no keyword argument that it does not know."""
    task, plain = add_task(app, lambda x=0: None, "s"), add_task(app, lambda bag: bag, "plain", base=Task)
    (task.s() | plain.s() | task.s()).apply_async()

    assert depths(published(app)) == [0, None, 2]


def test_fix_04_each_run_of_a_repeated_signature(eager):
    """Row 4: The same signature twice in a chain gets its own leading dict both times."""
    signature = add_task(eager, lambda x=0, got=(): [*got, x], "s", returns="got").s({"k": 1})

    assert (signature | signature).apply_async().result["got"] == [{"k": 1}, {"k": 1}]
    assert signature.apply_async().result["got"] == [{"k": 1}]


def test_fix_05_the_parents_depth_is_not_injected(app):
    """Row 5: Facts about one call stay behind when a bag is injected into another task."""
    task = add_task(app, lambda x: x, "single")

    assert (InjectArgs(chain_depth=2, a=1, **{RK: ("a",)}) | task.s({"k": 1})).kwargs == {"a": 1}


def test_fix_05_in_place_injection_leaves_the_depth_behind(app):
    """Row 5: The same holds for injection in place."""
    signature = add_task(app, lambda x: x, "single").s({"k": 1})
    signature.injectArgs(chain_depth=2, a=1, **{RK: ("a",)})

    assert signature.kwargs == {"a": 1}


def test_fix_05_a_lone_child_keeps_its_dict(eager):
    """Row 5: A child that a task at depth 1 sends with its own bag gets its own leading dict."""
    single = add_task(eager, lambda x: x, "single", returns="got")

    def send(self, y):
        return (InjectArgs(**self.abog) | single.s({"k": 1})).apply_async().result["got"]

    first = add_task(eager, lambda: 1, "first", returns="y")
    parent = add_task(eager, send, "parent", bind=True, returns="childs")

    assert (first.s() | parent.s()).apply_async().result["childs"] == {"k": 1}


def test_fix_06_immutable_signature_keeps_its_dict(eager):
    """Row 6: An immutable signature behind another task gets its own leading dict, and no previous result."""
    first = add_task(eager, lambda x: x, "first", returns="y")
    second = add_task(eager, lambda x, y=None: [x, y], "second", returns="got")

    assert (first.s(1) | second.si({"k": 1})).apply_async().result["got"] == [{"k": 1}, None]


@pytest.mark.parametrize(
    ("function", "args", "previous", "call"),
    [
        (lambda x, *rest: x, (1, 2, 3), {"q": 1}, ([1, 2, 3], {})),
        (lambda *rest: rest, (1, 2), {"q": 1}, ([1, 2], {})),
        (lambda x, /: x, (), {"x": 1}, ([1], {})),
        (lambda x, /, y: x, (), {"x": 1, "y": 2}, ([1], {"y": 2})),
        (lambda x, y=5, /: x, (), {"x": 1}, ([1], {})),
        (lambda x, y=5, z=6, /: x, (), {"x": 1, "z": 3}, ([1, 5, 3], {})),
    ],
)
def test_fix_07_rest_and_positional_only(function, args, previous, call):
    """Row 7: After a previous task `*rest` stays spread, and positional-only parameters are passed by position."""
    assert bag_of(function, *args, previous=previous).split_for_signature() == call


def test_fix_07_in_a_chain(eager):
    """Row 7: A task with positional-only parameters and `*rest` runs in a chain."""
    first = add_task(eager, lambda: 1, "first", returns="a")
    second = add_task(eager, lambda a, /, *rest, k=0: [a, rest, k], "second", returns="got")

    assert (first.s() | second.s(k=5)).apply_async().result["got"] == [1, (), 5]


def test_fix_08_previous_return_keys_stay_with_the_caller():
    """Row 8: The previous result is read, not edited."""
    previous = {"x": 1, RK: ("x",)}
    goodies = bag_of(lambda x: x, previous=previous)
    goodies.update({"x": 2})

    assert previous == {"x": 1, RK: ("x",)}


@pytest.mark.parametrize("name", RESERVED)
def test_fix_10_argument_names_of_a_task(app, name):
    """Row 10: No argument name is reserved: a task gets it, converters see it, the bag shows it."""
    task = add_task(app, lambda **kw: {"got": dict(kw), "abog": dict(task.abog)}, f"named_{name}")
    ConverterRegister.register_for_task(task)(lambda values: {"before": dict(values)})

    assert app.tasks[task.name](**{name: 5}) == {
        name: 5,
        "before": {name: 5},
        "got": {name: 5, "before": {name: 5}},
        "abog": {name: 5, "before": {name: 5}},
    }


@pytest.mark.parametrize("name", RESERVED)
def test_fix_10_argument_names_through_the_tracer(app, name):
    """Row 10: The same names work when Celery makes the call, as a worker does."""
    task = add_task(app, lambda **kw: dict(kw), f"applied_{name}")

    assert task.apply(kwargs={name: 5}).result == {name: 5}


@pytest.mark.parametrize("name", ["verbose", "self", "_instrumentation_context"])
def test_fix_10_argument_names_of_task_convert(name):
    """Row 10: The public door passes every name that is not its own parameter on to the converters."""

    class Named:
        """A task class."""

    Named.name = f"m.convert_{name}"
    ConverterRegister.register_for_task(Named)(lambda values: {"seen": dict(values)})

    assert ConverterRegister.task_convert(Named.name, **{name: 5}) == {name: 5, "seen": {name: 5}}


def test_fix_11_references_resolve_in_one_pass():
    """Row 11: A reference to a reference is resolved at once, to any depth."""
    goodies = bag_of(lambda a, b, c, d: a, d="@c", c="@b", b="@a", a=1)

    assert received(goodies) == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert goodies.get_bag() == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_fix_11_default_reference_to_a_reference():
    """Row 11: A default reference follows references as well."""
    assert received(bag_of(lambda x, y="@z": x, 1, z="@q", q=7)) == {"x": 1, "y": 7}


def test_keep_12_unresolved_default_is_empty():
    """Row 12: A default reference to nothing reaches the function as '', and the bag not at all."""
    goodies = bag_of(lambda x, w="@y": x, 1)

    assert goodies.split_for_signature() == ([1], {"w": ""})
    assert goodies.get_bag() == {"x": 1}


def test_keep_12_in_a_task(app):
    """Row 12: The task of §8.2 row 11 sees '' and does not return it as an argument."""
    task = add_task(app, lambda x, w="@y": [x, w], "r", returns="y")

    assert task(1) == {"x": 1, "y": [1, ""], RK: ("y",)}


def test_fix_13_default_reference_is_retried():
    """Row 13: A name that appears with an update satisfies a default that referred to nothing before."""
    goodies = bag_of(lambda x, y="@z": x, 1)
    goodies.update({"other": 0})
    goodies.update({"z": 7})

    assert goodies.split_for_signature() == ([1], {"y": 7})
    assert goodies.get_bag() == {"x": 1, "other": 0, "z": 7, "y": 7}


def test_fix_13_converter_supplies_the_name(app):
    """Row 13: What a converter before the task adds satisfies a default reference."""
    task = add_task(app, lambda x, y="@z": y, "supplied", returns="got")
    ConverterRegister.register_for_task(task)(lambda values: {"z": 7})

    assert task(1)["got"] == 7


def test_keep_12_results_do_not_satisfy_defaults(app):
    """Row 12: Once the function has run with '', a result of the referenced name adds no argument to the bag."""
    task = add_task(app, lambda x, w="@y": w, "late", returns=["y"])

    assert task(1) == {"x": 1, "y": "", RK: ("y",)}


@pytest.mark.parametrize("call", [{"args": ("@nope",)}, {"kwargs": {"x": "@nope"}}])
def test_keep_14_unresolved_reference_is_literal(app, call):
    """Row 14: A supplied reference to nothing reaches the function as the string it is."""
    task = add_task(app, lambda x: x, "literal", returns="got")

    assert task(*call.get("args", ()), **call.get("kwargs", {})) == {"x": "@nope", "got": "@nope", RK: ("got",)}


def test_keep_15_result_strings_are_resolved(app):
    """Row 15: A result under a parameter's name that reads '@b' becomes the bag's b."""
    task = add_task(app, lambda a, b: "@b", "refers", returns="a")

    assert task(1, 2) == {"a": 2, "b": 2, RK: ("a",)}


def test_keep_15_other_result_strings_stay():
    """Row 15: An update under a name that the function does not take stays the string it is."""
    goodies = bag_of(lambda a: a, 1)
    goodies.update({"r": "@a"})

    assert goodies.get_bag() == {"a": 1, "r": "@a"}


@pytest.mark.parametrize("value", [b"@y", b"text", bytearray(b"@y")])
def test_fix_16_bytes_are_no_references(app, value):
    """Row 16: Bytes pass through bag, converters and verification as they are."""
    task = add_task(app, lambda x: None, f"takes_{type(value).__name__}_{len(value)}")
    ConverterRegister.register_for_task(task)(SingleArgDecorator("x")(lambda given: [given]))

    assert bag_of(lambda x, y=value: x, value).split_for_signature() == ([value], {})
    assert task(x=value, y=2) == {"x": [value], "y": 2}
    assert verify_chain_arguments(task.s(x=value)) is True


def test_fix_26_dependencies_beside_a_callable():
    """Row 26: Dependencies given together with the callable count."""
    register, order = ConverterRegister(), []

    def late(values):
        order.append("late")

    def early(values):
        order.append("early")

    register.register(late, "early")
    register.register(early)
    register.convert(a=1)

    assert order == ["early", "late"]


def test_fix_26_missing_dependency_beside_a_callable():
    """Row 26: A dependency that nobody registers is told, though the callable stood beside it."""
    register = ConverterRegister()
    register.register("nope", lambda values: None)

    with pytest.raises(MissingConverterDependencyError):
        register.get_visit_order()


class Grouped:
    """Tasks for chains with groups in them."""

    def __init__(self, app):
        self.gives_y = add_task(app, lambda x: x, "gives_y", returns="y")
        self.takes_y = add_task(app, lambda y: y, "takes_y", returns="z")
        self.takes_q = add_task(app, lambda q: q, "takes_q")


@pytest.mark.parametrize(
    "build",
    [
        lambda t: t.gives_y.s(1) | group(t.takes_y.s(), t.takes_y.s()),
        lambda t: t.gives_y.s(1) | group(t.takes_y.s(), t.takes_q.s(q=1)) | t.takes_q.s(),
        lambda t: t.gives_y.s(1) | group(t.takes_y.s() | t.takes_y.s(), t.takes_y.s()),
        lambda t: group(t.gives_y.s(1), t.gives_y.s(x=2)),
        lambda t: group(t.gives_y.s(1), t.gives_y.s(x=2)) | t.takes_q.s(),
    ],
)
def test_fix_29_chains_with_groups(app, build):
    """Row 29: Members of a group are held against what is there before it; behind it nothing is known."""
    assert verify_chain_arguments(build(Grouped(app))) is True


def test_fix_29_what_verification_accepts_runs(eager):
    """Row 29: A chain in a group finds the result of the task before the group, as verification promised."""
    t = Grouped(eager)
    signature = t.gives_y.s(1) | group(t.takes_y.s() | t.takes_y.s(), t.takes_y.s())

    assert verify_chain_arguments(signature) is True
    assert [result["z"] for result in signature.apply_async().get()] == [1, 1]


@pytest.mark.parametrize(
    ("build", "wrong"),
    [
        (lambda t: t.gives_y.s() | group(t.takes_y.s(), t.takes_y.s()), {"m.gives_y": {"x"}}),
        (lambda t: t.gives_y.s(1) | group(t.takes_y.s(), t.takes_q.s()), {"m.takes_q": {"q"}}),
        (lambda t: t.gives_y.s(1) | group(t.takes_y.s(), t.takes_q.s()) | t.takes_q.s(), {"m.takes_q": {"q"}}),
    ],
)
def test_fix_29_missing_arguments_around_groups(app, build, wrong):
    """Row 29: What is missing before a group or in a member is told under that task's name."""
    with pytest.raises(InvalidChainArgsException) as caught:
        verify_chain_arguments(build(Grouped(app)))

    assert caught.value.wrong_args == wrong


def test_keep_30_positional_and_default_references_pass(app):
    """Row 30: References given positionally, as default, or for a keyword-only parameter are not verified."""
    task = add_task(app, lambda x, y="@nope", *, z=0: None, "unverified")

    assert verify_chain_arguments(task.s("@nope")) is True
    assert verify_chain_arguments(task.s(1)) is True
    assert verify_chain_arguments(task.s(1, z="@nope")) is True


def test_keep_31_depth_is_an_ordinary_argument(eager):
    """Row 31: The place in the chain is in the bag, in `**kw` and in the result, each task with its own."""
    first = add_task(eager, lambda **kw: kw["chain_depth"], "first", returns="before")
    second = add_task(eager, lambda before, **kw: [before, kw], "second", returns="got")

    assert (first.s() | second.s()).apply_async().result == {
        "before": 0,
        "got": [0, {"chain_depth": 1}],
        "chain_depth": 1,
        RK: ("got",),
    }


def test_keep_31_a_lone_task_has_no_depth(eager):
    """Row 31: A task that was sent alone has no place in a chain."""
    assert add_task(eager, lambda **kw: dict(kw), "alone").s(a=1).apply_async().result == {"a": 1}


def test_keep_32_converters_do_not_apply_to_the_original():
    """Row 32: Converters of a task run for any task of that short name, not for the original it replaced."""

    class Overridden:
        name = "m.overridden"

    ConverterRegister.register_for_task(Overridden)(lambda values: {"converted": True})

    assert ConverterRegister.task_convert("plugin.overridden", a=1) == {"a": 1, "converted": True}
    assert ConverterRegister.task_convert("m.overridden_orig", a=1) == {"a": 1}


@pytest.mark.parametrize("arguments", [{}, {"x": 1, "name": "n"}])
def test_fix_37_repr(arguments):
    """Row 37: An InjectArgs shows what it injects."""
    shown = repr(InjectArgs(**arguments))

    assert "InjectArgs" in shown
    assert all(name in shown for name in arguments)


def test_fix_37_injection_behind_a_signature(app):
    """Row 37: Injected arguments behind a task are refused at once, in words that name them."""
    with pytest.raises((TypeError, ValueError), match="InjectArgs"):
        add_task(app, lambda x: x, "before").s(1) | InjectArgs(y=1)


def test_fix_37_injection_behind_a_chain(app):
    """Row 37: Injected arguments behind a chain are refused as well, at the latest before it is sent."""
    task = add_task(app, returns("x")(lambda x: x), "before")

    with pytest.raises((TypeError, ValueError, InvalidChainArgsException), match="InjectArgs"):
        verify_chain_arguments(task.s(1) | task.s() | InjectArgs(y=1))

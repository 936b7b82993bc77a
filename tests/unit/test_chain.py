"""Chains before they run: verification, injected arguments, labels, options; and what they do when run."""

import re

import pytest
from celery import Task, chain
from celery.exceptions import NotRegistered

from firexkit.chain import (
    InjectArgs,
    InvalidChainArgsException,
    get_label,
    returns,
    set_execution_options,
    set_label,
    set_priority,
    set_queue,
    set_soft_time_limit,
    set_use_cache,
    verify_chain_arguments,
)
from firexkit.task import FireXTask
from unit.support import RK, add_task, new_app, published

DYNAMIC = FireXTask.DYNAMIC_RETURN


def keys_of(bag):
    return sorted(bag)


class Tasks:
    """The tasks of one app, each named for what it takes and gives."""

    def __init__(self, **options):
        self.app = new_app(**options)
        self.gives_y = self.add("gives_y", lambda x: x + 1, returns="y")
        self.takes_y = self.add("takes_y", lambda y: y * 10, returns="z")
        self.takes_z = self.add("takes_z", lambda z, w=0: z, returns="last")
        self.takes_default = self.add("takes_default", lambda w="@y", **kw: {"w": w, "kw": kw}, returns="seen")
        self.gives_any = self.add("gives_any", lambda p: {"x": p}, returns=DYNAMIC)
        self.plain_gives_y = self.add("plain_gives_y", returns("y")(lambda x: x + 1), base=Task)
        self.plain = self.add("plain", returns("keys")(keys_of), base=Task)

    def add(self, name, function, **options):
        return add_task(self.app, function, name, **options)


@pytest.fixture
def tasks():
    return Tasks()


@pytest.fixture
def eager():
    return Tasks(eager=True)


def run(signature):
    """The result that the signature's last task returns, run at once in this process."""
    return signature.apply_async().result


def options_of(signatures):
    return [dict(signature.options) for signature in signatures]


def refused(signature):
    """What is wrong with the signature, as verification tells it."""
    with pytest.raises(InvalidChainArgsException) as caught:
        verify_chain_arguments(signature)
    return caught.value.wrong_args


@pytest.mark.parametrize(
    "build",
    [
        lambda t: t.plain_gives_y.s(1) | t.takes_y.s(),
        lambda t: t.plain_gives_y.s(x=1) | t.takes_y.s() | t.takes_z.s(),
        lambda t: t.gives_y.s(1) | t.plain_gives_y.s(x=2),
        lambda t: t.gives_y.s(x=1) | t.plain_gives_y.s(),
        lambda t: t.plain_gives_y.s(x=1) | t.plain_gives_y.s(),
    ],
)
def test_plain_tasks_in_verification(tasks, build):
    """Checklist 21: Plain Celery tasks take part in verification by their `@returns`."""
    assert verify_chain_arguments(build(tasks)) is True


def test_missing_argument_of_a_plain_task(tasks):
    """Checklist 21: A plain Celery task that lacks an argument is told like any other."""
    assert refused(tasks.plain_gives_y.s() | tasks.takes_y.s()) == {"m.plain_gives_y": {"x"}}


def test_plain_task_feeds_a_firex_task(eager):
    """Checklist 21: The named result of a plain Celery task reaches the next FireX task by name."""
    assert run(eager.plain_gives_y.s(1) | eager.takes_y.s())["z"] == 20


def test_firex_task_feeds_a_plain_task(eager):
    """Checklist 21: A plain Celery task gets the whole bag as its first positional, and nothing else."""
    assert run(eager.gives_y.s(1) | eager.plain.s())["keys"] == sorted([RK, "chain_depth", "x", "y"])


def test_missing_arguments_each_time(tasks):
    """Checklist 22: Verification gives the same answer however often it is asked."""
    bad, good = tasks.gives_y.s() | tasks.takes_y.s(), tasks.gives_y.s(1) | tasks.takes_y.s()

    assert [refused(bad), verify_chain_arguments(good)] * 2 == [{"m.gives_y": {"x"}}, True] * 2
    assert [refused(bad), verify_chain_arguments(good)] == [{"m.gives_y": {"x"}}, True]


@pytest.mark.parametrize(
    "build",
    [
        lambda t: t.gives_y.s(1),
        lambda t: t.gives_y.s(x=1),
        lambda t: t.takes_z.s(5),
        lambda t: t.takes_default.s(),
        lambda t: t.gives_y.s(1) | t.takes_z.s(z=5),
        lambda t: t.gives_y.s(1, z=3) | t.takes_z.s(),
        lambda t: t.gives_y.s(1) | t.gives_y.s(),
        lambda t: t.gives_y.s(x=1, extra=2) | t.takes_y.s(extra=3),
    ],
)
def test_satisfied_arguments(tasks, build):
    """Checklist 22: Own arguments, defaults, and what earlier tasks were given or return satisfy a task."""
    assert verify_chain_arguments(build(tasks)) is True


@pytest.mark.parametrize(
    ("build", "wrong"),
    [
        (lambda t: t.gives_y.s(), {"m.gives_y": {"x"}}),
        (lambda t: t.gives_y.s(y=1), {"m.gives_y": {"x"}}),
        (lambda t: t.gives_y.s() | t.takes_y.s(y=1), {"m.gives_y": {"x"}}),
        (lambda t: t.takes_z.s(z=1) | t.takes_y.s(), {"m.takes_y": {"y"}}),
        (lambda t: t.gives_y.s() | t.takes_z.s(), {"m.gives_y": {"x"}, "m.takes_z": {"z"}}),
        (lambda t: t.gives_any.s() | t.gives_y.s(), {"m.gives_any": {"p"}}),
    ],
)
def test_missing_arguments(tasks, build, wrong):
    """Checklist 22: What is missing is told by task and name."""
    assert refused(build(tasks)) == wrong


def test_missing_arguments_of_the_same_task_twice(tasks):
    """§4.3: What one task misses at two places of a chain is told together."""
    pair = tasks.add("pair", lambda a, b: None, returns="c")

    assert refused(pair.s() | pair.s(a=1)) == {"m.pair": {"a", "b"}}


def test_text_of_missing_arguments(tasks):
    """Checklist 22: The text names each missing argument and the short name of the task that needs it."""
    with pytest.raises(InvalidChainArgsException) as caught:
        verify_chain_arguments(tasks.gives_y.s() | tasks.takes_z.s())
    text = str(caught.value)

    assert "Missing mandatory arguments:" in text
    assert 'required by "gives_y"' in text
    assert 'required by "takes_z"' in text


def test_the_error_without_details():
    """§4.3: Without details the error has none, and it is a plain Exception."""
    assert InvalidChainArgsException("text").wrong_args == {}
    assert InvalidChainArgsException.__bases__ == (Exception,)


@pytest.mark.parametrize("option", ["y", ("y",), {"y"}])
def test_references_to_returns(option):
    """Checklist 23: A reference is satisfied by what an earlier task returns, however that is declared."""
    t = Tasks()
    giving = t.add("giving", lambda: 1, returns=option)

    assert verify_chain_arguments(giving.s() | t.gives_y.s(x="@y")) is True


@pytest.mark.parametrize(
    "build",
    [
        lambda t: t.plain_gives_y.s(x=1) | t.takes_z.s(z="@y"),
        lambda t: t.gives_y.s(1) | t.takes_z.s(z="@x"),
        lambda t: t.gives_y.s(x=1, q=2) | t.takes_z.s(z="@q"),
        lambda t: t.gives_y.s(x="@q", q=2),
        lambda t: t.gives_y.s(x="@y"),
        lambda t: t.gives_y.s(x=1, z="@y") | t.takes_z.s(),
        lambda t: t.gives_y.s(x=1) | t.takes_z.s(z="@@y"),
        lambda t: t.gives_y.s(x="@"),
    ],
)
def test_satisfied_references(tasks, build):
    """Checklist 23: Arguments and returns of earlier tasks, and of the task itself, satisfy a reference."""
    assert verify_chain_arguments(build(tasks)) is True


@pytest.mark.parametrize(
    ("build", "wrong"),
    [
        (lambda t: t.gives_y.s(x="@q"), {"x": "q"}),
        (lambda t: t.gives_y.s(x=1) | t.takes_z.s(z=1, w="@q"), {"w": "q"}),
        (lambda t: t.gives_y.s(x=1, z="@q") | t.takes_z.s(), {"z": "q"}),
        (lambda t: t.gives_y.s(x=1) | t.takes_y.s(y="@z2") | t.takes_z.s(w="@q"), {"y": "z2", "w": "q"}),
    ],
)
def test_unresolved_references(tasks, build, wrong):
    """Checklist 23: A reference to nothing, on this task or on an earlier one, is told by parameter."""
    assert refused(build(tasks)) == wrong


def test_text_of_unresolved_references(tasks):
    """Checklist 23: The text lists each parameter with the name it refers to, on a line of its own."""
    with pytest.raises(InvalidChainArgsException) as caught:
        verify_chain_arguments(tasks.gives_y.s(x="@q") | tasks.takes_z.s(z="@r"))

    assert re.findall(r"^\W*(\w+: @?\w+)$", str(caught.value), re.MULTILINE) in (["x: q", "z: r"], ["x: @q", "z: @r"])


def test_default_references_are_not_verified(tasks):
    """Checklist 23: A default that refers to nothing passes; the task then gets ''."""
    assert verify_chain_arguments(tasks.takes_default.s()) is True


def test_declared_arguments():
    """Checklist 24: Required names stand in order, optional ones with their defaults, stars and self in neither."""
    task = Tasks().add("many", lambda self, b, a, d=4, *rest, c, e=None, **kw: (1, 2), bind=True, returns=["r", "s"])

    assert list(task.required_args) == ["b", "a", "c"]
    assert task.optional_args == {"d": 4, "e": None}
    assert task.return_keys == ("r", "s")


def test_declared_arguments_are_copies():
    """Checklist 24: Editing what one access gave changes nothing for the next."""
    task = Tasks().add("few", lambda a, b=1: None)
    task.required_args.append("x")
    task.optional_args["x"] = 1

    assert (task.required_args, task.optional_args, task.return_keys) == (["a"], {"b": 1}, ())


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (lambda x: x + 1, {"returns": "y"}),
        (lambda x: x + 1, {"returns": ["y"]}),
        (lambda x: x + 1, {"returns": {"y"}}),
        (returns("y")(lambda x: x + 1), {}),
        (lambda x: {"y": x + 1}, {"returns": DYNAMIC}),
        (returns(DYNAMIC)(lambda x: {"y": x + 1}), {}),
        (returns("y")(lambda x: x + 1), {"base": Task}),
    ],
)
def test_chain_of_three(function, options):
    """Checklist 25: Three tasks fit together and give the same, however the first declares its returns."""
    t = Tasks(eager=True)
    three = t.add("first", function, **options).s(1) | t.takes_y.s() | t.takes_z.s()

    assert verify_chain_arguments(three) is True
    assert run(three)["last"] == 20


@pytest.mark.parametrize(
    "build",
    [
        lambda t: t.gives_any.s(p=1) | t.gives_y.s(),
        lambda t: t.gives_any.s(p=1) | t.takes_z.s(z="@nope"),
        lambda t: t.gives_any.s(p="@nope"),
        lambda t: t.gives_y.s(1) | t.gives_any.s(2) | t.takes_z.s(),
    ],
)
def test_dynamic_returns_stop_verification(tasks, build):
    """Checklist 25: Behind dynamic returns, and for that task's own references, nothing is verified."""
    assert verify_chain_arguments(build(tasks)) is True


def test_before_dynamic_returns(tasks):
    """Checklist 25: What is missing before the dynamic returns is told."""
    assert refused(tasks.gives_y.s() | tasks.gives_any.s(1)) == {"m.gives_y": {"x"}}


@pytest.mark.parametrize(
    ("build", "error"),
    [(lambda t: t.gives_y.s(1, 2), TypeError), (lambda t: t.app.signature("m.nobody"), NotRegistered)],
)
def test_errors_that_are_not_ours(tasks, build, error):
    """§4.3: Too many positionals and unknown tasks keep the errors of Python and Celery."""
    with pytest.raises(error):
        verify_chain_arguments(build(tasks))


def test_injected_arguments(tasks):
    """Checklist 26: Injecting gives a clone with the arguments; the original stays as it was."""
    original = tasks.gives_y.s()
    injected = InjectArgs(x=1, w=2) | original

    assert injected.kwargs == {"x": 1, "w": 2}
    assert original.kwargs == {}
    assert verify_chain_arguments(injected) is True


def test_injection_into_a_chain(tasks):
    """Checklist 26: A chain gets the arguments in its first task; the original chain stays as it was."""
    original = tasks.gives_y.s() | tasks.takes_y.s(w=5)
    injected = InjectArgs(x=1) | original

    assert [dict(task.kwargs) for task in injected.tasks] == [{"x": 1}, {"w": 5}]
    assert [dict(task.kwargs) for task in original.tasks] == [{}, {"w": 5}]
    assert verify_chain_arguments(injected) is True


def test_explicit_arguments_beat_injected_ones(tasks):
    """Checklist 26: Only names that are not among the first task's keyword arguments are injected."""
    assert (InjectArgs(x=1, w=2) | tasks.gives_y.s(x=5)).kwargs == {"x": 5, "w": 2}


def test_positionals_beat_injected_arguments(eager):
    """Checklist 26: A positional wins over an injected value when the task runs."""
    assert run(InjectArgs(x=1) | eager.gives_y.s(5)) == {"x": 5, "y": 6, RK: ("y",)}


def test_merged_injections():
    """Checklist 26: Two InjectArgs make one, in which the right side wins."""
    merged = InjectArgs(a=1, b=1) | InjectArgs(b=2, c=2)

    assert type(merged) is InjectArgs
    assert merged.inject_args == {"a": 1, "b": 2, "c": 2}


def test_in_place_or(tasks):
    """Checklist 26: `c |= x` is `c = c | x` and leaves what c was alone."""
    first = composed = InjectArgs(x=1)
    composed |= InjectArgs(w=2)
    composed |= tasks.gives_y.s()
    composed |= tasks.takes_y.s()

    assert [dict(task.kwargs) for task in composed.tasks] == [{"x": 1, "w": 2}, {}]
    assert first.inject_args == {"x": 1}


def test_chain_of_an_injected_signature(tasks):
    """Checklist 26: `chain(injected, other)` is the injected signature followed by the other."""
    composed = chain(InjectArgs(x=1) | tasks.gives_y.s(), tasks.takes_y.s())

    assert [(task.task, dict(task.kwargs)) for task in composed.tasks] == [("m.gives_y", {"x": 1}), ("m.takes_y", {})]
    assert verify_chain_arguments(composed) is True


def test_injected_arguments_flow_through_the_chain(eager):
    """Checklist 26: What is injected at the head reaches later tasks, needed or not."""
    result = run(InjectArgs(x=1, w="late", unneeded=0) | eager.gives_y.s() | eager.takes_default.s())

    assert result["seen"]["w"] == "late"
    assert result["unneeded"] == 0


@pytest.mark.parametrize("build", [lambda t: t.gives_y.s(w=1), lambda t: t.gives_y.s(w=1) | t.takes_y.s()])
def test_inject_into_a_signature(tasks, build):
    """Checklist 26: `signature.injectArgs` fills gaps in place, and only on that signature."""
    signature = build(tasks)
    clone = signature.clone()
    signature.injectArgs(x=1, w=2)
    first, first_of_clone = (getattr(each, "tasks", [each])[0] for each in (signature, clone))

    assert first.kwargs == {"w": 1, "x": 1}
    assert first_of_clone.kwargs == {"w": 1}


@pytest.mark.parametrize("name", ["self", "other", "args", "sig", "kwargs", "task"])
def test_any_name_may_be_injected(tasks, name):
    """§4.2: No argument name is reserved."""
    assert InjectArgs(**{name: 1}).inject_args == {name: 1}
    assert (InjectArgs(**{name: 1}) | tasks.gives_y.s()).kwargs == {name: 1}


@pytest.mark.parametrize(
    ("build", "label"),
    [
        (lambda t: t.gives_y.s(), "m.gives_y"),
        (lambda t: t.gives_y.s() | t.takes_y.s(), "m.gives_y|m.takes_y"),
        (lambda t: t.gives_y.s() | t.takes_y.s() | t.takes_z.s(), "m.gives_y|m.takes_y|m.takes_z"),
        (lambda t: InjectArgs(x=1) | t.gives_y.s(), "m.gives_y"),
        (lambda t: InjectArgs(x=1) | t.gives_y.s() | t.takes_y.s(), "m.gives_y|m.takes_y"),
    ],
)
def test_labels(tasks, build, label):
    """Checklist 27: A label is the names of the tasks until one is set, by function or by method."""
    signature = build(tasks)
    told = [get_label(signature), signature.get_label()]
    set_label(signature, "first")
    told.append(get_label(signature))
    signature.set_label("second")

    assert [*told, signature.get_label()] == [label, label, "first", "second"]


def test_labels_of_members_are_not_consulted(tasks):
    """Checklist 27: A chain without a label of its own is called by its tasks' names, not by their labels."""
    labelled = tasks.gives_y.s()
    set_label(labelled, "mine")

    assert get_label(labelled | tasks.takes_y.s()) == "m.gives_y|m.takes_y"


SETTERS = [
    (set_priority, "set_priority", {"priority": 5}),
    (set_priority, "set_priority", {"priority": 0}),
    (set_queue, "set_queue", {"queue": "fast"}),
    (set_soft_time_limit, "set_soft_time_limit", {"soft_time_limit": 60}),
    (set_use_cache, "set_use_cache", {"use_cache": False}),
]


@pytest.mark.parametrize(("function", "method", "options"), SETTERS)
def test_option_of_a_signature(tasks, function, method, options):
    """Checklist 28: Function and method set exactly that option, and return nothing."""
    by_function, by_method = tasks.gives_y.s(1), tasks.gives_y.s(1)

    assert function(by_function, *options.values()) is None
    assert getattr(by_method, method)(*options.values()) is None
    assert options_of([by_function, by_method]) == [options, options]


@pytest.mark.parametrize(("function", "method", "options"), SETTERS)
def test_option_of_a_chain(tasks, function, method, options):
    """Checklist 28: On a chain the option is set on every member."""
    by_function, by_method = (tasks.gives_y.s(1) | tasks.takes_y.s() for _ in range(2))
    function(by_function, *options.values())
    getattr(by_method, method)(*options.values())

    assert options_of([*by_function.tasks, *by_method.tasks]) == [options] * 4


def test_several_options(tasks):
    """Checklist 28: Any Celery options can be set together, and add to those that are there."""
    signature = tasks.gives_y.s(1) | tasks.takes_y.s()
    set_execution_options(signature, priority=1, expires=10)
    signature.set_execution_options(queue="fast", priority=2)

    assert options_of(signature.tasks) == [{"priority": 2, "expires": 10, "queue": "fast"}] * 2


def test_message_of_the_second_task(eager):
    """§8.4: The second task gets the bag of the first and its own place in the chain."""
    result = run(eager.gives_y.s(1) | eager.takes_default.s())

    assert result["seen"] == {"w": 2, "kw": {"chain_depth": 1, "x": 1, "y": 2}}
    assert result.keys() == {"x", "y", "w", "chain_depth", "seen", RK}


@pytest.mark.parametrize(
    ("build", "outcome"),
    [
        (lambda t: t.gives_y.s(1) | t.takes_default.s(), True),
        (lambda t: t.takes_z.s() | t.takes_y.s(y=1), {"m.takes_z": {"z"}}),
        (lambda t: t.gives_y.s(x=1) | t.takes_default.s(w="@q"), {"w": "q"}),
        (lambda t: t.gives_y.s(x="@y"), True),
        (lambda t: t.gives_any.s(p=1) | t.gives_y.s(), True),
        (lambda t: t.gives_any.s() | t.gives_y.s(), {"m.gives_any": {"p"}}),
    ],
)
def test_worked_verification(tasks, build, outcome):
    """§8.4: Each worked chain is accepted, or refused for the reason given."""
    signature = build(tasks)

    assert (verify_chain_arguments(signature) if outcome is True else refused(signature)) == outcome


@pytest.mark.parametrize("build", [lambda t: t.gives_y.s(1), lambda t: t.gives_y.s(1) | t.takes_y.s()])
def test_applied_twice(eager, build):
    """§15.4: The same signature applied twice gives the same result twice."""
    signature = build(eager)

    assert run(signature) == run(signature)


def test_shared_by_two_chains(eager):
    """§15.4: A signature in two chains, at different places, gives in each what a fresh one would."""
    shared = eager.takes_default.s()
    first, second = shared | eager.gives_y.s(1), eager.gives_y.s(1) | shared
    fresh = [run(eager.takes_default.s() | eager.gives_y.s(1)), run(eager.gives_y.s(1) | eager.takes_default.s())]

    assert [run(first), run(second)] == fresh
    assert [run(first), run(second)] == fresh


def test_enqueue_verifies_first(tasks):
    """§4.5: Enqueuing refuses what verification refuses."""
    with pytest.raises(InvalidChainArgsException):
        tasks.gives_y.s().enqueue()


def test_enqueue_options(tasks):
    """§4.5: Options of enqueue reach the message of every task, a priority of 0 and a soft time limit included."""
    queue = tasks.app.conf.task_default_queue
    result = (tasks.gives_y.s(1) | tasks.takes_y.s()).enqueue(queue=queue, priority=0, soft_time_limit=60)
    message = published(tasks.app)
    later = message.followers[0]["options"]

    assert later["task_id"] == result.id
    assert (message.properties["priority"], message.headers["timelimit"]) == (0, [None, 60])
    assert (later["priority"], later["soft_time_limit"], later["queue"]) == (0, 60, queue)

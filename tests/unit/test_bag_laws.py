"""Laws of the bag: precedence of sources, and references that always come to an end."""

from collections.abc import Mapping
from copy import deepcopy
from inspect import Parameter, Signature
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from firexkit.bag_of_goodies import BagOfGoodies
from unit.support import received

NAMES = ("a", "b", "c", "d", "e")
LAW = settings(deadline=None, max_examples=100)


class Call(NamedTuple):
    """One call after a previous task; every value is a pair of the place it came from and its name."""

    signature: Signature
    positional: dict[str, Any]
    keyword: dict[str, Any]
    previous: dict[str, Any]

    def bag(self) -> BagOfGoodies:
        return BagOfGoodies(self.signature, (self.previous, *self.positional.values()), self.keyword, True)


@st.composite
def signatures(draw):
    """A function's signature: parameters before the star, parameters behind it, perhaps `**kw`."""
    names = draw(st.permutations(NAMES))
    before, behind = draw(st.integers(0, 3)), draw(st.integers(0, 2))
    required = draw(st.integers(0, before))
    parameters = [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default_of(name, given=position >= required))
        for position, name in enumerate(names[:before])
    ]
    parameters += [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default_of(name, given=draw(st.booleans())))
        for name in names[before : before + behind]
    ]
    return Signature(parameters + draw(st.sampled_from([[], [Parameter("kw", Parameter.VAR_KEYWORD)]])))


def default_of(name: str, *, given: bool) -> Any:
    return ("default", name) if given else Parameter.empty


@st.composite
def calls(draw):
    """A signature and a call that fits it, with every name offered in any of the places."""
    signature = draw(signatures())
    before = [name for name, p in signature.parameters.items() if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    positional = {name: ("positional", name) for name in before[: draw(st.integers(0, len(before)))]}
    keyword, previous = (
        {name: (place, name) for name in draw(st.sets(st.sampled_from(NAMES)))} for place in ("keyword", "previous")
    )
    return Call(signature, positional, keyword, previous)


def supplied(call: Call) -> dict[str, Any]:
    """Every supplied value: positionals first, then keyword arguments, then the previous bag."""
    return {**call.previous, **call.keyword, **call.positional}


def defaults(call: Call) -> dict[str, Any]:
    """The default of each parameter that nobody supplied."""
    given = {n: p.default for n, p in call.signature.parameters.items() if p.default is not Parameter.empty}
    return {name: default for name, default in given.items() if name not in supplied(call)}


@given(calls())
@LAW
def test_precedence(call):
    """§15.2: Positional beats keyword beats previous beats default, for any signature and any call."""
    bag = call.bag()
    offered = {**defaults(call), **supplied(call)}
    accepted = offered if bag.varkeyword else {n: v for n, v in offered.items() if n in call.signature.parameters}

    assert received(bag) == accepted


@given(calls())
@LAW
def test_the_bag_holds_what_was_supplied(call):
    """§3.2: The bag is exactly what was supplied: nothing lost, no default added."""
    assert call.bag().get_bag() == supplied(call)


@given(calls())
@LAW
def test_origins_tell_the_place(call):
    """§3.2: The origin of every value is the place that won."""
    kinds = {name: value[0] for name, value in {**defaults(call), **supplied(call)}.items()}

    assert {name: origin.kind for name, origin in call.bag().origins.items()} == kinds


@given(calls(), st.dictionaries(st.sampled_from(NAMES), st.integers()))
@LAW
def test_updates_win_and_touch_nothing_given(call, updates):
    """§3.4: After an update its values are in the bag and in the call; the caller's dicts are untouched."""
    given_values = deepcopy(call)
    bag = call.bag()
    bag.update(updates)

    assert bag.get_bag() == {**supplied(call), **updates}
    assert received(bag).items() >= {n: v for n, v in updates.items() if n in received(bag)}.items()
    assert call == given_values


values = st.one_of(st.sampled_from([f"@{name}" for name in (*NAMES, "nowhere")]), st.integers())
graphs = st.dictionaries(st.sampled_from(NAMES), values)
accepted_names = st.sets(st.sampled_from(NAMES)).map(sorted)


def taking(names: list[str]) -> Signature:
    return Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in names])


def path(graph: Mapping[str, Any], name: str) -> list[str]:
    """The names that a value leads through, itself first; a name twice at the end tells of a cycle."""
    seen = [name]
    while str(graph[seen[-1]]).removeprefix("@") in graph and seen[-1] not in seen[:-1]:
        seen.append(graph[seen[-1]].removeprefix("@"))
    return seen


def is_cyclic(names: list[str]) -> bool:
    return len(set(names)) < len(names)


@given(graphs, accepted_names)
@LAW
def test_references_resolve_to_their_end(graph, names):
    """§15.2: An accepted value that leads to an end becomes that end; what is not accepted travels as it is."""
    bag = BagOfGoodies(taking(names), (), dict(graph), False).get_bag()
    ends = {name: graph[path(graph, name)[-1]] for name in graph if not is_cyclic(path(graph, name))}

    assert {n: v for n, v in bag.items() if n not in names} == {n: v for n, v in graph.items() if n not in names}
    assert {n: bag[n] for n in names if n in ends} == {n: ends[n] for n in names if n in ends}


@given(graphs, accepted_names)
@LAW
def test_cycles_stay_references(graph, names):
    """§15.2: A value on a cycle stays what it is, and one that leads into a cycle stays a reference."""
    bag = BagOfGoodies(taking(names), (), dict(graph), False).get_bag()
    cyclic = [name for name in graph if is_cyclic(path(graph, name))]
    on_the_cycle = [name for name in cyclic if path(graph, name)[-1] == name]

    assert {n: bag[n] for n in on_the_cycle} == {n: graph[n] for n in on_the_cycle}
    assert all(str(bag[name]).startswith("@") for name in cyclic)


@given(graphs, graphs, accepted_names)
@LAW
def test_a_pass_is_final(graph, updates, names):
    """§15.2: When a pass has run, another one changes nothing."""
    bag = BagOfGoodies(taking(names), (), dict(graph), False)
    bag.update(updates)
    after_one = dict(bag.get_bag())
    bag.update({})

    assert bag.get_bag() == after_one

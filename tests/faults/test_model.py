"""Once, cache, revoke and wait in any order against what plain Python says of them."""

from __future__ import annotations

import itertools
import json
import os
import socket
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from faults.flows import value_of
from faults.rig import LIMIT, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED: Final = int(os.environ.get("FIREXKIT_FAULTS_SEED", "5000"))
EXAMPLES: Final = int(os.environ.get("FIREXKIT_FAULTS_EXAMPLES", "15"))
STEPS: Final = 20
NAMES: Final = st.sampled_from(["a", "b", "c"])
ASKING: Final = st.sampled_from(["once", "cache"])
CLOSED, OPEN, REVOKED = "closed", "open", "ChainRevokedException"
LATE: Final = "WaitOnChainTimeoutError"

pytestmark = [pytest.mark.faults, pytest.mark.timeout(EXAMPLES * LIMIT)]
_numbers = itertools.count(1)


class Machine(RuleBasedStateMachine):
    """One task that is told what to do next, and dicts that know what comes of it."""

    world: World

    @initialize()
    def begin(self) -> None:
        self.key = f"model{next(_numbers)}"
        self.steps: list[str] = []
        self.answers: dict[str, str] = {}
        self.bodies: Counter[str] = Counter()
        self.sent: dict[str, str] = {}
        address = self.world.directory / f"{self.key}.socket"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(address))
            listening.listen()
            listening.settimeout(LIMIT)
            arguments = {"key": self.key, "address": str(address)}
            self.number = self.world.client.ask("run", task="interpreter", arguments=arguments, returns="steps")
            self.line, _ = listening.accept()
        self.line.settimeout(LIMIT)
        self.told = self.line.makefile("rw")

    def ask(self, do: str, name: str) -> Any:
        self.steps.append(f"{do} {name}")
        self.told.write(json.dumps({"do": do, "name": name}) + "\n")
        self.told.flush()
        try:
            return json.loads(self.told.readline())
        except (TimeoutError, ValueError):
            print(f"{self.key} has come to no end of {self.steps}\n{self.world.report(with_stacks=True)}")
            raise

    def open_gate(self, name: str) -> None:
        (self.world.directory / f"{self.key}.{name}").touch()

    # ── once and cache: one body for a name until it is forgotten ────────────────────────

    @rule(how=ASKING, name=NAMES)
    def ask_for(self, how: str, name: str) -> None:
        """Whoever asks again gets what came the first time."""
        name = f"{how}-{name}"
        value = self.ask(how, name)
        if name not in self.answers:
            self.bodies[f"{self.key}.{name}"] += 1
            assert value not in self.answers.values()
        assert self.answers.setdefault(name, value) == value

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def forget(self, data: Any) -> None:
        """What is forgotten is asked for anew."""
        name = data.draw(st.sampled_from(sorted(self.answers)))
        self.ask("forget", name)
        del self.answers[name]

    # ── send, revoke, wait ───────────────────────────────────────────────────────────────

    @precondition(lambda self: len(self.sent) < 4)
    @rule()
    def send(self) -> None:
        name = f"task-{len(self.sent)}"
        self.ask("send", name)
        self.sent[name] = CLOSED

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def revoke(self, data: Any) -> None:
        """A task that has not ended is revoked; one that has keeps its value."""
        name = data.draw(st.sampled_from(sorted(self.sent)))
        self.ask("revoke", name)
        if self.sent[name] == CLOSED:
            self.sent[name] = REVOKED

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def wait(self, data: Any) -> None:
        """A wait ends with the value, or tells of the revocation; without an end it is as long as it may be."""
        name = data.draw(st.sampled_from(sorted(self.sent)))
        if self.sent[name] == CLOSED and data.draw(st.booleans()):
            assert self.ask("look", name) == LATE
            return
        if self.sent[name] == CLOSED:
            self.open_gate(name)
            self.sent[name] = OPEN
        expected = REVOKED if self.sent[name] == REVOKED else value_of(f"{self.key}.{name}")
        assert self.ask("wait", name) == expected

    def teardown(self) -> None:
        """All ends, and no answer had more bodies than it should."""
        if not hasattr(self, "told"):
            return
        for name in self.sent:
            self.open_gate(name)
        self.told.close()
        self.line.close()
        self.world.client.value(self.number, LIMIT)
        starts = self.world.starts()

        assert {key: starts[key] for key in self.bodies} == dict(self.bodies)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def test_once_cache_revoke_and_wait_in_any_order(world: World) -> None:
    """Each step gives what the model says."""
    Machine.world = world
    print(f"seed {SEED}")
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        seed(SEED)(Machine),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a world is not the same a second time
            suppress_health_check=list(HealthCheck),
        ),
    )

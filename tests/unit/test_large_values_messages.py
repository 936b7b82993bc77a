"""Large values in messages that nobody else could fetch for: they travel as they always did."""

import pytest

from firexkit.chain import InjectArgs
from unit.support import add_task, new_app, published

BIG = "x" * 100_000


@pytest.fixture
def app():
    """Its backend is memory, which no other process reads."""
    return new_app()


def test_without_a_shared_backend_values_are_in_the_message(app):
    """By position, by name, and in the rest of a chain."""
    task = add_task(app, lambda a, b=None: a)
    task.delay(BIG, b=[BIG])
    (task.s(BIG) | task.s(b=BIG)).apply_async()
    alone, chain = published(app), published(app)

    assert (alone.args, alone.kwargs) == ([BIG], {"b": [BIG]})
    assert (chain.args, chain.followers[0]["kwargs"]["b"]) == ([BIG], BIG)


def test_injected_values_are_in_the_message(app):
    """What is injected into the head is an argument like any other."""
    task = add_task(app, lambda a: a)
    (InjectArgs(a=BIG) | task.s()).apply_async()

    assert published(app).kwargs == {"a": BIG}

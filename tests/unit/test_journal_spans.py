"""Tasks as spans: ids that are always the same, times, links, and nothing of values."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from firexkit.journal.model import (
    Began,
    Blocked,
    Entry,
    Failed,
    Lost,
    Queued,
    Retried,
    Returned,
    Revoked,
    Unblocked,
    Value,
)
from firexkit.journal.spans import Spans, span_id, span_of, trace_id
from firexkit.journal.tracing import spans_for
from firexkit.journal.tree import Tree
from firexkit.uid import new_run_id

RUN = "FireX-ada-261123-090000-0123456789abcdef0123456789abcdef"
NAME = "shop.buy"
SECRET = Entry(name="password", value=Value(digest="d", preview="hunter2"))


def exported(*facts):
    """The spans of all tasks, by the tasks' ids."""
    tree, exporter = Tree(facts), InMemorySpanExporter()
    spans = Spans(RUN, exporter)
    for task in tree:
        spans.tell(tree, task)
    spans.close()
    return {span.attributes["messaging.message.id"]: span for span in exporter.get_finished_spans()}


def succeeded(task="t", at=1.0, **more):
    return [
        Queued(at=at, task=task, name=NAME, queue="celery", **more),
        Began(at=at + 1, task=task, attempt=1, name=NAME, worker="mc@host", code="/src/shop.py", arguments=(SECRET,)),
        Returned(at=at + 2, task=task, attempt=1, results=(SECRET,)),
    ]


def test_a_task_that_has_ended_is_a_span():
    span = exported(*succeeded())["t"]

    assert (span.name, span.kind.name, span.status.status_code) == (NAME, "CONSUMER", StatusCode.OK)
    assert (span.start_time, span.end_time) == (2_000_000_000, 3_000_000_000)
    assert f"{span.context.trace_id:x}" == "123456789abcdef0123456789abcdef"
    assert dict(span.attributes) == {
        "messaging.system": "celery",
        "messaging.operation.type": "process",
        "messaging.message.id": "t",
        "messaging.message.conversation_id": RUN,
        "messaging.destination.name": "celery",
        "messaging.client.id": "mc@host",
        "code.file.path": "/src/shop.py",
        "firexkit.task.name": NAME,
        "firexkit.task.state": "succeeded",
        "firexkit.task.attempts": 1,
    }


def test_a_task_that_goes_on_is_none():
    assert exported(*succeeded()[:2]) == {}


def test_parents_and_chains():
    """A child has its parent's span as parent, and a link to the member before it."""
    spans = exported(*succeeded("p"), *succeeded("a", parent="p"), *succeeded("b", parent="p", after="a"))

    assert spans["p"].parent is None
    assert spans["b"].parent.span_id == spans["p"].context.span_id
    assert [(link.context.span_id, dict(link.attributes)) for link in spans["b"].links] == [
        (spans["a"].context.span_id, {"firexkit.link": "after"})
    ]


def test_what_happened_to_a_task_stands_in_its_span():
    """In the order of time, with the attempt."""
    facts = [
        Queued(at=1.0, task="t", name=NAME),
        Began(at=2.0, task="t", attempt=1, name=NAME),
        Blocked(at=3.0, task="t", attempt=1, on=("c",)),
        Unblocked(at=4.0, task="t", attempt=1),
        Retried(at=5.0, task="t", attempt=1, reason="hunter2"),
        Began(at=6.0, task="t", attempt=2, name=NAME),
        Lost(at=7.0, task="t", attempt=2, cause="hunter2"),
        Began(at=8.0, task="t", attempt=3, name=NAME),
        Returned(at=9.0, task="t", attempt=3),
    ]
    span = exported(*facts)["t"]

    assert [
        (event.name, event.timestamp // 10**9, event.attributes.get("firexkit.task.attempt")) for event in span.events
    ] == [
        ("queued", 1, None),
        ("began", 2, 1),
        ("blocked", 3, 1),
        ("unblocked", 4, 1),
        ("retried", 5, 1),
        ("began", 6, 2),
        ("lost", 7, 2),
        ("began", 8, 3),
    ]
    assert span.attributes["firexkit.task.attempts"] == 3
    assert (span.start_time, span.end_time) == (2 * 10**9, 9 * 10**9)


def test_a_failure_is_an_error_with_its_class():
    """And a link to the task that failed first, which may not have been sent."""
    facts = [
        Failed(at=2.0, task="t", attempt=1, error="shop.Empty", message="hunter2", traceback="hunter2", cause="c"),
        Failed(at=1.0, task="c", attempt=1, error="ValueError"),
    ]
    spans = exported(*facts)
    (event,) = spans["t"].events

    assert (spans["t"].status.status_code, spans["t"].status.description) == (StatusCode.ERROR, "shop.Empty")
    assert (event.name, event.attributes["exception.type"]) == ("exception", "shop.Empty")
    assert spans["t"].attributes["error.type"] == "shop.Empty"
    assert [(link.context.span_id, link.attributes["firexkit.link"]) for link in spans["t"].links] == [
        (spans["c"].context.span_id, "cause")
    ]


def test_a_revoked_task_that_never_began():
    span = exported(Queued(at=1.0, task="t", name=NAME), Revoked(at=3.0, task="t", reason="hunter2"))["t"]

    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "revoked")
    assert (span.start_time, span.end_time) == (10**9, 3 * 10**9)


def test_no_span_ends_before_it_begins():
    """Of machines whose clocks differ."""
    span = exported(Began(at=9.0, task="t", attempt=1, name=NAME), Returned(at=1.0, task="t", attempt=1))["t"]

    assert (span.start_time, span.end_time) == (9 * 10**9, 9 * 10**9)


def test_values_and_messages_stay_inside():
    failed = Failed(at=9.0, task="u", attempt=2, error="E", message="hunter2", traceback="hunter2")
    spans = exported(*succeeded(), failed, Retried(at=1.0, task="u", attempt=1, reason="hunter2"))

    assert len(spans) == 2
    assert "hunter2" not in "".join(span.to_json() for span in spans.values())


def test_a_task_is_sent_once_unless_it_was_run_again():
    exporter, facts = InMemorySpanExporter(), succeeded()
    spans, tree = Spans(RUN, exporter), Tree(facts)
    sent = [spans.tell(tree, tree.get("t")), spans.tell(tree, tree.get("t"))]
    tree.add(Began(at=7.0, task="t", attempt=2, name=NAME))
    tree.add(Returned(at=8.0, task="t", attempt=2))
    sent.append(spans.tell(tree, tree.get("t")))
    spans.close()

    assert sent == [True, False, True]
    assert len({span.context.span_id for span in exporter.get_finished_spans()}) == 1


def test_a_collector_that_does_not_answer_holds_up_nobody():
    """What is left when the run is over is waited for, but not long."""
    answers = threading.Event()

    class Silent(InMemorySpanExporter):
        def export(self, spans):
            answers.wait(60)
            return super().export(spans)

    tree = Tree(succeeded())
    spans = Spans(RUN, Silent())
    spans.tell(tree, tree.get("t"))
    is_sent = spans.close(patience=0.05)
    answers.set()

    assert not is_sent


@given(st.text(), st.text())
def test_ids_are_valid_and_always_the_same(run, task):
    assert trace_id(run) == trace_id(run) in range(1, 2**128)
    assert span_id(task) == span_id(task) in range(1, 2**64)


def test_runs_have_traces_of_their_own():
    assert trace_id(new_run_id()) != trace_id(new_run_id())


def told(facts):
    tree = Tree(facts)
    return span_of(tree, tree.get("t"), RUN).to_json()


@given(st.permutations([*succeeded(), Blocked(at=2.5, task="t", attempt=1), *succeeded("u", parent="t", after="t")]))
def test_the_order_of_facts_does_not_matter(facts):
    in_order = sorted(facts, key=lambda fact: fact.at)

    assert told(facts) == told(in_order)


def test_spans_go_where_the_environment_says():
    """Here to the exporter that comes with the SDK."""
    tree = Tree(succeeded())
    spans = spans_for(RUN, {"OTEL_TRACES_EXPORTER": "console"})
    sent = spans.tell(tree, tree.get("t"))
    spans.close()

    assert sent

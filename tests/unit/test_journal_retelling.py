"""What a recorder tells on: each task once it has ended, and nothing of its values."""

from __future__ import annotations

import pytest

from firexkit.journal.model import Began, Entry, Failed, Queued, Returned, Shown, Unknown, Value
from firexkit.journal.retelling import Retelling

FAR = "/far/w@other/t_1.html"
SECRET = (Entry(name="password", value=Value(digest="d", preview="hunter2")),)
FACTS = [
    *(Queued(at=float(n), task=f"t{n}", name="shop.buy") for n in range(4)),
    *(Began(at=n + 0.5, task=f"t{n}", attempt=1, name="shop.buy", arguments=SECRET, log=FAR) for n in range(3)),
    Returned(at=3.0, task="t0", attempt=1, results=SECRET),
    Failed(at=4.0, task="t1", attempt=1, error="E", message="hunter2", traceback="hunter2"),
    Shown(at=4.0, task="t2", key="k", html="hunter2"),
    Unknown(kind="of the future", raw=b"hunter2"),
]


def test_it_keeps_no_values():
    retelling = Retelling()
    retelling.tell(FACTS)

    assert "hunter2" not in repr([task.facts for task in retelling._tree])


def test_logs_of_tasks_that_have_ended_elsewhere_are_to_come(tmp_path):
    retelling = Retelling()
    retelling.tell(FACTS)

    assert retelling.awaited_logs(tmp_path) == {"w@other/t_1.html": 4.0}


def test_each_task_is_a_span_once():
    """Also when all is told again to the same spans by a recorder that began anew."""
    pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from firexkit.journal.spans import Spans

    exporter = export.InMemorySpanExporter()
    retelling = Retelling(spans=Spans("run", exporter))
    for fact in FACTS:
        retelling.tell([fact])
    retelling.tell(FACTS)
    retelling.close()

    assert sorted(span.attributes["messaging.message.id"] for span in exporter.get_finished_spans()) == ["t0", "t1"]

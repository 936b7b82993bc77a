"""Facts are told to every listener, and no listener fails a task."""

from celery import Celery

from firexkit import _announce
from firexkit.task.telling import LONGEST_IN_EVENT


def task_in_a_worker():
    app = Celery("announce", broker="memory://", backend="cache+memory://", task_cls="firexkit.task:FireXTask")

    @app.task(shared=False)
    def report(x):
        return x

    task = app.tasks[report.name]
    task.push_request(id="one", called_directly=False, hostname="w@h", is_eager=True)
    return task


def test_listeners_are_told(monkeypatch):
    """A listener hears which task tells what."""
    heard = []
    monkeypatch.setattr(_announce, "_listeners", [])
    _announce.listen(lambda task, event, **fields: heard.append((task.request.id, event, fields)))
    task_in_a_worker().send_event("task-of-mine", size=3)

    assert heard == [("one", "task-of-mine", {"size": 3})]


def test_a_listener_that_fails_fails_no_task(monkeypatch, caplog):
    """What a listener raises is logged, and the next listener is told."""
    heard = []
    monkeypatch.setattr(_announce, "_listeners", [lambda *_, **__: 1 / 0, lambda *_, **__: heard.append(1)])
    task_in_a_worker().send_event("task-of-mine")

    assert heard == [1]
    assert "ZeroDivisionError" in caplog.text


def test_large_values_are_told_by_their_beginnings(monkeypatch):
    """Monitors get each small value as it is, and of a large one what a person may read."""
    heard = {}
    monkeypatch.setattr(_announce, "_listeners", [lambda _task, event, **fields: heard.update({event: fields})])
    app = Celery("large", task_cls="firexkit.task:FireXTask")

    @app.task(shared=False)
    def double(text, times):
        return {"all": [text] * times, "times": times}

    double.apply(("x" * 1_000_000, 2), throw=True)
    bound, result = heard["task-started-info"]["firex_bound_args"], heard["task-results"]["firex_result"]

    assert (bound["times"], result["times"]) == (2, 2)
    assert bound["text"].startswith("'xxx")
    assert bound["text"].endswith("… (1,000,000 characters)")
    assert result["all"].startswith("['xxx")
    assert max(map(len, (bound["text"], result["all"]))) < LONGEST_IN_EVENT + 100

"""One task of a run as lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from firexkit.cli.about_run import end_of_traceback, field
from firexkit.cli.lines import Line, block, line
from firexkit.cli.phrases import elapsed, moment, short, short_id
from firexkit.cli.tree_lines import Now, mark_of, note_on, seconds_of, tree_lines
from firexkit.cli.values import arguments, results
from firexkit.journal.model import Failed, Lost, Retried
from firexkit.journal.origins import Finder
from firexkit.journal.tree import Body, Task, Tree
from firexkit.runtime.page_text import readable, text_of


def about(
    task: Task, children: Sequence[Task], find: Finder, place: str, now: Now, *, room: int | None
) -> Iterator[Line]:
    """Everything that is known of a task.

    Args:
        task: the task.
        children: what it enqueued.
        find: gives other tasks of the run.
        place: where its log is; empty when it has none.
        now: the present.
        room: see `values.arguments`.
    """
    below = Tree(fact for child in children for fact in child.facts)
    yield from _head(task, find, place, now)
    if not task.has_ended:
        yield field("now", note_on(Tree(fact for one in (task, *children) for fact in one.facts), task, now))
    yield from _section("arguments", arguments(task, find, room=room))
    yield from _section("results", results(task, room=room))
    yield from _section("error", _error(task, find))
    if len(task.bodies) > 1:
        yield from _section("attempts", map(_attempt, task.bodies))
    for shown in task.shown:
        title = "shown" if shown.key == "*" else f"shown: {readable(shown.key)}"
        yield from _section(title, block(text_of(shown.html), indent="  "))
    yield from _section("children", (_indented(one) for one in tree_lines(below, now)))


def _section(title: str, lines: Iterable[Line]) -> Iterator[Line]:
    known = [*lines]
    if known:
        yield line()
        yield line((title, "bold"))
        yield from known


def _indented(one: Line) -> Line:
    return line("  ", *one.spans, wraps=one.wraps)


def _head(task: Task, find: Finder, place: str, now: Now) -> Iterator[Line]:
    mark, style = mark_of(task.state, now)
    yield field("task", (task.name or "?", "bold"), "  ", (f"{mark} {task.state}", style))
    yield field("id", task.id)
    yield from _times(task, now)
    if task.why_revoked:
        yield field("revoked", readable(task.why_revoked), wraps=True)
    for name, task_id in (("parent", task.parent), ("after", task.after), *(("joined", one) for one in task.joined)):
        if task_id:
            other = find(task_id)
            yield field(name, f"{short(other.name) if other is not None else '?'}  {short_id(task_id)}")
    began = task.began
    if began is not None and began.worker:
        yield field("worker", began.worker)
    if began is not None and began.plugin:
        yield field("plugin", began.plugin, wraps=True)
    if began is not None and began.code:
        yield field("code", began.code, wraps=True)
    if place:
        yield field("log", place, wraps=True)


def _times(task: Task, now: Now) -> Iterator[Line]:
    sent = task.queued.at if task.queued is not None else None
    if sent is not None:
        yield field("sent", moment(sent))
    if task.started_at is not None:
        waited = f", after {elapsed(max(0.0, task.started_at - sent))} in its queue" if sent is not None else ""
        yield field("began", f"{moment(task.started_at)}{waited}")
    seconds = seconds_of(task, now)
    waits = [(until or now.at) - since for body in task.bodies for since, until in body.waits]
    for_others = f", of which it waited {elapsed(max(0.0, sum(waits)))} for others" if waits else ""
    if seconds is not None:
        yield field("took", f"{elapsed(seconds)}{'' if task.has_ended else ' so far'}{for_others}")


def _error(task: Task, find: Finder) -> Iterator[Line]:
    failure = task.failure
    if failure is None or task.state == "succeeded":
        return
    message = readable(failure.message.strip())
    yield from block(f"{failure.error}: {message}" if message else failure.error, indent="  ", style="red")
    if failure.cause:
        cause = find(failure.cause)
        yield line(f"  because of {short(cause.name) if cause is not None else 'a task'}  {failure.cause}", wraps=True)
    yield from end_of_traceback(failure.traceback, indent="  ")


def _attempt(body: Body) -> Line:
    took = body.ended_at - body.started_at if body.ended_at is not None and body.started_at is not None else None
    worker = body.began.worker if body.began is not None else ""
    parts = (f"  {body.number}.", moment(body.started_at), elapsed(max(0.0, took)) if took is not None else "", worker)
    return line("  ".join(filter(None, parts)), f"  {_end_of(body)}", wraps=True)


def _end_of(body: Body) -> str:
    match body.end:
        case Failed(error=error, message=message):
            return f"failed: {error}: {readable(message)}"
        case Retried(reason=reason):
            return f"asked for another attempt: {readable(reason)}" if reason else "asked for another attempt"
        case Lost(cause=cause):
            return f"lost: {readable(cause)}" if cause else "lost: its process died"
        case None:
            return "goes on, or nobody could tell its end"
    return "succeeded"

"""Children sent under ids that a body gives again when it runs again; then, those that are there are taken over.

A task whose process died runs again under the same id and retry number. What it enqueues then is looked up before it is
sent: a chain that waits, runs or has succeeded is not sent, its result is the answer; of one that failed, the members
before the failure stay as they are, and the others are sent. A first run looks at nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from itertools import count
from typing import Any, Final, NamedTuple

from celery.states import FAILURE, PENDING, READY_STATES, REVOKED, SUCCESS

from firexkit._celery.chains import is_chain, is_parallel
from firexkit._celery.messages import JSON, bag_of, carried, takes_bag
from firexkit._celery.patience import patiently
from firexkit._celery.secret_settings import secret_names
from firexkit._celery.states import keeps_results, refresh
from firexkit._celery.types import AsyncResult
from firexkit._celery.wakeup import wakeup_of
from firexkit._crash_points import crash_point
from firexkit._records import records_of
from firexkit._serialization.large import fetched
from firexkit._wire import ATTEMPT, DEPTH_OPTION, FIELD_NO_RESULT, FIELD_REVOKED, FIELD_SENT
from firexkit.revoke import revoke_tasks
from firexkit.task.child_ids import Enqueue, digest_of, heads, identified, places, rebuilt

_FAILED: Final = frozenset({FAILURE, REVOKED})
_COUNTS: Final = "firexkit_enqueued"
"""Attribute of a request: how often its body has sent each thing. There, since one body may run several FireX tasks."""


def send(task: Any, chain: Any, options: Mapping[str, Any]) -> AsyncResult:
    """Send a child chain, or take over what an earlier body of the running task has sent in its place.

    Args:
        task: the task whose function runs.
        chain: a signature, chain, group or chord; it is not changed.
        options: of Celery's ``apply_async``.
    """
    sender = task.app.current_worker_task
    if sender is None or not sender.request.id:
        result: AsyncResult = chain.apply_async(**options)
        return result
    enqueue = _enqueue(sender.request, chain, options)
    lost = lost_bodies(sender.request)
    if lost and keeps_results(task.app.backend):
        crash_point("rerun: before a child is found again")
        again = _send_parallel_again if _has_parallels(chain) else _send_again
        return again(_Again(task, chain, options, enqueue, lost))
    return _sent(chain, enqueue, options)


def lost_bodies(request: Any) -> int:
    """How many bodies of a request's task ended with their process, so that it runs once more under its retry number.

    A message that was delivered again counts where nobody counts bodies.
    """
    attempt = getattr(request, ATTEMPT, None)
    if attempt is None:
        return int(bool((request.delivery_info or {}).get("redelivered")))
    return max(0, int(attempt) - (request.retries or 0) - 1)


def _enqueue(request: Any, chain: Any, options: Mapping[str, Any]) -> Enqueue:
    if all(task.options.get("task_id") for _, task in places(chain)):
        return Enqueue("", "", 0, "")  # no id follows from it
    given, digest = options.get("task_id"), digest_of(chain)
    if given:
        # Whoever names the last task names them all.
        return Enqueue(str(given), "", 0, digest)
    counts: dict[str, Any] = vars(request).setdefault(_COUNTS, {})
    # A task that replaces another one has its id.
    life = f"{request.retries or 0}.{getattr(request, 'replaced_task_nesting', None) or 0}"
    return Enqueue(str(request.id), life, next(counts.setdefault(digest, count())), digest)


def _sent(chain: Any, enqueue: Enqueue, options: Mapping[str, Any]) -> AsyncResult:
    if is_chain(chain) or is_parallel(chain):
        chain = identified(chain, enqueue.id_at, last=options.get("task_id"))
    elif not chain.options.get("task_id"):
        # Celery merges the options into a copy of its own.
        options = {"task_id": enqueue.id_at(""), **options}
    result: AsyncResult = chain.apply_async(**options)
    return result


def _has_parallels(sig: Any) -> bool:
    return is_parallel(sig) or (is_chain(sig) and any(_has_parallels(member) for member in sig.tasks))


# ── what is known, and what follows ──────────────────────────────────────────────────────


class Seen(NamedTuple):
    """What is known of one member of a chain."""

    is_sent: bool
    state: str
    left_nothing: bool = False
    """Whether it succeeded without a stored result."""

    @property
    def is_there(self) -> bool:
        """Whether somebody sent it, or told how it ended."""
        return self.is_sent or self.state != PENDING

    @property
    def has_ended(self) -> bool:
        """Whether how it ended is stored, or it never starts."""
        return self.state in READY_STATES

    @property
    def has_failed(self) -> bool:
        """Whether it ended without a result, or never starts."""
        return self.state in _FAILED


_NOT_THERE: Final = Seen(is_sent=False, state=PENDING)


def seen_of(record: Mapping[str, str], state: str) -> Seen:
    """What a record and a stored state tell; a task whose revocation is on record does not start any more."""
    is_revoked = FIELD_REVOKED in record and state not in READY_STATES
    return Seen(FIELD_SENT in record, REVOKED if is_revoked else state, FIELD_NO_RESULT in record)


def standing(seen: Sequence[Sequence[Seen]]) -> list[int]:
    """For each member the generation that counts: the latest in which it was sent, or one before it.

    Args:
        seen: the members of each generation.
    """
    latest, found = 0, []
    for members in zip(*seen, strict=True):
        latest = max([latest, *(generation for generation, member in enumerate(members) if member.is_there)])
        found.append(latest)
    return found


def first_to_send(members: Sequence[Seen]) -> int | None:
    """The first member of a chain that has to be sent; None if the chain is under way or has succeeded."""
    if not members[0].is_there:
        return 0
    first = next((at for at, member in enumerate(members) if member.has_failed), None)
    if not first:
        return first
    while first and members[first - 1].left_nothing:
        first -= 1  # what it returned is needed
    # Something that was revoked behind a task that still runs is told by that task's end.
    return first if not first or members[first - 1].state == SUCCESS else None


# ── the same enqueue again ───────────────────────────────────────────────────────────────


class _Again(NamedTuple):
    """An enqueue of a body that runs again."""

    task: Any
    chain: Any
    options: Mapping[str, Any]
    enqueue: Enqueue
    lost: int

    def of_generation(self, generation: int) -> Any:
        """The chain with the ids that it had when so many bodies had been lost."""
        return self.with_ids(partial(self.enqueue.id_at, generation=generation))

    def with_ids(self, id_at: Callable[[str], str]) -> Any:
        """The chain with these ids."""
        return identified(self.chain, id_at, last=self.options.get("task_id"))

    def known(self, generations: Iterable[Any]) -> list[list[Seen]]:
        """What is known of each member of each generation; an id that several have belongs to the first of them."""
        ids = [[member.options["task_id"] for _, member in places(chain)] for chain in generations]
        every = list(dict.fromkeys(task_id for members in ids for task_id in members))
        seen = dict(zip(every, _look(self.task, every), strict=True))
        return [[seen.pop(task_id, _NOT_THERE) for task_id in members] for members in ids]

    def noted(self, head: AsyncResult) -> None:
        """Let the running task have a child that an earlier body of it has sent, as if it had sent that itself."""
        if self.options.get("add_to_parent", True):
            self.task.app.current_worker_task.add_trail(head)


def _look(task: Any, ids: Sequence[str]) -> list[Seen]:
    tasks = records_of(task.app.backend).tasks
    records = patiently(tasks.fields, ids, (FIELD_SENT, FIELD_REVOKED, FIELD_NO_RESULT))
    if tasks.keeps_history and not any(records):
        return [_NOT_THERE] * len(ids)
    states = refresh([task.AsyncResult(task_id) for task_id in ids])
    return [seen_of(record, states[task_id]) for task_id, record in zip(ids, records, strict=True)]


def _send_again(again: _Again) -> AsyncResult:
    seen = again.known(again.of_generation(generation) for generation in range(again.lost))
    generations = standing(seen)
    members = [seen[generation][at] for at, generation in enumerate(generations)]
    first = first_to_send(members)
    is_anew = first is not None and any(member.state == REVOKED for member in members[first:])
    if first is not None and is_anew:
        # Workers remember for hours whom they must not run.
        generations[first:] = [again.lost] * (len(members) - first)
    spots = [place for place, _ in places(again.chain)]
    by_place = dict(zip(spots, generations, strict=True))
    chain = again.with_ids(lambda place: again.enqueue.id_at(place, by_place[place]))
    if first is None:
        return _taken_over(again, chain)
    _drop_states(chain, members, first)
    return _sent_from(again, chain, first, is_anew=is_anew)


def _taken_over(again: _Again, chain: Any) -> AsyncResult:
    results = _results([member for _, member in places(chain)])
    again.noted(results[0])
    return results[-1]


def _results(members: Iterable[Any]) -> list[AsyncResult]:
    """The results of members of a chain, each with the one before it as its parent."""
    results: list[AsyncResult] = []
    for member in members:
        result = member.freeze()
        result.parent = results[-1] if results else None
        results.append(result)
    return results


def _drop_states(chain: Any, members: Sequence[Seen], first: int) -> None:
    """Forget how members ended that run again under their ids. Their records stay: they count the bodies."""
    results = _results(member for _, member in places(chain))
    for result, member in zip(results[first:], members[first:], strict=True):
        if member.has_ended:
            patiently(result.backend.forget, result.id)
            _unheard(result)


def _unheard(result: AsyncResult) -> None:
    """Forget what this process has heard of a task, if an earlier body ran in it."""
    if (wakeup := wakeup_of(result.backend)) is not None:
        wakeup.wait(0)
        wakeup.heard_of(result.id)


def _sent_from(again: _Again, chain: Any, first: int, *, is_anew: bool) -> AsyncResult:
    """Send a chain from a member on; the ones before it are its parents, as if they had been sent now."""
    if not first:
        result: AsyncResult = chain.apply_async(**again.options)
        return result
    members = [member for _, member in places(chain)]
    before = _results(members[:first])
    head = members[first].clone(parent_id=before[-1].id)
    rest = rebuilt(chain, {"tasks": [head, *members[first + 1 :]]}, **{DEPTH_OPTION: first})
    # It is a child of the member before it, which has told so, unless it gets another id now.
    result = rest.apply_async(
        args=() if head.immutable else (_handed_on(before[-1], head),),
        **{**again.options, "add_to_parent": is_anew and again.options.get("add_to_parent", True)},
    )
    again.noted(before[0])
    _top(result).parent = before[-1]
    return result


def _handed_on(previous: AsyncResult, head: Any) -> Any:
    """What a member that has succeeded gives to the next one, as it would if it ended now."""
    bag = patiently(bag_of, previous)
    if bag is None:
        return patiently(lambda: previous.result)
    if previous.backend.serializer != JSON or not takes_bag(head):
        return fetched(bag)
    return carried(bag, None, task_name=head.task, secret=secret_names(head.app))


def _send_parallel_again(again: _Again) -> Any:
    """A chain with a group or chord in it is taken over whole; once one of its tasks has failed, it is sent anew."""
    generations = [again.of_generation(generation) for generation in range(again.lost)]
    seen = again.known(generations)
    latest = next((at for at in reversed(range(again.lost)) if any(member.is_there for member in seen[at])), None)
    if latest is None:
        return generations[0].apply_async(**again.options)
    chain, members = generations[latest], seen[latest]
    if is_complete(dict(zip((place for place, _ in places(chain)), members, strict=True)), set(heads(chain))):
        result = chain.freeze()
        again.noted(_top(result))
        return result
    # What is left of it would run beside what is sent now, and end in another chord.
    left = [
        task.options["task_id"]
        for (_, task), member in zip(places(chain), members, strict=True)
        if not member.has_ended
    ]
    revoke_tasks(again.task.app, left)
    return again.of_generation(again.lost).apply_async(**again.options)


def is_complete(members: Mapping[str, Seen], first: Set[str]) -> bool:
    """Whether a chain with groups was sent as a whole, and none of its tasks has failed.

    Args:
        members: what is known of each task, by its place.
        first: the places of the tasks that are sent at once.
    """
    return all(members[place].is_there for place in first) and not any(member.has_failed for member in members.values())


def _top(result: Any) -> Any:
    while result.parent is not None:
        result = result.parent
    return result

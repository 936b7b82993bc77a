"""Whether tasks have ended, and who is to blame when a chain broke: what follows from states and records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from celery.states import FAILURE, PENDING, READY_STATES, REVOKED, SUCCESS

from firexkit import _wire
from firexkit._celery.states import refresh
from firexkit.result.errors import (
    ChainException,
    ChainInterruptedByZombieTaskException,
    ChainInterruptedException,
    ChainRevokedException,
    ChainRevokedPreRunException,
)
from firexkit.result.lookups import get_task_name_from_result, id_of, records_of_many
from firexkit.result.lost import is_lost
from firexkit.result.tree import parents_of
from firexkit.revoke import is_known_revoked


class Facts:
    """States of results and of the members of their chains, read together, and what follows from them.

    Args:
        results: what is judged.
        is_stored_in_order: whether what came before a result in its chain is stored when the result is.
        asks_workers: find revocations that nobody put on record, too, by asking all workers once a minute.
    """

    def __init__(
        self,
        results: Iterable[Any],
        is_stored_in_order: Callable[[Any], bool] = lambda _: False,
        *,
        asks_workers: bool = True,
    ) -> None:
        self._asks_workers = asks_workers
        members = {id_of(result): result for result in results}
        self.states: dict[str, str] = refresh(list(members.values()))
        self._in_order = {
            member_id
            for member_id, member in members.items()
            if self.states[member_id] == SUCCESS and is_stored_in_order(member)
        }
        unsure = [member for member_id, member in members.items() if member_id not in self._in_order]
        above = {id_of(parent): parent for member in unsure for parent in parents_of(member)}
        self.states.update(refresh([parent for parent_id, parent in above.items() if parent_id not in members]))
        members.update(above)
        pending = [member for member_id, member in members.items() if self.states[member_id] == PENDING]
        fields = (_wire.FIELD_REVOKED, _wire.FIELD_ATTEMPT, _wire.FIELD_NO_RESULT)
        self._known = records_of_many(pending, fields)

    def is_whole(self, result: Any) -> bool:
        """Whether all that comes before a result in its chain has ended, as far as that can be read."""
        return id_of(result) in self._in_order or all(self.has_ended(parent) for parent in parents_of(result))

    def has_ended(self, result: Any) -> bool:
        """Whether a task will not change its state any more."""
        return self.states[id_of(result)] in READY_STATES or self.leaves_no_result(result)

    def leaves_no_result(self, result: Any) -> bool:
        """Whether a task with ``ignore_result`` has succeeded: nothing more will ever be known of it."""
        return _wire.FIELD_NO_RESULT in self._known.get(id_of(result), ())

    def first_to_blame(self, result: Any) -> Any:
        """The member that broke the chain of a result; Celery marks what follows a failure as failed, too."""
        if id_of(result) in self._in_order:
            return None
        above = parents_of(result)
        blamed = next((parent for parent in above if self._is_broken(parent)), None)
        if blamed is None:
            return result if self._is_broken(result) else None
        for parent in above:
            if self.states[id_of(blamed)] != FAILURE or self.states[id_of(parent)] != FAILURE:
                break
            blamed = parent
        return blamed

    def _is_broken(self, member: Any) -> bool:
        state = self.states[id_of(member)]
        return state in (FAILURE, REVOKED) or (state == PENDING and self._is_revoked_before_start(member))

    def _is_revoked_before_start(self, member: Any) -> bool:
        """Revoked and never started. The state wins over the list: what started will end in a state of its own."""
        known = self._known[id_of(member)]
        if _wire.FIELD_ATTEMPT in known:
            return False
        if _wire.FIELD_REVOKED in known:
            return True
        return self._asks_workers and is_known_revoked(member.id)


def error_of(member: Any, state: str) -> Exception:
    """What a waiter is told of the member that broke a chain."""
    if state == FAILURE:
        cause = getattr(member, "result", None)  # a group has none
        kind = ChainInterruptedByZombieTaskException if is_lost(cause) else ChainInterruptedException
        return kind(id_of(member), get_task_name_from_result(member), cause if isinstance(cause, Exception) else None)
    return named(ChainRevokedException if state == REVOKED else ChainRevokedPreRunException, member)


def named(kind: Callable[[str, str], ChainException], member: Any) -> Exception:
    """An error about a task, with its id and name."""
    return kind(id_of(member), get_task_name_from_result(member))

"""Who does what is to be done once: sends the task for a key, or computes what equal calls ask for.

A claim names the task that has it and the leases of its processes. Whoever else asks is told to wait as long as one of
these leases lasts and the body of that task has not ended; then the first who asks takes the claim over. That leases
are over may be the store's own doing, as when it was paused; so who takes a claim for that has to be sure.

Each question is answered in one step of the store, and may be asked again when its answer was lost.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, NamedTuple

from firexkit import _wire
from firexkit._records.keys import lifetime


class Claimant(NamedTuple):
    """The task that asks for a claim."""

    task_id: str
    leases: tuple[str, ...]
    """Keys that expire when nobody runs its body any more; the first is that of its own process."""
    renewal: int
    """Milliseconds to renew the first of them for; 0 when it was renewed a moment ago."""
    results: str
    """What stands before a task's id in the key of its result."""
    is_tracked: bool
    """Whether its result says that it has started: then a result that is not there was deleted."""
    is_sure: bool = False
    """Whether leases that are over were over for a while, and the store answered all the time."""


class Standing(StrEnum):
    """What the store answers to a claimant."""

    FIRST = "first"
    """The claim is its own, and was nobody's."""
    AGAIN = "again"
    """The claim is its own, and it or somebody who is gone may have done something about it."""
    HELD = "held"
    """A living task has the claim."""
    LOST = "lost"
    """The task that has the claim is dead, if it is sure that its leases are over."""
    SETTLING = "settling"
    """The same, and it has computed, but nothing tells whether it stores that still or somebody has deleted it."""
    DONE = "done"
    """What was claimed has been done."""


class Claim(NamedTuple):
    """What became of a claim."""

    standing: Standing
    task_id: str
    """The task that is, or is to be, enqueued once; the task that computes or has computed."""
    claimant: str
    """Who has the claim, or had it."""

    @property
    def is_mine(self) -> bool:
        """Whether it is for whoever asked to do what is to be done."""
        return self.standing in (Standing.FIRST, Standing.AGAIN)

    @property
    def is_under_way(self) -> bool:
        """Whether another task does it."""
        return self.standing in (Standing.HELD, Standing.SETTLING)


_CLAIM: Final = """
local me, leases, renewal, expires = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local results, post_run, is_tracked, is_sure = ARGV[5], ARGV[6], ARGV[7] == '1', ARGV[8] == '1'
local function standing_of(claim)
    local status = string.match(redis.call('GETRANGE', results .. claim.by, 0, 31), '^{"status": "(%u+)"')
    if status == 'SUCCESS' or status == 'FAILURE' or (claim.tracked and not status) then return 'over' end
    if claim.leases == '' or redis.call('HEXISTS', claim.by, post_run) == 1 then return 'over' end
    for lease in string.gmatch(claim.leases, '%S+') do
        if redis.call('EXISTS', lease) == 1 then return 'held' end
    end
    return is_sure and 'over' or 'lost'
end
local function keep(key, claim)
    local text = cjson.encode(claim)
    if expires > 0 then redis.call('SET', key, text, 'EX', expires) else redis.call('SET', key, text) end
end
local function take(key, id)
    keep(key, {id = id, by = me, leases = leases, tracked = is_tracked})
    if renewal > 0 then redis.call('SET', string.match(leases, '%S+'), 1, 'PX', renewal) end
end
local stored = redis.call('MGET', KEYS[1], KEYS[2])
local done, claim = stored[1], stored[2] and cjson.decode(stored[2])
"""
# Whoever takes over sends under the ids that the one before used, and so finds out whether that has sent.
_CLAIM_ONCE: Final = (
    _CLAIM
    + """
if done then return {'done', done, claim and claim.by or ''} end
if claim and claim.by ~= me then
    local standing = standing_of(claim)
    if standing ~= 'over' then return {standing, claim.id, claim.by} end
end
local id = claim and claim.id or ARGV[9]
take(KEYS[2], id)
return {claim and 'again' or 'first', id, me}
"""
)
_CLAIM_CALL: Final = (
    _CLAIM
    + """
local useless = ARGV[9]
if claim and claim.by ~= me and claim.by ~= useless then
    local standing = standing_of(claim)
    if standing == 'held' and done == claim.by and not claim.tracked then standing = 'settling' end
    if standing ~= 'over' then return {standing, claim.by, claim.by} end
end
if done and done ~= me and done ~= useless then return {'done', done, done} end
take(KEYS[2], me)
return {'first', me, me}
"""
)
_RELEASE: Final = """
local claim = redis.call('GET', KEYS[2])
claim = claim and cjson.decode(claim)
if claim and claim.by == ARGV[1] then
    claim.by, claim.leases = '', ''
    redis.call('SET', KEYS[2], cjson.encode(claim))
    if tonumber(ARGV[2]) > 0 then redis.call('EXPIRE', KEYS[2], ARGV[2]) end
    redis.call('PUBLISH', KEYS[1], ARGV[3])
end
"""


class RedisClaims:
    """Claims in Redis or Valkey.

    Args:
        client: a client.
        expires: seconds that results are kept; None for ever.
    """

    def __init__(self, client: Any, expires: float | None) -> None:
        self._client = client
        self._expires = lifetime(expires)

    def once(self, done_key: str, key: str, task_id: str, claimant: Claimant) -> Claim:
        """Claim the sending of a task.

        Args:
            done_key: where the id is published.
            key: where the claim is kept.
            task_id: the id to send it with, unless somebody has tried before.
            claimant: who asks.
        """
        return self._ask(_CLAIM_ONCE, done_key, key, claimant, task_id)

    def call(self, done_key: str, key: str, useless: str, claimant: Claimant) -> Claim:
        """Claim the computing of a call.

        Args:
            done_key: where the id of the task that has computed is published.
            key: where the claim is kept.
            useless: a task that has no answer, whatever is on record about it.
            claimant: who asks.
        """
        return self._ask(_CLAIM_CALL, done_key, key, claimant, useless)

    def release(self, done_key: str, key: str, claimant: str) -> None:
        """Give a claim back, if this task still has it, and tell those who wait for it."""
        self._client.eval(_RELEASE, 2, done_key, key, claimant, self._expires, _wire.LOOK_AT)

    def _ask(self, script: str, done_key: str, key: str, claimant: Claimant, also: str) -> Claim:
        asked = (claimant.task_id, " ".join(claimant.leases), claimant.renewal, self._expires, claimant.results)
        told = (*asked, _wire.FIELD_POST_RUN, int(claimant.is_tracked), int(claimant.is_sure), also)
        standing, *ids = self._client.eval(script, 2, done_key, key, *told)
        return Claim(Standing(standing.decode()), *(each.decode() for each in ids))

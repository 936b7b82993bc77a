"""Records in Redis or Valkey. Keys that belong together change in one MULTI/EXEC."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from firexkit import _wire
from firexkit._records.claims import Claim, Claimant, RedisClaims
from firexkit._records.keys import (
    cache_claim_key,
    cache_key,
    index_key,
    lifetime,
    once_count_key,
    once_uid_key,
    reports_key,
    start_time_key,
)

Tell: TypeAlias = Callable[[Iterable[tuple[Any, ...]]], None]
"""Sends commands, at once or with others that are told at the same moment."""


class _OnRedis:
    """A client and the rule that what is written expires with the results."""

    def __init__(self, client: Any, expires: float | None, tell: Tell) -> None:
        self._client = client
        self._tell = tell
        self._expires = int(expires) if expires else None
        self._lifetime = lifetime(expires)

    def _expire(self, pipe: Any, *keys: str) -> None:
        if self._expires:
            for key in keys:
                pipe.expire(key, self._expires)

    def _horizon(self) -> float:
        return time.time() + self._lifetime if self._lifetime else float("inf")

    def _trim(self, pipe: Any, key: str) -> None:
        pipe.zremrangebyscore(key, "-inf", time.time())


_MARK_IF_KNOWN: Final = """
if redis.call('exists', KEYS[1]) == 1 then
    redis.call('hset', KEYS[1], ARGV[1], ARGV[2])
    if tonumber(ARGV[3]) > 0 then redis.call('expire', KEYS[1], ARGV[3]) end
end
redis.call('publish', KEYS[1], ARGV[4])
if ARGV[5] ~= '' then redis.call('publish', ARGV[5], ARGV[4]) end
"""
_REVOKE: Final = """
redis.call('hset', KEYS[1], ARGV[1], ARGV[2])
if tonumber(ARGV[3]) > 0 then redis.call('expire', KEYS[1], ARGV[3]) end
if ARGV[6] ~= '' then redis.call('hset', KEYS[1], ARGV[6], ARGV[2]) end
redis.call('publish', KEYS[1], ARGV[4])
local waiter = redis.call('hget', KEYS[1], ARGV[5])
if waiter then redis.call('publish', waiter, ARGV[4]) end
"""
# A task may be forgotten between its result and the end of its body; nothing must bring its record back.


def _keys_of(task_id: str) -> tuple[str, ...]:
    """Every key that belongs to one task; all go when it is forgotten."""
    return (task_id, start_time_key(task_id))


class RedisTaskRecords(_OnRedis):
    """A hash and a start time per task."""

    keeps_history = True

    def sent(self, task_id: str, *, name: str, queue: str, run: str, waiter: str = "") -> None:
        fields = {_wire.FIELD_NAME: name, _wire.FIELD_RUN: run, _wire.FIELD_SENT: time.time()}
        optional = {_wire.FIELD_QUEUE: queue, _wire.FIELD_WAITER: waiter}
        fields.update((field, value) for field, value in optional.items() if value)
        self._tell([_hset(task_id, fields), *self._expiry(task_id)])

    def started(self, task_id: str, *, name: str, run: str, is_first: bool = False) -> None:
        fields = {_wire.FIELD_NAME: name, _wire.FIELD_RUN: run}
        expiry = ("EX", self._lifetime) if self._lifetime else ()
        start = ["SET", start_time_key(task_id), time.time(), "NX", *expiry]
        if is_first:
            attempt = [_hset(task_id, {**fields, _wire.FIELD_ATTEMPT: 1})]
        else:
            counted = ("HINCRBY", task_id, _wire.FIELD_ATTEMPT, 1)
            attempt = [_hset(task_id, fields), counted, ("HDEL", task_id, _wire.FIELD_POST_RUN)]
        # Whoever sent the task has said already when its record expires.
        self._tell([*attempt, (*start,), *([] if is_first else self._expiry(task_id))])

    def done(self, task_id: str, *, leaves_no_result: bool = False, waiter: str = "") -> None:
        marks = [_wire.FIELD_POST_RUN, *([_wire.FIELD_NO_RESULT] if leaves_no_result else [])]
        known = (_wire.POST_RUN_MARK, self._expires or 0, f"{_wire.LOOK_AT}{task_id}", waiter)
        self._tell([("EVAL", _MARK_IF_KNOWN, 1, task_id, mark, *known) for mark in reversed(marks)])

    def ended(self, task_id: str) -> None:
        if self._expires and self._expires < self._lifetime:
            self._tell([("EXPIRE", key, self._expires) for key in _keys_of(task_id)])

    def field(self, task_id: str, name: str) -> str:
        return _text(self._client.hget(task_id, name))

    def fields(self, task_ids: Sequence[str], names: Sequence[str]) -> list[dict[str, str]]:
        with self._client.pipeline(transaction=False) as pipe:
            for task_id in task_ids:
                pipe.hmget(task_id, *names)
            rows = pipe.execute()
        return [{name: _text(value) for name, value in zip(names, row, strict=True) if value} for row in rows]

    def plain(self, task_id: str) -> str:
        return _text(self._client.get(task_id))

    def start_time(self, task_id: str) -> float | None:
        value = self._client.get(start_time_key(task_id))
        return float(value) if value else None

    def forget(self, task_ids: Sequence[str], *, also: Sequence[Any] = ()) -> None:
        if not task_ids:
            return
        owned = self.fields(task_ids, (*_wire.FIELDS_OWNED.values(), _wire.FIELD_RUN))
        with self._client.pipeline() as pipe:
            pipe.unlink(*(key for task_id in task_ids for key in _keys_of(task_id)), *also)
            for task_id, record in zip(task_ids, owned, strict=True):
                pipe.lrem(reports_key(record.get(_wire.FIELD_RUN, "")), 0, task_id)
                for field in _wire.FIELDS_OWNED.values() & record.keys():
                    index, *keys = json.loads(record[field])
                    pipe.unlink(*keys)
                    pipe.srem(index, *keys)
            pipe.zrem(_wire.REVOKED, *task_ids)
            pipe.execute()

    def _expiry(self, key: str) -> list[tuple[Any, ...]]:
        return [("EXPIRE", key, self._lifetime)] if self._lifetime else []


def _hset(key: str, fields: Mapping[str, Any]) -> tuple[Any, ...]:
    return "HSET", key, *(part for field in fields.items() for part in field)


class RedisRunRecords(_OnRedis):
    """Keys of one run, indexed by sets."""

    @property
    def _claims(self) -> RedisClaims:
        return RedisClaims(self._client, self._expires)

    def is_known(self, run: str) -> bool:
        return self._client.zscore(_wire.RUNS, run) is not None

    def add_report(self, task_id: str, run: str) -> None:
        with self._client.pipeline() as pipe:
            pipe.rpush(reports_key(run), task_id)
            self._expire(pipe, reports_key(run))
            self._note_run(pipe, run)
            pipe.execute()

    def reports(self, run: str) -> set[str]:
        lists = [self._client.lrange(reports_key(name), 0, -1) for name in self._runs(run)]
        return {_text(task_id) for ids in lists for task_id in ids}

    def claim_once(self, key: str, run: str, task_id: str, claimant: Claimant) -> Claim:
        return self._claims.once(once_uid_key(key, run), once_count_key(key, run), task_id, claimant)

    def release_once(self, key: str, run: str, claimant: str) -> None:
        self._claims.release(once_uid_key(key, run), once_count_key(key, run), claimant)

    def publish_once(self, key: str, run: str, task_id: str) -> None:
        self._point(_wire.ONCE_UID, once_uid_key(key, run), run, task_id, once_count_key(key, run))

    def once_uids(self, run: str) -> set[str]:
        return self._pointed_at(_wire.ONCE_UID, run)

    def claim_call(self, key: str, run: str, useless: str, claimant: Claimant) -> Claim:
        return self._claims.call(cache_key(key, run), cache_claim_key(key, run), useless, claimant)

    def remember_cached(self, key: str, run: str, task_id: str) -> None:
        self._point(_wire.CACHE, cache_key(key, run), run, task_id, cache_claim_key(key, run))

    def cached_uids(self, run: str) -> set[str]:
        return self._pointed_at(_wire.CACHE, run)

    def once_keys(self, run: str) -> list[str]:
        """Keys under which ids of tasks enqueued once are kept."""
        return self._indexed(_wire.ONCE_UID, run)

    def cached_keys(self, run: str) -> list[str]:
        """Keys under which ids of cached tasks are kept."""
        return self._indexed(_wire.CACHE, run)

    def _note_run(self, pipe: Any, run: str) -> None:
        pipe.zadd(_wire.RUNS, {run: self._horizon()})
        self._trim(pipe, _wire.RUNS)
        self._expire(pipe, _wire.RUNS)

    def _point(self, prefix: str, key: str, run: str, task_id: str, claim: str) -> None:
        """Set a key that points at a task, and note in the task's record that it owns it, and the claim before it."""
        index = index_key(prefix, run)
        with self._client.pipeline() as pipe:
            pipe.set(key, task_id, ex=self._expires)
            pipe.sadd(index, key)
            pipe.hset(task_id, _wire.FIELDS_OWNED[prefix], json.dumps([index, key, claim]))
            self._expire(pipe, index, task_id)
            self._note_run(pipe, run)
            pipe.publish(key, f"{_wire.LOOK_AT}{task_id}")
            pipe.execute()

    def _runs(self, run: str) -> list[str]:
        if run:
            return [run]
        return ["", *(_text(name) for name in self._client.zrange(_wire.RUNS, 0, -1) if name)]

    def _indexed(self, prefix: str, run: str) -> list[str]:
        sets = [self._client.smembers(index_key(prefix, name)) for name in self._runs(run)]
        return sorted({_text(key) for keys in sets for key in keys})

    def _pointed_at(self, prefix: str, run: str) -> set[str]:
        keys = self._indexed(prefix, run)
        # A key may expire between listing and reading.
        return {_text(task_id) for task_id in self._client.mget(keys) if task_id} if keys else set()


class RedisClusterRecords(_OnRedis):
    """Keys that all runs share; their members expire."""

    def revoked(self, task_ids: Iterable[str], *, terminate: bool = False) -> None:
        now, horizon = time.time(), self._horizon()
        ends = _wire.FIELD_TERMINATE if terminate else ""
        with self._client.pipeline() as pipe:
            for task_id in task_ids:
                known = (self._lifetime, f"{_wire.LOOK_AT}{task_id}", _wire.FIELD_WAITER)
                pipe.eval(_REVOKE, 1, task_id, _wire.FIELD_REVOKED, now, *known, ends)
                pipe.zadd(_wire.REVOKED, {task_id: horizon})
            self._trim(pipe, _wire.REVOKED)
            pipe.execute()

    def revoked_ids(self) -> list[str]:
        return [_text(task_id) for task_id in self._client.zrangebyscore(_wire.REVOKED, time.time(), "+inf")]

    def claim_question(self, seconds: float) -> bool:
        return bool(self._client.set(_wire.REVOKED_ASKED, 1, nx=True, px=max(1, int(seconds * 1000))))

    def queues_ready(self, queues: Iterable[str]) -> None:
        self._client.sadd(_wire.QUEUES, *queues)

    def is_queue_ready(self, queue: str) -> bool:
        return bool(self._client.sismember(_wire.QUEUES, queue))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")

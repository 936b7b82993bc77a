"""Chains as FireX tasks need them: each member told its place, each argument encoded, and only copies touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery.canvas import Signature, _chain, _chord, group

from firexkit._celery.linking import linked_with
from firexkit._celery.messages import JSON, encoded_keywords, encoded_signature
from firexkit._celery.secret_settings import hidden_call, sealing_for
from firexkit._celery.wakeup import addressee
from firexkit._wire import CHAIN_DEPTH, DEPTH_OPTION, ENCODED_ARGS_OPTION, WAITER_HEADER


def is_chain(sig: Any) -> bool:
    """Whether a signature is a chain."""
    return isinstance(sig, _chain)


def is_parallel(sig: Any) -> bool:
    """Whether a signature is a group or a chord."""
    return isinstance(sig, group | _chord)


def install() -> None:
    """Prepare every chain when it is applied; once per process."""
    if getattr(_chain, "tells_depth", False):
        return
    run, apply = _chain.run, _chain.apply

    def run_prepared(
        self: Any, args: Sequence[Any] | None = None, kwargs: dict[str, Any] | None = None, **options: Any
    ) -> Any:
        app = options.get("app") or self.app
        options.pop(DEPTH_OPTION, None)
        waiter, wakeup = addressee(app.backend, [member.options.get("task_id") for member in self.tasks])
        prepared = _prepared(self, app, waiter)
        if prepared.tasks and _serializer(prepared.tasks[0], options, app) == JSON:
            with sealing_for(app):
                kwargs = _encode(prepared, kwargs, app)
        result = run(prepared, args, kwargs, **options)
        if result is not None:  # an empty chain has none
            result.firexkit_name = "|".join(str(member.task) for member in prepared.tasks)
        if wakeup is not None and all(_is_firex(member, app) for member in prepared.tasks):
            wakeup.mark(result)
        return result

    def apply_prepared(self: Any, *args: Any, **options: Any) -> Any:
        return apply(_prepared(self, self.app), *args, **options)

    _chain.run = run_prepared
    _chain.apply = apply_prepared
    _chain.__or__ = linked_with(_chain.__or__)
    _chain.tells_depth = True


def _encode(prepared: Any, kwargs: dict[str, Any] | None, app: Any) -> dict[str, Any] | None:
    """Encode the arguments of a chain's members; what further keywords of its first one have become."""
    # What one member gets passes through all that come after it.
    secret = _secret_parameters(prepared, app)
    prepared.tasks = [_encoded(member, app, secret) for member in prepared.tasks]
    head = prepared.tasks[0]
    if not kwargs or ENCODED_ARGS_OPTION not in head.options:
        return kwargs
    return encoded_keywords(hidden_call(app.tasks[head.task], (), kwargs, secret)[1], head.task)


def _secret_parameters(sig: Any, app: Any) -> frozenset[str]:
    """The names that any task in a signature takes for secrets."""
    members = [
        *(_as_list(sig.tasks) if hasattr(sig, "tasks") else ()),
        *([sig.body] if isinstance(sig, _chord) else ()),
    ]
    own: frozenset[str] = getattr(app.tasks.get(sig.task), "secret_parameters", frozenset())
    return own.union(*(_secret_parameters(member, app) for member in members))


def _prepared(chain: Any, app: Any, waiter: str = "") -> Any:
    """A copy of a chain whose FireX members know how many members come before them, and who is told of their ends."""
    copy = chain.clone()
    depth, members = copy.options.pop(DEPTH_OPTION, 0), []
    for member in copy.tasks:
        if waiter and _is_firex(member, app):
            headers = {WAITER_HEADER: waiter, **(member.options.get("headers") or {})}
            member["options"] = {**member.options, "headers": headers}
        members.append(_stamped(member, depth, app))
        depth += len(member.tasks) if is_chain(member) else 1
    copy.tasks = members
    return copy


def _stamped(member: Signature, depth: int, app: Any) -> Signature:
    if is_chain(member):
        return _replace_tasks(member, [_stamped(inner, depth + at, app) for at, inner in enumerate(member.tasks)])
    if is_parallel(member):
        return _replace_tasks(member, [_stamped_in_group(inner, depth, app) for inner in _as_list(member.tasks)])
    if not _is_firex(member, app):
        return member
    # An immutable member gets no previous result from Celery, so it must not look for one.
    member["kwargs"] = {**member.kwargs, CHAIN_DEPTH: 0 if member.immutable else depth}
    return member


def _stamped_in_group(member: Signature, depth: int, app: Any) -> Signature:
    if is_chain(member):
        # It is applied, and so prepared, on its own.
        member["options"] = {**member.options, DEPTH_OPTION: depth}
        return member
    return _stamped(member, depth, app)


def _encoded(member: Signature, app: Any, secret: frozenset[str]) -> Signature:
    if isinstance(member, _chord):
        member.body = _encoded(member.body, app, secret)
    if is_chain(member) or is_parallel(member):
        return _replace_tasks(member, [_encoded(inner, app, secret) for inner in _as_list(member.tasks)])
    if _is_firex(member, app) and ENCODED_ARGS_OPTION not in member.options:
        return encoded_signature(member, secret)
    return member


def _replace_tasks(member: Any, tasks: list[Signature]) -> Signature:
    member.tasks = tasks
    return member


def _as_list(tasks: Any) -> list[Signature]:
    return list(getattr(tasks, "tasks", tasks))


def _is_firex(member: Signature, app: Any) -> bool:
    return bool(getattr(app.tasks.get(member.task), "takes_chain_depth", False))


def _serializer(head: Signature, options: dict[str, Any], app: Any) -> str:
    given = options.get("serializer") or head.options.get("serializer")
    return str(given or getattr(app.tasks.get(head.task), "serializer", None) or app.conf.task_serializer)

"""Whether the tasks of a chain will find their arguments, judged before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from firexkit._celery.chains import is_chain, is_parallel
from firexkit._celery.linking import is_injection
from firexkit._celery.types import Signature
from firexkit._functions import declared_by_decorator, parameters_of
from firexkit._returns import is_dynamic_return
from firexkit.bag_of_goodies import referenced_name


class InvalidChainArgsException(Exception):
    """A chain that can't run with the arguments it has.

    Args:
        msg: what is wrong.
        wrong_args: missing names by task, or referenced names by parameter.
    """

    def __init__(self, msg: str, wrong_args: dict[str, Any] | None = None) -> None:
        super().__init__(msg)
        self.wrong_args: dict[str, Any] = wrong_args or {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.wrong_args)


class _Findings:
    """What is known while a chain is walked: names on offer, references seen, and what is wrong so far."""

    def __init__(self) -> None:
        self.available: set[str] = set()
        self.references: dict[str, str] = {}
        self.missing: dict[str, set[str]] = {}
        self.dangling: dict[str, str] = {}
        self.dangling_in: dict[str, str] = {}

    def add(self, step: _Step) -> None:
        task = step.task
        lacking = task.required - step.supplied - self.available
        if lacking:
            self.missing.setdefault(task.name, set()).update(lacking)
        self.available.update(step.supplied, task.returns)
        if task.is_dynamic:
            return
        self.references.update(step.references)
        if not self.references:
            return
        wanted = {name: self.references[name] for name in task.by_name if name in self.references}
        lost = {name: ref for name, ref in wanted.items() if ref not in self.available}
        self.dangling.update(lost)
        self.dangling_in.update(dict.fromkeys(lost, task.name))


class _Declared(NamedTuple):
    """A task as the check sees it, whatever it is given."""

    name: str
    positional: tuple[str, ...]
    by_name: tuple[str, ...]
    takes_rest: bool
    required: frozenset[str]
    returns: tuple[str, ...]
    is_dynamic: bool
    has_bag: bool
    """Whether what the previous task returned is no argument of its own."""


class _Step(NamedTuple):
    """One task of a chain as the check sees it."""

    task: _Declared
    supplied: set[str]
    references: dict[str, str]


_declarations: MutableMapping[Any, _Declared] = WeakKeyDictionary()


def _declared(task: Any) -> _Declared:
    """What a task's definition says; read once per task object."""
    known = _declarations.get(task)
    if known is None:
        known = _declarations[task] = _read_declaration(task)
    return known


def _read_declaration(task: Any) -> _Declared:
    parameters = parameters_of(getattr(task, "sig", None) or inspect.signature(task.run))
    returned = tuple(getattr(task, "return_keys", None) or declared_by_decorator(task.run) or ())
    return _Declared(
        name=task.name,
        positional=parameters.positional,
        by_name=parameters.positional[parameters.positional_only :],
        takes_rest=parameters.rest is not None,
        required=frozenset(parameters.required),
        returns=returned,
        is_dynamic=any(is_dynamic_return(key) for key in returned),
        has_bag=getattr(task, "takes_chain_depth", False),
    )


def _step(sig: Signature, *, is_head: bool) -> _Step:
    task, kwargs = _declared(sig.app.tasks[sig["task"]]), sig["kwargs"]
    # Celery puts the previous task's result before the task's own arguments; a bag takes it away again.
    gets_result = not (is_head or task.has_bag or sig["immutable"])
    given = len(sig["args"]) + gets_result
    if given > len(task.positional) and not task.takes_rest:
        raise TypeError(f"{task.name} takes {len(task.positional)} positional arguments, got {given}")
    references = {name: ref for name, value in kwargs.items() if (ref := referenced_name(value))} if kwargs else {}
    return _Step(task, {*task.positional[:given], *kwargs}, references)


def verify_chain_arguments(sig: Any) -> bool:
    """Whether each task of a chain will find its required arguments and what its references name.

    Positional references and references in defaults are not checked; behind a task with dynamic returns, or behind
    a group, nothing is.

    Args:
        sig: a signature or chain.

    Returns:
        True.

    Raises:
        InvalidChainArgsException: something is missing; ``wrong_args`` tells what, by task or by parameter.
        TypeError: a task is given too many positionals.
        celery.exceptions.NotRegistered: a task is unknown to the app of ``sig``.
    """
    findings = _Findings()
    for index, member in enumerate(_flattened(sig)):
        if is_parallel(member):
            for inner in member.tasks:
                _verify_alone(inner, findings, is_head=index == 0)
            break
        step = _step(member, is_head=index == 0)
        findings.add(step)
        if step.task.is_dynamic:
            break
    _raise_missing(findings.missing)
    _raise_dangling(findings.dangling, findings.dangling_in)
    return True


def _flattened(sig: Any) -> Iterator[Any]:
    if is_injection(sig):
        raise InvalidChainArgsException(f"{sig!r} stands alone or inside a chain; it belongs before the first task")
    for member in sig.tasks if is_chain(sig) else (sig,):
        yield from _flattened(member) if is_chain(member) or is_injection(member) else (member,)


def _verify_alone(member: Any, findings: _Findings, *, is_head: bool) -> None:
    """Check a member of a group against what is on offer before the group."""
    offered = set(findings.available)
    for index, inner in enumerate(_flattened(member)):
        if is_parallel(inner):
            break
        findings.add(_step(inner, is_head=is_head and index == 0))
    findings.available = offered


def _raise_missing(missing: dict[str, set[str]]) -> None:
    if not missing:
        return
    lines = [
        f'  {name}: required by "{task.rsplit(".", 1)[-1]}" ({task})'
        for task, names in missing.items()
        for name in sorted(names)
    ]
    raise InvalidChainArgsException("\n".join(["Missing mandatory arguments:", *lines]), missing)


def _raise_dangling(dangling: dict[str, str], tasks: Mapping[str, str]) -> None:
    if not dangling:
        return
    lines = [f"  {name}: @{reference}" for name, reference in dangling.items()]
    where = ", ".join(dict.fromkeys(tasks[name] for name in dangling))
    heading = f"Nothing up to {where} provides what these arguments refer to:"
    raise InvalidChainArgsException("\n".join([heading, *lines]), dangling)

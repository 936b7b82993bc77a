"""Plugins: Python files and modules whose tasks replace others by their short names.

A plugin that builds with a cache, and asks the task that it replaces when the cache has nothing::

    app = FireX("build_cache")


    @app.task(bind=True)
    def build(self, target):
        return cached(target) or self.enqueue_child_and_get_results(self.orig.s(target))

Messages carry the name of the task that was replaced first, so a worker without the plugin can run them. What it sends
itself by ``self.orig.s()`` has a name with ``_orig``, which only workers with the same plugins know. A plugin's task of
plain Celery (``base=celery.Task``) replaces as any other, but its messages have its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from firexkit._celery.copies import copy_receivers, under_name
from firexkit._celery.loading import place_of, taking_tasks
from firexkit._functions import undecorate
from firexkit._importing import SourceError, import_source, names_file
from firexkit._returns import is_dynamic_return, named_results
from firexkit._wire import REPLACEMENT_TASK_NAME_POSTFIX, RETURN_KEYS_KEY
from firexkit.app import FireX, one_app
from firexkit.task import FireXTask
from firexkit.task.names import short

__all__ = ["SourceError", "load_plugins"]

CELERYS_OWN: Final = "celery."

CARRIED: Final = (
    ("acks_late", "acks_on_failure_or_timeout", "reject_on_worker_lost"),
    (
        *("max_retries", "default_retry_delay", "autoretry_for", "dont_autoretry_for", "retry_kwargs"),
        *("retry_backoff", "retry_backoff_max", "retry_jitter"),
    ),
    ("time_limit", "soft_time_limit"),
    ("queue", "exchange", "routing_key"),
    ("priority",),
    ("use_cache",),
    ("pending_child_strategy",),
)
"""Options that a plugin's task takes over; from a group of which it sets one itself, it takes none."""


def load_plugins(app: FireX, sources: Iterable[str | Path]) -> list[Any]:
    """Import plugins: each of their tasks replaces the task of the same short name, for everybody who uses that.

    The task that is replaced becomes ``<full name>_orig``, and ``orig`` of the one that replaces it. It stays as it
    is, Celery's signals about it included. With several plugins the last wins, and each leads to the one before;
    every replacement adds an ``_orig`` to the names of all that it has below it.

    What a plugin's task does not say itself, it takes from the task that it replaces: when messages are acknowledged,
    retries, time limits, queue and priority, the cache, the strategy for children, what is shown, reports, and the
    names of returns, unless the function returns None or a dict that has them.

    Args:
        app: the app whose tasks to replace; it is also what ``FireX(...)`` in a plugin gives.
        sources: files and modules, in order. Of one that is there twice, the later place counts.

    Returns:
        The tasks that came with the plugins.

    Raises:
        SourceError: a plugin can't be imported, or several tasks share a short name that it would replace.
    """
    latest_first = {_key(source): source for source in reversed(list(sources))}
    return [task for source in reversed(latest_first.values()) for task in _load(app, source)]


def _key(source: str | Path) -> str:
    return str(Path(source).expanduser().absolute()) if names_file(source) else str(source)


def _load(app: FireX, source: str | Path) -> list[Any]:
    known = dict(app.tasks)
    with one_app(app), taking_tasks(app) as options:
        module = import_source(source)
        app.set_current()  # another app that the plugin made took its place
    brought = _brought(known, app.tasks, module.__name__)
    replacements = _replacements(str(source), module.__name__, brought, known)
    replaced = {id(replacement.old) for replacement in replacements}
    for task in (new := [task for task in brought if id(task) not in replaced]):
        task.from_plugin = True
    for replacement in replacements:
        _replace(app, *replacement, options)
    return new


# ── what replaces what ────────────────────────────────────────────────────────────────────


class _Replacement(NamedTuple):
    old: Any
    new: Any


def _brought(known: Mapping[str, Any], registered: Mapping[str, Any], module: str) -> list[Any]:
    """The tasks that a plugin came with: new ones, and its own if it was imported before without being a plugin."""
    tasks = {id(task): task for name, task in registered.items() if _can_be_replaced(name)}
    before = {id(task) for task in known.values()}
    return [
        task
        for key, task in tasks.items()
        if key not in before or (_is_of(task, module) and not getattr(task, "from_plugin", False))
    ]


def _can_be_replaced(name: str) -> bool:
    return not name.startswith(CELERYS_OWN) and not name.endswith(REPLACEMENT_TASK_NAME_POSTFIX)


def _is_of(task: Any, module: str) -> bool:
    return f"{task.__module__}.".startswith(f"{module}.")


def _replacements(plugin: str, module: str, brought: Iterable[Any], known: Mapping[str, Any]) -> list[_Replacement]:
    """Which task replaces which.

    A plugin may itself import what it replaces: of several tasks that it brings under one short name, its own replaces
    the others.
    """
    by_short: dict[str, list[Any]] = {}
    for task in brought:
        by_short.setdefault(short(task.name), []).append(task)
    found = []
    for name, same in by_short.items():
        new = [task for task in same if _is_of(task, module)] or same
        old = {id(task): task for key, task in known.items() if short(key) == name and _can_be_replaced(key)}
        old |= {id(task): task for task in same}
        rest = [task for key, task in old.items() if key not in {id(one) for one in new}]
        if len(rest) > 1 or (rest and len(new) > 1):
            raise _ambiguous(plugin, name, new, rest)
        found += [_Replacement(one, new[0]) for one in rest]
    return found


def _ambiguous(plugin: str, name: str, new: list[Any], old: list[Any]) -> SourceError:
    file, line = place_of(new[0].run)
    several, one = (old, "replace") if len(old) > 1 else (new, "be replaced by")
    names = ", ".join(sorted(task.name for task in several))
    reason = f"task {name!r} would {one} more than one: {names}; a short name that is replaced must be one task's"
    return SourceError(plugin, file, line, reason)


# ── replacing ─────────────────────────────────────────────────────────────────────────────


def _replace(app: FireX, old: Any, new: Any, options: Mapping[str, frozenset[str]]) -> None:
    new.orig = _set_aside(app, old)
    _point(app, old, new)
    _carry_options(app, old, new, options.get(new.name, frozenset()))
    if isinstance(old, FireXTask) and isinstance(new, FireXTask):
        _carry_declarations(old, new)


def _point(app: FireX, old: Any, new: Any) -> None:
    """Register a task under each name of another one."""
    for name in [name for name, task in app.tasks.items() if task is old]:
        app.tasks[name] = new


def _set_aside(app: FireX, task: Any) -> Any:
    """The task once more, registered under its name with ``_orig``, and so are those that it replaced."""
    # Not renamed: whoever holds the task makes signatures of what is registered under its name.
    aside = under_name(task, f"{task.name}{REPLACEMENT_TASK_NAME_POSTFIX}", check_name_for_override_posfix=False)
    if isinstance(aside, FireXTask):
        aside.undecorated = undecorate(aside)
    if (below := getattr(task, "orig", None)) is not None:
        aside.orig = _set_aside(app, below)
        _point(app, below, aside.orig)
    app.register_task(aside)
    copy_receivers(task, aside)
    return aside


def _carry_options(app: FireX, old: Any, new: Any, given: frozenset[str]) -> None:
    for group in CARRIED:
        if not any(option in given or _differs(app, new, option) for option in group):
            for option in group:
                if hasattr(old, option) and _differs(app, old, option):
                    setattr(new, option, getattr(old, option))
    if not hasattr(new, "report_meta") and hasattr(old, "report_meta"):
        new.report_meta = list(old.report_meta)
    app.register_task(new)  # starts what the options of retries ask for


def _differs(app: FireX, task: Any, option: str) -> bool:
    """Whether a task's option is another one than that of a task without options."""
    default = getattr(app.Task, option, None)
    setting = dict(task.from_config).get(option)
    usual = app.conf[setting] if default is None and setting else default
    return bool(getattr(task, option, None) != usual)


def _carry_declarations(old: FireXTask, new: FireXTask) -> None:
    if not new.flame_data_configs:
        new.flame_data_configs = dict(old.flame_data_configs)
    if old.return_keys and not new.return_keys:
        new.return_keys = old.return_keys
        naming = partial(_named_like, old.return_keys, where=new.name)
        vars(new)["convert_results_if_returns_defined_by_task_definition"] = naming


def _named_like(return_keys: tuple[str, ...], result: Any, *, where: str) -> Any:
    """What a function returned, by the names of another one's returns, unless it has names or is nothing."""
    if result is None:
        return None
    if isinstance(result, dict) and {key for key in return_keys if not is_dynamic_return(key)} <= result.keys():
        return {RETURN_KEYS_KEY: tuple(result), **result}
    return named_results(return_keys, result, where=where)

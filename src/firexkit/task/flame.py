"""What a task shows about itself while it runs."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from celery.local import PromiseProxy

from firexkit._functions import undecorate_func
from firexkit._serialization import convert_to_serializable
from firexkit._serialization.masking import masked
from firexkit._serialization.redaction import redacted
from firexkit._wire import FLAME_COLLAPSE_KEY
from firexkit.task.secrets import names_of

logger: logging.Logger = logging.getLogger(__name__)

CONFIGS_ATTRIBUTE = "flame_data_configs"
FlameConfigs = dict[Any, dict[str, Any]]


def _default_flame_formatter(data: Any) -> str | None:
    """None for nothing to show, text as it is, anything else as JSON or else as ``str`` has it."""
    if data is None or isinstance(data, str):
        return data
    try:
        return json.dumps(data)
    except TypeError:
        return str(data)


def create_flame_config(
    existing_configs: Mapping[Any, Mapping[str, Any]],
    formatter: Callable[..., Any] = _default_flame_formatter,
    data_type: str = "html",
    bind: bool = False,
    on_next: bool = False,
    on_next_args: Iterable[Any] = (),
) -> dict[str, Any]:
    """How one value is shown.

    Args:
        existing_configs: those there are; the new one is shown after them.
        formatter: makes what is shown of the value; None shows nothing.
        data_type: what the formatter makes: ``html``, ``object`` …
        bind: give the formatter the task, as keyword ``task``.
        on_next: show it at the next occasion, whether there is a value or not, once a run.
        on_next_args: what the formatter gets then.
    """
    orders = [config["order"] for config in existing_configs.values()]
    return {
        "formatter": formatter,
        "data_type": data_type,
        "bind": bind,
        "on_next": on_next,
        "on_next_args": on_next_args,
        "order": max(orders) + 1 if orders else 0,
    }


def flame(
    flame_key: str | None = None,
    formatter: Callable[..., Any] = _default_flame_formatter,
    data_type: str = "html",
    bind: bool = False,
    on_next: bool = False,
    on_next_args: Iterable[Any] = (),
    decorator_name: str = "flame",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Show a value of the bag while the task runs. Written below ``@app.task``; the lowest decorator comes first.

    Args:
        flame_key: the value's name; None or ``'*'`` for the whole bag.
        formatter: as for :func:`create_flame_config`, and so are the others.
        data_type: what the formatter makes.
        bind: give the formatter the task.
        on_next: show it once at the next occasion.
        on_next_args: what the formatter gets then.
        decorator_name: for the error.

    Raises:
        Exception: the decorator stands above ``@app.task``.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if isinstance(function, PromiseProxy) or hasattr(function, "apply_async"):
            raise TypeError(f"@{decorator_name} must stand below @app.task, on the plain function")
        innermost: Any = undecorate_func(function)
        configs = vars(innermost).setdefault(CONFIGS_ATTRIBUTE, {})
        configs[flame_key] = create_flame_config(configs, formatter, data_type, bind, on_next, on_next_args)
        return function

    return decorate


def configs_from_option(option: Any) -> FlameConfigs:
    """The configs that a task's ``flame`` option stands for.

    Args:
        option: one key, several, or full configs by key.
    """
    if isinstance(option, Mapping):
        return dict(option)
    configs: FlameConfigs = {}
    for key in (option,) if isinstance(option, str) else option or ():
        configs[key] = create_flame_config(configs)
    return configs


# ── sending ───────────────────────────────────────────────────────────────────────────────


def shown(configs: FlameConfigs, data: Mapping[str, Any], task: Any) -> dict[Any, dict[str, Any]]:
    """What to show of ``data``; configs that were due once are marked as done.

    Args:
        configs: of this run; ``on_next`` is cleared in those that were shown.
        data: values by name.
        task: for formatters that want it, and for log lines.
    """
    entries, data = {}, masked(data, names_of(task))
    for key, config in configs.items():
        args = _formatter_args(key, config, data)
        value = None if args is None else _formatted(key, config, args, task)
        if value is not None:
            entries[key] = flame_entry(value, config["data_type"], config["order"])
            config["on_next"] = False
    return entries


def _formatter_args(key: Any, config: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[Any, ...] | None:
    if key in data:
        return (data[key],)
    if config["on_next"]:
        return tuple(config["on_next_args"])
    return (data,) if key in (None, "*") else None


def _formatted(key: Any, config: Mapping[str, Any], args: tuple[Any, ...], task: Any) -> Any:
    try:
        return config["formatter"](*args, **({"task": task} if config["bind"] else {}))
    except Exception:
        logger.exception("%s: the flame formatter of %r failed; it is not shown", task.name, key)
        return None


def flame_entry(value: Any, data_type: str = "html", order: float | None = None) -> dict[str, Any]:
    """One entry of ``flame_data``; without an order, it stands after what was sent before."""
    return {
        "value": redacted(value) if isinstance(value, str) else convert_to_serializable(value),
        "type": data_type,
        "order": time.time() if order is None else order,
    }


# ── collapsing ────────────────────────────────────────────────────────────────────────────


def expand_self_op() -> dict[str, Any]:
    """The operation that shows the task itself."""
    return {"operation": "expand", "targets": ["self"]}


def collapse_op(own_id: str, relative_to: str) -> dict[str, Any]:
    """The operation with which one task hides another."""
    return {
        "relative_to_nodes": {"type": "task_uuid", "value": relative_to},
        "source_node": {"type": "task_uuid", "value": own_id},
        "operation": "collapse",
        "targets": ["self"],
    }


def create_collapse_ops(spec: Any) -> list[Any]:
    """Display operations from their short forms.

    Args:
        spec: a list of operations as it is; one target; or targets by task name or compiled pattern.
    """
    if isinstance(spec, list):
        return spec
    if isinstance(spec, str):
        return [{"targets": [spec]}]
    if not isinstance(spec, Mapping):
        return []
    ops = [{**_relative_to(key), **_targets(value)} for key, value in spec.items()]
    return [op for op in ops if "targets" in op]


def _relative_to(key: Any) -> dict[str, Any]:
    if isinstance(key, re.Pattern):
        return {"relative_to_nodes": {"type": "task_name_regex", "value": key.pattern}}
    return {"relative_to_nodes": {"type": "task_name", "value": key}} if isinstance(key, str) else {}


def _targets(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"targets": [value]}
    if isinstance(value, list):
        return {"targets": value}
    return dict(value) if isinstance(value, Mapping) else {}


def flame_collapse_formatter(ops: Iterable[Mapping[str, Any]], task: Any) -> list[dict[str, Any]]:
    """Complete operations: those without a list of targets are left out, the others refer to the task itself."""
    own = {"type": "task_uuid", "value": task.request.id}
    defaults = {"relative_to_nodes": own, "source_node": own, "operation": "collapse"}
    return [{**defaults, **op} for op in ops if isinstance(op.get("targets"), list)]


def flame_collapse(flame_spec: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Tell how the task and others are shown: collapsed or expanded.

    Args:
        flame_spec: as for :func:`create_collapse_ops`.
    """
    return flame(
        FLAME_COLLAPSE_KEY,
        formatter=flame_collapse_formatter,
        data_type="object",
        bind=True,
        on_next=True,
        on_next_args=[create_collapse_ops(flame_spec)],
        decorator_name="flame_collapse",
    )

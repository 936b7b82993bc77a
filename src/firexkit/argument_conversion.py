"""Converters: callables that change the arguments of a task before it runs, or its bag afterwards."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import Any, ClassVar, NamedTuple, cast

from firexkit._serialization.large import entries_of, late
from firexkit.bag_of_goodies import referenced_name

__all__ = [
    "ArgumentConversionException",
    "CircularDependencyException",
    "ConverterRegister",
    "ConverterRegistrationException",
    "MissingConverterDependencyError",
    "NameDuplicationException",
    "SingleArgDecorator",
]

logger: logging.Logger = logging.getLogger(__name__)

ConverterFunction = Callable[[dict[str, Any]], "dict[str, Any] | None"]
"""One step over the arguments: gets them by name, may edit the dict, returns changes or None."""

_WORTH_LOGGING = 0.001  # seconds


class ConverterRegistrationException(Exception):
    """A coding error in the registration of the converter."""


class MissingConverterDependencyError(ConverterRegistrationException):
    """A converter was registered with a dependency that does not exist."""


class CircularDependencyException(ConverterRegistrationException):
    """A converter was registered with a dependency that is itself directly or indirectly dependent on it."""


class NameDuplicationException(ConverterRegistrationException):
    """A converter was registered with the same name as another converter of the same phase."""


class ArgumentConversionException(Exception):
    """An exception occurred while executing a converter."""


class Converter(NamedTuple):
    """A registered converter and the names of those that must run before it."""

    function: ConverterFunction
    dependencies: tuple[str, ...]


class Conversion(NamedTuple):
    """What converters made of the arguments, and which converter last changed which of them."""

    values: dict[str, Any]
    changed_by: dict[str, str]


class ConverterRegister:
    """The converters of one task: those that run before it and those that run after it.

    Converters are a practical mechanism for altering the input values into tasks, and for validating them early.
    """

    _task_instances: ClassVar[dict[str, ConverterRegister]] = {}

    def __init__(self) -> None:
        self._tables: dict[bool, dict[str, Converter]] = {True: {}, False: {}}
        self._orders: dict[bool, list[str]] = {}
        self.visit_order: list[str] | None = None
        self.task_name = ""

    # ── registering ───────────────────────────────────────────────────────────────────────

    def register(self, *args: Any) -> Any:
        """Register a converter function, or make a decorator that does.

        Args:
            *args: sorted by type. A callable (once): the converter. A bool (once): True to run before the task,
                False to run after it; before when not given. Strings: names of converters that must run earlier.

        Returns:
            The converter when one was given, else a decorator that registers what it is applied to.

        Raises:
            ConverterRegistrationException: nothing was given, or something of another type.
            NameDuplicationException: the phase has a converter of that name.
        """
        function, pre_task, dependencies = _sorted_by_type(args)
        add = functools.partial(self._add, pre_task=pre_task, dependencies=dependencies)
        return add if function is None else add(function)

    @classmethod
    def register_for_task(cls, task: Any, pre_task: bool = True, *args: Any) -> Any:
        """Register a converter function for a given task.

        Args:
            task: the task, its class, or its lazy proxy; only the short name counts, so a plugin that
                replaces a task keeps its converters.
            pre_task: True to run before the task, False to run after it.
            *args: as for :meth:`register`.

        Returns:
            As :meth:`register`.
        """
        register = cls._task_instances.setdefault(_short_name(task.name), cls())
        register.task_name = task.name
        return register.register(pre_task, *args)

    @classmethod
    def get_register(cls, task_name: str) -> ConverterRegister | None:
        """The converters of a task by its long or short name; None when it has none."""
        return cls._task_instances.get(_short_name(task_name))

    @classmethod
    def list_converters(cls, task_name: str, pre_task: bool = True) -> list[str]:
        """Names of a task's converters in the order they run; empty when it has none."""
        register = cls.get_register(task_name)
        return register.get_visit_order(pre_task) if register else []

    def _add(self, function: Any, *, pre_task: bool, dependencies: tuple[str, ...]) -> Any:
        if not callable(function):
            raise ConverterRegistrationException(f"A converter must be callable, not {type(function).__name__}")
        table = self._tables[pre_task]
        self._check_not_registered(function, table)
        table[_name_of(function)] = Converter(cast(ConverterFunction, function), dependencies)
        self._orders.clear()
        return function

    @staticmethod
    def _check_not_registered(function: Callable[..., Any] | str, table: Mapping[str, Any]) -> None:
        name = function if isinstance(function, str) else _name_of(function)
        if name in table:
            raise NameDuplicationException(f"A converter named {name!r} is registered already; rename one of the two")

    # ── order ─────────────────────────────────────────────────────────────────────────────

    def get_visit_order(self, pre_task: bool = True) -> list[str]:
        """Provide a list of all converters in order of execution, accounting for dependencies.

        Args:
            pre_task: True for those that run before the task, False for those after.

        Raises:
            MissingConverterDependencyError: a dependency is unknown, or runs only after the task.
            CircularDependencyException: converters depend on each other.
        """
        if pre_task not in self._orders:
            self._orders[pre_task] = self._ordered(pre_task)
        self.visit_order = list(self._orders[pre_task])
        return list(self.visit_order)

    def _ordered(self, pre_task: bool) -> list[str]:
        order: list[str] = []
        for name in self._tables[pre_task]:
            self._visit(name, pre_task, (), order)
        return order

    def _visit(self, name: str, pre_task: bool, dependants: tuple[str, ...], order: list[str]) -> None:
        if name in dependants:
            circle = " -> ".join((*dependants, name))
            raise CircularDependencyException(
                f"{self._whose()}converters depend on each other: {circle}; drop one of them"
            )
        if name in order:
            return
        for dependency in self._tables[pre_task][name].dependencies:
            if self._must_precede(dependency, name, pre_task):
                self._visit(dependency, pre_task, (*dependants, name), order)
        order.append(name)

    def _must_precede(self, dependency: str, name: str, pre_task: bool) -> bool:
        if dependency in self._tables[pre_task]:
            return True
        # Whatever runs before the task precedes what runs after it anyway.
        if not pre_task and dependency in self._tables[True]:
            return False
        raise MissingConverterDependencyError(
            f"{self._whose()}converter {name!r} depends on {dependency!r}, which is not registered in its phase"
        )

    def _whose(self) -> str:
        return f"{self.task_name}: " if self.task_name else ""

    # ── running ───────────────────────────────────────────────────────────────────────────

    def convert(self, pre_task: bool = True, verbose: bool = True, **kwargs: Any) -> dict[str, Any]:
        """Run all registered converters.

        Args:
            pre_task: Converters can be registered to run before or after a task runs.
            verbose: log the duration of each converter, however short.
            **kwargs: the arguments to convert. Indirect references (``'@name'``) are hidden from converters.

        Returns:
            The arguments with the converters' changes.

        Raises:
            ArgumentConversionException: a converter failed.
        """
        return self.run(kwargs, pre_task=pre_task, verbose=verbose).values

    @classmethod
    def task_convert(cls, task_name: str, pre_task: bool = True, **kwargs: Any) -> dict[str, Any]:
        """Run the argument conversion for a given task.

        Args:
            task_name: the short name of the task. A long name is reduced to the short name.
            pre_task: Converters can be registered to run before or after a task runs.
            **kwargs: the arguments to convert.

        Returns:
            The converted arguments.
        """
        return cls.convert_for_task(task_name, kwargs, pre_task=pre_task).values

    @classmethod
    def convert_for_task(cls, task_name: str, arguments: Mapping[str, Any], *, pre_task: bool) -> Conversion:
        """As :meth:`task_convert`, with the arguments in one dict, so that none can clash with a parameter."""
        register = cls.get_register(task_name)
        return register.run(arguments, pre_task=pre_task) if register else Conversion(dict(arguments), {})

    def run(self, arguments: Mapping[str, Any], *, pre_task: bool, verbose: bool = False) -> Conversion:
        """As :meth:`convert`, with the arguments in one dict, and telling which converter changed what."""
        working = late({name: value for name, value in entries_of(arguments) if referenced_name(value) is None})
        changed_by: dict[str, str] = {}
        for name in self.get_visit_order(pre_task):
            before = dict(entries_of(working))
            try:
                _apply(name, self._tables[pre_task][name].function, working, verbose=verbose)
            except Exception as error:
                logger.warning("%sconverter %s failed: %s", self._whose(), name, error)
                raise ArgumentConversionException(f"{self._whose()}converter {name} failed: {error}") from error
            changed_by.update((key, name) for key, value in entries_of(working) if before.get(key, before) is not value)
        return Conversion(late({**dict(entries_of(arguments)), **dict(entries_of(working))}), changed_by)


def _apply(name: str, function: ConverterFunction, working: dict[str, Any], *, verbose: bool) -> None:
    start = perf_counter()
    changes = function(working)
    if changes:
        working.update(changes)
    elapsed = perf_counter() - start
    if verbose or elapsed >= _WORTH_LOGGING:
        logger.debug("Converter %s took %.4f s", name, elapsed)


def _sorted_by_type(args: Iterable[Any]) -> tuple[Any, bool, tuple[str, ...]]:
    """The callable (None when there is none), the phase, and the dependencies among ``args``."""
    function, pre_task, dependencies = None, True, []
    for arg in args:
        if callable(arg):
            function = arg
        elif isinstance(arg, str):
            dependencies.append(arg)
        elif isinstance(arg, bool):
            pre_task = arg
        else:
            raise ConverterRegistrationException(
                f"A converter is registered with a callable, a bool and names, not with a {type(arg).__name__}"
            )
    if not args:
        raise ConverterRegistrationException("register() needs a callable, a bool or the names of dependencies")
    return function, pre_task, tuple(dependencies)


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _short_name(task_name: str) -> str:
    return task_name.rsplit(".", 1)[-1]


class SingleArgDecorator:
    """Make a converter of a function that validates or converts one value.

    The function is called for each named argument that was supplied, unless it is an indirect reference.

    Example::

        @ConverterRegister.register_for_task(greet)
        @SingleArgDecorator("message")
        def yell_loud(arg_value):
            return arg_value.upper()

    Args:
        *args: names of the arguments.

    Raises:
        ConverterRegistrationException: no name, or something that is not a string.
    """

    def __init__(self, *args: str) -> None:
        if not args or any(type(name) is not str for name in args):
            raise ConverterRegistrationException(
                "SingleArgDecorator needs the names of arguments: @SingleArgDecorator('name')"
            )
        self.args: list[str] = list(args)

    def __call__(self, fn: Callable[[Any], Any]) -> ConverterFunction:
        """The converter that applies ``fn`` to each named argument."""

        @functools.wraps(fn)
        def converter(kwargs: dict[str, Any]) -> dict[str, Any]:
            supplied = [name for name in self.args if name in kwargs and referenced_name(kwargs[name]) is None]
            return {name: _converted(fn, name, kwargs[name]) for name in supplied}

        vars(converter).update(append=self.append, single_arg_decorator=self)
        return converter

    def append(self, *more_names: str) -> None:
        """Apply the converter to further arguments as well."""
        self.args.extend(more_names)


def _converted(fn: Callable[[Any], Any], name: str, value: Any) -> Any:
    try:
        new = fn(value)
    except Exception as error:
        logger.debug("Conversion of %s failed", name, exc_info=True)
        raise ArgumentConversionException(f"{name}: {error}") from None
    if new is not value:
        logger.debug("%s was converted by %s", name, _name_of(fn))
    return new

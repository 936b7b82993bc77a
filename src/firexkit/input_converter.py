"""Converters of the command line: callables that change or check what a run is given, before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from firexkit.argument_conversion import (
    ArgumentConversionException,
    ConverterRegister,
    ConverterRegistrationException,
)

__all__ = ["InputConverter"]


class InputConverter:
    """The converters of the command line, in two phases.

    The first runs before task modules are loaded, so that a wrong value fails fast. It gets the text that was given,
    by name: True for a name without a value, a tuple for one given more than once. The second runs when all task
    modules and plugins are loaded; after it, text becomes the type that tasks are annotated with. References
    (``@name``) are hidden from both, as from any converter.

    Example, in a plugin or a task module::

        @InputConverter.register
        @SingleArgDecorator("release")
        def checked(release):
            if not release.startswith("v"):
                raise ValueError("must begin with v, like v1.2")

    There is one command line in a process, so what is registered here, and which phase has run, is the process's.
    """

    _register: ClassVar[ConverterRegister] = ConverterRegister()
    _phases_run: ClassVar[frozenset[bool]] = frozenset()

    @classmethod
    def register(cls, *args: Any) -> Any:
        """Register a converter, or make a decorator that does.

        Args:
            *args: sorted by type. A callable (once): the converter. A bool (once): True for the phase before the
                task modules are loaded, False for the one after; when not given, the next one to run. Strings:
                names of converters that must run earlier.

        Returns:
            The converter when one was given, else a decorator that registers what it is applied to.

        Raises:
            ConverterRegistrationException: the phase has run already; or as for ``ConverterRegister.register``.
        """
        phases = [arg for arg in args if isinstance(arg, bool)]
        phase = phases[-1] if phases else True not in cls._phases_run
        if phase in cls._phases_run:
            raise ConverterRegistrationException(_too_late(phase))
        return cls._register.register(*args, phase) if args else cls._register.register()

    @classmethod
    def convert(cls, pre_load: bool, **kwargs: Any) -> dict[str, Any]:
        """Run the converters of one phase. Each phase runs once.

        Args:
            pre_load: True for the phase before task modules are loaded, False for the one after.
            **kwargs: what was given, by name.

        Returns:
            The arguments with the converters' changes.

        Raises:
            ArgumentConversionException: a converter failed; the text reads ``argument: what is wrong`` when it
                converts single arguments.
            ConverterRegistrationException: the phase has run already, or converters depend on missing ones.
        """
        return cls.run(kwargs, pre_load=pre_load)

    @classmethod
    def run(cls, arguments: Mapping[str, Any], *, pre_load: bool) -> dict[str, Any]:
        """As :meth:`convert`, with the arguments in one dict, so that none can clash with a parameter."""
        if pre_load in cls._phases_run:
            raise ConverterRegistrationException(f"The converters {_when(pre_load)} have run already; each phase once")
        cls._phases_run |= {pre_load}
        try:
            return cls._register.run(arguments, pre_task=pre_load).values
        except ArgumentConversionException as error:
            # What a converter of single arguments says stands alone; who said it does not help the user.
            if isinstance(error.__cause__, ArgumentConversionException):
                raise error.__cause__ from None
            raise

    @classmethod
    def reset(cls) -> None:
        """Begin anew: no converters, and no phase has run. For tests."""
        cls._register, cls._phases_run = ConverterRegister(), frozenset()


def _when(pre_load: bool) -> str:
    return "before task modules are loaded" if pre_load else "after task modules are loaded"


def _too_late(pre_load: bool) -> str:
    instead = "register it in a module that is loaded earlier, or with False" if pre_load else "register it earlier"
    return f"Too late: the converters {_when(pre_load)} have run already; {instead}"

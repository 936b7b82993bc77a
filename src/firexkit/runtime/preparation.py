"""From words to a run: load the tasks, understand the arguments, check the chain. Nothing is started."""

from __future__ import annotations

import gc
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from firexkit._celery.secret_settings import secret_names
from firexkit._importing import import_source
from firexkit._serialization import WireError, encode
from firexkit._serialization.sealing import sealed_for
from firexkit._wire import SECRET_ARGUMENTS_SETTING, UID
from firexkit.app import FireX
from firexkit.argument_conversion import ArgumentConversionException, ConverterRegistrationException
from firexkit.bag_of_goodies import referenced_name
from firexkit.chain import InjectArgs, InvalidChainArgsException, verify_chain_arguments
from firexkit.input_converter import InputConverter
from firexkit.plugins import load_plugins
from firexkit.process.masking import Mask
from firexkit.runtime.arguments.conversion import converted
from firexkit.runtime.arguments.parameters import Parameter, declared, unknown
from firexkit.runtime.arguments.words import ArgumentError, arguments_file, option, split_arguments
from firexkit.runtime.loading import load_tasks, project_settings
from firexkit.secret import Secret, SecretNames, revealed
from firexkit.task import FireXTask
from firexkit.task_names import chain_of, offered_tasks

_NAME_IN_A_LIST: Final = re.compile(r"^  (?=\w)", re.MULTILINE)


@dataclass(frozen=True)
class Sources:
    """Where tasks come from.

    Attributes:
        tasks: files and modules that define tasks; empty for those that the project's settings name.
        plugins: files and modules that replace tasks, beside those that the project's settings name.
        directory: where the search for the project's settings begins.
    """

    tasks: Sequence[str] = ()
    plugins: Sequence[str] = ()
    directory: Path = field(default_factory=Path.cwd)


@dataclass(frozen=True)
class Prepared:
    """A chain that can be sent.

    Attributes:
        app: the run's app.
        chain: the chain, without arguments.
        names: short names of its tasks.
        arguments: values by name.
        secret: names whose values are never shown.
    """

    app: FireX
    chain: Any
    names: list[str]
    arguments: dict[str, Any]
    secret: SecretNames


class UnreadyError(ValueError):
    """The chain can't run with the arguments it has; the text says why."""


def loaded_app(sources: Sources) -> FireX:
    """An app with all tasks of some sources, and with their plugins.

    Raises:
        SourceError: one of them can't be imported; tells file, line and reason.
    """
    settings = project_settings(sources.directory)
    app = FireX("firex")
    load_tasks(app, sources.tasks or settings.tasks)
    load_plugins(app, [*settings.plugins, *sources.plugins])
    return app


def parameters_of(app: FireX, first: Collection[str] = ()) -> dict[str, Parameter]:
    """What can be given to a run of any of an app's tasks, by name.

    Args:
        app: the app.
        first: full names of tasks whose words count before those of others.
    """
    tasks = [task for task in offered_tasks(app).values() if isinstance(task, FireXTask)]
    return declared(sorted(tasks, key=lambda task: task.name not in first))


def prepare(
    chain: str,
    words: Iterable[str],
    file: Path | None,
    sources: Sources,
    secrets: Mapping[str, Secret[str]] = MappingProxyType({}),
) -> Prepared:
    """Load the tasks, and make a checked chain of what somebody asked for.

    Args:
        chain: names of tasks, with commas between them.
        words: the arguments as they were written, ``--name value``.
        file: a JSON file with more arguments; what was written wins.
        sources: where tasks come from.
        secrets: arguments that nobody shall read.

    Raises:
        SourceError: tasks, plugins or converters can't be imported.
        ArgumentError: arguments that can't be understood, or that no task takes.
        LookupError: no such task, or several.
        UnreadyError: something is missing, refers to nothing, or was refused by a converter.
    """
    given: dict[str, Any] = {**_from_file(file), **split_arguments(words)}
    if twice := sorted(given.keys() & secrets.keys()):
        raise ArgumentError(*(f"{option(name)} is given by --secret, too; keep that" for name in twice))
    given.update((name, secret.reveal()) for name, secret in secrets.items())
    for converter in project_settings(sources.directory).converters:
        import_source(converter)
    hidden = Mask(secret.reveal() for secret in secrets.values())
    given = _converted(given, hidden, pre_load=True)
    app = loaded_app(sources)
    signature = chain_of(app, chain)
    _refuse_plain_tasks(app, signature)
    parameters = parameters_of(app)
    if lines := unknown(given, parameters):
        raise ArgumentError(*lines)
    converted({name: value for name, value in given.items() if value is True}, parameters)  # a name without its value
    annotated = frozenset(name for name, one in parameters.items() if one.is_secret)
    names = secret_names(app, annotated.union(name for name, one in parameters.items() if one.holds_secrets))
    values = converted(_converted(given, hidden, pre_load=False), parameters, names.and_exactly(secrets))
    arguments = _kept_secret(values, annotated | {name for name in secrets if name not in names}, parameters)
    _verify(signature, arguments)
    _refuse_unsendable(arguments)
    tasks = signature.tasks if hasattr(signature, "tasks") else [signature]
    short_names = [FireXTask.get_short_name_without_orig(task.task) for task in tasks]
    # The processes of the run are forks of this one; what is frozen is not copied when they collect garbage.
    gc.collect()
    gc.freeze()
    return Prepared(app, signature, short_names, arguments, names.and_exactly(secrets))


def _kept_secret(
    values: Mapping[str, Any], secret: Collection[str], parameters: Mapping[str, Parameter]
) -> dict[str, Any]:
    """The values, of those names as secrets. A task gets one only if it is ready for that.

    Raises:
        ArgumentError: tasks take one of them for something else.
    """
    plain = [name for name in values if name in secret and values[name] is not None and values[name] != ""]
    if problems := [
        f"--secret {name}: no task keeps it secret; annotate the parameter as Secret, or name it in "
        f"{SECRET_ARGUMENTS_SETTING} ({parameters[name].wanted})"
        for name in plain
        if not parameters[name].is_secret and parameters[name].by_type
    ]:
        raise ArgumentError(*problems)
    return {**values, **{name: Secret(values[name]) for name in plain if referenced_name(values[name]) is None}}


def _from_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return arguments_file(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"--args: cannot read {file}: {error}") from error


def _converted(given: Mapping[str, Any], hidden: Mask, *, pre_load: bool) -> dict[str, Any]:
    try:
        return InputConverter.run(given, pre_load=pre_load)
    except (ArgumentConversionException, ConverterRegistrationException) as error:
        raise UnreadyError(hidden(str(error))) from error


def _refuse_plain_tasks(app: FireX, signature: Any) -> None:
    for member in getattr(signature, "tasks", [signature]):
        if not isinstance(app.tasks[member.task], FireXTask):
            raise UnreadyError(f"{member.task} is a plain Celery task (base=…), which takes no arguments by name")


def _refuse_unsendable(arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        try:
            with sealed_for(lambda: "only to try"):
                encode(revealed(value))
        except WireError as error:
            raise ArgumentError(f"{option(name)}: the value can't be sent to a task: {error}") from error


def _verify(chain: Any, arguments: Mapping[str, Any]) -> None:
    try:
        verify_chain_arguments(InjectArgs(**{**arguments, UID: UID}) | chain)
    except (InvalidChainArgsException, TypeError) as error:
        raise UnreadyError(_NAME_IN_A_LIST.sub("  --", str(error))) from error

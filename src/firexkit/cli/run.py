"""``firex run``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from firexkit._importing import SourceError
from firexkit.broker_address import BrokerAddressError, with_password
from firexkit.cli import closing
from firexkit.cli.completing import RunCommand, complete_words, own_options
from firexkit.cli.detaching import detached
from firexkit.cli.help import tell_help
from firexkit.cli.json_lines import JsonLines
from firexkit.cli.letters import is_terminal
from firexkit.cli.options import listed, with_broker, with_runs_directory, with_secrets, with_tasks, with_worker
from firexkit.cli.refusal import Refusal, refused
from firexkit.cli.screen import Quiet, screen_for
from firexkit.cli.secrets import given_secrets, hide_typed
from firexkit.runtime import broker
from firexkit.runtime.arguments.parameters import listed as listed_names
from firexkit.runtime.arguments.words import name_of
from firexkit.runtime.conductor import Conductor
from firexkit.runtime.directory import RunDirectory, RunDirectoryError, make_run_directory
from firexkit.runtime.listening import Listener
from firexkit.runtime.outcome import Outcome
from firexkit.runtime.preparation import Prepared, Sources, parameters_of, prepare
from firexkit.runtime.runs import default_runs_directory
from firexkit.runtime.submission import Submission
from firexkit.runtime.worker import default_concurrency
from firexkit.uid import new_run_id


@click.command("run", cls=RunCommand, context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument(
    "words", nargs=-1, type=click.UNPROCESSED, metavar="CHAIN [--NAME VALUE]…", shell_complete=complete_words
)
@with_tasks
@click.option(
    "--args", "args_file", type=click.Path(path_type=Path, dir_okay=False), help="A JSON file with arguments by name."
)
@with_secrets
@click.option("--detach", is_flag=True, help="Print the run's id and leave it running.")
@click.option("-q", "--quiet", is_flag=True, help="Print what the tasks returned and what went wrong, nothing else.")
@click.option("--json-lines", is_flag=True, help="Print one JSON object a line for each change of the run.")
@with_broker
@click.option("--no-worker", is_flag=True, help="Leave the work to workers that the broker has already.")
@click.option("--queue", help="Where tasks are sent.  [default: with --broker, a queue of the run's own]")
@click.option("--priority", type=click.IntRange(0, 9), help="Of the chain's tasks; on Redis, 0 goes first.")
@with_worker
@with_runs_directory
@click.option("-h", "--help", "wants_help", is_flag=True, help="Show this; with a CHAIN, its arguments, too.")
@click.pass_context
def command(ctx: click.Context, /, words: tuple[str, ...], **options: Any) -> None:
    """Run CHAIN: tasks by name, one after the other, with commas between them.

    Every parameter that a task declares can be given as --NAME VALUE. Exit codes: 0 all tasks succeeded, 1 one failed
    (or the code that it asked for), 2 nothing was started, 130 interrupted.

    On a terminal, a tree shows how the run goes; else a line tells of each task that begins or ends. Each line of
    --json-lines has "event", "at" (Unix time) and "run", and then: "run-begins": logs, chain; "task-changed": task (its
    id), name, state, parent, depth, chain_depth, started, ended, worker, log, from_plugin, retries, error, cause;
    "notice": text; "run-ends": returncode, results, failures, not_run, stopped, stopped_by, trouble.
    """
    chain, *arguments = words or ("",)
    sources = Sources(options["tasks"], listed(options["plugins"]))
    if options["wants_help"] or not words:
        tell_help(ctx, chain, sources)
        ctx.exit(0 if options["wants_help"] else 2)
    chosen = [f"--{name.replace('_', '-')}" for name in ("detach", "quiet", "json_lines") if options[name]]
    if len(chosen) > 1:
        raise Refusal(f"{listed_names(chosen)} do not go together; each says where a run is told of")
    if chain.startswith("-"):
        raise Refusal(f"the tasks to run come first: firex run CHAIN {chain} …; `firex run --help` tells more")
    secrets = given_secrets(options["secrets"])
    with refused(SourceError, ValueError, LookupError):
        prepared = prepare(chain, arguments, options["args_file"], sources, secrets)
    hide_typed(prepared.secret)
    _tell_taken(ctx, prepared)
    ctx.exit(_run(prepared, _submission(prepared, options), options))


def _tell_taken(ctx: click.Context, prepared: Prepared) -> None:
    """Say so when a word was taken as an option of ours that a task of the chain has as an argument, too."""
    for written, ours in own_options(ctx.command).items():
        parameter = parameters_of(prepared.app).get(name_of(written.removeprefix("--")) or "")
        tasks = {said.task for said in parameter.declarations} & {*prepared.names} if parameter else set()
        if tasks and ctx.get_parameter_source(str(ours.name)) is ParameterSource.COMMANDLINE:
            what = f"{written} was taken as an option of firex run; the argument of {listed_names(sorted(tasks))}"
            click.echo(f"firex: {what} goes after --, at the end: -- {written} …", err=True)


def _submission(prepared: Prepared, options: dict[str, Any]) -> Submission:
    if options["no_worker"] and not options["broker"]:
        raise Refusal("--no-worker needs a broker whose workers do the work: add --broker URL")
    with refused(BrokerAddressError):
        address = with_password(options["broker"], options["password_file"]) if options["broker"] else None
    if address:
        broker.use(prepared.app, address)
        with refused(broker.BrokerError):
            broker.check(prepared.app)
    return Submission(
        chain=prepared.chain,
        names=prepared.names,
        arguments=prepared.arguments,
        secret=prepared.secret,
        command=sys.argv,
        broker=address,
        own_worker=not options["no_worker"],
        queue=options["queue"],
        priority=options["priority"],
        soft_time_limit=options["soft_time_limit"],
        concurrency=options["concurrency"] or default_concurrency(),
        loglevel=options["loglevel"],
    )


def _run(prepared: Prepared, submission: Submission, options: dict[str, Any]) -> int:
    with refused(RunDirectoryError):
        directory = make_run_directory(options["runs_dir"] or default_runs_directory(), new_run_id())
    conduct = partial(_conducted, prepared, submission, directory)
    if options["detach"]:
        return detached(conduct, directory)
    with refused(RunDirectoryError):
        if options["json_lines"]:
            return _told_in_json(conduct, JsonLines(directory.run_id, submission.names))
        is_quiet = options["quiet"]
        outcome = conduct(Quiet() if is_quiet else screen_for(submission.names, is_terminal=is_terminal()))
    closing.tell(outcome, directory, is_quiet=is_quiet)
    return outcome.returncode


def _conducted(prepared: Prepared, submission: Submission, directory: RunDirectory, screen: Listener) -> Outcome:
    return Conductor(prepared.app, submission, directory, screen).conduct()


def _told_in_json(conduct: Callable[[Listener], Outcome], lines: JsonLines) -> int:
    with lines.alone():
        outcome = conduct(lines)
    with closing.nobody_need_read():
        lines.ended(outcome)
    return outcome.returncode

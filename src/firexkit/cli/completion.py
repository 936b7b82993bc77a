"""``firex completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print what SHELL needs to complete commands, tasks, their arguments and values.

    bash, in ~/.bashrc:  eval "$(firex completion bash)"

    zsh, in ~/.zshrc, after compinit:  eval "$(firex completion zsh)"

    fish, in ~/.config/fish/config.fish:  firex completion fish | source
    """
    completion = get_completion_class(shell)
    assert completion is not None
    source = completion(ctx.find_root().command, {}, "firex", "_FIREX_COMPLETE").source()
    # A chain of tasks has commas; click's script for fish takes what it is told apart at each.
    click.echo(source.replace('string split ","', 'string split --max 1 ","'))

"""Completion of tasks, arguments and values, in the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from product.firex import FIREX, Home

SCRIPTS = {
    "bash": """
        eval "$(firex completion bash)"
        COMP_WORDS=({words}) COMP_CWORD={last}
        _firex_completion firex
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    # What zsh offers is told to builtins that work on a command line only.
    "zsh": """
        autoload -U compinit && compinit -u -D
        compadd() {{ print -rl -- "${{(@P)argv[-1]}}" }}
        _describe() {{ print -rl -- "${{(@P)argv[3]}}" }}
        _path_files() {{ print -r -- FILES }}
        words=({words}) CURRENT=$(({last} + 1))
        eval "$(firex completion zsh)"
        _firex_completion
    """,
    "fish": """
        firex completion fish | source
        complete --do-complete '{line}'
    """,
}

OFFERED = {
    "a task": ("firex run -t work.py dou", {"double"}, {"parent"}),
    "a task after a comma": ("firex run -t work.py nop,dou", {"nop,double"}, set()),
    "an argument": ("firex run -t work.py double --si", {"--size"}, {"--flag", "--detach"}),
    "an option": ("firex run -t work.py double --det", {"--detach"}, {"--size"}),
    "a value": ("firex run -t work.py types --mode f", {"fast"}, {"safe"}),
    "a bool": ("firex run -t work.py types --flag t", {"true"}, {"false"}),
    "a command": ("firex ver", {"version"}, {"run"}),
}


@pytest.fixture(params=SCRIPTS)
def shell(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed; tools/system-packages installs it")
    return request.param


def offered(home: Home, shell: str, line: str) -> list[str]:
    """The words that a shell offers for the last word of a line."""
    words = line.split(" ")
    script = SCRIPTS[shell].format(words=" ".join(words), last=len(words) - 1, line=line)
    path = f"{Path(FIREX).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shell, "-c", script],
        cwd=home.path,
        env={**home.env, "PATH": path, "HOME": str(home.path), "XDG_CONFIG_HOME": str(home.path / "config")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout or not done.stderr, done.stderr
    return [line.replace("\\", "").partition("\t")[0].partition(":")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("case", OFFERED)
def test_shells_offer_what_fits(home: Home, shell: str, case: str):
    line, there, not_there = OFFERED[case]
    words = set(offered(home, shell, line))

    assert there <= words
    assert not not_there & words


def test_a_path_is_left_to_the_shell(home: Home, shell: str):
    (home.path / "somewhere").mkdir()
    words = offered(home, shell, "firex run -t work.py types --where some")

    assert "double" not in words
    if shell == "fish":
        assert "somewhere/" in words


def test_a_broken_task_file_does_not_break_the_line(home: Home, shell: str):
    (home.path / "broken.py").write_text("def broken(:\n")

    assert not [word for word in offered(home, shell, "firex run -t broken.py no") if "rror" in word]

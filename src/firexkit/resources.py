"""Where the files lie that a run's pages need, and the install configurations that ship with the kit."""

import os
from pathlib import Path
from typing import Final

__all__ = [
    "get_cloud_ci_install_config_path",
    "get_firex_css_filepath",
    "get_firex_logo_filepath",
    "get_packaged_install_config_path",
    "get_resource_filepath",
]

StrPath = str | os.PathLike[str]

INSTALL_RESOURCES: Final = Path(__file__).resolve().parent / "install_resources"


def get_resource_filepath(resources_dir: StrPath, filename: str, relative_from: StrPath | None = None) -> str:
    """The path of a resource.

    Args:
        resources_dir: directory of the resources.
        filename: name of the resource in it.
        relative_from: directory from which a relative path is wanted; None keeps the path as it is.

    Returns:
        The joined path; nothing checks that the file exists.
    """
    path = str(Path(resources_dir) / filename)
    return path if relative_from is None else os.path.relpath(path, relative_from)


def get_firex_css_filepath(resources_dir: StrPath, relative_from: StrPath | None = None) -> str:
    """The path of the stylesheet of a run's pages; parameters as in `get_resource_filepath`."""
    return get_resource_filepath(resources_dir, "firex.css", relative_from)


def get_firex_logo_filepath(resources_dir: StrPath, relative_from: StrPath | None = None) -> str:
    """The path of the logo of a run's pages; parameters as in `get_resource_filepath`."""
    return get_resource_filepath(resources_dir, "firex_logo.png", relative_from)


def get_packaged_install_config_path(rel: StrPath) -> str:
    """The path of an install configuration that ships with the kit.

    Args:
        rel: its path inside the package's ``install_resources``.

    Returns:
        The absolute path; nothing checks that the file exists.
    """
    return get_resource_filepath(INSTALL_RESOURCES, os.fspath(rel))


def get_cloud_ci_install_config_path() -> str:
    """The absolute path of the install configuration for runs in a cloud's continuous integration."""
    return get_packaged_install_config_path("cloud-ci-install-configs.json")

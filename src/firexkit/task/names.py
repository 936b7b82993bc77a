"""Names of tasks: short, long, and without the mark of a replaced original. Pure."""

from firexkit._wire import REPLACEMENT_TASK_NAME_POSTFIX


def strip_orig(name: str) -> str:
    """A name without any trailing ``_orig``."""
    while name.endswith(REPLACEMENT_TASK_NAME_POSTFIX):
        name = name.removesuffix(REPLACEMENT_TASK_NAME_POSTFIX)
    return name


def short(name: str) -> str:
    """What follows the last dot; of a chain's name, its first task's."""
    return name.split("|", 1)[0].rsplit(".", 1)[-1]

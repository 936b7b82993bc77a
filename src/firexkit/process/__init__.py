"""Commands from inside a task: followed while they run, limited in time, ended with the task, their secrets hidden.

This is the face of the package; each name lives in the module it is imported from.
"""

from firexkit._faces import adopt
from firexkit.process.commands import CommandResult, Options, check_call, check_output, environment, run

__all__ = ["CommandResult", "Options", "check_call", "check_output", "environment", "run"]

adopt(__name__, globals(), __all__)

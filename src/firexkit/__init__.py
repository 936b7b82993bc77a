"""Workflows of named tasks on Celery: a bag of named values flows through chains of small functions.

The names a user starts with, each imported from its home when it is first asked for.
"""

from typing import TYPE_CHECKING

from firexkit import _lazy

if TYPE_CHECKING:
    from firexkit._serialization import LostValueError as LostValueError
    from firexkit._serialization import RemoteError as RemoteError
    from firexkit._serialization import WireError as WireError
    from firexkit._serialization import allow as allow
    from firexkit.app import FireX as FireX
    from firexkit.argument_conversion import ConverterRegister as ConverterRegister
    from firexkit.argument_conversion import SingleArgDecorator as SingleArgDecorator
    from firexkit.bag_of_goodies import BagOfGoodies as BagOfGoodies
    from firexkit.chain import InjectArgs as InjectArgs
    from firexkit.chain import InvalidChainArgsException as InvalidChainArgsException
    from firexkit.chain import returns as returns
    from firexkit.chain import verify_chain_arguments as verify_chain_arguments
    from firexkit.firex_exceptions import FireXReturnCodeException as FireXReturnCodeException
    from firexkit.input_converter import InputConverter as InputConverter
    from firexkit.result import ChainInterruptedException as ChainInterruptedException
    from firexkit.result import ChainRevokedException as ChainRevokedException
    from firexkit.result import get_results as get_results
    from firexkit.secret import Secret as Secret
    from firexkit.task import FireXTask as FireXTask
    from firexkit.task import PendingChildStrategy as PendingChildStrategy
    from firexkit.task import TaskEnqueueSpec as TaskEnqueueSpec
    from firexkit.task import task_prerequisite as task_prerequisite
    from firexkit.task.flame import flame as flame
    from firexkit.task.flame import flame_collapse as flame_collapse
else:
    _HOMES = {
        "firexkit._serialization": ("LostValueError", "RemoteError", "WireError", "allow"),
        "firexkit.app": ("FireX",),
        "firexkit.argument_conversion": ("ConverterRegister", "SingleArgDecorator"),
        "firexkit.bag_of_goodies": ("BagOfGoodies",),
        "firexkit.chain": ("InjectArgs", "InvalidChainArgsException", "returns", "verify_chain_arguments"),
        "firexkit.firex_exceptions": ("FireXReturnCodeException",),
        "firexkit.input_converter": ("InputConverter",),
        "firexkit.result": ("ChainInterruptedException", "ChainRevokedException", "get_results"),
        "firexkit.secret": ("Secret",),
        "firexkit.task": (
            "FireXTask",
            "PendingChildStrategy",
            "TaskEnqueueSpec",
            "flame",
            "flame_collapse",
            "task_prerequisite",
        ),
    }
    __getattr__ = _lazy.reexport(__name__, {name: home for home, names in _HOMES.items() for name in names})

__version__ = "0.1.0"

__all__ = [
    "BagOfGoodies",
    "ChainInterruptedException",
    "ChainRevokedException",
    "ConverterRegister",
    "FireX",
    "FireXReturnCodeException",
    "FireXTask",
    "InjectArgs",
    "InputConverter",
    "InvalidChainArgsException",
    "LostValueError",
    "PendingChildStrategy",
    "RemoteError",
    "Secret",
    "SingleArgDecorator",
    "TaskEnqueueSpec",
    "WireError",
    "allow",
    "flame",
    "flame_collapse",
    "get_results",
    "returns",
    "task_prerequisite",
    "verify_chain_arguments",
]

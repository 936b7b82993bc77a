"""Results of tasks: look-ups, waits, values, failures, and forgetting.

This is the face of the package; each name lives in the module it is imported from.
"""

from firexkit._celery import finalizers
from firexkit._celery.tracking import (
    disable_all_async_results,
    disable_async_result,
    is_async_result_monkey_patched_to_track,
    monkey_patch_async_result_to_track_instances,
    teardown_monkey_patch_async_result_to_track_instances,
)
from firexkit._faces import adopt
from firexkit._wire import FIREX_AR_REFS_ATTR, RETURN_KEYS_KEY, RUN_RESULTS_NAME, RUN_UNSUCCESSFUL_NAME
from firexkit.result import describing
from firexkit.result.errors import (
    BrokerDataLostError,
    ChainException,
    ChainInterruptedByZombieTaskException,
    ChainInterruptedException,
    ChainRevokedException,
    ChainRevokedPreRunException,
    MultipleFailuresException,
    WaitOnChainTimeoutError,
    first_non_chain_interrupted_exception,
    last_causing_chain_interrupted_exception,
)
from firexkit.result.forgetting import forget_chain_results, forget_single_async_result, forget_subtree_results
from firexkit.result.lookups import (
    ResultId,
    get_result_id,
    get_result_logging_name,
    get_task_info_from_result,
    get_task_name_from_result,
    get_task_postrun_info,
    get_task_queue_from_result,
    get_tasks_names_from_results,
    mark_queues_ready,
    was_queue_ready,
)
from firexkit.result.tree import (
    climb_up_until_null_parent,
    create_unsuccessful_result,
    find_all_unsuccessful,
    find_unsuccessful_in_chain,
    get_all_children,
    is_result_ready,
)
from firexkit.result.values import (
    get_results,
    get_results_with_default,
    get_task_results,
    get_tasks_inputs_from_result,
    results2tuple,
)
from firexkit.result.waiting import (
    wait_for_any_results,
    wait_for_running_tasks_from_results,
    wait_on_async_results,
    wait_on_async_results_and_maybe_raise,
)
from firexkit.result.watch import WaitLoopCallBack

__all__ = [
    "FIREX_AR_REFS_ATTR",
    "RETURN_KEYS_KEY",
    "RUN_RESULTS_NAME",
    "RUN_UNSUCCESSFUL_NAME",
    "BrokerDataLostError",
    "ChainException",
    "ChainInterruptedByZombieTaskException",
    "ChainInterruptedException",
    "ChainRevokedException",
    "ChainRevokedPreRunException",
    "MultipleFailuresException",
    "ResultId",
    "WaitLoopCallBack",
    "WaitOnChainTimeoutError",
    "climb_up_until_null_parent",
    "create_unsuccessful_result",
    "disable_all_async_results",
    "disable_async_result",
    "find_all_unsuccessful",
    "find_unsuccessful_in_chain",
    "first_non_chain_interrupted_exception",
    "forget_chain_results",
    "forget_single_async_result",
    "forget_subtree_results",
    "get_all_children",
    "get_result_id",
    "get_result_logging_name",
    "get_results",
    "get_results_with_default",
    "get_task_info_from_result",
    "get_task_name_from_result",
    "get_task_postrun_info",
    "get_task_queue_from_result",
    "get_task_results",
    "get_tasks_inputs_from_result",
    "get_tasks_names_from_results",
    "is_async_result_monkey_patched_to_track",
    "is_result_ready",
    "last_causing_chain_interrupted_exception",
    "mark_queues_ready",
    "monkey_patch_async_result_to_track_instances",
    "results2tuple",
    "teardown_monkey_patch_async_result_to_track_instances",
    "wait_for_any_results",
    "wait_for_running_tasks_from_results",
    "wait_on_async_results",
    "wait_on_async_results_and_maybe_raise",
    "was_queue_ready",
]

adopt(__name__, globals(), __all__)
describing.install()
finalizers.install()

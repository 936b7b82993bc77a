"""The task: FireXTask, and what surrounds one call of it.

This is the face of the package; each name lives in the module it is imported from.
"""

from firexkit._celery import chains, channels, delivery, enduring, messages, owed, storing
from firexkit._faces import adopt
from firexkit._functions import get_attr_unwrapped, parse_signature, undecorate, undecorate_func
from firexkit._records import start_time_key as get_starttime_dbkey
from firexkit._returns import DyanmicReturnsNotADict, DynamicReturnsNotADict, ReturnsCodingException
from firexkit._serialization import convert_to_serializable, is_jsonable
from firexkit._wire import FLAME_COLLAPSE_KEY, REPLACEMENT_TASK_NAME_POSTFIX, RETURN_KEYS_KEY
from firexkit.task import signals
from firexkit.task.arguments import DictWillNotAllowWrites
from firexkit.task.banner import banner
from firexkit.task.base import FireXTask
from firexkit.task.children import PendingChildStrategy, TaskEnqueueSpec
from firexkit.task.errors import (
    CacheResultNotPopulatedYetInRedis,
    IllegalTaskNameException,
    NotInCache,
    UidNotInjectedInAbog,
)
from firexkit.task.execution import TaskContext
from firexkit.task.flame import (
    create_collapse_ops,
    create_flame_config,
    expand_self_op,
    flame,
    flame_collapse,
    flame_collapse_formatter,
)
from firexkit.task.large_values import reader_of
from firexkit.task.prerequisite import task_prerequisite
from firexkit.task.run_records import (
    REDIS_DB_KEY_FOR_RESULTS_WITH_REPORTS,
    REDIS_DB_KEY_PREFIX_FOR_CACHE_ENABLED_UID,
    REDIS_DB_KEY_PREFIX_FOR_ENQUEUE_ONCE_COUNT,
    REDIS_DB_KEY_PREFIX_FOR_ENQUEUE_ONCE_UID,
    add_task_result_with_report_to_db,
    get_cache_enabled_uid_dbkey,
    get_current_cache_enabled_uid_dbkeys,
    get_current_cache_enabled_uids,
    get_current_enqueue_child_once_uid_dbkeys,
    get_current_enqueue_child_once_uids,
    get_current_reports_uids,
    get_enqueue_child_once_count_dbkey,
    get_enqueue_child_once_uid_dbkey,
)
from firexkit.task.signals import get_task_start_time, get_time_from_task_start

__all__ = [
    "FLAME_COLLAPSE_KEY",
    "REDIS_DB_KEY_FOR_RESULTS_WITH_REPORTS",
    "REDIS_DB_KEY_PREFIX_FOR_CACHE_ENABLED_UID",
    "REDIS_DB_KEY_PREFIX_FOR_ENQUEUE_ONCE_COUNT",
    "REDIS_DB_KEY_PREFIX_FOR_ENQUEUE_ONCE_UID",
    "REPLACEMENT_TASK_NAME_POSTFIX",
    "RETURN_KEYS_KEY",
    "CacheResultNotPopulatedYetInRedis",
    "DictWillNotAllowWrites",
    "DyanmicReturnsNotADict",
    "DynamicReturnsNotADict",
    "FireXTask",
    "IllegalTaskNameException",
    "NotInCache",
    "PendingChildStrategy",
    "ReturnsCodingException",
    "TaskContext",
    "TaskEnqueueSpec",
    "UidNotInjectedInAbog",
    "add_task_result_with_report_to_db",
    "banner",
    "convert_to_serializable",
    "create_collapse_ops",
    "create_flame_config",
    "expand_self_op",
    "flame",
    "flame_collapse",
    "flame_collapse_formatter",
    "get_attr_unwrapped",
    "get_cache_enabled_uid_dbkey",
    "get_current_cache_enabled_uid_dbkeys",
    "get_current_cache_enabled_uids",
    "get_current_enqueue_child_once_uid_dbkeys",
    "get_current_enqueue_child_once_uids",
    "get_current_reports_uids",
    "get_enqueue_child_once_count_dbkey",
    "get_enqueue_child_once_uid_dbkey",
    "get_starttime_dbkey",
    "get_task_start_time",
    "get_time_from_task_start",
    "is_jsonable",
    "parse_signature",
    "task_prerequisite",
    "undecorate",
    "undecorate_func",
]

adopt(__name__, globals(), __all__)
chains.install()
messages.install(reader_of)
delivery.install()
enduring.install()
channels.install()
owed.install()
storing.install()
signals.connect()

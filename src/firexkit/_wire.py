"""Every string that leaves the process: bag keys, message marks, type tags, backend keys, event names.

Rule: a string that another process, another release or a monitor reads is written here and nowhere else.
"""

from typing import Final

# ── the bag ──────────────────────────────────────────────────────────────────────────────
RETURN_KEYS_KEY: Final = "__task_return_keys"
DYNAMIC_RETURN: Final = "__DYNAMIC_RETURN__"
INDIRECT_ARG_CHAR: Final = "@"
CHAIN_DEPTH: Final = "chain_depth"
UID: Final = "uid"
NOT_INHERITED: Final = frozenset({CHAIN_DEPTH, RETURN_KEYS_KEY})
"""Bag entries that tell about one call; a bag injected into another task leaves them behind."""

# ── names ────────────────────────────────────────────────────────────────────────────────
REPLACEMENT_TASK_NAME_POSTFIX: Final = "_orig"
FLAME_COLLAPSE_KEY: Final = "_default_display"
RUN_RESULTS_NAME: Final = "chain_results"
RUN_UNSUCCESSFUL_NAME: Final = "unsuccessful_services"
FIREX_AR_REFS_ATTR: Final = "__firex_ar_refs__"

# ── messages ─────────────────────────────────────────────────────────────────────────────
USE_CACHE: Final = "use_cache"
"""Message property: whether this call may be answered from the cache."""
ENCODED_HEADER: Final = "firexkit_encoded"
"""Message header: the arguments were encoded by us; the value is the version of the encoding."""
ENCODED_ARGS_OPTION: Final = "firexkit_encoded_args"
"""Signature option of a chain member: how many of its trailing positionals are encoded already."""
DEPTH_OPTION: Final = "firexkit_depth"
"""Option of a chain inside a group: how many members stand before it in the chain around."""
INJECTED_HEADER: Final = "firexkit_injected"
"""Message header: names of the arguments that InjectArgs put there."""
WAITER_HEADER: Final = "firexkit_waiter"
"""Message header: the channel on which whoever sent the task hears that it has ended."""
WIRE_VERSION: Final = 1
ENVELOPE: Final = "__firexkit_wire__"
"""Only key besides "value" of a top-level value that holds tags; plain JSON travels without an envelope."""
TAG: Final = "__firexkit__"
KOMBU_TAG: Final = "__type__"
VALUE: Final = "value"
LARGE_VALUES_SETTING: Final = "firexkit_large_values"
"""Setting of the app: values of more bytes than this are stored once and fetched when needed; None or 0 for never."""
EXCEPTION_EXTRA: Final = "firexkit"
"""Entry beside Celery's own three in a stored exception: ours, with class, arguments and cause."""

# ── events (docs: spec of the event stream) ──────────────────────────────────────────────
EVENT_STARTED_INFO: Final = "task-started-info"
EVENT_RESULTS: Final = "task-results"
EVENT_FLAME: Final = "task-send-flame"
EVENT_EXCEPTION_CAUSE: Final = "task-exception-cause"
EVENT_BLOCKED: Final = "task-blocked"
EVENT_UNBLOCKED: Final = "task-unblocked"
EVENT_INSTRUMENTATION: Final = "task-instrumentation"
EVENT_WORKER_SLOTS: Final = "worker-slots"
ADDITIONAL_CHILDREN: Final = "additional_children"
BOUND_ARGS: Final = "firex_bound_args"
DEFAULT_BOUND_ARGS: Final = "firex_default_bound_args"
CALLED_AS_ORIG: Final = "called_as_orig"
LONG_NAME: Final = "long_name"
LOG_FILEPATH: Final = "log_filepath"
FROM_PLUGIN: Final = "from_plugin"
CODE_FILEPATH: Final = "code_filepath"
RETRIES: Final = "retries"
TASK_PARENT_ID: Final = "task_parent_id"
RESULT: Final = "firex_result"
CACHED_RESULT_FROM: Final = "cached_result_from"
EXCEPTION_CAUSE_UUID: Final = "exception_cause_uuid"
ABOG_WRITTEN_TO: Final = "abog_written_to"
FLAME_DATA: Final = "flame_data"

# ── backend keys (docs/design/records.md) ────────────────────────────────────────────────
REPORTS: Final = "FIREX_RESULTS_WITH_REPORTS"
ONCE_UID: Final = "ENQUEUE_CHILD_ONCE_UID_"
ONCE_COUNT: Final = "ENQUEUE_CHILD_ONCE_COUNT_"
CACHE: Final = "CACHE_ENABLED"
STARTTIME_SUFFIX: Final = "_starttime"
QUEUES: Final = "QUEUES"
RUNS: Final = "FIREXKIT_RUNS"
REVOKED: Final = "FIREXKIT_REVOKED"
REVOKED_ASKED: Final = "FIREXKIT_REVOKED_ASKED"
LARGE_VALUES: Final = "FIREXKIT_VALUES:"
"""Before a task's id: the large values that came with its message or its result."""
INDEX_SUFFIX: Final = ":index"

WAKE_CHANNEL: Final = "FIREXKIT_WAKE:"
"""Pub/Sub channel of one waiter: told which of its tasks have ended."""
LOOK_AT: Final = "firexkit-look-at:"
"""What waiters are told of a task whose stored state is to be read; its id follows."""

FIELD_NAME: Final = "name"
FIELD_QUEUE: Final = "queue"
FIELD_RUN: Final = "run"
FIELD_SENT: Final = "sent"
FIELD_WAITER: Final = "waiter"
FIELD_ATTEMPT: Final = "attempt"
FIELD_REVOKED: Final = "revoked"
FIELD_POST_RUN: Final = "TASK_POST_RUN"
FIELDS_OWNED: Final = {ONCE_UID: "owns-once", CACHE: "owns-cache"}
"""Fields that list an index and its keys that point at this task; they go when the task is forgotten."""
FIELD_NO_RESULT: Final = "no-result"
"""Set when a task with ``ignore_result`` has succeeded."""
POST_RUN_MARK: Final = "True"

# ── instrumentation (fields and labels of the event task-instrumentation) ────────────────
INSTRUMENTATION_STACK: Final = "instrumentation_event_stack"
INSTRUMENTATION_LABEL: Final = "instrumentation_label"
BROKER_TRIES: Final = "broker_timeout_tries"
BROKER_CAME_BACK: Final = "handle_broker_timeout-success"
BROKER_STAYED_AWAY: Final = "handle_broker_timeout-failure"

# ── type tags: {TAG: one of these, VALUE: …}, found only inside an envelope or an exception ──
TAG_DICT: Final = "dict"
"""A dict that JSON or kombu would change, as a list of pairs."""
TAG_TUPLE: Final = "tuple"
TAG_SET: Final = "set"
TAG_FROZENSET: Final = "frozenset"
TAG_INT: Final = "int"
"""An integer too long for Python's JSON reader, in hexadecimal."""
TAG_COMPLEX: Final = "complex"
TAG_DECIMAL: Final = "decimal"
TAG_BYTES: Final = "bytes"
TAG_UUID: Final = "uuid"
TAG_DATETIME: Final = "datetime"
TAG_DATE: Final = "date"
TAG_TIME: Final = "time"
TAG_TIMEDELTA: Final = "timedelta"
TAG_PATH: Final = "path"
TAG_POSIX_PATH: Final = "posix-path"
TAG_WINDOWS_PATH: Final = "windows-path"
TAG_ENUM: Final = "enum"
TAG_OBJECT: Final = "object"
"""An instance of an allowed dataclass, pydantic model or named tuple."""
TAG_EXCEPTION: Final = "exception"
TAG_LARGE: Final = "large-value"
"""In the place of a value that is stored on its own: its owner, digest, size, and until when it is kept."""
TAG_AGAIN: Final = "exception-again"
"""An exception that was written before in the same value, by its number."""
CLASS: Final = "class"
STATE: Final = "state"
NUMBER: Final = "number"
TEXT: Final = "text"
ARGUMENTS: Final = "arguments"
ATTRIBUTES: Final = "attributes"
CAUSE: Final = "cause"
NOTES: Final = "notes"
MODEL_FIELDS_SET: Final = "fields_set"
MODEL_EXTRA: Final = "extra"
MODEL_PRIVATE: Final = "private"

# ── slots that tasks lend while they wait: settings of the app, fields of the event worker-slots ──
LEND_SETTING: Final = "firexkit_lend_slots"
"""Whether the app's workers run another task while one waits."""
MOST_PROCESSES_SETTING: Final = "firexkit_most_processes"
"""The most processes or threads that a worker's pool may have; None for as many as there is memory for."""
SLOTS: Final = "slots"
SLOTS_RUNNING: Final = "running"
SLOTS_BLOCKED: Final = "blocked"
SLOTS_WAITING: Final = "waiting"
SLOTS_PROCESSES: Final = "processes"
SLOTS_LIMIT: Final = "limit"

# ── the environment and entry points ─────────────────────────────────────────────────────
BROKER_VARIABLE: Final = "FIREX_BROKER"
PASSWORD_FILE_VARIABLE: Final = "FIREX_PASSWORD_FILE"
HOME_VARIABLE: Final = "FIREX_HOME"
RUN_OF_QUEUE: Final = "FIREXKIT_RUN_OF_QUEUE:"
"""Backend key before a queue: the id and the directory of the run that the queue belongs to."""
LISTENERS_GROUP: Final = "firexkit.listeners"
TASKS_GROUP: Final = "firex.tasks"
EXTERNAL_COMMANDS: Final = "external_commands"

# ── an external command: what the event task-send-flame tells in EXTERNAL_COMMANDS, under the command's id ──
COMMAND_LINE: Final = "cmd"
COMMAND_DIRECTORY: Final = "cwd"
COMMAND_OUTPUT_FILE: Final = "output_file"
COMMAND_HOST: Final = "host"
COMMAND_REMOTE_HOST: Final = "remote_host"
COMMAND_START: Final = "start_time"
COMMAND_END: Final = "end_time"
COMMAND_RESULT: Final = "result"
COMMAND_COMPLETED: Final = "completed"
COMMAND_TIMEOUT: Final = "timeout"
COMMAND_INACTIVE: Final = "inactive"
COMMAND_RETURNCODE: Final = "returncode"
COMMAND_OUTPUT: Final = "output"
COMMAND_OUTPUT_TRUNCATED: Final = "output_truncated"
COMMAND_STDERR: Final = "stderr_output"
COMMAND_STDERR_TRUNCATED: Final = "stderr_output_truncated"
KEPT_FROM_COMMANDS: Final = frozenset(
    {
        BROKER_VARIABLE,
        PASSWORD_FILE_VARIABLE,
        "CELERY_BROKER_URL",
        "CELERY_BROKER_READ_URL",
        "CELERY_BROKER_WRITE_URL",
        "CELERY_RESULT_BACKEND",
    }
)
"""Variables of the worker that lead to the broker; a command does not get them unless its caller says so."""

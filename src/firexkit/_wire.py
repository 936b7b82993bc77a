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
ENCODED_HEADER: Final = "firexkit_encoded"
"""Message header: the arguments were encoded by us; the value is the version of the encoding."""
ENCODED_ARGS_OPTION: Final = "firexkit_encoded_args"
"""Signature option of a chain member: how many of its trailing positionals are encoded already."""
WIRE_VERSION: Final = 1
ENVELOPE: Final = "__firexkit_wire__"
"""Only key besides "value" of a top-level value that holds tags; plain JSON travels without an envelope."""
TAG: Final = "__firexkit__"
KOMBU_TAG: Final = "__type__"
VALUE: Final = "value"
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
ADDITIONAL_CHILDREN: Final = "additional_children"

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
INDEX_SUFFIX: Final = ":index"

FIELD_NAME: Final = "name"
FIELD_QUEUE: Final = "queue"
FIELD_RUN: Final = "run"
FIELD_SENT: Final = "sent"
FIELD_ATTEMPT: Final = "attempt"
FIELD_REVOKED: Final = "revoked"
FIELD_POST_RUN: Final = "TASK_POST_RUN"
POST_RUN_MARK: Final = "True"

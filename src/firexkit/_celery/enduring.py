"""Result backends on Redis that get over an outage: what Celery reads and writes there is tried again for a while.

Celery tries a write again for twenty seconds, then for ever or not at all, with credentials that were refused, too;
a read for ever or not at all. Here both take the time that the app's patience says; refused credentials are told at
once. An app with a policy of its own (``retry_policy`` among ``result_backend_transport_options``) keeps it for writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial, wraps
from typing import Any, Final

from firexkit import _lazy
from firexkit._celery.patience import is_transient, patience_of, patiently, was_given_up

_POLICY: Final = "retry_policy"


@cache
def install() -> None:
    """Make every result backend of this process that is on Redis so; calling it again does nothing."""
    _lazy.when_imported("celery.backends.redis", _mend_backend)


def _mend_backend(module: Any) -> None:
    backend = module.RedisBackend
    backend.ensure = _ensuring(backend.ensure)
    backend.get, backend.mget = _enduring(backend.get), _enduring(backend.mget)
    backend.exception_safe_to_retry = _is_worth_another_try


def _ensuring(ensure: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(ensure)
    def ensure_patiently(self: Any, fun: Callable[..., Any], args: Iterable[Any], **policy: Any) -> Any:
        if policy or _POLICY in (self.app.conf.result_backend_transport_options or {}):
            return ensure(self, fun, args, **policy)
        return patiently(fun, *args, timeout=partial(patience_of, self.app.conf))

    return ensure_patiently


def _enduring(read: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(read)
    def read_patiently(self: Any, *args: Any) -> Any:
        return patiently(read, self, *args, timeout=partial(patience_of, self.app.conf))

    return read_patiently


def _is_worth_another_try(_self: Any, error: Exception) -> bool:
    """Celery's question with ``result_backend_always_retry``."""
    return is_transient(error) and not was_given_up(error)

"""Ask running workers, with patience: a question nobody answered is asked again for a while."""

import logging
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Final, TypeVar

from celery import current_app
from kombu.exceptions import ContentDisallowed, SerializationError

from firexkit._celery.patience import is_transient
from firexkit._celery.types import Celery

logger: logging.Logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

PAUSE: Final = 0.1
"""Seconds between asking and asking again."""


def inspect_with_retry(
    inspect_retry_timeout: float | None = 30,
    inspect_method: str | None = None,
    retry_if_None_returned: bool = True,  # noqa: N803 - the documented name
    celery_app: Celery = current_app,
    method_args: Any = None,
    verbose: bool = False,
    **inspect_opts: Any,
) -> Any:
    """Return what the workers answer, asking again while nobody does.

    Without a ``destination`` each question lasts its full ``timeout`` (Celery's default: 1 s), since the number of
    workers is unknown; with one it ends as soon as the named workers answered.

    Args:
        inspect_retry_timeout: seconds to keep asking; None or 0 asks once.
        inspect_method: name of a method of Celery's ``Inspect``, like ``"ping"``.
        retry_if_None_returned: when false, no answer is an answer.
        celery_app: whose workers to ask.
        method_args: argument of that method; a list or tuple holds several.
        verbose: when true, log each question and its answer.
        **inspect_opts: options of Celery's ``control.inspect``: ``destination`` (a list), ``timeout`` in seconds, …

    Returns:
        The answers by worker name; None if nobody answered or the broker was away; without a method, the ``Inspect``.

    Raises:
        Exception: what the method raised, unless it tells that the broker is away.
    """
    inspection = celery_app.control.inspect(**inspect_opts)
    if inspect_method is None:
        return inspection
    method, args = getattr(inspection, inspect_method), as_arguments(method_args)

    def question() -> Any:
        answer = answer_or_none(lambda: method(*args))
        logger.log(logging.INFO if verbose else logging.DEBUG, "inspect %s%r: %r", inspect_method, args, answer)
        return answer

    return ask_until_answered(question, timeout=inspect_retry_timeout if retry_if_None_returned else 0)


class UnreadableAnswerError(Exception):
    """Somebody answered, and nobody can tell what."""


def ask(method: str, /, **options: Any) -> dict[str, Any] | None:
    """The answers to one given question by worker name; options as in `inspect_with_retry`."""
    try:
        answers: dict[str, Any] | None = inspect_with_retry(**{**options, "inspect_method": method})
    except (SerializationError, ContentDisallowed) as error:
        # Workers of other apps on this broker may answer in a serializer that this app does not read.
        raise UnreadableAnswerError(f"a worker answered {method} in a form this app does not read: {error}") from error
    return answers


def as_arguments(value: Any) -> tuple[Any, ...]:
    """Positional arguments from what a caller gave: nothing, one value, or a list or tuple of values."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def answer_or_none(question: Callable[[], Answer]) -> Answer | None:
    """The answer, or None when the broker could not carry the question."""
    try:
        return question()
    except Exception as error:
        if not is_transient(error):
            raise
        return None


def ask_until_answered(question: Callable[[], Answer | None], *, timeout: float | None) -> Answer | None:
    """The first answer that is not None, asking again for ``timeout`` seconds; None or 0 asks once."""
    deadline = monotonic() + (timeout or 0)
    while (answer := question()) is None and (remaining := deadline - monotonic()) > 0:
        sleep(min(PAUSE, remaining))
    return answer

"""Hear the events that workers send, from a moment on that is known."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from celery.events import EventReceiver
from kombu import mixins

from firexkit._celery.patience import outages
from firexkit._celery.types import Celery

logger: Final = logging.getLogger(__name__)

PROBE: Final = "firex-probe"
"""The type of the event with which the ear finds out that it hears."""
PROBE_EVERY: Final = 0.02
LAST_WORDS: Final = 1.0
"""Seconds for the ear's thread to take leave of the broker."""

Event = Mapping[str, Any]


class Ear:
    """Listens in a thread, from :meth:`start` to :meth:`stop`; finds the broker again when it was away.

    Args:
        app: an app on the broker.
        hear: gets each event, in the ear's thread.
    """

    def __init__(self, app: Celery, hear: Callable[[Event], None]) -> None:
        self._app = app
        self._hear = hear
        self._probe = str(uuid.uuid4())
        self._hears = threading.Event()
        self._receiver: Any = None
        self._thread: threading.Thread | None = None

    def start(self, patience: float = 10.0) -> bool:
        """Begin to listen; returns once every event from now on will be heard.

        Args:
            patience: seconds to wait for that.

        Returns:
            Whether it hears. If not, it may still begin to.
        """
        self._receiver = EventReceiver(self._app.connection_for_read(), handlers={"*": self._on_event}, app=self._app)
        logging.getLogger(mixins.__name__).addFilter(self._is_news)
        self._thread = threading.Thread(target=self._listen, name="firex-ear", daemon=True)
        self._thread.start()
        tries = int(patience / PROBE_EVERY)
        with self._app.events.default_dispatcher() as dispatcher:
            return any(self._heard_probe(dispatcher) for _ in range(tries))

    def _heard_probe(self, dispatcher: Any) -> bool:
        dispatcher.send(PROBE, probe=self._probe)
        return self._hears.wait(PROBE_EVERY)

    def stop(self) -> None:
        """Hear nothing more, and leave nothing of the ear on the broker, if that answers."""
        if self._receiver is None or self._thread is None:
            return
        self._receiver.should_stop = True
        with suppress(*outages()), self._app.events.default_dispatcher() as dispatcher:
            dispatcher.send(PROBE, probe="")  # wakes the thread, which looks for a reason to stop once a second
        self._thread.join(LAST_WORDS)

    def _is_news(self, _record: logging.LogRecord) -> bool:
        """Whether what kombu logs is worth it: that the broker goes in the end is none."""
        return not self._receiver.should_stop

    def _listen(self) -> None:
        try:
            self._receiver.run()
        except Exception:
            if not self._receiver.should_stop:
                logger.exception("Events are not heard any more")

    def _on_event(self, event: Event) -> None:
        if self._receiver.should_stop:
            return
        if event["type"] == PROBE:
            if event.get("probe") == self._probe:
                self._hears.set()
            return
        try:
            self._hear(event)
        except Exception:
            logger.exception("An event was not understood: %s", event)

"""Whether anybody wants spans, and where they go: as the environment variables of OpenTelemetry say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from firexkit import _lazy

if TYPE_CHECKING:
    from firexkit.journal.spans import Spans

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_DISABLED: Final = "OTEL_SDK_DISABLED"
_OTLP: Final = "otlp"
_OF_PROTOCOL: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_GROUP: Final = "opentelemetry_traces_exporter"


class TracingError(RuntimeError):
    """Spans are wanted and can't be sent; the text says why, and what to do."""


def exporter_name(environment: Mapping[str, str]) -> str:
    """The exporter that is asked for, by its name among entry points; empty when none is. Pure.

    Args:
        environment: environment variables.

    Raises:
        TracingError: OTLP over something that is unknown here.
    """
    asked = environment.get(_EXPORTER, "").partition(",")[0].strip()
    if environment.get(_DISABLED, "").strip().lower() == "true" or asked == "none":
        return ""
    if not asked and not any(environment.get(name) for name in _ENDPOINTS):
        return ""
    if asked not in ("", _OTLP):
        return asked
    protocol = next((given for name in _PROTOCOLS if (given := environment.get(name, "").strip())), "http/protobuf")
    if protocol not in _OF_PROTOCOL:
        raise TracingError(
            f"OpenTelemetry: no protocol {protocol!r}; {_PROTOCOLS[1]} is one of {', '.join(_OF_PROTOCOL)}"
        )
    return _OF_PROTOCOL[protocol]


def spans_for(run_id: str, environment: Mapping[str, str] = os.environ) -> Spans | None:
    """Where to tell the tasks of a run; None when nobody wants spans.

    Args:
        run_id: the run.
        environment: environment variables; the exporter itself reads those of this process.

    Raises:
        TracingError: they are wanted, but can't be sent: the extra is not installed, say.
    """
    name = exporter_name(environment)
    if not name:
        return None
    try:
        exporter = _exporter(name)
        return _lazy.module("firexkit.journal.spans").Spans(run_id, exporter)  # type: ignore[no-any-return]
    except ImportError as error:
        raise TracingError(f"OpenTelemetry: {error}; install firexkit[otel] to send spans") from error
    except Exception as error:
        raise TracingError(f"OpenTelemetry: the exporter {name} can't be used: {error}") from error


def _exporter(name: str) -> Any:
    found = [*entry_points(group=_GROUP, name=name)]
    if not found:
        raise ImportError(f"there is no exporter {name}")
    return found[0].load()()

"""Who wants spans, as the environment says; also where OpenTelemetry is not installed."""

from __future__ import annotations

import pytest

from firexkit.journal.tracing import TracingError, exporter_name, spans_for

RUN = "FireX-ada-261123-090000-0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, ""),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, ""),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"}, ""),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp_proto_http"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "otlp_proto_http"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "otlp_proto_grpc"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
    ],
)
def test_the_exporter_that_the_environment_asks_for(environment, name):
    assert exporter_name(environment) == name


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier/pigeon"},
            "no protocol 'carrier/pigeon'",
        ),
        ({"OTEL_TRACES_EXPORTER": "nowhere"}, r"no exporter nowhere; install firexkit\[otel\]"),
    ],
)
def test_what_can_not_be_sent_is_told(environment, problem):
    with pytest.raises(TracingError, match=problem):
        spans_for(RUN, environment)


def test_nothing_without_a_wish():
    assert spans_for(RUN, {}) is None

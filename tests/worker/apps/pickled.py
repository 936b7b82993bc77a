"""An app that chose pickle."""

from worker.apps.serialized import serialized_app

app, tasks = serialized_app(__name__, "pickle")

"""An app that chose msgpack."""

from worker.apps.serialized import serialized_app

app, tasks = serialized_app(__name__, "msgpack")

"""The same app with three plugins, one on the other."""

from pathlib import Path

from firexkit.plugins import load_plugins
from worker.apps.painting import app

__all__ = ["app"]

PLUGINS = [Path(__file__).parents[1] / "sources" / name for name in ("undercoat.py", "second_coat.py", "top_coat.py")]
load_plugins(app, PLUGINS)

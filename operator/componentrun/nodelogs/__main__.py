"""`python -m componentrun.nodelogs`: the log server of a node. Settings are environment variables, see `settings`."""

from __future__ import annotations

from componentrun.nodelogs import app, settings
from componentrun.process.ending import leave
from componentrun.process.launch import launch

if __name__ == "__main__":
    leave(launch(settings.Settings, app.serve))

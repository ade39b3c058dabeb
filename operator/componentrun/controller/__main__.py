"""`python -m componentrun.controller`: the operator. Settings are environment variables, see `settings`."""

from __future__ import annotations

from componentrun.controller import app, logs, settings
from componentrun.process.ending import leave
from componentrun.process.launch import launch

if __name__ == "__main__":
    leave(launch(settings.Settings, app.run, set_up_logs=logs.set_up))

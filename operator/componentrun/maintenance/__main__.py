"""`python -m componentrun.maintenance`: one round. Its settings are environment variables, see `settings`."""

from __future__ import annotations

from componentrun.maintenance import app, settings
from componentrun.process.ending import leave
from componentrun.process.launch import launch

if __name__ == "__main__":
    leave(launch(settings.Settings, app.maintain))

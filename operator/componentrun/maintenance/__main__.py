"""`python -m componentrun.maintenance`: one round. Settings are environment variables, see `settings`."""

from __future__ import annotations

import sys

from componentrun.maintenance import app, settings
from componentrun.process.launch import launch

if __name__ == "__main__":
    sys.exit(launch(settings.from_environment, app.maintain))

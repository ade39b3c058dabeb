"""`python -m componentrun.nodelogs`: the log server of a node. Settings are environment variables, see `settings`."""

from __future__ import annotations

import sys

from componentrun.nodelogs import app, settings
from componentrun.process.launch import launch

if __name__ == "__main__":
    sys.exit(launch(settings.from_environment, app.serve))

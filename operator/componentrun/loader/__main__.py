"""`python -m componentrun.loader`: the loader. Settings are environment variables, see `settings`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from componentrun.loader import app, settings
from componentrun.loader.tables import TableEngine
from componentrun.process.ending import leave
from componentrun.process.launch import launch

if TYPE_CHECKING:
    from componentrun.loader.engine import LoadObserver


def make_engine(chosen: settings.Settings, observer: LoadObserver) -> TableEngine:
    """What does the work."""
    return TableEngine(chosen.scratch_folder, observer)


if __name__ == "__main__":
    leave(launch(settings.from_environment, partial(app.serve, make_engine)))

"""`python -m componentrun.loader`: the loader. Settings are environment variables, see `settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.loader import app, settings
from componentrun.loader.service.tables import TableEngine
from componentrun.process.ending import leave
from componentrun.process.launch import launch

if TYPE_CHECKING:
    from componentrun.loader.service.engine import Engine, LoadObserver


def _engine(config: settings.Settings, observer: LoadObserver) -> Engine:
    scratch_bytes = config.loader_scratch_mib * 2**20 or None
    return TableEngine(
        config.loader_scratch_folder,
        observer,
        loads=config.loader_loads,
        plans=config.loader_plans,
        scratch_bytes=scratch_bytes,
    )


if __name__ == "__main__":
    leave(launch(settings.Settings, lambda chosen: app.serve(_engine, chosen)))

"""A load, or a turn for the table of events, in a process that a test can kill. The fork server has imported this."""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.eventtable.appending import AppendLimits
from componentrun.loader.eventtable.daily import EventSource, maintain_event_table
from componentrun.loader.eventtable.table import origin_of
from componentrun.loader.eventtable.writing import Origin
from componentrun.loader.loading.load import load
from componentrun.storage.events.retention import Retention
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.places import decode
from componentrun.wire.documents import from_json
from componentrun.wire.loader import LoadRequest

if TYPE_CHECKING:
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["load_once", "load_within", "turn_once"]


def load_once(request_text: bytes) -> None:
    """Execute a request."""
    request = from_json(LoadRequest, request_text)
    with tempfile.TemporaryDirectory() as scratch:
        load(Catalog(decode(request.storage)), request, scratch)


def load_within(request_text: bytes, processes: str) -> None:
    """Execute a request in a cgroup.

    Args:
        request_text: the request.
        processes: the cgroup's file to which process ids are written.
    """
    Path(processes).write_text(str(os.getpid()))
    load_once(request_text)


def turn_once(settings: StoreSettings) -> None:
    """Do the daily turn for the table of events of a Storage."""
    source = EventSource(open_store(settings), Origin(origin_of(settings), "team"), Retention(timedelta(days=30)))
    with tempfile.TemporaryDirectory() as scratch:
        maintain_event_table(Catalog(settings), source, scratch, limits=AppendLimits(runs=1))

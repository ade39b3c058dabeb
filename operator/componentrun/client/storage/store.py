"""The interface to a Storage. `objects.ObjectStore` implements it; tests have one in memory.

Every method raises only errors of `componentrun.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Generator
    from datetime import datetime, timedelta
    from pathlib import Path

    from componentrun.client.storage.filestore import FileStore
    from componentrun.client.storage.tablestore import TableStore
    from componentrun.storage.cleanup.sweep import Swept
    from componentrun.storage.events.events import Placed
    from componentrun.storage.events.query import EventQuery
    from componentrun.storage.events.retention import Retention
    from componentrun.storage.events.sweep import SweptEvents
    from componentrun.storage.state.state import StateOwner
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["Check", "Engine", "EventFeed", "EventRecord", "KeptFile", "Store"]


class Engine(StrEnum):
    """An engine that can attach a catalog."""

    DUCKDB = "duckdb"
    SPARK = "spark"
    TRINO = "trino"
    PYICEBERG = "pyiceberg"


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event of a run."""

    seq: int
    time: datetime
    type: str
    message: str
    source: str
    raw: dict[str, Any] = field(default_factory=dict)
    """The whole event, for programs."""
    run: str = ""
    """Name of its run; the uid if the name is not known."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """An artifact of a run, or its `out/result.json`."""

    path: str
    """Path below the data folder."""
    size: int
    """Size in bytes."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check of `doctor`."""

    what: str
    state: str
    """`ok`, `warn` or `fail`."""
    message: str = ""
    """The finding."""
    advice: str = ""
    """What to do if it failed."""


class EventFeed(Protocol):
    """A run's events, each once."""

    def read(self) -> Generator[EventRecord, None, None]:
        """New events since the last call."""


class Store(Protocol):
    """One Storage."""

    @property
    def name(self) -> str:
        """Name of the Storage."""

    @property
    def files(self) -> FileStore:
        """The files of the Storage."""

    @property
    def tables(self) -> TableStore:
        """The tables of the Storage.

        Raises:
            UserError: it has no catalog, so it keeps none.
            PlatformError: the extra `loader` is not installed.
        """

    def catalog_access(self) -> StoreSettings:
        """Connection settings of the store and the catalog.

        Raises:
            UserError: it has no catalog.
        """

    def state(self, owner: StateOwner) -> dict[str, Any]:
        """The saved state of a configuration; empty if there is none."""

    def inputs(self, owner: StateOwner) -> dict[str, Any]:
        """Positions up to which a configuration has read its `adaptive` inputs, by table id."""

    def put_state(self, owner: StateOwner, state: dict[str, Any]) -> None:
        """Replace a configuration's saved state."""

    def remove_state(self, owner: StateOwner) -> bool:
        """Delete a configuration's saved state. Returns whether there was any."""

    def kept(self, run: str, attempt: int) -> list[KeptFile]:
        """Artifacts of an attempt of a run (by its uid)."""

    def get_kept(self, run: str, attempt: int, path: str, target: IO[bytes]) -> None:
        """Write the content of an artifact to a file."""

    def events(self, run: str, query: EventQuery | None = None, limit: int | None = None) -> EventFeed:
        """The matching events of a run, by its uid, starting with the last `limit` of them."""

    def last_events(self, query: EventQuery, limit: int) -> list[EventRecord]:
        """The last matching events of all runs, at most `limit`, oldest first."""

    def export_events(self, target: Path, query: EventQuery, run: str | None, limit: int | None) -> int:
        """Write matching events of one run (by its uid), or of all, to a Parquet file. Returns their number."""

    def event(self, event_id: str) -> Placed:
        """The event with this id."""

    def sweep(self, keep: timedelta | None, *, dry_run: bool) -> Swept:
        """Sweep unreferenced data that is older than `keep`; None: the default age."""

    def sweep_events(self, retention: Retention, existing: Collection[str], *, dry_run: bool) -> SweptEvents:
        """Delete events of ended or deleted runs after their retention."""

    def check(self) -> list[Check]:
        """Check the store with these credentials from this machine."""

    def close(self) -> None:
        """Free its resources. It can't be used any more."""

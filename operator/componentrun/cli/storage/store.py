"""The border to Storage, as the commands see it. `ObjectStore` (objects.py) does it for real; tests have one in memory.

Every method raises only errors of `componentrun.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime, timedelta
    from pathlib import Path

    from componentrun.cli.storage.filestore import FileStore
    from componentrun.cli.storage.tablestore import TableStore
    from componentrun.storage.cleanup.sweep import Swept
    from componentrun.storage.events.events import Placed
    from componentrun.storage.events.query import EventQuery
    from componentrun.storage.events.retention import Retention
    from componentrun.storage.events.sweep import SweptEvents
    from componentrun.storage.state.state import StateOwner
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["Check", "Engine", "EventFeed", "EventRecord", "KeptFile", "Store"]


class Engine(StrEnum):
    """What can attach a catalog."""

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
    """Name of its run; the uid where nobody knows the name."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file that a run left beside its tables: `out/result.json`, or an artifact."""

    path: str
    """Below the data folder."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that `doctor` looked at."""

    what: str
    state: str
    """`ok`, `warn` or `fail`."""
    message: str = ""
    """What was found."""
    hint: str = ""
    """What to do about it."""


class EventFeed(Protocol):
    """A run's events, each once."""

    def read(self) -> Iterator[EventRecord]:
        """Events that are there now and were not read yet."""


class Store(Protocol):
    """One Storage."""

    @property
    def name(self) -> str:
        """Name of the Storage object."""

    @property
    def files(self) -> FileStore:
        """Its files."""

    @property
    def tables(self) -> TableStore:
        """Its tables.

        Raises:
            UserError: it has no catalog, so it keeps none.
            PlatformError: what reads catalogs is not installed.
        """

    def catalog_access(self) -> StoreSettings:
        """How to reach the store and the catalog.

        Raises:
            UserError: it has no catalog.
        """

    def state(self, owner: StateOwner) -> dict[str, Any]:
        """What a configuration remembers; empty where it remembers nothing."""

    def inputs(self, owner: StateOwner) -> dict[str, Any]:
        """How far a configuration has read the tables that it reads with `adaptive`, by their ids."""

    def put_state(self, owner: StateOwner, state: dict[str, Any]) -> None:
        """Replace a configuration's saved state."""

    def remove_state(self, owner: StateOwner) -> bool:
        """Delete a configuration's saved state; return whether there was any."""

    def kept(self, run: str, attempt: int) -> list[KeptFile]:
        """What an attempt of a run (by its uid) left beside its tables."""

    def get_kept(self, run: str, attempt: int, path: str, target: IO[bytes]) -> None:
        """Write one such file."""

    def events(self, run: str, query: EventQuery | None = None, limit: int | None = None) -> EventFeed:
        """The events of a run, by its uid: those that fit, to begin with the last `limit` of them."""

    def last_events(self, query: EventQuery, limit: int) -> list[EventRecord]:
        """The last events of all runs that fit, at most `limit`, the oldest of them first."""

    def export_events(self, target: Path, query: EventQuery, run: str | None, limit: int | None) -> int:
        """Write events to a Parquet file, those of one run (by its uid) or of all; how many there are."""

    def event(self, event_id: str) -> Placed:
        """The event with an id."""

    def sweep(self, keep: timedelta | None, *, dry_run: bool) -> Swept:
        """Delete what nobody needs any more; None: the usual time."""

    def sweep_events(self, retention: Retention, existing: Collection[str], *, dry_run: bool) -> SweptEvents:
        """Delete events of runs that are over, or do not exist any more, and have been kept for long enough."""

    def check(self) -> list[Check]:
        """Whether the store can do what ComponentRun needs, with these keys, from here."""

"""The border to Storage, as the commands see it. `ObjectStore` (objects.py) does it for real; tests have one in memory.

Every method raises only errors of `componentrun.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from componentrun.cli.filestore import FileStore
    from componentrun.storage.state import StateOwner

__all__ = ["Check", "EventFeed", "EventRecord", "Preview", "Progress", "Store", "TableInfo"]

Progress = "Callable[[int, int | None], None]"
"""Called with bytes that are done and bytes that there are (None: unknown)."""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table of Storage."""

    id: str
    columns: tuple[str, ...]
    primary_key: tuple[str, ...]
    rows: int
    """Rows as loaded; where there is a primary key, or rows were deleted, a reader may see fewer."""
    bytes: int
    version: int
    changed: datetime | None
    changed_by: str
    """Uid of the run, or what else wrote it."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


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

    def tables(self, bucket: str | None = None) -> list[TableInfo]:
        """All tables, or those of one bucket (`in.c-main`)."""

    def put(
        self,
        file: Path,
        table: str,
        *,
        incremental: bool,
        primary_key: Sequence[str],
        progress: Callable[[int, int | None], None],
    ) -> TableInfo:
        """Load a CSV file with a header line into a table, at once."""

    def get(self, table: str, target: IO[bytes], progress: Callable[[int, int | None], None]) -> TableInfo:
        """Write a table as CSV with a header line."""

    def head(self, table: str, rows: int) -> Preview:
        """The first rows of a table."""

    def remove(self, table: str) -> bool:
        """Delete a table; whether it was there."""

    def state(self, owner: StateOwner) -> dict[str, Any]:
        """What a configuration remembers; empty where it remembers nothing."""

    def inputs(self, owner: StateOwner) -> dict[str, Any]:
        """How far a configuration has read the tables that it reads by `adaptive`: version and creation, by id."""

    def put_state(self, owner: StateOwner, state: dict[str, Any]) -> None:
        """Have a configuration remember something else."""

    def remove_state(self, owner: StateOwner) -> bool:
        """Have a configuration forget; whether it remembered anything."""

    def events(self, run: str) -> EventFeed:
        """The events of a run, by its uid."""

    def check(self) -> list[Check]:
        """Whether the store can do what ComponentRun needs, with these keys, from here."""

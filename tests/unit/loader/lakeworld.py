"""A table in memory that is loaded, rewritten and maintained as time passes."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from pyiceberg.manifest import DataFileContent, ManifestContent

from componentrun.loader.catalog.snapshots import NewSnapshot, change_of
from componentrun.loader.maintenance.expiring import delete_orphans, expire
from componentrun.loader.maintenance.history import HistoryLimits
from componentrun.loader.maintenance.reachable import metadata_files, reached_files
from componentrun.loader.maintenance.replacing import Placed, replace_files
from tests.unit.loader.memorylake import LOCATION, NAME, MemoryLake, data_file

__all__ = ["DAY", "START", "World"]

START = 1_700_000_000.0
DAY = 86400.0


class World:
    """A table that is changed and maintained."""

    def __init__(self, scratch: str, *, keeps_parents: bool = True) -> None:
        self.lake = MemoryLake(START, keeps_parents=keeps_parents)
        self.catalog: Any = self.lake
        self.scratch = scratch
        self.numbers = itertools.count()

    def location(self, ending: str = "") -> str:
        return f"{LOCATION}/data/{next(self.numbers)}{ending}.parquet"

    def change(self, new: NewSnapshot) -> None:
        change, _ = change_of(self.lake.find(NAME), NAME, new, now=self.lake.now)
        self.lake.commit([change])

    def append(self) -> None:
        self.change(NewSnapshot({}, added=[self.lake.upload(self.location())]))

    def full(self) -> None:
        self.change(NewSnapshot({}, added=[self.lake.upload(self.location())], replaces=True))

    def fence(self) -> None:
        self.change(NewSnapshot({}))

    def merge(self) -> None:
        deletes = self.location("-deletes")
        self.lake.upload(deletes)
        gone = data_file(deletes, DataFileContent.POSITION_DELETES)
        self.change(NewSnapshot({}, added=[self.lake.upload(self.location())], deletes=[gone]))

    def rewrite(self) -> None:
        table = self.lake.find(NAME)
        snapshot = table.metadata.current_snapshot()
        entries = [
            entry
            for manifest in (snapshot.manifests(table.io) if snapshot is not None else ())
            if manifest.content == ManifestContent.DATA
            for entry in manifest.fetch_manifest_entry(table.io)
        ]
        if entries:
            placed = Placed(self.lake.upload(self.location()), max(entry.sequence_number or 0 for entry in entries))
            removed = frozenset(entry.data_file.file_path for entry in entries)
            self.lake.commit([replace_files(table, NAME, [placed], [], removed)[0]])

    def lose(self) -> None:
        """A load that is killed before its commit."""
        self.lake.upload(self.location())
        change_of(self.lake.find(NAME), NAME, NewSnapshot({}, added=[self.lake.upload(self.location())]))

    def wait(self) -> None:
        self.lake.now += 2 * DAY

    def expire(self) -> None:
        expire(self.catalog, NAME, HistoryLimits(timedelta(days=3), 2), self.scratch, lambda: self.lake.now)

    def orphans(self) -> None:
        delete_orphans(self.catalog, NAME, self.scratch, lambda: self.lake.now)

    def reached(self) -> set[str]:
        table = self.lake.find(NAME)
        return {location for part in reached_files(table) for location in part} | set(metadata_files(table))

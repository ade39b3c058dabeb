"""Tables of a Storage's catalog as the commands see them. Needs the extra `loader`."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from componentrun.cli.store import ColumnInfo, FilesRewritten, Preview, TableDetails, TableInfo, TableVersion
from componentrun.csvtext import encode_header
from componentrun.loader import properties
from componentrun.loader.catalog import Catalog
from componentrun.loader.delivering import first_rows, write_csv, write_parquet
from componentrun.loader.listing import list_tables, need_table, no_such_table
from componentrun.loader.load import load
from componentrun.loader.maintenance.changes import ChangeNotes
from componentrun.loader.maintenance.choosing import RewriteLimits
from componentrun.loader.maintenance.rewriting import rewrite_whole
from componentrun.loader.names import to_iceberg
from componentrun.loader.querying import open_query
from componentrun.loader.restoring import drop_table, restore_table
from componentrun.loader.scanning import scan_of
from componentrun.loader.versions import facts_of, versions_of
from componentrun.storage.places import encode
from componentrun.storage.upload import new_run_uid, store_table
from componentrun.wire.loader import LoadRequest

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from componentrun.cli.progress import Progress
    from componentrun.cli.store import QueryAnswer
    from componentrun.loader.versions import TableFacts, Version
    from componentrun.storage.connection import Store
    from componentrun.storage.layout import TableId
    from componentrun.storage.settings import StoreSettings

__all__ = ["CatalogTables"]

_CHUNK: Final = 2**20


class CatalogTables:
    """All methods raise only errors of `componentrun.errors`."""

    def __init__(self, settings: StoreSettings) -> None:
        """Connect to the catalog."""
        self._settings = settings
        self._catalog = Catalog(settings)
        self._notes = ChangeNotes()

    def query(self, query: str) -> AbstractContextManager[QueryAnswer]:
        """Prepare a query."""
        return open_query(self._catalog, query)

    def all(self, bucket: str | None) -> list[TableInfo]:
        """All tables, or those of one bucket."""
        return [_info(facts_of(table, found)) for table, found in list_tables(self._catalog, bucket)]

    async def put(
        self, store: Store, file: Path, table: TableId, *, incremental: bool, primary_key: tuple[str, ...]
    ) -> TableInfo:
        """Load a CSV file, as a run whose uid is made up here."""
        run = new_run_uid()
        written = await store_table(store, file, table, run, primary_key=primary_key, incremental=incremental)
        request = LoadRequest(encode(self._settings), run, 1, (written,), store.layout.data(run, 1))
        with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
            load(self._catalog, request, folder)
        await store.delete([part.key for part in written.slices])
        self._notes.changed(self._settings, [str(table)])
        return _info(facts_of(table, need_table(self._catalog, table)))

    def get(self, table: TableId, target: IO[bytes], progress: Progress) -> TableInfo:
        """Write a table as CSV; its rows and bytes as they are there, without the header."""
        info = _info(facts_of(table, need_table(self._catalog, table)))
        with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
            path = Path(folder, "table.csv")
            rows, done = write_csv(self._catalog, table, path), 0
            total = path.stat().st_size
            with path.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
                    done += len(chunk)
                    progress(done, total)
        return TableInfo(
            info.id, info.columns, info.primary_key, rows, done - len(encode_header(info.columns)), info.version,
            info.changed, info.changed_by, exact=True,
        )  # fmt: skip

    def head(self, table: TableId, rows: int) -> Preview:
        """The first rows."""
        columns, found = first_rows(self._catalog, table, rows)
        return Preview(columns, tuple(found))

    def export(self, table: TableId, target: Path, *, text: bool) -> int:
        """Write a table to a Parquet file; how many rows it has."""
        return write_parquet(self._catalog, table, target, text=text)

    def details(self, table: TableId) -> TableDetails:
        """All that is known of a table."""
        found = need_table(self._catalog, table)
        scan, versions = scan_of(found, table), list(versions_of(found.metadata))
        changed = facts_of(table, found).changed
        current = _version(versions[0]) if versions else TableVersion(0, changed, "create", 0, 0, "", 0, None)
        return TableDetails(
            id=str(table),
            columns=tuple(ColumnInfo(column.name, _type(column.type)) for column in scan.columns),
            primary_key=scan.primary_key,
            created=datetime.fromisoformat(scan.created),
            current=current,
            exact=current.rows is not None,
            segments=len(scan.deletes),
            slices=len(scan.files),
            compaction="",
            kept=tuple(sorted(version.number for version in versions[1:] if not version.is_drop)),
            catalog_name=str(to_iceberg(self._catalog.prefix, table)),
        )

    def history(self, table: TableId, limit: int) -> list[TableVersion]:
        """Versions, the newest first."""
        found = self._catalog.find(to_iceberg(self._catalog.prefix, table))
        if found is None or found.properties.get(properties.STATE) == properties.NEW:
            raise no_such_table(self._catalog, str(table))
        return [_version(version) for version in list(versions_of(found.metadata))[:limit]]

    def restore(self, table: TableId, number: int, *, who: str) -> TableInfo:
        """Make an earlier version the newest one."""
        restored = restore_table(self._catalog, table, number, who=who)
        self._notes.changed(self._settings, [str(table)])
        return _info(facts_of(table, restored))

    def remove(self, table: TableId, *, who: str) -> int | None:
        """Drop a table; the version that brings it back."""
        return drop_table(self._catalog, table, who=who)

    def compact(self, table: TableId, *, dry_run: bool) -> FilesRewritten:
        """Rewrite the files of a table, however few there are."""
        need_table(self._catalog, table)
        name, limits = to_iceberg(self._catalog.prefix, table), RewriteLimits(files=2, deleted=0)
        done = rewrite_whole(self._catalog, name, limits, tempfile.gettempdir(), dry_run=dry_run)
        return FilesRewritten(
            str(table), done.outcome, done.reason, done.files + done.deletes, done.new_files + done.new_deletes,
            done.read, done.written,
        )  # fmt: skip


def _info(facts: TableFacts) -> TableInfo:
    newest = facts.newest
    rows, size = (newest.rows, newest.bytes) if newest is not None else (0, 0)
    return TableInfo(
        id=facts.id,
        columns=facts.columns,
        primary_key=facts.primary_key,
        rows=rows,
        bytes=size,
        version=newest.number if newest is not None else 0,
        changed=facts.changed,
        changed_by=(newest.run or newest.title) if newest is not None else "",
        exact=rows is not None,
    )


def _version(version: Version) -> TableVersion:
    return TableVersion(
        number=version.number,
        time=version.time,
        what=version.what,
        rows=version.rows,
        bytes=version.bytes,
        run=version.run,
        attempt=version.attempt,
        who=version.who,
        title=version.title,
        snapshot=str(version.snapshot),
    )


def _type(iceberg: str) -> str | None:
    """None for text, as most columns are."""
    return None if iceberg == "string" else iceberg

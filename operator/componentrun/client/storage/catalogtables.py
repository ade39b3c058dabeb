"""`CatalogTables`: implements `TableStore` on `componentrun.loader`. Requires the extra `loader`."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from componentrun.client.storage.tablestore import (
    ColumnInfo,
    FilesRewritten,
    Preview,
    TableDetails,
    TableInfo,
    TableVersion,
)
from componentrun.csv.text import encode_header
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.eventtable.querying import open_event_query
from componentrun.loader.loading.load import load
from componentrun.loader.maintenance.changes import ChangeNotes
from componentrun.loader.maintenance.choosing import RewriteLimits
from componentrun.loader.maintenance.rewriting import rewrite_whole
from componentrun.loader.reading.delivering import first_rows, write_csv, write_parquet
from componentrun.loader.reading.listing import list_tables, need_table, no_such_table
from componentrun.loader.reading.querying import open_query
from componentrun.loader.reading.restoring import drop_table, restore_table
from componentrun.loader.reading.scanning import scan_of
from componentrun.loader.reading.versions import facts_of, versions_of
from componentrun.storage.access.upload import new_run_uid, store_table
from componentrun.storage.store.keys import TableId
from componentrun.storage.store.places import encode
from componentrun.wire.loader import LoadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from componentrun.client.storage.progress import Progress
    from componentrun.client.storage.tablestore import EventAnswer, QueryAnswer
    from componentrun.client.storage.threads import Runner
    from componentrun.csv.columnfacts import ColumnFacts
    from componentrun.loader.reading.versions import TableFacts, Version
    from componentrun.storage.store.connection import Store
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["CatalogTables"]

_CHUNK: Final = 2**20


class CatalogTables:
    """All methods raise only errors of `componentrun.errors`."""

    def __init__(self, settings: StoreSettings, runner: Runner, counting: Callable[[Progress], Store]) -> None:
        """Connect to the catalog.

        Args:
            settings: connection settings of the store and the catalog.
            runner: of the store.
            counting: returns the store, which then reports how many bytes it has written.
        """
        self._settings = settings
        self._runner = runner
        self._counting = counting
        self._catalog = Catalog(settings)
        self._notes = ChangeNotes()

    @property
    def storage(self) -> str:
        """Name of the Storage object."""
        return self._settings.name

    def query(self, query: str) -> AbstractContextManager[QueryAnswer]:
        """Prepare a query. It refers to tables by their ids in double quotes."""
        return open_query(self._catalog, query)

    def query_events(
        self, query: str, since: datetime | None, until: datetime | None
    ) -> AbstractContextManager[EventAnswer]:
        """Prepare a query over the table `events`."""
        return open_event_query(self._catalog, query, since, until)

    def all(self, bucket: str | None = None) -> list[TableInfo]:
        """All tables, or those of one bucket."""
        return [_info(facts_of(table, loaded)) for table, loaded in list_tables(self._catalog, bucket)]

    def put(
        self,
        file: Path,
        table: str,
        *,
        incremental: bool,
        primary_key: Sequence[str],
        progress: Progress,
        schema: Sequence[ColumnFacts] = (),
    ) -> TableInfo:
        """Load a CSV file as a run with a generated uid. With a schema, columns get its types, else they are text."""
        target, run = TableId.parse(table), new_run_uid()
        store = self._counting(progress)
        job = store_table(store, file, target, run, primary_key=tuple(primary_key), incremental=incremental)
        result = replace(self._runner.run(job), schema=tuple(schema))
        buckets = (target.bucket_id,)
        prefix, is_typed = store.layout.data(run, 1), bool(schema)
        request = LoadRequest(encode(self._settings), run, 1, (result,), prefix, buckets, typed=is_typed)
        with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
            load(self._catalog, request, folder)
        self._runner.run(store.delete([part.key for part in result.slices]))
        self._notes.changed(self._settings, [table])
        return _info(facts_of(target, need_table(self._catalog, target)))

    def get(self, table: str, target: IO[bytes], progress: Progress) -> TableInfo:
        """Write a table as CSV. Returns its rows and bytes, without the header."""
        table_id = TableId.parse(table)
        info = _info(facts_of(table_id, need_table(self._catalog, table_id)))
        with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
            path = Path(folder, "table.csv")
            rows, count = write_csv(self._catalog, table_id, path), 0
            total = path.stat().st_size
            with path.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
                    count += len(chunk)
                    progress(count, total)
        return replace(info, rows=rows, bytes=count - len(encode_header(info.columns)))

    def head(self, table: str, rows: int) -> Preview:
        """The first rows."""
        columns, values = first_rows(self._catalog, TableId.parse(table), rows)
        return Preview(columns, tuple(values))

    def export(self, table: str, target: Path, *, text: bool) -> int:
        """Write a table to a Parquet file. Returns the number of rows."""
        return write_parquet(self._catalog, TableId.parse(table), target, text=text)

    def details(self, table: str) -> TableDetails:
        """Details of a table."""
        table_id = TableId.parse(table)
        loaded = need_table(self._catalog, table_id)
        scan, versions = scan_of(loaded, table_id), list(versions_of(loaded.metadata))
        change_time = facts_of(table_id, loaded).changed
        current = _version(versions[0]) if versions else TableVersion(0, change_time, "create", 0, 0, "", 0, None)
        return TableDetails(
            id=table,
            catalog_name=str(to_iceberg(self._catalog.prefix, table_id)),
            columns=tuple(ColumnInfo(column.name, _type(column.type)) for column in scan.columns),
            primary_key=scan.primary_key,
            created=datetime.fromisoformat(scan.created),
            current=current,
            files=len(scan.files),
            delete_files=len(scan.deletes),
            kept=tuple(sorted(version.number for version in versions[1:] if not version.is_drop)),
        )

    def history(self, table: str, limit: int) -> list[TableVersion]:
        """Versions, newest first."""
        loaded = self._catalog.find(to_iceberg(self._catalog.prefix, TableId.parse(table)))
        if loaded is None or loaded.properties.get(properties.STATE) == properties.NEW:
            raise no_such_table(self._catalog, table)
        return [_version(version) for version in islice(versions_of(loaded.metadata), limit)]

    def restore(self, table: str, version: int, *, who: str) -> TableInfo:
        """Restore an earlier version as the newest one."""
        table_id = TableId.parse(table)
        loaded = restore_table(self._catalog, table_id, version, who=who)
        self._notes.changed(self._settings, [table])
        return _info(facts_of(table_id, loaded))

    def remove(self, table: str, *, who: str) -> int | None:
        """Drop a table. Returns the version to restore."""
        return drop_table(self._catalog, TableId.parse(table), who=who)

    def compact(self, table: str, *, dry_run: bool) -> FilesRewritten:
        """Rewrite the files of a table, even if they are few."""
        table_id = TableId.parse(table)
        need_table(self._catalog, table_id)
        name, limits = to_iceberg(self._catalog.prefix, table_id), RewriteLimits(files=2, deleted=0)
        result = rewrite_whole(self._catalog, name, limits, tempfile.gettempdir(), dry_run=dry_run)
        return FilesRewritten(
            table=table,
            outcome=result.outcome,
            reason=result.reason,
            files=result.files + result.deletes,
            new_files=result.new_files + result.new_deletes,
            bytes=result.read,
            new_bytes=result.written,
        )


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

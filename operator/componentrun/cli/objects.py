"""`ObjectStore`: the border to Storage on `componentrun.storage`.

The Secret of its keys is read with the person's own rights.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import os
from dataclasses import asdict, replace
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final, cast

from componentrun.cli.cluster import SECRETS, Cluster, JsonObject
from componentrun.cli.errors import BadRequestError, NotFoundError
from componentrun.cli.fileobjects import ObjectFiles
from componentrun.cli.store import Check, EventRecord, KeptFile, Preview, TableDetails, TableInfo, TableVersion
from componentrun.cli.tablefacts import details_of, info_of, version_of
from componentrun.csvtext import MAX_ROW_BYTES, encode_header
from componentrun.storage.connection import Store, open_store
from componentrun.storage.download import head_rows, read_pointer_csv
from componentrun.storage.eventfeed import EventFeed
from componentrun.storage.eventquery import EventQuery, last_events, locate
from componentrun.storage.history import list_versions, read_history
from componentrun.storage.layout import TableId
from componentrun.storage.resource import Unreadable, catalog_settings_of, parse, settings_of
from componentrun.storage.restore import drop_table, restore_table
from componentrun.storage.state import StateOwner, read_memory, read_state, remove_state, write_state
from componentrun.storage.tables import gather_bounded, list_tables, need_table, read_table
from componentrun.storage.upload import upload_table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import timedelta
    from pathlib import Path

    from componentrun.api.storage import Storage
    from componentrun.cli.progress import Progress
    from componentrun.cli.store import FilesRewritten, QueryAnswer
    from componentrun.storage.catalogsettings import CatalogSettings
    from componentrun.storage.doctor import Check as DoctorCheck
    from componentrun.storage.events import Placed
    from componentrun.storage.eventsweep import SweptEvents
    from componentrun.storage.retention import Retention
    from componentrun.storage.rewriting import Compacted
    from componentrun.storage.settings import StoreSettings
    from componentrun.storage.sweep import Swept

__all__ = ["ObjectStore", "open_storage"]

CATALOG_URI: Final = "COMPONENTRUN_CATALOG_URI"
_BATCH: Final = 1000
_DOCTOR_HINT: Final = (
    "correct the Storage (`kubectl edit storage`) or the Secret of its keys; "
    "where the store has another name outside the cluster, `--endpoint URL` says which"
)


def open_storage(cluster: Cluster, storage: JsonObject, endpoint: str | None) -> ObjectStore:
    """The store behind a Storage object.

    Raises:
        UserError: its Secret, or a key of it, is not there, or a value is malformed.
    """
    model = parse(storage)
    if isinstance(model, Unreadable):
        raise model.error()
    secret = None
    if model.spec.credentials is not None:
        try:
            secret = cluster.get(SECRETS, model.spec.credentials.secret_name)
        except NotFoundError:
            secret = None  # `settings_of` says which keys it has to hold
    settings = settings_of(model, secret, endpoint=endpoint)
    if model.spec.catalog is None:
        return ObjectStore(open_store(settings))
    from componentrun.cli.catalogstore import CatalogStore  # noqa: PLC0415 - few Storages need it

    return CatalogStore(open_store(replace(settings, catalog=_catalog(cluster, model))))


def _catalog(cluster: Cluster, storage: Storage) -> CatalogSettings | None:
    """How to reach the catalog; `COMPONENTRUN_CATALOG_URI` is its URL if it has another one outside the cluster."""
    catalog, secret = storage.spec.catalog, None
    if catalog is not None and catalog.credentials is not None:
        with contextlib.suppress(NotFoundError):  # `catalog_settings_of` says which keys it has to hold
            secret = cluster.get(SECRETS, catalog.credentials.secret_name)
    if catalog is not None and (uri := os.environ.get(CATALOG_URI)):
        spec = storage.spec.model_copy(update={"catalog": catalog.model_copy(update={"uri": uri})})
        storage = storage.model_copy(update={"spec": spec})
    return catalog_settings_of(storage, secret)


class ObjectStore:
    """One Storage."""

    def __init__(self, store: Store) -> None:
        """Use `open_storage` instead, but for tests."""
        self._store = store
        self._runner = asyncio.Runner()

    @property
    def name(self) -> str:
        """Name of the Storage object."""
        return self._store.settings.name

    @property
    def files(self) -> ObjectFiles:
        """Its files."""
        return ObjectFiles(self._store, self._runner, self._counting)

    def _counting(self, progress: Progress) -> Store:
        return cast("Store", _Counting(self._store, progress))

    def tables(self, bucket: str | None = None) -> list[TableInfo]:
        """All tables, or those of one bucket."""

        async def read() -> list[TableInfo]:
            ids = [table async for table in list_tables(self._store, bucket)]
            found = await gather_bounded(lambda table: read_table(self._store, table), ids)
            # A table may go between being listed and being read.
            return [info_of(item.pointer) for item in found if item is not None]

        return self._runner.run(read())

    def put(
        self,
        file: Path,
        table: str,
        *,
        incremental: bool,
        primary_key: Sequence[str],
        progress: Progress,
    ) -> TableInfo:
        """Load a CSV file into a table, at once."""
        counting = self._counting(progress)
        target = TableId.parse(table)
        load = upload_table(counting, file, target, primary_key=tuple(primary_key), incremental=incremental)
        return info_of(self._runner.run(load).pointer)

    def get(self, table: str, target: IO[bytes], progress: Progress) -> TableInfo:
        """Write a table as CSV with a header line."""

        async def copy() -> TableInfo:
            found = await need_table(self._store, TableId.parse(table))
            done, rows = 0, [found.pointer.rows]
            async for chunk in read_pointer_csv(self._store, found.pointer, counted=rows.append):
                target.write(chunk)
                done += len(chunk)
                progress(done, found.pointer.bytes)
            info = info_of(found.pointer)
            if len(rows) == 1:
                return info
            return replace(info, rows=rows[-1], bytes=done - len(encode_header(info.columns)))

        return self._runner.run(copy())

    def head(self, table: str, rows: int) -> Preview:
        """The first rows of a table."""
        data = self._runner.run(head_rows(self._store, TableId.parse(table), rows))
        # A value may be as long as a row.
        csv.field_size_limit(MAX_ROW_BYTES)
        header, *body = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        # A row of one empty value is an empty line, which the reader takes for none.
        return Preview(tuple(header), tuple(tuple(row or [""]) for row in body))

    def export(self, table: str, target: Path, *, text: bool) -> int:
        """Write a table to a Parquet file; how many rows it has."""
        from componentrun.storage.export import export_parquet  # noqa: PLC0415 - the other commands need none of it

        async def write() -> int:
            found = await need_table(self._store, TableId.parse(table))
            return await export_parquet(self._store, found.pointer, target, text=text)

        return self._runner.run(write())

    def details(self, table: str) -> TableDetails:
        """All that is known of a table."""

        async def read() -> TableDetails:
            found = await need_table(self._store, TableId.parse(table))
            return details_of(found.pointer, await list_versions(self._store, TableId.parse(table)))

        return self._runner.run(read())

    def history(self, table: str, limit: int) -> list[TableVersion]:
        """Versions of a table, the newest first."""
        return [version_of(item) for item in self._runner.run(read_history(self._store, TableId.parse(table), limit))]

    def restore(self, table: str, version: int, *, who: str) -> TableInfo:
        """Make an earlier version of a table the newest one."""
        return info_of(self._runner.run(restore_table(self._store, TableId.parse(table), version, who=who)))

    def remove(self, table: str, *, who: str) -> int | None:
        """Drop a table; the version that brings it back, None where it was not there."""
        left = self._runner.run(drop_table(self._store, TableId.parse(table), who=who))
        return left.version - 1 if left is not None else None

    def query(self, query: str) -> AbstractContextManager[QueryAnswer]:  # noqa: ARG002 - of the border
        """Prepare a query; the tables of this Storage are in no catalog."""
        raise self._without_catalog("be queried")

    def catalog_access(self) -> StoreSettings:
        """How to reach the catalog; this Storage has none."""
        raise self._without_catalog("be attached in other engines")

    def _without_catalog(self, what: str) -> BadRequestError:
        return BadRequestError(
            f"Storage `{self.name}` has no catalog, so its tables can't {what}",
            "`componentrun table export` writes a table as Parquet; `spec.catalog` of the Storage names a catalog",
        )

    def state(self, owner: StateOwner) -> dict[str, Any]:
        """What a configuration remembers; empty where it remembers nothing."""
        return self._runner.run(read_state(self._store, owner))

    def inputs(self, owner: StateOwner) -> dict[str, Any]:
        """How far a configuration has read the tables that it reads by `adaptive`: version and creation, by id."""
        memory = self._runner.run(read_memory(self._store, owner))
        return {table: seen.model_dump(mode="json", exclude_none=True) for table, seen in memory.inputs.items()}

    def put_state(self, owner: StateOwner, state: dict[str, Any]) -> None:
        """Replace a configuration's saved state."""
        self._runner.run(write_state(self._store, owner, state))

    def remove_state(self, owner: StateOwner) -> bool:
        """Delete a configuration's saved state; return whether there was any."""
        return self._runner.run(remove_state(self._store, owner))

    def kept(self, run: str, attempt: int) -> list[KeptFile]:
        """What an attempt of a run left beside its tables."""

        async def read() -> list[KeptFile]:
            prefix = self._store.layout.kept(run, attempt)
            return [KeptFile(item.key.removeprefix(prefix), item.size) async for item in self._store.objects(prefix)]

        return sorted(self._runner.run(read()), key=lambda item: item.path)

    def get_kept(self, run: str, attempt: int, path: str, target: IO[bytes]) -> None:
        """Write one such file."""

        async def copy() -> None:
            async for chunk in self._store.stream(self._store.layout.kept(run, attempt) + path):
                target.write(chunk)

        self._runner.run(copy())

    def events(self, run: str, query: EventQuery | None = None, limit: int | None = None) -> Feed:
        """The events of a run, by its uid: those that fit, to begin with the last `limit` of them."""
        return Feed(self._runner, EventFeed(self._store, run, query or EventQuery(), limit))

    def last_events(self, query: EventQuery, limit: int) -> list[EventRecord]:
        """The last events of all runs that fit, the oldest of them first."""
        return [_record(found) for found in self._runner.run(last_events(self._store, query, limit))]

    def export_events(self, target: Path, query: EventQuery, run: str | None, limit: int | None) -> int:
        """Write events to a Parquet file, those of one run (by its uid) or of all; how many there are."""
        from componentrun.storage.eventexport import export_events  # noqa: PLC0415 - few commands need it

        return self._runner.run(export_events(self._store, query, target, run=run, limit=limit))

    def event(self, event_id: str) -> Placed:
        """The event with an id."""
        return self._runner.run(locate(self._store, event_id))

    def sweep(self, keep: timedelta | None, history: timedelta | None, *, dry_run: bool) -> Swept:
        """Delete what nobody needs any more; None: the usual times."""
        from componentrun.storage.sweep import HISTORY_KEEP, MIN_KEEP, sweep  # noqa: PLC0415 - loads the signer

        keep, history = MIN_KEEP if keep is None else keep, HISTORY_KEEP if history is None else history
        if keep < MIN_KEEP:
            hours = int(MIN_KEEP.total_seconds() // 3600)
            raise BadRequestError(
                f"data can't be swept after less than {hours}h: a run may read or upload it that long",
                f"`--keep {hours}h` is the least",
            )
        return self._runner.run(sweep(self._store, keep, history=history, hidden=True, dry_run=dry_run))

    def sweep_events(self, retention: Retention, existing: Collection[str], *, dry_run: bool) -> SweptEvents:
        """Delete events of runs that are over, or do not exist any more, and have been kept for long enough."""
        from componentrun.storage.eventsweep import sweep_events  # noqa: PLC0415 - few commands need it

        return self._runner.run(sweep_events(self._store, retention, existing=existing, dry_run=dry_run))

    def compact(self, table: str, *, dry_run: bool) -> Compacted | FilesRewritten:
        """Write a table anew."""
        from componentrun.storage.rewriting import compact_table  # noqa: PLC0415 - few commands need it

        return self._runner.run(compact_table(self._store, TableId.parse(table), segments=None, dry_run=dry_run))

    def check(self) -> list[Check]:
        """Whether the store can do what ComponentRun needs."""
        from componentrun.storage.doctor import check_store  # noqa: PLC0415 - the signer takes a while to load
        from componentrun.storage.grants import Signer  # noqa: PLC0415 - likewise

        found = self._runner.run(check_store(self._store, Signer(self._store.settings)))
        return [
            Check(one.name, _state(one), one.detail, "" if one.ok or not one.serious else _DOCTOR_HINT) for one in found
        ]


def _state(found: DoctorCheck) -> str:
    if found.ok:
        return "ok"
    return "fail" if found.serious else "warn"


class Feed:
    """A run's events, each once."""

    def __init__(self, runner: asyncio.Runner, feed: EventFeed) -> None:
        """Of what this gives."""
        self._runner = runner
        self._feed = feed

    def read(self) -> Iterator[EventRecord]:
        """Events that are there now and were not read yet."""
        stream = self._feed.read()
        while batch := self._runner.run(_some(stream)):
            yield from map(_record, batch)


async def _some(stream: AsyncIterator[Placed]) -> list[Placed]:
    """The next events, not one by one: entering the event loop takes longer than reading an event."""
    found: list[Placed] = []
    while len(found) < _BATCH and (event := await anext(stream, None)) is not None:
        found.append(event)
    return found


class _Counting:
    """A store that tells how many bytes it has written."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self._store = store
        self._progress = progress
        self._done = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put(self, key: str, data: bytes) -> str:
        etag = await self._store.put(key, data)
        self._done += len(data)
        self._progress(self._done, None)
        return etag


def _record(found: Placed) -> EventRecord:
    event = found.event
    raw = {key: value for key, value in asdict(event).items() if value is not None}
    if found.name:
        raw["runName"] = found.name
    time, run = datetime.fromisoformat(event.time), found.name or event.run
    return EventRecord(event.seq, time, event.type, event.message, event.source, raw, run)

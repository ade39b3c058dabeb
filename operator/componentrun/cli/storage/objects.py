"""`ObjectStore`: the border to Storage on `componentrun.storage`.

The Secret of its keys is read with the person's own rights.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from dataclasses import asdict, replace
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final, cast

from componentrun.cli.errors import BadRequestError, EnvironmentFault, NotFoundError
from componentrun.cli.kubernetes.cluster import SECRETS, Cluster, JsonObject
from componentrun.cli.storage.fileobjects import ObjectFiles
from componentrun.cli.storage.store import Check, EventRecord, KeptFile
from componentrun.storage.events.feed import EventFeed
from componentrun.storage.events.query import EventQuery, last_events, locate
from componentrun.storage.state.state import StateOwner, read_memory, read_state, remove_state, write_state
from componentrun.storage.store.connection import Store, open_store
from componentrun.storage.store.resource import Unreadable, catalog_settings_of, parse, settings_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator
    from datetime import timedelta
    from pathlib import Path

    from componentrun.api.storage import Storage
    from componentrun.cli.storage.tablestore import TableStore
    from componentrun.cli.terminal.progress import Progress
    from componentrun.storage.access.doctor import Check as DoctorCheck
    from componentrun.storage.cleanup.sweep import Swept
    from componentrun.storage.events.events import Placed
    from componentrun.storage.events.retention import Retention
    from componentrun.storage.events.sweep import SweptEvents
    from componentrun.storage.store.catalog import CatalogSettings
    from componentrun.storage.store.settings import StoreSettings

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
    return ObjectStore(open_store(settings), functools.partial(_catalog, cluster, model))


def _catalog(cluster: Cluster, storage: Storage) -> CatalogSettings | None:
    """How to reach the catalog; None: there is none.

    `COMPONENTRUN_CATALOG_URI` is its URL if it has another one outside the cluster.
    """
    catalog, secret = storage.spec.catalog, None
    if catalog is None:
        return None
    if catalog.credentials is not None:
        with contextlib.suppress(NotFoundError):  # `catalog_settings_of` says which keys it has to hold
            secret = cluster.get(SECRETS, catalog.credentials.secret_name)
    if uri := os.environ.get(CATALOG_URI):
        spec = storage.spec.model_copy(update={"catalog": catalog.model_copy(update={"uri": uri})})
        storage = storage.model_copy(update={"spec": spec})
    return catalog_settings_of(storage, secret)


class ObjectStore:
    """One Storage."""

    def __init__(self, store: Store, catalog: Callable[[], CatalogSettings | None] = lambda: None) -> None:
        """Use `open_storage` instead, but for tests.

        `catalog` is called when tables are asked for: files, state and events need no key of the catalog.
        """
        self._store = store
        self._find_catalog = catalog
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

    @functools.cached_property
    def tables(self) -> TableStore:
        """Its tables. What reads and writes catalogs is an extra, and loaded at the first use."""
        access = self.catalog_access()
        try:
            from componentrun.cli.storage.catalogtables import CatalogTables  # noqa: PLC0415 - needs the extra `loader`
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("pyiceberg"):
                raise
            raise EnvironmentFault(
                f"the tables of Storage `{self.name}` are in a catalog, and what reads catalogs is not installed here",
                "`pip install 'componentrun[loader]'`",
            ) from None
        return CatalogTables(access, self._runner, self._counting)

    def catalog_access(self) -> StoreSettings:
        """How to reach the store and the catalog."""
        catalog = self._find_catalog()
        if catalog is None:
            raise BadRequestError(
                f"Storage `{self.name}` has no `spec.catalog`, so it keeps no tables",
                f"name an Iceberg REST catalog there (`kubectl edit storage {self.name}`; docs/tables.md says what it "
                "must be able to do), or choose another Storage with `--storage NAME`",
            )
        return replace(self._store.settings, catalog=catalog)

    def state(self, owner: StateOwner) -> dict[str, Any]:
        """What a configuration remembers; empty where it remembers nothing."""
        return self._runner.run(read_state(self._store, owner))

    def inputs(self, owner: StateOwner) -> dict[str, Any]:
        """How far a configuration has read the tables that it reads with `adaptive`, by their ids."""
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
        from componentrun.storage.events.export import export_events  # noqa: PLC0415 - few commands need it

        return self._runner.run(export_events(self._store, query, target, run=run, limit=limit))

    def event(self, event_id: str) -> Placed:
        """The event with an id."""
        return self._runner.run(locate(self._store, event_id))

    def sweep(self, keep: timedelta | None, *, dry_run: bool) -> Swept:
        """Delete what nobody needs any more; None: the usual time."""
        from componentrun.storage.cleanup.sweep import MIN_KEEP, sweep  # noqa: PLC0415 - loads the signer

        keep = MIN_KEEP if keep is None else keep
        if keep < MIN_KEEP:
            hours = int(MIN_KEEP.total_seconds() // 3600)
            raise BadRequestError(
                f"data can't be swept after less than {hours}h: a run may read or upload it that long",
                f"`--keep {hours}h` is the least",
            )
        return self._runner.run(sweep(self._store, keep, hidden=True, dry_run=dry_run))

    def sweep_events(self, retention: Retention, existing: Collection[str], *, dry_run: bool) -> SweptEvents:
        """Delete events of runs that are over, or do not exist any more, and have been kept for long enough."""
        from componentrun.storage.events.sweep import sweep_events  # noqa: PLC0415 - few commands need it

        return self._runner.run(sweep_events(self._store, retention, existing=existing, dry_run=dry_run))

    def check(self) -> list[Check]:
        """Whether the store can do what ComponentRun needs."""
        from componentrun.storage.access.doctor import check_store  # noqa: PLC0415 - the signer takes a while to load
        from componentrun.storage.access.grants import Signer  # noqa: PLC0415 - likewise

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

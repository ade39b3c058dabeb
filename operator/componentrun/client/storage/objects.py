"""`ObjectStore`: implements `Store` on `componentrun.storage`.

The Secret with its credentials is read with the rights of the user.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from dataclasses import asdict, replace
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final, cast

from componentrun.client.errors import BadRequestError, EnvironmentFault, NotFoundError
from componentrun.client.storage.fileobjects import ObjectFiles
from componentrun.client.storage.store import Check, EventRecord, KeptFile
from componentrun.process.kubernetes.resources import SECRETS
from componentrun.storage.events.feed import EventFeed
from componentrun.storage.events.query import EventQuery, last_events, locate
from componentrun.storage.state.state import StateOwner, read_memory, read_state, remove_state, write_state
from componentrun.storage.store.connection import Store, open_store
from componentrun.storage.store.resource import Unreadable, catalog_settings_of, parse, settings_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Generator
    from datetime import timedelta
    from pathlib import Path

    from componentrun.api.storage import Storage
    from componentrun.client.kubernetes.cluster import Cluster, JsonObject
    from componentrun.client.storage.progress import Progress
    from componentrun.client.storage.tablestore import TableStore
    from componentrun.client.storage.threads import Runner
    from componentrun.storage.access.doctor import Check as DoctorCheck
    from componentrun.storage.cleanup.sweep import Swept
    from componentrun.storage.events.events import Placed
    from componentrun.storage.events.retention import Retention
    from componentrun.storage.events.sweep import SweptEvents
    from componentrun.storage.store.catalog import CatalogSettings
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["ObjectStore", "open_storage", "record_of"]

CATALOG_URI: Final = "COMPONENTRUN_CATALOG_URI"
_BATCH: Final = 1000
_DOCTOR_ADVICE: Final = (
    "Correct the Storage (`kubectl edit storage`) or the Secret with its keys. "
    "If the store has another URL outside the cluster, pass `--endpoint URL`."
)


def open_storage(
    cluster: Cluster, storage: JsonObject, endpoint: str | None, runner: Runner | None = None
) -> ObjectStore:
    """Open the store of a Storage.

    Args:
        cluster: has the Secrets of the Storage.
        storage: the object.
        endpoint: overrides the endpoint of the Storage.
        runner: runs coroutines; None: an event loop in the caller's thread, which must not have one.

    Raises:
        UserError: its Secret, or a key of it, is missing, or a value is malformed.
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
    return ObjectStore(open_store(settings), functools.partial(_catalog, cluster, model), runner)


def _catalog(cluster: Cluster, storage: Storage) -> CatalogSettings | None:
    """Connection settings of the catalog; None if there is none.

    `COMPONENTRUN_CATALOG_URI` overrides its URL, for use outside the cluster.
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

    def __init__(
        self,
        store: Store,
        catalog: Callable[[], CatalogSettings | None] = lambda: None,
        runner: Runner | None = None,
    ) -> None:
        """Use `open_storage`, except in tests.

        `catalog` is called when tables are used: files, state and events need no credentials of the catalog.
        """
        self._store = store
        self._find_catalog = catalog
        self._runner: Runner = runner or asyncio.Runner(loop_factory=_Loop)

    @property
    def name(self) -> str:
        """Name of the Storage."""
        return self._store.settings.name

    @property
    def files(self) -> ObjectFiles:
        """The files of the Storage."""
        return ObjectFiles(self._store, self._runner, self._counting)

    def _counting(self, progress: Progress) -> Store:
        return cast("Store", _Counting(self._store, progress))

    @functools.cached_property
    def tables(self) -> TableStore:
        """The tables of the Storage. Imports the extra `loader` at the first use."""
        access = self.catalog_access()
        try:
            from componentrun.client.storage.catalogtables import CatalogTables  # noqa: PLC0415 - needs the extra `loader`
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("pyiceberg"):
                raise
            raise EnvironmentFault(
                f"the tables of Storage `{self.name}` are in a catalog, and what reads catalogs is not installed here",
                "Install it: `pip install 'componentrun[loader]'`.",
            ) from None
        return CatalogTables(access, self._runner, self._counting)

    def catalog_access(self) -> StoreSettings:
        """Connection settings of the store and the catalog."""
        catalog = self._find_catalog()
        if catalog is None:
            raise BadRequestError(
                f"Storage `{self.name}` has no `spec.catalog`, so it keeps no tables",
                f"Name an Iceberg REST catalog there (`kubectl edit storage {self.name}`; docs/tables.md says what it "
                "must be able to do), or choose another Storage with `--storage NAME`.",
            )
        return replace(self._store.settings, catalog=catalog)

    @property
    def store(self) -> Store:
        """The object store, for asynchronous callers."""
        return self._store

    def state(self, owner: StateOwner) -> dict[str, Any]:
        """The saved state of a configuration; empty if there is none."""
        return self._runner.run(read_state(self._store, owner))

    def inputs(self, owner: StateOwner) -> dict[str, Any]:
        """Positions up to which a configuration has read its `adaptive` inputs, by table id."""
        memory = self._runner.run(read_memory(self._store, owner))
        return {table: mark.model_dump(mode="json", exclude_none=True) for table, mark in memory.inputs.items()}

    def put_state(self, owner: StateOwner, state: dict[str, Any]) -> None:
        """Replace a configuration's saved state."""
        self._runner.run(write_state(self._store, owner, state))

    def remove_state(self, owner: StateOwner) -> bool:
        """Delete a configuration's saved state. Returns whether there was any."""
        return self._runner.run(remove_state(self._store, owner))

    def kept(self, run: str, attempt: int) -> list[KeptFile]:
        """Artifacts of an attempt of a run (by its uid)."""

        async def read() -> list[KeptFile]:
            prefix = self._store.layout.kept(run, attempt)
            return [KeptFile(item.key.removeprefix(prefix), item.size) async for item in self._store.objects(prefix)]

        return sorted(self._runner.run(read()), key=lambda item: item.path)

    def get_kept(self, run: str, attempt: int, path: str, target: IO[bytes]) -> None:
        """Write the content of an artifact to a file."""

        async def copy() -> None:
            async for chunk in self._store.stream(self._store.layout.kept(run, attempt) + path):
                target.write(chunk)

        self._runner.run(copy())

    def events(self, run: str, query: EventQuery | None = None, limit: int | None = None) -> Feed:
        """The matching events of a run, by its uid, starting with the last `limit` of them."""
        return Feed(self._runner, EventFeed(self._store, run, query or EventQuery(), limit))

    def last_events(self, query: EventQuery, limit: int) -> list[EventRecord]:
        """The last matching events of all runs, at most `limit`, oldest first."""
        return [record_of(event) for event in self._runner.run(last_events(self._store, query, limit))]

    def export_events(self, target: Path, query: EventQuery, run: str | None, limit: int | None) -> int:
        """Write matching events of one run (by its uid), or of all, to a Parquet file. Returns their number."""
        from componentrun.storage.events.export import export_events  # noqa: PLC0415 - few commands need it

        return self._runner.run(export_events(self._store, query, target, run=run, limit=limit))

    def event(self, event_id: str) -> Placed:
        """The event with this id."""
        return self._runner.run(locate(self._store, event_id))

    def sweep(self, keep: timedelta | None, *, dry_run: bool) -> Swept:
        """Sweep unreferenced data that is older than `keep`; None: the default age."""
        from componentrun.storage.cleanup.sweep import MIN_KEEP, sweep  # noqa: PLC0415 - loads the signer

        keep = MIN_KEEP if keep is None else keep
        if keep < MIN_KEEP:
            hours = int(MIN_KEEP.total_seconds() // 3600)
            raise BadRequestError(
                f"data can't be swept after less than {hours}h: a run may read or upload it that long",
                f"Use `--keep {hours}h` or more.",
            )
        return self._runner.run(sweep(self._store, keep, hidden=True, dry_run=dry_run))

    def sweep_events(self, retention: Retention, existing: Collection[str], *, dry_run: bool) -> SweptEvents:
        """Delete events of ended or deleted runs after their retention."""
        from componentrun.storage.events.sweep import sweep_events  # noqa: PLC0415 - few commands need it

        return self._runner.run(sweep_events(self._store, retention, existing=existing, dry_run=dry_run))

    def check(self) -> list[Check]:
        """Check the store with these credentials from this machine."""
        from componentrun.storage.access.doctor import check_store  # noqa: PLC0415 - the signer takes a while to load
        from componentrun.storage.access.grants import Signer  # noqa: PLC0415 - likewise

        results = self._runner.run(check_store(self._store, Signer(self._store.settings)))
        return [
            Check(result.name, _state(result), result.detail, "" if result.ok or not result.serious else _DOCTOR_ADVICE)
            for result in results
        ]

    def close(self) -> None:
        """Close the event loop, after which nothing can be read or written. Requests in progress are cancelled."""
        self._runner.close()


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that can be closed while its threads work: nobody waits for them after an error or Ctrl-C.

    A thread may check all rows of a large file. The process ends without waiting for it as well (`process.ending`).
    """

    async def shutdown_default_executor(self, *_: object) -> None:
        """Leave the threads to `close`, which does not wait for them."""


def _state(check: DoctorCheck) -> str:
    if check.ok:
        return "ok"
    return "fail" if check.serious else "warn"


class Feed:
    """A run's events, each once."""

    def __init__(self, runner: Runner, feed: EventFeed) -> None:
        """Of what this gives."""
        self._runner = runner
        self._feed = feed

    def read(self) -> Generator[EventRecord, None, None]:
        """New events since the last call."""
        stream = self._feed.read()
        try:
            while batch := self._runner.run(_some(stream)):
                yield from map(record_of, batch)
        finally:
            # If the caller stops early, requests for the next events are still in progress.
            self._runner.run(stream.aclose())


async def _some(stream: AsyncIterator[Placed]) -> list[Placed]:
    """Read events in batches: entering the event loop takes longer than reading an event."""
    batch: list[Placed] = []
    while len(batch) < _BATCH and (event := await anext(stream, None)) is not None:
        batch.append(event)
    return batch


class _Counting:
    """A store that reports how many bytes it has written."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self._store = store
        self._progress = progress
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put(self, key: str, data: bytes) -> str:
        etag = await self._store.put(key, data)
        self._count += len(data)
        self._progress(self._count, None)
        return etag


def record_of(placed: Placed) -> EventRecord:
    """An event as the client's callers get it."""
    event = placed.event
    raw = {key: value for key, value in asdict(event).items() if value is not None}
    if placed.name:
        raw["runName"] = placed.name
    time, run = datetime.fromisoformat(event.time), placed.name or event.run
    return EventRecord(event.seq, time, event.type, event.message, event.source, raw, run)

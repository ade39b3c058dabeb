"""`AsyncClient` and `AsyncRun`: the same as `Client` and `Run`, for asynchronous callers."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from componentrun.client.client import Client
from componentrun.client.errors import AlreadyExistsError, EnvironmentFault, NotFoundError
from componentrun.client.following import (
    EVENTS_PAUSE_SECONDS,
    PATIENCE_SECONDS,
    Observation,
    are_events_complete,
    seconds_of,
    too_late,
)
from componentrun.client.kubernetes.answers import Asked, explain
from componentrun.client.kubernetes.client import KubeCluster, access_to
from componentrun.client.models import parse_run
from componentrun.client.outcome import RunResult, error_of, is_over, result_of
from componentrun.client.request.arguments import RunOptions, is_same_request, manifest_of
from componentrun.errors import ComponentRunError, TransientError
from componentrun.process.kubernetes.blocking import BlockingKube
from componentrun.process.kubernetes.client import Kube
from componentrun.process.kubernetes.errors import GoneError, KubeError
from componentrun.process.kubernetes.resources import RUNS
from componentrun.storage.events.feed import EventFeed
from componentrun.storage.events.query import EventQuery

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
    from datetime import timedelta
    from pathlib import Path
    from types import TracebackType

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.api.mapping.tables import InputTable
    from componentrun.client.storage.store import EventRecord

__all__ = ["AsyncClient", "AsyncRun"]

_PAUSE_SECONDS: Final = 0.5
"""Pause before a watch that has ended is opened again."""


class _Unobserved:
    """Requests are not counted."""

    def request_done(self, method: str, code: str, host: str) -> None:
        """Do nothing."""


class AsyncClient:
    """Runs of one namespace. An asynchronous context manager that closes its connections.

    Tables, files and states have no asynchronous form: use `blocking` with `asyncio.to_thread`.
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        context: str | None = None,
        kubeconfig: Path | None = None,
        storage: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        """Connect to the cluster; see `Client` for the arguments."""
        access = access_to(context, kubeconfig)
        cluster = KubeCluster(BlockingKube(access), namespace or access.namespace)
        self._setup(Kube(access, _Unobserved()), Client.of(cluster, storage=storage, endpoint=endpoint), storage)

    def _setup(self, kube: Kube, blocking: Client, storage: str | None) -> None:
        self._kube = kube
        self._storage = storage
        self.blocking = blocking
        self.namespace = blocking.namespace

    @classmethod
    def of(cls, kube: Kube, blocking: Client, *, storage: str | None = None) -> Self:
        """A client on connections that exist already, which it closes."""
        client = cls.__new__(cls)
        client._setup(kube, blocking, storage)  # noqa: SLF001 - its own
        return client

    async def __aenter__(self) -> Self:
        """Nothing is opened before it is used."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._kube.__aexit__()
        await asyncio.to_thread(self.blocking.close)

    async def submit(
        self,
        component: str | None = None,
        *,
        name: str | None = None,
        tables: Mapping[str, str] | Iterable[InputTable] = (),
        parameters: Mapping[str, Any] | None = None,
        **options: Unpack[RunOptions],
    ) -> AsyncRun:
        """Create a run; see `Client.submit`."""
        if self._storage is not None and "storage" not in options:
            options["storage"] = self._storage
        manifest = manifest_of(component, name=name, tables=tables, parameters=parameters, options=options)
        run_name = str(manifest["metadata"]["name"])
        try:
            with self._explained("create", run_name):
                raw = await self._kube.create(RUNS, self.namespace, manifest)
        except AlreadyExistsError:
            found = await self.get(run_name)
            if not is_same_request(found.model, manifest):
                raise
            return found
        return AsyncRun(self, parse_run(raw))

    async def get(self, name: str) -> AsyncRun:
        """A run by its name.

        Raises:
            NotFoundError: there is none.
        """
        return AsyncRun(self, await self._read(name))

    async def list(self, *, selector: str = "") -> list[AsyncRun]:
        """Runs, newest first. `selector`: label selector, such as `team=sales`."""
        found: list[dict[str, Any]] = []
        with self._explained("list", ""):
            async for page in self._kube.pages(RUNS, self.namespace, selector):
                found += page.items
        found.sort(key=lambda raw: (raw["metadata"]["creationTimestamp"], raw["metadata"]["name"]), reverse=True)
        return [AsyncRun(self, parse_run(raw)) for raw in found]

    async def _read(self, name: str) -> ComponentRun:
        with self._explained("get", name):
            return parse_run(await self._kube.get(RUNS, self.namespace, name))

    async def _cancel(self, name: str) -> ComponentRun:
        with self._explained("patch", name):
            return parse_run(await self._kube.patch(RUNS, self.namespace, name, {"spec": {"cancel": True}}))

    async def _delete(self, run: ComponentRun) -> None:
        with self._explained("delete", run.metadata.name):
            await self._kube.delete(RUNS, self.namespace, run.metadata.name, run.metadata.uid)

    async def _feed(self, run: ComponentRun) -> EventFeed:
        storage = await asyncio.to_thread(self.blocking.storage, run.status.storage or run.spec.storage)
        return EventFeed(storage.store, run.metadata.uid, EventQuery())

    async def _observe(self, observation: Observation) -> AsyncGenerator[None]:
        """Keep an observation up to date; yield after each change, until the run has ended or is deleted."""
        name, away_since = observation.run.metadata.name, None
        while not observation.is_deleted:
            try:
                with self._explained("watch", name):
                    async with aclosing(self._changes(observation)) as changes:
                        async for _ in changes:
                            yield
                away_since = None
            except NotFoundError:
                observation.is_deleted = True
                yield
            except (EnvironmentFault, TransientError):
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since >= PATIENCE_SECONDS:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _changes(self, observation: Observation) -> AsyncGenerator[None]:
        name = observation.run.metadata.name
        try:
            fields = f"metadata.name={name}"
            async for event in self._kube.watch(RUNS, self.namespace, observation.version, fields=fields):
                observation.event(event)
                yield
        except GoneError:
            observation.read(await self._kube.get(RUNS, self.namespace, name))
            yield

    @contextmanager
    def _explained(self, verb: str, name: str) -> Iterator[None]:
        """Turn errors of the Kubernetes client into errors with advice."""
        try:
            yield
        except KubeError as error:
            raise explain(error, Asked(verb, RUNS, name, self.namespace, self._kube.host)) from error


class AsyncRun:
    """One run. Within `async with`, an exception, such as a cancellation of the task, cancels it."""

    def __init__(self, client: AsyncClient, model: ComponentRun) -> None:
        """`AsyncClient` makes it."""
        self._client = client
        self.model = model

    def __repr__(self) -> str:
        """Which run, and its phase."""
        return f"AsyncRun({self.name!r}, {self.phase!r})"

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.model.metadata.name

    @property
    def status(self) -> ComponentRunStatus:
        """The last known status."""
        return self.model.status

    @property
    def phase(self) -> str:
        """The last known phase."""
        return self.status.phase or "Queued"

    @property
    def is_over(self) -> bool:
        """Whether the run is known to have ended."""
        return is_over(self.model)

    @property
    def result(self) -> RunResult:
        """How the run ended; see `Run.result`."""
        return result_of(self.model)

    async def refresh(self) -> Self:
        """Read the run again."""
        self.model = await self._client._read(self.name)  # noqa: SLF001 - the client's part of a run
        return self

    async def wait(self, timeout: timedelta | float | None = None) -> Self:  # noqa: ASYNC109 - as of `Run.wait`
        """Wait until the run has ended, however it ended; see `Run.wait`."""
        if self.is_over:
            return self
        observation = Observation(self.model)
        try:
            async with asyncio.timeout(seconds_of(timeout)):
                async with aclosing(self._client._observe(observation)) as changes:  # noqa: SLF001 - likewise
                    async for _ in changes:
                        self.model = observation.run
                        if observation.is_final:
                            break
        except TimeoutError as error:
            raise too_late(self.model) from error
        observation.need()
        return self

    def raise_for_status(self) -> Self:
        """Raise an error if the run did not succeed; see `Run.raise_for_status`."""
        if (error := error_of(self.result)) is not None:
            raise error
        return self

    async def events(self, *, follow: bool = True) -> AsyncGenerator[EventRecord]:
        """Events of the run, oldest first; see `Run.events`."""
        from componentrun.client.storage.objects import record_of  # noqa: PLC0415 - loads the store's client

        feed = await self._client._feed(self.model)  # noqa: SLF001 - likewise
        observation, changed = Observation(self.model), asyncio.Event()
        watch = asyncio.create_task(self._watch(observation, changed)) if follow else None
        over_since: float | None = None
        try:
            while True:
                if watch is not None and watch.done():
                    watch.result()
                observation.need()
                self.model = observation.run
                over_since = over_since or (time.monotonic() if observation.is_final else None)
                elapsed = time.monotonic() - over_since if over_since is not None else 0.0
                # Decided before the events are read, so that all delivered events are read below.
                is_complete = not follow or observation.is_deleted or are_events_complete(self.model, elapsed)
                async with aclosing(feed.read()) as placed:
                    async for found in placed:
                        yield record_of(found)
                if is_complete:
                    return
                changed.clear()
                await _first_of(changed, EVENTS_PAUSE_SECONDS)
        finally:
            if watch is not None:
                watch.cancel()
                await asyncio.wait({watch})

    async def _watch(self, observation: Observation, changed: asyncio.Event) -> None:
        async with aclosing(self._client._observe(observation)) as changes:  # noqa: SLF001 - likewise
            async for _ in changes:
                changed.set()

    async def cancel(self) -> Self:
        """Cancel the run; see `Run.cancel`."""
        self.model = await self._client._cancel(self.name)  # noqa: SLF001 - likewise
        return self

    async def delete(self) -> None:
        """Delete the run; see `Run.delete`."""
        await self._client._delete(self.model)  # noqa: SLF001 - likewise

    async def __aenter__(self) -> Self:
        """Nothing to do: the run goes on."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the run if the block failed and the run is not known to have ended."""
        if error is None or self.is_over:
            return
        try:
            await self.cancel()
        except ComponentRunError as failure:
            error.add_note(f"ComponentRun `{self.name}` could not be cancelled: {failure.message}")


async def _first_of(changed: asyncio.Event, seconds: float) -> None:
    """Wait for a change, at most so many seconds."""
    task = asyncio.ensure_future(changed.wait())
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()

"""The command line against a cluster and a store in memory.

Faked: the API server (`tests.fakekube`), the `Store` border, and the clock (`sleep` moves it on and lets scripted
things happen).
Real: argument parsing, manifests, requests and errors of the API, following, exit codes, what is printed.
Files: the real code on obstore's store in memory.
Left out: HTTP (tests/unit/process/test_blocking.py) and stores (tests/integration/cli).
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from obstore.store import MemoryStore
from typer.testing import CliRunner

from componentrun.cli.app import app
from componentrun.cli.session import Makers
from componentrun.client.kubernetes.client import KubeCluster
from componentrun.client.kubernetes.cluster import JsonObject
from componentrun.client.storage.fileobjects import ObjectFiles
from componentrun.client.storage.store import Check, EventRecord, KeptFile
from componentrun.storage.cleanup.sweep import Swept
from componentrun.storage.events.events import Event, Placed
from componentrun.storage.events.query import EventQuery
from componentrun.storage.events.sweep import SweptEvents
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from tests.fakekube.inprocess import InProcessBlockingKube
from tests.fakekube.kinds import KINDS
from tests.fakekube.server import ApiServer
from tests.unit.cli.faketables import START, FakeTables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator
    from pathlib import Path
    from typing import IO

    from typer.testing import Result

    from componentrun.process.kubernetes.resources import Resource
    from componentrun.storage.events.retention import Retention
    from componentrun.storage.state.state import StateOwner
    from tests.fakekube.kinds import Kind


class Objects(MutableMapping[str, JsonObject]):
    """The objects of a kind by their names, as a test looks at them and changes them."""

    def __init__(self, api: ApiServer, plural: str) -> None:
        self._api, self._plural = api, plural

    def _found(self) -> dict[str, JsonObject]:
        return {found["metadata"]["name"]: found for found in self._api.of(self._plural)}

    def __getitem__(self, name: str) -> JsonObject:
        return self._found()[name]

    def __setitem__(self, name: str, found: JsonObject) -> None:
        assert found["metadata"]["name"] == name
        self._api.put(self._plural, found)

    def __delitem__(self, name: str) -> None:
        self._api.remove(self._plural, self[name]["metadata"].get("namespace", ""), name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())


class FakeCluster(KubeCluster):
    """The command line's cluster, of which only the API server is faked; `problems` makes a verb fail."""

    def __init__(self) -> None:
        self.api = ApiServer("team", "prod", "sales")
        self.api.writer.on_create.append(self._date)
        super().__init__(InProcessBlockingKube(self.api, "https://cluster.example:6443"), "team")
        self.problems: dict[str, Exception] = {}
        self.closings = 0

    def close(self) -> None:
        self.closings += 1
        super().close()

    @property
    def objects(self) -> dict[str, Objects]:
        """By the plural of their kind."""
        return {kind.plural: Objects(self.api, kind.plural) for kind in KINDS}

    @property
    def dry_runs(self) -> list[JsonObject]:
        """What the API server was asked to check."""
        return [request.document() for request in self.api.requests if request.is_dry_run]

    @contextmanager
    def _explained(
        self, verb: str, what: Resource | None, name: str = "", namespace: str | None = ""
    ) -> Iterator[None]:
        self._fail(verb)
        with super()._explained(verb, what, name, namespace):
            yield

    def _fail(self, what: str) -> None:
        if what in self.problems:
            raise self.problems[what]

    def version(self) -> str:
        self._fail("version")
        return super().version()

    def who(self) -> str:
        self._fail("who")
        return super().who()

    def _date(self, kind: Kind, obj: JsonObject) -> None:
        """Each object is a minute younger than the one before."""
        made = START - timedelta(minutes=60 - len(self.api.of(kind.plural)))
        obj["metadata"] |= {"uid": f"uid-{obj['metadata']['name']}", "creationTimestamp": made.isoformat()[:19] + "Z"}

    def add(self, what: Resource, name: str, spec: JsonObject, **more: Any) -> JsonObject:
        """Put an object there."""
        return self.api.put(what.plural, {"metadata": {"name": name}, "spec": spec, **more}, self.namespace)

    def status(self, name: str, **status: Any) -> None:
        """Change a run's status."""
        self.api.change("componentruns", "team", name, {"status": status})


def placed(record: EventRecord) -> Placed:
    """A record as Storage knows it."""
    said: Any = record.type
    event = Event(record.raw["id"], record.seq, record.time.isoformat(), "uid", "a", "1", said, record.message)
    return Placed(record.time, replace(event, source=record.source))


class FakeFeed:
    """Events that were said and not read yet."""

    def __init__(self, events: list[EventRecord]) -> None:
        self._events = events
        self._seen = 0
        self.problem: BaseException | None = None
        self.query = EventQuery()
        self.limit: int | None = None

    def read(self) -> Generator[EventRecord, None, None]:
        if self.problem is not None:
            raise self.problem
        found = [record for record in self._events[self._seen :] if self.query.takes(placed(record))]
        self._seen = len(self._events)
        begin, self.limit = len(found) - (len(found) if self.limit is None else self.limit), None
        yield from found[max(begin, 0) :]


class FakeStore:
    """A Storage in memory."""

    name = "main"

    def __init__(self) -> None:
        self.tables = FakeTables()
        self.states: dict[StateOwner, dict[str, Any]] = {}
        self.read: dict[StateOwner, dict[str, Any]] = {}
        self.left: dict[tuple[int, str], bytes] = {}
        self.said: list[EventRecord] = []
        self.feed = FakeFeed(self.said)
        self.checks = [Check("list", "ok", "fine")]
        self.problem: Exception | None = None
        settings = StoreSettings(bucket="tables", endpoint="http://store.test", name="main")
        self.objects = Store(settings, MemoryStore())
        self.runner = asyncio.Runner()
        self.files = ObjectFiles(self.objects, self.runner, lambda _: self.objects)
        self.swept: list[tuple[timedelta | None, bool]] = []
        self.swept_events: list[tuple[Retention, list[str], bool]] = []
        self.questions: list[tuple[EventQuery, int]] = []
        self.asked_run = ""
        self.closings = 0

    def catalog_access(self) -> StoreSettings:
        catalog = CatalogSettings(
            uri="https://catalog.test", warehouse="s3://lake/", client_id="our-client", client_secret="our-secret"
        )
        return replace(self.objects.settings, catalog=catalog, access_key="our-access-key", secret_key="our-secret-key")

    def state(self, owner: StateOwner) -> dict[str, Any]:
        return self.states.get(owner, {})

    def inputs(self, owner: StateOwner) -> dict[str, Any]:
        return self.read.get(owner, {})

    def put_state(self, owner: StateOwner, state: dict[str, Any]) -> None:
        self.states[owner] = state

    def remove_state(self, owner: StateOwner) -> bool:
        return self.states.pop(owner, None) is not None

    def kept(self, run: str, attempt: int) -> list[KeptFile]:
        assert run.startswith("uid-")
        return [KeptFile(path, len(content)) for (number, path), content in self.left.items() if number == attempt]

    def get_kept(self, run: str, attempt: int, path: str, target: IO[bytes]) -> None:
        assert run.startswith("uid-")
        target.write(self.left[attempt, path])

    def events(self, run: str, query: EventQuery | None = None, limit: int | None = None) -> FakeFeed:
        self.asked_run = run
        self.feed.query, self.feed.limit = query or EventQuery(), limit
        return self.feed

    def last_events(self, query: EventQuery, limit: int) -> list[EventRecord]:
        self.questions.append((query, limit))
        return [record for record in self.said if query.takes(placed(record))][-limit:] if limit else []

    def export_events(self, target: Path, query: EventQuery, run: str | None, limit: int | None) -> int:
        self.asked_run = run or ""
        found = [record for record in self.said if query.takes(placed(record))][-(limit or 1000) :]
        target.write_text("".join(f"{record.seq}\n" for record in found))
        return len(found)

    def event(self, event_id: str) -> Placed:
        return next(placed(record) for record in self.said if record.raw["id"] == event_id)

    def sweep(self, keep: timedelta | None, *, dry_run: bool) -> Swept:
        self.swept.append((keep, dry_run))
        return Swept(("data/r1-1/",), 3, 2048, waiting=2, files=1, documents=4)

    def sweep_events(self, retention: Retention, existing: Collection[str], *, dry_run: bool) -> SweptEvents:
        self.swept_events.append((retention, sorted(existing), dry_run))
        return SweptEvents(7, 9, 4096) if not retention.endless else SweptEvents()

    def check(self) -> list[Check]:
        if self.problem is not None:
            raise self.problem
        return self.checks

    def close(self) -> None:
        self.closings += 1  # the next command gets this store again

    def say(self, message: str, *, type_: str = "info", source: str = "component", at: datetime = START) -> None:
        seq = len(self.said) + 1
        raw = {"id": f"uid-{seq}", "seq": seq, "message": message, "type": type_, "source": source}
        self.said.append(EventRecord(seq, at, type_, message, source, raw, "one"))


@dataclass
class World:
    """What a test looks at: cluster, store, clock, and a script of what happens while a command sleeps."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    store: FakeStore = field(default_factory=FakeStore)
    now: datetime = START
    script: list[Callable[[], None]] = field(default_factory=list)
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    endpoints: list[str | None] = field(default_factory=list)

    def run(self, *arguments: str, text: str | None = None) -> Result:
        """Type a command."""
        return CliRunner().invoke(app, list(arguments), obj=self.makers(), input=text)

    def makers(self) -> Makers:
        return Makers(self._cluster, self._store, lambda: self.now, self._sleep)

    def _cluster(self, context: str | None, namespace: str | None) -> FakeCluster:
        self.asked.append((context, namespace))
        self.cluster.namespace = namespace or self.cluster.namespace
        return self.cluster

    def _store(self, _cluster: object, storage: JsonObject, endpoint: str | None) -> FakeStore:
        self.endpoints.append(endpoint)
        self.store.name = self.store.tables.storage = storage["metadata"]["name"]
        return self.store

    def _sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        assert self.now < START + timedelta(minutes=20), "the command waits for what does not come"
        if self.script:
            self.script.pop(0)()

    @property
    def tables(self) -> FakeTables:
        """Those of the Storage."""
        return self.store.tables

    def created(self) -> JsonObject:
        """The one run that was created."""
        (run,) = self.cluster.objects["componentruns"].values()
        return run

    def ended(self, name: str, phase: str = "Succeeded", reason: str = "Succeeded", **status: Any) -> None:
        """A run that is over."""
        at = self.now.isoformat()
        self.cluster.status(name, phase=phase, reason=reason, startTime=at, completionTime=at, **status)

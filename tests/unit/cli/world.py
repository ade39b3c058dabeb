"""The command line against a cluster and a store in memory.

Faked: the `Cluster` and `Store` borders and the clock (`sleep` moves it on and lets scripted things happen).
Real: argument parsing, manifests, following, exit codes, what is printed.
Files: the real code on obstore's store in memory.
Left out: the clients (tests/integration/cli).
"""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from obstore.store import MemoryStore
from typer.testing import CliRunner

from componentrun.cli.app import app
from componentrun.cli.errors import NotFoundError
from componentrun.cli.kubernetes.cluster import (
    COMPONENTS,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    RUNS,
    SECRETS,
    STATEFUL_SETS,
    STORAGES,
    JsonObject,
    Resource,
)
from componentrun.cli.session import Makers
from componentrun.cli.storage.fileobjects import ObjectFiles
from componentrun.cli.storage.store import Check, EventRecord, KeptFile
from componentrun.storage.cleanup.sweep import Swept
from componentrun.storage.events.events import Event, Placed
from componentrun.storage.events.query import EventQuery
from componentrun.storage.events.sweep import SweptEvents
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from tests.unit.cli.faketables import START, FakeTables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path
    from typing import IO

    from typer.testing import Result

    from componentrun.storage.events.retention import Retention
    from componentrun.storage.state.state import StateOwner


class FakeCluster:
    """Objects in dictionaries; `problems` makes a verb fail."""

    server = "https://cluster.example:6443"

    def __init__(self) -> None:
        self.namespace = "team"
        self.objects: dict[str, dict[str, JsonObject]] = {
            what.plural: {}
            for what in (RUNS, COMPONENTS, STORAGES, SECRETS, DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, CRDS)
        }
        self.problems: dict[str, Exception] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.dry_runs: list[JsonObject] = []

    def _called(self, verb: str, what: str, name: str = "") -> None:
        self.calls.append((verb, what, name))
        if verb in self.problems:
            raise self.problems[verb]

    def version(self) -> str:
        self._called("version", "")
        return "v1.35.4"

    def who(self) -> str:
        self._called("who", "")
        return "jane"

    def get(self, what: Resource, name: str) -> JsonObject:
        self._called("get", what.plural, name)
        if name not in self.objects[what.plural]:
            raise NotFoundError(f"there is no {what.kind} `{name}` in namespace `{self.namespace}`", "look elsewhere")
        return copy.deepcopy(self.objects[what.plural][name])

    def list(
        self, what: Resource, *, selector: str = "", fields: Mapping[str, str] | None = None, everywhere: bool = False
    ) -> list[JsonObject]:
        self._called("list", what.plural, f"{selector}{dict(fields or {})}{'*' if everywhere else ''}")
        return [copy.deepcopy(found) for found in self.objects[what.plural].values()]

    def create(self, what: Resource, manifest: JsonObject, *, dry_run: bool = False) -> JsonObject:
        self._called("create", what.plural, manifest["metadata"]["name"])
        if dry_run:
            self.dry_runs.append(manifest)
            return manifest
        return self.add(what, manifest["metadata"]["name"], manifest["spec"])

    def patch(self, what: Resource, name: str, patch: JsonObject) -> JsonObject:
        self._called("patch", what.plural, name)
        for key, value in patch.items():
            self.objects[what.plural][name].setdefault(key, {}).update(value)
        return self.get(what, name)

    def delete(self, what: Resource, name: str) -> None:
        self._called("delete", what.plural, name)
        del self.objects[what.plural][name]

    def add(self, what: Resource, name: str, spec: JsonObject, **more: Any) -> JsonObject:
        """Put an object there; each is a minute younger than the one before."""
        made = START - timedelta(minutes=60 - len(self.objects[what.plural]))
        self.objects[what.plural][name] = {
            "apiVersion": "componentrun.dev/v1alpha1",
            "kind": what.kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "uid": f"uid-{name}",
                "creationTimestamp": made.isoformat().replace("+00:00", "Z"),
            },
            "spec": spec,
            **more,
        }
        return copy.deepcopy(self.objects[what.plural][name])

    def status(self, name: str, **status: Any) -> None:
        """Change a run's status."""
        self.objects["componentruns"][name].setdefault("status", {}).update(status)


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

    def read(self) -> Iterator[EventRecord]:
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
        self.files = ObjectFiles(self.objects, asyncio.Runner(), lambda _: self.objects)
        self.swept: list[tuple[timedelta | None, bool]] = []
        self.swept_events: list[tuple[Retention, list[str], bool]] = []
        self.questions: list[tuple[EventQuery, int]] = []
        self.asked_run = ""

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

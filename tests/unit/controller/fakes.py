"""A cluster and a store in memory, for the reconciler.

A fake API server (`fakekube`), a kubelet that takes a pod one step further each time it is called, and a Storage on
obstore's MemoryStore.

Real: everything of the controller, core and storage. Left out: HTTP, kopf, time (a clock that is set), and what the
agents do (the kubelet writes the objects that they would).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

import obstore
from obstore.store import MemoryStore

from componentrun.api import names
from componentrun.api.common import API_VERSION
from componentrun.api.storage import Storage
from componentrun.controller.images.resolving import ImageSettings
from componentrun.controller.metrics import Metrics
from componentrun.controller.reconcile.policies import Policies, Resolver
from componentrun.controller.reconcile.publish import Publisher
from componentrun.controller.reconcile.queues import Queues
from componentrun.controller.reconcile.reconciler import Reconciler
from componentrun.controller.reconcile.resultwriter import RetryError
from componentrun.controller.reconcile.start import Starter, StartSettings
from componentrun.controller.reconcile.statuswriter import StatusWriter
from componentrun.controller.reconcile.unreadpods import DEFAULT_MOST, UnreadPods
from componentrun.controller.storages.cataloggate import CatalogGate
from componentrun.controller.storages.catalogtables import CatalogTables
from componentrun.controller.storages.gate import StoreGate
from componentrun.controller.storages.references import References
from componentrun.controller.storages.scopes import Scopes
from componentrun.controller.storages.stores import OpenStorage, Stores
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.watching.events import take_in
from componentrun.controller.watching.resync import Resync
from componentrun.controller.work.flows import Flows
from componentrun.controller.work.queue import WorkQueue
from componentrun.core.builds.settings import BuildSettings
from componentrun.core.limits import Limits
from componentrun.core.pod.settings import PodSettings
from componentrun.core.schema.check import check
from componentrun.core.schema.documents import CheckRequest
from componentrun.core.storages.scope import Scope, ScopeMethod, status_of
from componentrun.errors import TransientError
from componentrun.process.fairqueue import Flow
from componentrun.process.kubernetes.errors import ConflictError
from componentrun.registry.client import RegistryClient
from componentrun.registry.settings import RegistrySettings
from componentrun.storage.access.grants import Signer
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire import documents as wire
from componentrun.wire.agents import FileWritten, SliceWritten, StageInResult, StageOutResult, TableWritten, to_json
from componentrun.wire.documents import from_json
from tests.unit.controller.fakebuilds import FakeBuildObjects, make_images
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes
from tests.unit.controller.fakeloader import FakeLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from componentrun.controller.schemacheck.checker import SchemaChecker
    from componentrun.controller.storages.loaderclient import LoaderClient
    from componentrun.core.schema.documents import CheckResult
    from componentrun.process.kubernetes.client import Kube

ROWS = b"1,one\n2,two\n"
TABLE = "out.c-main.result"
CATALOG = {"uri": "http://catalog.test", "warehouse": "lake"}


class FakeStore(Store):
    """A Storage in memory."""

    def __init__(self, writes: Writes) -> None:
        settings = StoreSettings(
            bucket="bucket",
            endpoint="http://store.test",
            access_key="key",
            secret_key="secret",
            name="main",
            catalog=CatalogSettings(uri=CATALOG["uri"], warehouse=CATALOG["warehouse"]),
        )
        super().__init__(settings, MemoryStore())
        self._writes = writes
        self.away = False
        self.away_after: str | None = None

    async def _put(self, operation: str, key: str, data: bytes, *, mode: Any) -> str:
        if self.away:
            raise TransientError("the store is away")
        etag = await super()._put(operation, key, data, mode=mode)
        self.away = self.away_after is not None and self.away_after in key
        self._writes.done(f"{operation} {key}")
        return etag

    async def agent_put(self, key: str, data: bytes) -> str:
        """What an agent writes; the operator may die without it."""
        return await super()._put("write", key, data, mode="overwrite")

    async def find(self, key: str, *, most: int | None = None) -> Any:
        if self.away:
            raise TransientError("the store is away")
        return await super().find(key, most=most)


class InProcessChecker:
    """Checks parameters in this process, where no check of a test takes long."""

    async def check(self, namespace: str, request: CheckRequest) -> CheckResult:  # noqa: ARG002 - the real one's
        return check(from_json(CheckRequest, wire.to_json(request)))


class FakeStores:
    """Opens the one Storage."""

    def __init__(self, store: Store, spec: dict[str, Any] | None = None) -> None:
        self.opened = OpenStorage(
            Storage.model_validate(
                {
                    "metadata": {"name": "main", "namespace": NAMESPACE, "uid": "storage-uid"},
                    "spec": {
                        "bucket": "bucket",
                        "endpoint": "http://store.test",
                        "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]}],
                        "catalog": CATALOG,
                        **(spec or {}),
                    },
                }
            ),
            store,
            Signer(store.settings),
        )
        self.wanted: list[str | None] = []
        """Which one was asked for each time."""
        self.anew: list[bool] = []
        """Whether it was to be read anew."""
        self.as_of: list[datetime | None] = []
        """Since when a read is new enough."""

        self.others: dict[tuple[str, str], OpenStorage] = {}
        """Further Storages, by namespace and name."""

    async def open(
        self, namespace: str, wanted: str | None, *, anew: bool = False, as_of: datetime | None = None
    ) -> OpenStorage:
        self.wanted.append(wanted)
        self.anew.append(anew)
        self.as_of.append(as_of)
        return self.others.get((namespace, wanted or ""), self.opened)


def _attempt_of(pod: dict[str, Any]) -> int:
    """0 for somebody else's pod."""
    return int(pod["metadata"].get("labels", {}).get(names.ATTEMPT_LABEL, 0))


class _NoClock:
    """Of a queue to which nobody adds anything for later."""

    def time(self) -> float:
        return 0.0

    def call_at(self, when: float, callback: Callable[[Key], object], key: Key, /) -> NoReturn:
        raise AssertionError(f"{key} was to be added at {when} by {callback}")


def catalogs_of(loader: LoaderClient) -> CatalogTables:
    """Catalogs that are asked for nobody else."""
    queue: WorkQueue[Key] = WorkQueue(_NoClock(), flow_of=lambda key: Flow(key.namespace), workers=1)
    return CatalogTables(loader, CatalogGate(queue, lambda: datetime.now(UTC)))


class World:
    """The cluster, its store and its clock, which outlive every operator."""

    def __init__(self) -> None:
        self.writes = Writes()
        self.kube = FakeKube(self.writes)
        self.store = FakeStore(self.writes)
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.exit_code = 0
        self.state: dict[str, Any] | None = None
        self.write_always = False
        self.writes_table = True
        self.files: tuple[FileWritten, ...] = ()
        """That the component leaves."""
        self.other_tables: tuple[TableWritten, ...] = ()
        """That the component leaves besides."""
        self.failing_inputs = 0
        """So many attempts, from the first, end before their component starts."""
        self.unread_pods = DEFAULT_MOST
        self.limits = Limits(events_wait=3, start_retry=10, publish_retry=15)
        self.max_running: int | None = None
        self.storage: dict[str, Any] = {}
        """Of the Storage's spec."""
        self.loader = FakeLoader(lambda: self.store.away, self.writes.done)
        self.catalogs = catalogs_of(cast("LoaderClient", self.loader))
        self.registry = RegistryClient(RegistrySettings())
        self.images = ImageSettings()
        self.builds = BuildSettings()
        self.build_objects = FakeBuildObjects()
        self.pod_settings = PodSettings()
        self.checker = cast("SchemaChecker", InProcessChecker())
        self.scope = Scope(ScopeMethod.FORM, "tried", versioned=True)
        """What the store would be found to do; it has no HTTP to try it with."""

    async def find_scope(self, _store: Store, _signer: Signer) -> Scope:
        return self.scope

    def add_run(self, name: str = "load", **spec: Any) -> Key:
        """A run of an image that writes one table."""
        full = {
            "image": "cleaner:1",
            "output": {"tables": [{"source": "result.csv", "destination": TABLE, "incremental": True}]},
            **spec,
        }
        body = {"apiVersion": API_VERSION, "kind": "ComponentRun", "metadata": {"name": name}, "spec": full}
        self.kube.put("componentruns", body)
        return Key(NAMESPACE, name)

    def run(self, name: str = "load") -> dict[str, Any]:
        return self.kube.objects["componentruns", NAMESPACE, name]

    def phase(self, name: str = "load") -> str | None:
        return cast("str | None", self.run(name).get("status", {}).get("phase"))

    async def kubelet(self) -> None:
        """Take every pod one step further."""
        for pod in self.kube.of("pods"):
            name = pod["metadata"]["name"]
            step = len(pod.get("status", {}).get("steps", ""))
            if step == 0 and 0 < _attempt_of(pod) <= self.failing_inputs:
                self._input_failed(name)
            elif step == 0 and ("secrets", NAMESPACE, name) in self.kube.objects:
                self._pod(name, "Running", step, component={"running": {"startedAt": self.text()}})
            elif step == 1:
                self._pod(name, "Running", step, component=self.ended(self.exit_code, "last words"))
            elif step == 2:
                result = await self.uploaded(pod)
                self._pod(
                    name,
                    "Succeeded" if self.exit_code == 0 else "Failed",
                    step,
                    component=self.ended(self.exit_code, "last words"),
                    stage_out=self.ended(0, to_json(result)),
                )

    async def uploaded(self, pod: dict[str, Any]) -> StageOutResult:
        """What stage-out leaves: a slice and its result."""
        uid = self.run(pod["metadata"]["name"].rpartition("-")[0])["metadata"]["uid"]
        layout = self.store.layout
        attempt = _attempt_of(pod)
        key = f"{layout.data(uid, attempt)}out.c-main/result/0.csv"
        etag = await self.store.agent_put(key, ROWS)
        table = TableWritten(
            source="result.csv",
            destination=TABLE,
            columns=("id", "name"),
            primary_key=(),
            incremental=True,
            write_always=self.write_always,
            slices=(SliceWritten(key, len(ROWS), 2, etag),),
            rows=2,
            size=len(ROWS),
        )
        tables = (*((table,) if self.writes_table else ()), *self.other_tables)
        result = StageOutResult(ok=True, tables=tables, files=self.files, state=self.state, rows=2, size=len(ROWS))
        await self.store.agent_put(layout.result(uid, attempt), to_json(result).encode())
        return StageOutResult(ok=True, rows=2, size=len(ROWS), always=int(self.write_always))

    def _input_failed(self, name: str) -> None:
        self._pod(name, "Failed", 10, component={"waiting": {"reason": "PodInitializing"}}, stage_out=self.ended(0, ""))
        failed = {"name": "stage-in", "state": self.ended(1, "")}
        others = self.kube.objects["pods", NAMESPACE, name]["status"]["initContainerStatuses"][:1]
        self.kube.change("pods", name, {"status": {"initContainerStatuses": [*others, failed]}})

    def _pod(
        self, name: str, phase: str, step: int, *, component: dict[str, Any], stage_out: dict[str, Any] | None = None
    ) -> None:
        stage_in = self.ended(0, to_json(StageInResult(ok=True)))
        running = {"running": {"startedAt": self.text()}}
        status = {
            "phase": phase,
            "steps": "x" * (step + 1),
            "initContainerStatuses": [
                {"name": "stage-out", "state": stage_out or running},
                {"name": "stage-in", "state": stage_in},
            ],
            "containerStatuses": [{"name": "component", "state": component, "imageID": "cleaner@sha256:1"}],
        }
        self.kube.change("pods", name, {"spec": {"nodeName": "node1"}, "status": status})

    def ended(self, code: int, message: str, started: str = "") -> dict[str, Any]:
        return {
            "terminated": {
                "exitCode": code,
                "reason": "Completed" if code == 0 else "Error",
                "message": message,
                "startedAt": started or self.text(),
                "finishedAt": self.text(),
            }
        }

    def text(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    async def rows(self, table: str) -> int | None:
        """Rows of a table; None where there is none."""
        found = self.loader.tables.get(table)
        return None if found is None else found.rows

    async def slices(self) -> list[str]:
        """Keys of all objects in the store."""
        return [meta["path"] for chunk in obstore.list(self.store._backend) for meta in chunk]


class FakeOperator:
    """One life of an operator in that world: its caches are empty when it starts."""

    def __init__(self, world: World, workers: int | None = None) -> None:
        self.world = world
        self.caches = Caches()
        self.queue: WorkQueue[Key] = WorkQueue(flow_of=Flows(self.caches.runs).of, workers=workers)
        self.queues = Queues(self.caches, self.queue.add, world.max_running)
        self.metrics = Metrics()
        self.unread = UnreadPods(self.queue.add, world.unread_pods)
        kube = cast("Kube", world.kube)
        self.opens = opens = FakeStores(world.store, world.storage)
        if self.world.scope.means is ScopeMethod.NONE and world.storage:
            status = status_of(opens.opened.storage, world.scope, world.now)
            opens.opened = replace(opens.opened, storage=opens.opened.storage.model_copy(update={"status": status}))
        stores = cast("Stores", opens)
        settings = StartSettings("agent:1", world.pod_settings, world.limits)
        writer = StatusWriter(kube, self.caches, self.metrics, "test")
        policies, references = Policies(kube, Resolver()), References(kube, self.caches)
        self.gate = StoreGate(self.queue, self.caches, references, self.metrics, self._clock)
        self.images = make_images(
            kube,
            self.caches,
            world.registry,
            world.images,
            self._clock,
            builds=world.builds,
            objects=world.build_objects,
            look=self.queue.add,
        )
        self.reconciler = Reconciler(
            kube,
            self.caches,
            self.queues,
            references,
            Starter(
                kube,
                self.caches,
                references,
                stores,
                Scopes(self._clock, world.find_scope),
                policies,
                settings,
                self._clock,
                self.gate,
                world.catalogs,
                self.images,
                world.checker,
            ),
            Publisher(stores, self._clock, self.gate, world.catalogs),
            writer,
            world.limits,
            self._clock,
            self.unread,
        )
        self._unheard: tuple[str, ...] = ()
        self._busy = False
        self._late: list[tuple[str, str, dict[str, Any]]] = []
        self._wakes: dict[Key, datetime] = {}
        self.resync = Resync(kube, self.caches, self.queue, self.metrics, ())

    def _clock(self) -> datetime:
        return self.world.now

    async def start(self) -> None:
        """Watch, and list everything."""
        self.world.kube.listener = self._hear
        await self.resync.everything(first=True)

    def _hear(self, kind: str, plural: str, obj: dict[str, Any]) -> None:
        if (
            plural not in {"componentruns", "pods", "components", "clustercomponents", "storages"}
            or plural in self._unheard
        ):
            return
        if self._busy:
            self._late.append((kind, plural, obj))
        else:
            take_in(self.caches, self.queue, plural, kind, obj)

    def catch_up(self) -> None:
        """Hear of everything that has happened so far, also in the middle of a reconcile."""
        late, self._late = self._late, []
        for kind, plural, obj in late:
            take_in(self.caches, self.queue, plural, kind, obj)

    @contextmanager
    def unheard(self, *plurals: str) -> Iterator[None]:
        """While this lasts, no event tells of objects of these kinds."""
        self._unheard = plurals
        yield
        self._unheard = ()

    async def work(self) -> None:
        """Reconcile until nothing is left to do now.

        As it is in a cluster: the answer to a write comes before the event that tells of it, and a run is looked at
        again when there is news of it or when it said so, and not else.
        """
        for _ in range(400):
            if not len(self.queue) and not self._wake_up():
                return
            key = await self.queue.get()
            self._wakes.pop(key, None)
            self._busy = True
            try:
                wake = await self.reconciler.reconcile(key)
                if wake is not None:
                    self._wakes[key] = self.world.now + timedelta(seconds=wake)
            except ConflictError:
                self.queue.add(key)
            except (RetryError, TransientError):
                self._wakes[key] = self.world.now + timedelta(seconds=1)
            finally:
                self._busy = False
                self.catch_up()
                self.queue.done(key)
                self.gate.release(key)
        raise AssertionError("the queue does not come to rest")

    def _wake_up(self) -> bool:
        """Have those looked at whose time has come; whether there are any."""
        soon = self.world.now + timedelta(milliseconds=60)
        due = [key for key, at in self._wakes.items() if at <= soon]
        for key in due:
            del self._wakes[key]
            self.queue.add(key)
        return bool(due)

    async def live(self, seconds: int = 30) -> None:
        """Start, and work for so many seconds of that world's time."""
        await self.start()
        await self.work()
        for _ in range(seconds):
            self.world.now += timedelta(seconds=1)
            await self.world.kubelet()
            await self.work()

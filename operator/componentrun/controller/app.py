"""The operator as a whole: what is made of what, and the order of starting and stopping.

start   health server -> API server answers -> CRDs are served -> everything is listed -> workers -> watches
stop    not ready -> workers finish what they hold -> watches end -> connections close
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import componentrun
from componentrun.api.common import API_VERSION, GROUP
from componentrun.controller.clockwatch import ClockWatch
from componentrun.controller.lease import Lease
from componentrun.controller.metrics import Metrics
from componentrun.controller.reconcile.policies import Policies, Resolver
from componentrun.controller.reconcile.publish import Publisher
from componentrun.controller.reconcile.queues import Queues
from componentrun.controller.reconcile.reconciler import Reconciler
from componentrun.controller.reconcile.start import Starter, StartSettings
from componentrun.controller.reconcile.statuswriter import StatusWriter
from componentrun.controller.reconcile.unreadpods import UnreadPods
from componentrun.controller.storages.cataloggate import CatalogGate
from componentrun.controller.storages.catalogtables import CatalogTables
from componentrun.controller.storages.gate import StoreGate
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.controller.storages.references import References
from componentrun.controller.storages.scopes import Scopes, StorageWatch
from componentrun.controller.storages.stores import Stores
from componentrun.controller.watching.caches import Caches, Key, RunCache
from componentrun.controller.watching.kopfwatch import STOP_SECONDS, KopfWatch, make_registry
from componentrun.controller.watching.resync import Resync
from componentrun.controller.watching.targets import make_watches
from componentrun.controller.work.flows import Flows
from componentrun.controller.work.queue import WorkQueue
from componentrun.controller.work.workers import Workers
from componentrun.process.fairqueue import Flow
from componentrun.process.kubernetes.client import Kube, connect
from componentrun.process.kubernetes.errors import KubeError, NotFoundError, UnavailableError
from componentrun.process.kubernetes.resources import COMPONENTS, RUNS, STORAGES
from componentrun.process.launch import listen_to_signals
from componentrun.process.serving.server import HealthServer

if TYPE_CHECKING:
    from componentrun.controller.settings import Settings

__all__ = ["Operator", "run"]

_log = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS: Final = 3.0
_STOP_SECONDS: Final = 20.0
"""For what the workers hold; less than the pod's own grace period of 30 s."""
_STORAGE_WORKERS: Final = 32
"""A store that does not answer holds one of them up for half a minute."""
_THREADS: Final = 512
"""For calls that block: addresses of hosts, token services, trying what a store can do. Threads are made as needed. The
default, four more than processors, would let a few stores or name servers that hang hold up everybody's."""


class Operator:
    """One operator process."""

    def __init__(self, settings: Settings, kube: Kube, metrics: Metrics, loader: LoaderClient) -> None:
        """Everything is made here; nothing is started."""
        self._settings = settings
        self._kube = kube
        self._metrics = metrics
        self._caches = caches = Caches(RunCache(settings.name))
        flows, workers = Flows(caches.runs), settings.workers
        self._queue: WorkQueue[Key] = WorkQueue(observer=metrics.queue, flow_of=flows.of, workers=workers)
        storages: WorkQueue[Key] = WorkQueue(flow_of=lambda key: Flow(key.namespace), workers=_STORAGE_WORKERS)
        caches.storages.listen(storages.add)
        self._queues = Queues(caches, self._look, settings.max_running)
        self._unread = UnreadPods(self._look, settings.unread_pods)
        self._stopping = asyncio.Event()
        self._waiting_for = "the start"
        self._watches = make_watches(kube, caches, self._queue, metrics, settings.process.namespaces)
        self._resync = Resync(kube, caches, self._queue, metrics, settings.process.namespaces)
        registry = partial(make_registry, caches, self._queue, metrics, kube)
        self._kopf = KopfWatch(registry, settings.process.namespaces, self._resync, self._stopping)
        unique = uuid.uuid4().hex[:8]
        identity = f"{socket.gethostname()}-{os.getpid()}-{unique}"
        references, scopes = References(kube, caches), Scopes(kube.clock.now)
        stores = Stores(kube, references, metrics, settings.store_timeouts)
        # As many as one namespace may have workers: none of its Storages could use more.
        slots = max(settings.workers // 2, 1)
        self._gate = gate = StoreGate(self._queue, caches, references, metrics, kube.clock.now, slots=slots)
        catalogs = CatalogTables(loader, CatalogGate(self._queue, kube.clock.now))
        self._reconciler = _reconciler(
            settings,
            kube,
            self._queues,
            caches,
            metrics,
            identity,
            references,
            stores,
            scopes,
            gate,
            self._unread,
            catalogs,
        )
        self._storages = StorageWatch(kube, caches.storages, stores, scopes, storages, kube.clock.now, gate, catalogs)
        self._workers = Workers(self._queue, self._reconciler, metrics, gate)
        self._lease: Lease | None = None
        if settings.lease is not None:
            pod = settings.lease.pod
            self._lease = Lease(kube, settings.lease, pod.identity(unique) if pod is not None else identity)
        self._leading: asyncio.Task[None] | None = None
        self._health = HealthServer(settings.process.host, settings.process.port, self._unready, self._render)

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT.

        Raises:
            PlatformError: the operator can't work here at all.
        """
        listen_to_signals(self._stopping)
        await self._health.start()
        serving = asyncio.create_task(self._serve(), name="serve")
        stopping = asyncio.create_task(self._stopping.wait(), name="stop signal")
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                _raise_first(serving.exception())
        finally:
            self._waiting_for = "the end"
            await self._workers.stop(_STOP_SECONDS)
            await self._hand_over()
            serving.cancel()
            stopping.cancel()
            await asyncio.wait({serving, stopping}, timeout=STOP_SECONDS)
            await self._health.stop()
            _log.info("stopped")

    async def _serve(self) -> None:
        await self._wait_for_api()
        await self._wait_for_crds()
        await self._first_listing()
        self._act(self._lease is None)
        self._workers.start()
        self._waiting_for = ""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kopf.run(), name="watch")
            for watch in self._watches:
                group.create_task(watch.run(), name="watch of runs or pods")
            group.create_task(self._workers.watch(), name="watch the workers")
            for number in range(_STORAGE_WORKERS):
                group.create_task(self._storages.work(), name=f"storages {number}")
            if self._lease is not None:
                self._leading = group.create_task(self._lead(self._lease), name="lease")
            group.create_task(self._resync_now_and_then(), name="resync")
            group.create_task(ClockWatch(self._kube, self._caches.runs, self._look).run(), name="clock")
            group.create_task(self._list_those_refused(), name="listing of namespaces that were refused")

    async def _lead(self, lease: Lease) -> None:
        """Stand by until the Lease is ours, then work while it is.

        Raises:
            LostError: it is ours no more.
        """
        await lease.acquire()
        self._act(True)
        # Also runs that are known by their pods only: they were deleted while nobody acted.
        for key in {*self._caches.runs.all_keys(), *self._caches.pods.all_keys()}:
            self._queue.add(key)
        try:
            await lease.hold()
        finally:
            self._act(False)

    async def _hand_over(self) -> None:
        """Give the Lease back, if we hold it. No renewal may come behind that, so renewing ends before."""
        if self._lease is None or self._leading is None:
            return
        held = self._reconciler.active
        self._leading.cancel()
        await asyncio.wait({self._leading})
        if held:
            await self._lease.release()

    def _act(self, active: bool) -> None:  # noqa: FBT001 - a state, not a switch
        self._reconciler.active = self._storages.active = active
        if active:
            self._storages.look_at_all()
        self._metrics.leads(active)

    async def _wait_for_api(self) -> None:
        self._waiting_for = f"the API server at {self._kube.host}"
        while True:
            try:
                version = await self._kube.request("GET", "/version")
            except UnavailableError as error:
                _log.warning("waiting for %s: %s", self._waiting_for, error.message)
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
            else:
                _log.info("API server %s, Kubernetes %s", self._kube.host, version.get("gitVersion", "?"))
                return

    async def _wait_for_crds(self) -> None:
        self._waiting_for = f"the custom resources of {API_VERSION}"
        wanted = {RUNS.plural, f"{RUNS.plural}/status", COMPONENTS.plural, STORAGES.plural}
        while missing := wanted - await self._served():
            _log.warning(
                "waiting for %s: the API server does not serve %s; install the CRDs (`kubectl apply -f crds/`)",
                self._waiting_for,
                ", ".join(sorted(missing)),
            )
            await asyncio.sleep(_ASK_AGAIN_SECONDS)

    async def _served(self) -> set[str]:
        """Names of the resources that are served in our version."""
        try:
            document = await self._kube.request("GET", f"/apis/{API_VERSION}")
        except NotFoundError:
            return set()
        except UnavailableError as error:
            _log.warning("the API server does not answer: %s", error.message)
            return set()
        return {str(item["name"]) for item in document.get("resources") or []}

    async def _first_listing(self) -> None:
        self._waiting_for = "the first listing"
        while True:
            try:
                await self._resync.everything(first=True, watches=self._watches)
            except KubeError as error:
                _log.warning("waiting for %s: %s", self._waiting_for, error.message)
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
            else:
                break
        where = ", ".join(self._settings.process.namespaces) or "all namespaces"
        _log.info(
            "componentrun %s watches %s in %s: %d runs, %d pods, %d Components, %d Storages",
            componentrun.__version__,
            GROUP,
            where,
            len(self._caches.runs),
            len(self._caches.pods),
            len(self._caches.components),
            len(self._caches.storages),
        )

    async def _resync_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync_seconds)
            try:
                await self._resync.everything()
            except KubeError as error:
                _log.warning("listing failed, again in %.0f s: %s", self._settings.resync_seconds, error.message)

    async def _list_those_refused(self) -> None:
        """Rights in a namespace may come a moment later than the operator."""
        while self._caches.unlisted:
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
            with contextlib.suppress(KubeError):  # it is asked again
                await self._resync.late()

    def _unready(self) -> str:
        if self._waiting_for:
            return f"waiting for {self._waiting_for}"
        if not self._kopf.working or not all(watch.synced for watch in self._watches):
            return "waiting for the watches"
        return "" if self._workers.running else "a worker ended"

    def _look(self, key: Key) -> None:
        """Something has changed for a run: what it tried in vain before is tried again at once."""
        self._queue.forget(key)
        self._queue.add(key)

    def _render(self) -> bytes:
        self._metrics.set_runs(self._caches.runs.by_phase)
        self._metrics.set_waiting(self._queues.counts())
        self._metrics.set_unsupported(len(self._caches.runs.unsupported))
        self._metrics.set_store_waiting(self._gate.waiting)
        oldest, now = self._unread.oldest, self._kube.clock.now()
        self._metrics.set_unread(len(self._unread), 0.0 if oldest is None else (now - oldest).total_seconds())
        return self._metrics.render()


def _raise_first(error: BaseException | None) -> None:
    """Raise what ended the operator, without the group that its tasks were in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error


def _reconciler(
    settings: Settings,
    kube: Kube,
    queues: Queues,
    caches: Caches,
    metrics: Metrics,
    identity: str,
    references: References,
    stores: Stores,
    scopes: Scopes,
    gate: StoreGate,
    unread: UnreadPods,
    catalogs: CatalogTables,
) -> Reconciler:
    policies = Policies(kube, Resolver(), settings.dns_cidrs, settings.ip_versions)
    start = StartSettings(settings.agent_image, settings.pod, settings.limits)
    return Reconciler(
        kube,
        caches,
        queues,
        references,
        Starter(kube, caches, references, stores, scopes, policies, start, kube.clock.now, gate, catalogs),
        Publisher(stores, kube.clock.now, gate, catalogs),
        StatusWriter(kube, caches, metrics, identity),
        settings.limits,
        kube.clock.now,
        unread,
    )


async def run(settings: Settings) -> None:
    """Connect and work until a signal comes."""
    metrics = Metrics()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="blocking"))
    async with await connect(metrics) as kube, LoaderClient(settings.loader) as loader:
        metrics.observe_clock(kube.clock)
        await Operator(settings, kube, metrics, loader).run()

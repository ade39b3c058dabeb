"""The operator as a whole: builds its parts, starts them in order, and stops them in order.

start   health server -> API server responds -> CRDs are served -> first listing -> workers -> watches
stop    not ready -> workers finish their runs -> watches end -> connections close
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import componentrun
from componentrun.api.common import API_VERSION, GROUP
from componentrun.controller.builds.builds import Builds
from componentrun.controller.builds.seen import BuildsSeen
from componentrun.controller.builds.starts import BuildStarts
from componentrun.controller.builds.unread import UnreadBuilds
from componentrun.controller.clockwatch import ClockWatch
from componentrun.controller.components.checks import ComponentChecks
from componentrun.controller.handlers import Context
from componentrun.controller.images.resolving import make_images
from componentrun.controller.images.tagchecks import TagChecks
from componentrun.controller.kopfrunner import STOP_SECONDS, KopfRunner
from componentrun.controller.lease import Lease
from componentrun.controller.metrics import Metrics
from componentrun.controller.prepull.prepulls import PrePulls
from componentrun.controller.reconcile.policies import Policies, Resolver
from componentrun.controller.reconcile.publish import Publisher
from componentrun.controller.reconcile.queues import Queues
from componentrun.controller.reconcile.reconciler import Reconciler
from componentrun.controller.reconcile.start import Starter, StartSettings
from componentrun.controller.reconcile.statuswriter import StatusWriter
from componentrun.controller.reconcile.unreadpods import UnreadPods
from componentrun.controller.schemacheck.checker import SchemaChecker
from componentrun.controller.storages.cataloggate import CatalogGate
from componentrun.controller.storages.catalogtables import CatalogTables
from componentrun.controller.storages.checks import StorageChecks
from componentrun.controller.storages.gate import StoreGate
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.controller.storages.references import References
from componentrun.controller.storages.scopes import Scopes
from componentrun.controller.storages.stores import Stores
from componentrun.controller.watching.caches import Caches, Key, RunCache
from componentrun.controller.watching.podwatch import make_pod_watches
from componentrun.controller.watching.resync import Relists, Resync
from componentrun.controller.work.flows import Flows
from componentrun.controller.work.queue import WorkQueue
from componentrun.controller.work.workers import Workers
from componentrun.process.garbage import spare_present_objects
from componentrun.process.kubernetes.client import Kube, connect
from componentrun.process.kubernetes.errors import KubeError, NotFoundError, UnavailableError
from componentrun.process.kubernetes.resources import BUILDS, CLUSTER_COMPONENTS, COMPONENTS, RUNS, STORAGES
from componentrun.process.launch import listen_to_signals
from componentrun.process.serving.server import HealthServer
from componentrun.registry.client import RegistryClient

if TYPE_CHECKING:
    from componentrun.controller.images.resolving import Images
    from componentrun.controller.settings import Settings

__all__ = ["Operator", "run"]

_log = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS: Final = 3.0
_STOP_SECONDS: Final = 20.0
"""Time for the workers to finish; less than the pod's own grace period of 30 s."""
_THREADS: Final = 512
"""Threads for blocking calls: name resolution, token services, probes of stores. They are created on demand. With the
default, the number of processors plus four, a few unresponsive stores or name servers would block all others."""


class Operator:
    """One operator process."""

    def __init__(
        self, settings: Settings, kube: Kube, metrics: Metrics, loader: LoaderClient, registry: RegistryClient
    ) -> None:
        """Build all parts, but start none."""
        self._settings = settings
        self._kube = kube
        self._metrics = metrics
        namespaces = settings.watched_namespaces
        self._caches = caches = Caches(
            RunCache(settings.operator_name or ""), shard=settings.shard, uses_cluster_components=not namespaces
        )
        flows, workers = Flows(caches.runs), settings.workers
        self._queue: WorkQueue[Key] = WorkQueue(observer=metrics.queue, flow_of=flows.of, workers=workers)
        self._queues = Queues(caches, self._look, settings.max_running or None)
        self._unread = UnreadPods(self._look, settings.shard.share(settings.unread_pods))
        self._stopping = asyncio.Event()
        self._waiting_for = "the start"
        self._watches = make_pod_watches(kube, caches, self._queue, metrics, namespaces)
        self._resync = Resync(kube, caches, self._queue, metrics, namespaces)
        self._relists = Relists()
        unique = uuid.uuid4().hex[:8]
        identity = f"{socket.gethostname()}-{os.getpid()}-{unique}"
        references, scopes = References(kube, caches), Scopes(kube.clock.now)
        stores = Stores(kube, references, metrics, settings.store_timeouts)
        # One namespace gets at most half of the workers, so its Storages could not use more slots.
        slots = max(settings.workers // 2, 1)
        self._gate = gate = StoreGate(self._queue, caches, references, metrics, kube.clock.now, slots=slots)
        catalogs = CatalogTables(loader, CatalogGate(self._queue, kube.clock.now))
        self._checker = SchemaChecker()
        builds_seen = BuildsSeen(kube, settings.shard, namespaces, settings.operator_name)
        images = make_images(
            kube, caches, registry, settings.images, settings.image_builds, builds_seen, self._look, kube.clock.now
        )
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
            images,
            self._checker,
        )
        self._component_checks = ComponentChecks(kube, caches, references, self._checker, kube.clock.now)
        look = self._component_checks.look
        self._tag_checks = TagChecks(kube, caches, references, registry, settings.images, look)
        self._pre_pulls = PrePulls(
            kube, caches, references, images, settings.pre_pulls, metrics, kube.clock.now, namespaces
        )
        self._build_starts = BuildStarts(kube, caches, references, images, builds_seen, settings.operator_name)
        unread_builds = UnreadBuilds(caches.runs, settings.limits.events_wait, kube.clock.now)
        self._builds = Builds(
            kube,
            builds_seen,
            references,
            settings.image_builds,
            metrics,
            kube.clock.now,
            settings.allowed_registries,
            lambda key, build: images.built.is_wanted(key, build) or self._build_starts.wants(key, build),
            unread_builds,
        )
        self._checks = StorageChecks(kube, caches.storages, stores, scopes, kube.clock.now, gate, catalogs)
        context = Context(kube, caches, self._queue, metrics, self._checks, self._relists)
        self._kopf = KopfRunner(context, namespaces, self._stopping)
        self._workers = Workers(self._queue, self._reconciler, metrics, gate)
        self._lease: Lease | None = None
        if settings.leader_election is not None:
            pod = settings.leader_election.pod
            self._lease = Lease(kube, settings.leader_election, pod.identity(unique) if pod is not None else identity)
        self._reconciler.active = self._lease is None
        self._leading: asyncio.Task[None] | None = None
        self._health = HealthServer(settings.listen_address, settings.port, self._unready, self._render)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            PlatformError: the operator can't work in this environment.
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
            await self._checker.close()
            await self._health.stop()
            _log.info("stopped")

    async def _serve(self) -> None:
        await self._wait_for_api()
        await self._wait_for_crds()
        await self._first_listing()
        spare_present_objects()
        self._act(self._lease is None)
        self._workers.start()
        self._waiting_for = ""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kopf.run(), name="kopf")
            for watch in self._watches:
                group.create_task(watch.run(), name="watch of pods")
            group.create_task(self._workers.watch(), name="watch the workers")
            group.create_task(self._component_checks.run(), name="checks of Components")
            group.create_task(self._tag_checks.run(self._settings.registry_tag_check_seconds), name="checks of tags")
            group.create_task(self._pre_pulls.run(), name="images on nodes")
            group.create_task(self._builds.run(), name="builds")
            group.create_task(self._build_starts.run(), name="starts of builds")
            if self._lease is not None:
                self._leading = group.create_task(self._lead(self._lease), name="lease")
            group.create_task(self._resync_regularly(), name="resync")
            group.create_task(ClockWatch(self._kube, self._caches.runs, self._look).run(), name="clock")
            group.create_task(self._list_those_refused(), name="listing of namespaces that were refused")

    async def _lead(self, lease: Lease) -> None:
        """Stand by until this operator holds the Lease, then work for as long as it does.

        Raises:
            LostError: the Lease was lost.
        """
        await lease.acquire()
        self._act(True)
        # Include runs known only by their pods: they were deleted while no operator was active.
        for key in {*self._caches.runs.all_keys(), *self._caches.pods.all_keys()}:
            self._queue.add(key)
        try:
            await lease.hold()
        finally:
            self._act(False)

    async def _hand_over(self) -> None:
        """Release the Lease, if held. Renewals stop first, because a renewal after the release would take it again."""
        if self._lease is None or self._leading is None:
            return
        held = self._reconciler.active
        self._leading.cancel()
        await asyncio.wait({self._leading})
        if held:
            await self._lease.release()

    def _act(self, active: bool) -> None:  # noqa: FBT001 - a state, not a switch
        self._reconciler.active = active
        self._checks.activate(active)
        self._component_checks.activate(active)
        self._tag_checks.activate(active)
        self._pre_pulls.activate(active)
        self._builds.activate(active)
        self._build_starts.activate(active)
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
        if self._caches.uses_cluster_components:
            wanted.add(CLUSTER_COMPONENTS.plural)
        if self._settings.builds:
            wanted.add(BUILDS.plural)
        while missing := wanted - await self._served():
            _log.warning(
                "waiting for %s: the API server does not serve %s; install the CRDs (`kubectl apply -f crds/`)",
                self._waiting_for,
                ", ".join(sorted(missing)),
            )
            await asyncio.sleep(_ASK_AGAIN_SECONDS)

    async def _served(self) -> set[str]:
        """Names of the resources that the API server serves in this API version."""
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
        shard = self._settings.shard
        where = ", ".join(self._settings.watched_namespaces) or "all namespaces"
        if shard.count > 1:
            where += f" that belong to shard {shard.number} of {shard.count}"
        _log.info(
            "componentrun %s watches %s in %s: %d runs, %d pods, %d Components, %d ClusterComponents, %d Storages",
            componentrun.__version__,
            GROUP,
            where,
            len(self._caches.runs),
            len(self._caches.pods),
            len(self._caches.components),
            len(self._caches.cluster_components),
            len(self._caches.storages),
        )

    async def _resync_regularly(self) -> None:
        """Resync at an interval, and after each listing by kopf, which does not report objects deleted before it."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.resync_seconds):
                    await self._relists.wait()
            try:
                await self._resync.everything()
            except KubeError as error:
                _log.warning("listing failed, again in %.0f s: %s", self._settings.resync_seconds, error.message)

    async def _list_those_refused(self) -> None:
        """List the namespaces whose first listing was refused: permissions may be granted after the operator starts."""
        while self._caches.unlisted:
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
            with contextlib.suppress(KubeError):  # retried later
                await self._resync.late()

    def _unready(self) -> str:
        if self._waiting_for:
            return f"waiting for {self._waiting_for}"
        if not self._kopf.is_running or not all(watch.synced for watch in self._watches):
            return "waiting for the watches"
        return "" if self._workers.running else "a worker ended"

    def _look(self, key: Key) -> None:
        """Reconcile a run at once, regardless of its backoff, because something has changed for it."""
        self._queue.forget(key)
        self._queue.add(key)

    def _render(self) -> bytes:
        # The runs of a standby are those of its leader, and must not be counted twice.
        is_active = self._reconciler.active
        self._metrics.set_runs(self._caches.runs.by_phase if is_active else {})
        self._metrics.set_waiting(self._queues.counts() if is_active else {})
        self._metrics.set_unsupported(len(self._caches.runs.unsupported))
        self._metrics.set_store_waiting(self._gate.waiting)
        oldest, now = self._unread.oldest, self._kube.clock.now()
        self._metrics.set_unread(len(self._unread), 0.0 if oldest is None else (now - oldest).total_seconds())
        return self._metrics.render()


def _raise_first(error: BaseException | None) -> None:
    """Raise the error that ended the operator, unwrapped from its task group."""
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
    images: Images,
    checker: SchemaChecker,
) -> Reconciler:
    policies = Policies(kube, Resolver(), settings.dns_cidrs, frozenset(settings.ip_versions))
    start = StartSettings(settings.agent_image, settings.pod, settings.limits)
    return Reconciler(
        kube,
        caches,
        queues,
        references,
        Starter(
            kube, caches, references, stores, scopes, policies, start, kube.clock.now, gate, catalogs, images, checker
        ),
        Publisher(stores, kube.clock.now, gate, catalogs),
        StatusWriter(kube, caches, metrics, identity),
        settings.limits,
        kube.clock.now,
        unread,
    )


async def run(settings: Settings) -> None:
    """Connect, then run until a signal arrives."""
    metrics = Metrics(settings.shard)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="blocking"))
    async with (
        await connect(metrics) as kube,
        LoaderClient(settings.loader) as loader,
        RegistryClient(settings.registries) as registry,
    ):
        metrics.observe_clock(kube.clock)
        await Operator(settings, kube, metrics, loader, registry).run()

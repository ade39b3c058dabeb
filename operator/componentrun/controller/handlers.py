"""The handlers that kopf calls: events of the four kinds of resources, and a daemon for each Storage.

An event updates a cache and queues a run; handlers make no decisions. They return None, so kopf writes nothing to the
objects. Pods, which change most often, have a watch of their own (`watching.podwatch`, decision 0068).
"""

from __future__ import annotations

import itertools
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

import kopf

from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.watching.events import take_in
from componentrun.process.kubernetes.access.proxy import proxy_url
from componentrun.process.kubernetes.eventerrors import EventErrors, name_of
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, RUNS, STORAGES, Resource

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

    from componentrun.controller.metrics import Metrics
    from componentrun.controller.storages.checks import StorageChecks
    from componentrun.controller.watching.resync import Relists
    from componentrun.controller.work.queue import WorkQueue
    from componentrun.process.kubernetes.access.access import Access
    from componentrun.process.kubernetes.access.credentials import Certificate, Credential
    from componentrun.process.kubernetes.client import Kube

__all__ = ["Context", "registry"]

_CLUSTER_COMPONENT_EVENT: Final = "cluster-component-event"
_CONNECT_SECONDS: Final = 10.0
_REQUEST_SECONDS: Final = 60.0
_LIST_CHUNK: Final = 500
_FIRST_PAUSES: Final = (0.5, 1.0, 2.0)
_LONGEST_PAUSE: Final = 3.0
_LISTED_SECONDS: Final = 0.1
"""How long kopf keeps a task and the last event of a listed object: the first listing may contain 11,000 runs."""
_CHANGED_SECONDS: Final = 5.0
"""How long it keeps them for a changed object: the next change of a run then needs no new task (decision 0082)."""
_DEFECT_SECONDS: Final = 15.0
"""Pause before a Storage is checked again after an unexpected error."""
_CANCEL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Context:
    """State of the handlers; kopf passes it to them as `memo`."""

    kube: Kube
    caches: Caches
    queue: WorkQueue[Key]
    """Work queue of runs."""
    metrics: Metrics
    checks: StorageChecks
    relists: Relists
    credentials: list[Credential] = field(default_factory=list)
    """The credential that kopf was given last."""
    settings: list[kopf.OperatorSettings] = field(default_factory=list)
    """The settings of the kopf that runs now."""

    def keep_tasks(self, seconds: float) -> None:
        """Set how long kopf keeps the task of an object after its last event."""
        for settings in self.settings:
            settings.queueing.idle_timeout = seconds

    def __copy__(self) -> Self:
        """Return itself: kopf copies the memo for each object, but all objects share it."""
        return self


@dataclass(frozen=True, kw_only=True)
class _Connection(kopf.ConnectionInfo):
    """The operator's own access to the API server, in kopf's form, with the TLS settings of the operator's client."""

    access: Access
    certificate: Certificate | None

    def as_ssl_context(self) -> ssl.SSLContext:
        """Return the TLS settings."""
        return self.access.tls(self.certificate)


def _owns(namespace: str | None, memo: Context, **_: Any) -> bool:
    """Whether an object is in a namespace of this shard."""
    return memo.caches.shard.owns(namespace or "")


@kopf.on.startup(id="settings")
async def configure(settings: kopf.OperatorSettings, memo: Context, **_: Any) -> None:
    """Configure kopf to watch only, and to write nothing."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True  # decision 0053: a Lease selects the active operator
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = kopf.MultiProgressStorage([])
    memo.settings[:] = [settings]
    memo.keep_tasks(_LISTED_SECONDS)
    settings.queueing.exit_timeout = 0.5
    # The process ends by itself; otherwise kopf would kill it ten minutes after its watches were restarted.
    settings.process.ultimate_exiting_timeout = None
    settings.networking.connect_timeout = _CONNECT_SECONDS
    settings.networking.request_timeout = _REQUEST_SECONDS
    settings.networking.error_backoffs = _Backoffs()
    settings.watching.connect_timeout = _CONNECT_SECONDS
    settings.watching.chunk_size = _LIST_CHUNK
    settings.background.instant_exit_timeout = 0.1


@kopf.on.login(id="login", backoff=_LONGEST_PAUSE)
async def login(memo: Context, **_: Any) -> kopf.ConnectionInfo:
    """Connect with the operator's own credential; called again when the API server rejects it."""
    for refused in memo.credentials:
        memo.kube.access.credentials.discard(refused)
    memo.credentials[:] = [await memo.kube.credential()]
    access, credential = memo.kube.access, memo.credentials[0]
    return _Connection(
        server=access.server,
        token=credential.token or None,
        proxy_url=proxy_url(access.server, access.proxy_url),
        expiration=credential.expires_at,
        access=access,
        certificate=credential.certificate,
    )


@kopf.on.event(RUNS.group, RUNS.version, RUNS.plural, id="run-event")
async def run_event(event: kopf.RawEvent, memo: Context, **_: Any) -> None:
    """Update the cache of runs, and queue the run if it has changed."""
    if not _apply(event, memo, RUNS):
        # The cache may be partially updated.
        memo.queue.add(Key.of(event["object"]))


@kopf.on.event(COMPONENTS.group, COMPONENTS.version, COMPONENTS.plural, id="component-event")
async def component_event(event: kopf.RawEvent, memo: Context, **_: Any) -> None:
    """Update the cache of Components, which runs read when they start."""
    _apply(event, memo, COMPONENTS)


@kopf.on.event(
    CLUSTER_COMPONENTS.group, CLUSTER_COMPONENTS.version, CLUSTER_COMPONENTS.plural, id=_CLUSTER_COMPONENT_EVENT
)
async def cluster_component_event(event: kopf.RawEvent, memo: Context, **_: Any) -> None:
    """Update the cache of ClusterComponents, which runs of all namespaces read when they start."""
    _apply(event, memo, CLUSTER_COMPONENTS)


@kopf.on.event(STORAGES.group, STORAGES.version, STORAGES.plural, id="storage-event")
async def storage_event(event: kopf.RawEvent, memo: Context, **_: Any) -> None:
    """Update the cache of Storages, which wakes the Storage's daemon."""
    _apply(event, memo, STORAGES)


@kopf.daemon(
    STORAGES.group,
    STORAGES.version,
    STORAGES.plural,
    id="storage-checks",
    when=_owns,
    backoff=_DEFECT_SECONDS,
    cancellation_timeout=_CANCEL_SECONDS,
)
async def check_storage(namespace: str | None, name: str, uid: str, memo: Context, **_: Any) -> None:
    """Check what a Storage's store and catalog support, for as long as the Storage exists."""
    await memo.checks.run(Key(namespace or "", name), uid)


def _apply(event: kopf.RawEvent, memo: Context, resource: Resource) -> bool:
    """Apply an event to the caches. Returns False after an error, which is logged, counted, and affects one object."""
    memo.metrics.watch_event(resource.plural)
    is_listed = event["type"] is None
    memo.keep_tasks(_LISTED_SECONDS if is_listed else _CHANGED_SECONDS)
    if is_listed:
        memo.relists.note()
    document: Any = event["object"]
    uid = document["metadata"]["uid"]
    errors = EventErrors(resource.plural, memo.metrics)
    with errors.of(uid, name_of(document)):
        take_in(memo.caches, memo.queue, resource.plural, event["type"], document)
    return uid not in errors.failed


class _NoDiffBase(kopf.DiffBaseStorage):
    """Stores no last state: no handler needs a diff, and computing one takes a third of kopf's time for each event."""

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002 - kopf's signature
        """Return None, because nothing is stored."""
        return None

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002 - kopf's signature
        """Return nothing to compare."""
        return kopf.BodyEssence()

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Store nothing."""


class _Backoffs:
    """Seconds between attempts of a request, without end: kopf would stop all watches after the last attempt.

    A namespace with missing permissions, or an API server that is down for minutes, must not end all watches.
    """

    def __iter__(self) -> Iterator[float]:
        """Start a new sequence for each request."""
        return itertools.chain(_FIRST_PAUSES, itertools.repeat(_LONGEST_PAUSE))


def _without_finalizers(registry: kopf.OperatorRegistry) -> None:
    """Keep kopf from adding finalizers to Storages.

    kopf blocks the deletion of an object with a daemon until the daemon has ended. So without a running operator, no
    Storage, and no namespace that contains one, could be deleted. The operator would also need permission to patch
    specs. The daemon ends by itself when its Storage is deleted. kopf has no option for this.
    """
    handlers = registry._spawning._handlers  # noqa: SLF001 - see above
    handlers[:] = [replace(handler, requires_finalizer=False) for handler in handlers]


_without_finalizers(kopf.get_default_registry())


def registry(*, cluster_components: bool) -> kopf.OperatorRegistry:
    """The handlers, with or without that of ClusterComponents. kopf watches what there are handlers for."""
    whole = kopf.get_default_registry()
    if cluster_components:
        return whole
    part = copy(whole)
    part._watching = watching = copy(whole._watching)  # noqa: SLF001 - kopf registers handlers, and does not remove them
    watching._handlers = [handler for handler in watching._handlers if handler.id != _CLUSTER_COMPONENT_EVENT]  # noqa: SLF001 - see above
    return part

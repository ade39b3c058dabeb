"""What an event does: it updates a cache and puts a key on the queue. And kopf, which tells of Components and Storages.

Handlers return None and have explicit ids; there are none that would make kopf write to the objects (no finalizers, no
progress annotations, no diff base).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import kopf

from componentrun.controller.caches import Caches, Key, run_of_pod
from componentrun.process.resources import COMPONENTS, PODS, RUNS, STORAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from componentrun.controller.metrics import Metrics
    from componentrun.controller.workqueue import WorkQueue
    from componentrun.process.kube import Kube

__all__ = ["DELETED", "make_registry", "make_settings", "take_in"]

log = logging.getLogger(__name__)

DELETED = "DELETED"
"""Kind of the event that tells of an object's end."""
_CONNECT_SECONDS = 10.0
_REQUEST_SECONDS = 60.0
_LIST_CHUNK = 500
_PAUSES = (0.5, 1, 2, *[3] * 10)
"""Between tries while the API server is away; after the last one kopf begins anew."""


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing: without handlers that need a difference, building one is a third of kopf's time for an event."""

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002 - kopf's signature
        """Nothing was stored."""
        return None

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002 - likewise
        """Nothing to compare."""
        return kopf.BodyEssence()

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is stored."""


def make_settings() -> kopf.OperatorSettings:
    """Kopf's settings: it only watches."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.queueing.idle_timeout = 1.0  # a task for each object that changed within this time
    settings.queueing.exit_timeout = 0.5
    # Ending is ours; kopf would kill the process ten minutes after its watches were started again.
    settings.process.ultimate_exiting_timeout = None
    settings.networking.connect_timeout = _CONNECT_SECONDS
    settings.networking.request_timeout = _REQUEST_SECONDS
    settings.networking.error_backoffs = _PAUSES
    settings.watching.connect_timeout = _CONNECT_SECONDS
    settings.watching.chunk_size = _LIST_CHUNK
    return settings


def take_in(caches: Caches, queue: WorkQueue[Key], plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
    """Let an event change a cache, and have the run that it is about looked at if it did.

    Args:
        caches: what was seen last.
        queue: of runs.
        plural: the resource.
        kind: ADDED, MODIFIED, DELETED; None for an object that was listed.
        obj: the object as the API server sent it.
    """
    key, uid, gone = Key.of(obj), obj["metadata"]["uid"], kind == DELETED
    match plural:
        case RUNS.plural:
            if caches.runs.gone(key, uid) if gone else caches.runs.seen(obj):
                queue.add(key)
        case PODS.plural:
            run = run_of_pod(obj)
            if (caches.pods.deleted(obj) if gone else caches.pods.seen(obj)) and run is not None:
                queue.add(run)
        case COMPONENTS.plural | STORAGES.plural:
            # What runs only refer to: nothing is started by its change.
            cache = caches.components if plural == COMPONENTS.plural else caches.storages
            if gone:
                cache.gone(key, uid)
            else:
                cache.seen(obj)
        case _:
            raise ValueError(f"an event of {plural}, which is not watched")


def make_registry(caches: Caches, queue: WorkQueue[Key], metrics: Metrics, kube: Kube) -> kopf.OperatorRegistry:
    """Kopf's handlers for these caches and this queue."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, id="login")
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection_info(kube)

    # Runs and pods, of which there are many, are watched without kopf: see `targets`.
    for resource in (COMPONENTS, STORAGES):
        handler = _handler(resource.plural, caches, queue, metrics)
        kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=resource.plural)(handler)
    return registry


def _handler(plural: str, caches: Caches, queue: WorkQueue[Key], metrics: Metrics) -> Callable[..., Any]:
    async def handle(event: kopf.RawEvent, **_: Any) -> None:
        metrics.watch_event(plural)
        obj: Any = event["object"]
        take_in(caches, queue, plural, event["type"], obj)

    return handle


async def _connection_info(kube: Kube) -> kopf.ConnectionInfo:
    """How our own client reaches the API server; kopf asks again when its token is refused."""
    kube.reload_token()
    configuration = kube.configuration
    header = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
    scheme, _, token = header.rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme=scheme.capitalize() or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
    )

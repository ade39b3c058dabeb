"""kopf's side: it watches, and every event updates a cache and puts a key on the queue. Nothing else happens here.

Handlers return None and have explicit ids; there are none that would make kopf write to the objects (no finalizers, no
progress annotations, no diff base).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import kopf

from componentrun.api import names
from componentrun.api.common import GROUP, VERSION
from componentrun.controller.caches import Caches, Key, run_of_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from componentrun.controller.kube import Kube
    from componentrun.controller.metrics import Metrics
    from componentrun.controller.workqueue import WorkQueue

__all__ = ["make_registry", "make_settings"]

log = logging.getLogger(__name__)

_DELETED = "DELETED"
_CONNECT_SECONDS = 10.0
_REQUEST_SECONDS = 60.0
_LIST_CHUNK = 500


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing: without handlers that need a difference, building one is a third of kopf's time for an event."""

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002 - kopf's signature
        """Nothing was stored."""
        return None

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002
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
    settings.networking.connect_timeout = _CONNECT_SECONDS
    settings.networking.request_timeout = _REQUEST_SECONDS
    settings.watching.connect_timeout = _CONNECT_SECONDS
    settings.watching.chunk_size = _LIST_CHUNK
    settings.watching.label_selectors["", "v1", "pods"] = names.RUN_LABEL
    return settings


def make_registry(caches: Caches, queue: WorkQueue[Key], metrics: Metrics, kube: Kube) -> kopf.OperatorRegistry:
    """Kopf's handlers for these caches and this queue."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, id="login")
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection_info(kube)

    @kopf.on.event(GROUP, VERSION, "componentruns", registry=registry, id="runs")
    async def run_event(event: kopf.RawEvent, **_: Any) -> None:
        metrics.watch_event("componentruns")
        obj: Any = event["object"]
        key = Key.of(obj)
        changed = caches.runs.gone(key, obj["metadata"]["uid"]) if event["type"] == _DELETED else caches.runs.seen(obj)
        if changed:
            queue.add(key)

    @kopf.on.event("", "v1", "pods", labels={names.RUN_LABEL: kopf.PRESENT}, registry=registry, id="pods")
    async def pod_event(event: kopf.RawEvent, **_: Any) -> None:
        metrics.watch_event("pods")
        obj: Any = event["object"]
        changed = caches.pods.deleted(obj) if event["type"] == _DELETED else caches.pods.seen(obj)
        run = run_of_pod(obj)
        if changed and run is not None:
            queue.add(run)

    for plural, cache in (("components", caches.components), ("storages", caches.storages)):
        handler = _cache_only(cache, plural, metrics)
        kopf.on.event(GROUP, VERSION, plural, registry=registry, id=plural)(handler)
    return registry


def _cache_only(cache: Any, plural: str, metrics: Metrics) -> Callable[..., Any]:
    """A handler for what runs only refer to: nothing is started by its change."""

    async def handle(event: kopf.RawEvent, **_: Any) -> None:
        metrics.watch_event(plural)
        obj: Any = event["object"]
        if event["type"] == _DELETED:
            cache.gone(Key.of(obj), obj["metadata"]["uid"])
        else:
            cache.seen(obj)

    return handle


async def _connection_info(kube: Kube) -> kopf.ConnectionInfo:
    """How our own client reaches the API server; kopf asks again when its token is refused."""
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

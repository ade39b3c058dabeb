"""Kopf, which watches Components and Storages: it is run for as long as the operator works.

Its handlers return None and have explicit ids; there are none that would make kopf write to the objects (no finalizers,
no progress annotations, no diff base).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import kopf

from componentrun.controller.watching.handlers import take_in
from componentrun.process.kubernetes.errors import KubeError
from componentrun.process.kubernetes.eventerrors import EventErrors, name_of
from componentrun.process.kubernetes.resources import COMPONENTS, STORAGES
from componentrun.process.launch import listen_to_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from componentrun.controller.metrics import Metrics
    from componentrun.controller.watching.caches import Caches, Key
    from componentrun.controller.watching.resync import Resync
    from componentrun.controller.work.queue import WorkQueue
    from componentrun.process.kubernetes.client import Kube

__all__ = ["STOP_SECONDS", "KopfWatch", "make_registry", "make_settings"]

_log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 1.0
_HELD_SECONDS: Final = 60.0
"""Watches that lasted this long were fine; the next pause is a short one again."""
_LONGEST_PAUSE_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0
"""For watches that are told to end."""
_CONNECT_SECONDS: Final = 10.0
_REQUEST_SECONDS: Final = 60.0
_LIST_CHUNK: Final = 500
_PAUSES: Final = (0.5, 1, 2, *[3] * 10)
"""Between tries while the API server is away; after the last one kopf begins anew."""
_IDENTITY: Final[Any] = socket.gethostname()
"""kopf would ask for a user name, and the container's uid has none."""


class KopfWatch:
    """Runs kopf; starts it again where it ends, which it does after errors that it finds unrecoverable."""

    def __init__(
        self,
        make_registry: Callable[[], kopf.OperatorRegistry],
        namespaces: Sequence[str],
        resync: Resync,
        stopping: asyncio.Event,
    ) -> None:
        """Nothing is started.

        Args:
            make_registry: makes kopf's handlers, anew for each start.
            namespaces: to watch; empty: all.
            resync: lists what may have been missed while kopf was not there.
            stopping: set by the signals that end the process, which kopf takes for itself at each start.
        """
        self._make_registry, self._namespaces = make_registry, namespaces
        self._resync, self._stopping = resync, stopping
        self.working = False
        """Whether kopf watches."""

    async def run(self) -> None:
        """Watch, until it is cancelled."""
        pause = _AGAIN_SECONDS
        while True:
            began = time.monotonic()
            try:
                await self._once()
                _log.error("the watches ended; starting them again")
            except Exception as error:  # noqa: BLE001 - kopf ends with whatever its watches ended with
                foreseen = type(error).__module__.startswith("kopf")
                _log.error("the watches failed, starting them again: %r", error, exc_info=None if foreseen else error)
            finally:
                self.working = False
            lasted = time.monotonic() - began
            pause = _AGAIN_SECONDS if lasted > _HELD_SECONDS else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause)
            with contextlib.suppress(KubeError):  # the next listing tells; the watches list, too
                await self._resync.everything()

    async def _once(self) -> None:
        """Run kopf until one of its tasks ends, and raise what it ended with.

        Its tasks are waited for here and not by `kopf.run_tasks`, which takes every task of the loop for its own.
        """
        ready = asyncio.Event()
        where: dict[str, Any] = {"namespaces": self._namespaces} if self._namespaces else {"clusterwide": True}
        tasks = await kopf.spawn_tasks(
            registry=self._make_registry(),
            settings=make_settings(),
            standalone=True,
            identity=_IDENTITY,
            ready_flag=ready,
            **where,
        )
        listen_to_signals(self._stopping)  # kopf took them
        getting_ready = asyncio.create_task(ready.wait(), name="kopf is ready")
        try:
            await asyncio.wait({*tasks, getting_ready}, return_when=asyncio.FIRST_COMPLETED)
            self.working = ready.is_set()
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (getting_ready, *tasks):
                task.cancel()
            await asyncio.wait({getting_ready, *tasks}, timeout=STOP_SECONDS)
        for task in done:
            task.result()


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
        with EventErrors(plural, metrics).of(obj["metadata"]["uid"], name_of(obj)):
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

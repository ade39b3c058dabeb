"""Operator processes as a Deployment keeps them: the real `app.Operator`, started again whenever it ends."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any
from unittest import mock

from componentrun.controller import app, handlers
from componentrun.controller.app import Operator
from componentrun.controller.lease import Lease, LostError
from componentrun.controller.metrics import Metrics
from componentrun.controller.settings import Settings
from componentrun.controller.storages.scopes import Scopes
from componentrun.controller.storages.stores import OpenStorage
from componentrun.controller.work import queue as workqueue
from componentrun.core.limits import Limits
from componentrun.core.storages.scope import Scope, ScopeMethod
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, RUNS, STORAGES
from componentrun.process.kubernetes.watch import Watch
from componentrun.registry.client import RegistryClient
from componentrun.registry.settings import RegistrySettings
from componentrun.storage.access.grants import Signer
from componentrun.storage.store.resource import parse
from tests.unit.controller.fakes import CATALOG
from tests.unit.controller.simulation.client import Network, SimulatedKube
from tests.unit.controller.simulation.loader import SimulatedLoader
from tests.unit.controller.simulation.processes import Process, ProcessLoop
from tests.unit.controller.simulation.store import SimulatedStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from tests.unit.controller.simulation.loader import Catalog
    from tests.unit.controller.simulation.truth import Truth

LIMITS = Limits(
    pending=60,
    image_pull=20,
    stop_grace=10,
    stop_upload=10,
    events_wait=20,
    start_retry=30,
    stage_in=120,
    pod_missing=30,
    node_lost=60,
    publish_retry=120,
)
_SCOPE = Scope(ScopeMethod.FORM, "tried", versioned=True)
_WORKERS = 8
_PARTS = ("kube", "references", "metrics", "timeouts")


class Deployment:
    """One operator process after the other, with the number of one of the replicas."""

    def __init__(self, number: int, network: Network, truth: Truth, make: Maker) -> None:
        self.number = number
        self._network, self._truth, self._make = network, truth, make
        self.process: Process | None = None
        self.operator: Operator | None = None
        self.metrics: list[Metrics] = []
        self._lives = 0
        self._restart: asyncio.TimerHandle | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ProcessLoop)
        self._lives += 1
        self._restart = None
        self.process = process = Process(loop)
        self._truth.note(f"operator {self.number} starts")
        task = process.start(self._main())
        task.add_done_callback(partial(self._ended, process))

    async def _main(self) -> None:
        metrics = Metrics()
        self.metrics.append(metrics)
        self.operator = self._make(self.number, metrics)
        await self.operator.run()

    def _ended(self, process: Process, task: asyncio.Task[None]) -> None:
        if process.is_killed:
            return
        error = None if task.cancelled() else task.exception()
        self._truth.note(f"operator {self.number} ends: {error!r}")
        if error is not None and not isinstance(error, LostError):
            self._truth.broken(f"operator {self.number} ends with {error!r}")
        process.kill()
        self._start_in(1.0)

    def _start_in(self, seconds: float) -> None:
        self.operator = None
        self._restart = asyncio.get_running_loop().call_later(seconds, self.start)

    def kill(self, away: float) -> None:
        """SIGKILL; the next one starts some time later."""
        if self.process is not None and self._restart is None:
            self._truth.note(f"operator {self.number} is killed")
            self.process.kill()
            self._start_in(away)

    def stop(self, seconds: float) -> None:
        """SIGSTOP for some time."""
        process = self.process
        if process is not None and process.runs:
            self._truth.note(f"operator {self.number} stands still for {seconds} s")
            process.stop()
            asyncio.get_running_loop().call_later(seconds, self._go_on, process)

    def _go_on(self, process: Process) -> None:
        if not process.is_killed:
            self._truth.note(f"operator {self.number} goes on")
            process.go_on()

    def terminate(self) -> None:
        """SIGTERM."""
        if self.operator is not None:
            self._truth.note(f"operator {self.number} is told to end")
            self.operator._stopping.set()


class Maker:
    """Makes operators."""

    def __init__(
        self, network: Network, catalog: Catalog, kept: Mapping[str, dict[str, bytes]], settings: Settings, skews: Any
    ) -> None:
        self._network, self._catalog, self._kept, self._settings, self._skews = network, catalog, kept, settings, skews

    def __call__(self, number: int, metrics: Metrics) -> Operator:
        stores = {
            namespace: SimulatedStore(self._network, kept, namespace, number) for namespace, kept in self._kept.items()
        }
        kube = SimulatedKube(self._network, metrics, number, self._skews[number])
        with mock.patch.object(app, "Stores", lambda *parts: _Stores(stores, parts)):
            loader = SimulatedLoader(self._network, self._catalog, number)
            registry = RegistryClient(RegistrySettings())  # asks nothing: no Component has channels
            return Operator(self._settings, kube, metrics, loader.as_client(), registry)


class _Stores:
    """Opens a namespace's one Storage."""

    def __init__(self, stores: Mapping[str, SimulatedStore], parts: tuple[Any, ...]) -> None:
        self._stores, self._references = stores, parts[_PARTS.index("references")]

    async def open(
        self, namespace: str, wanted: str | None, *, anew: bool = False, as_of: datetime | None = None
    ) -> OpenStorage:
        storage = await self._references.storage(namespace, wanted, anew=anew, as_of=as_of)
        store = self._stores[namespace]
        return OpenStorage(storage, store, Signer(store.settings))


class _NoServer:
    """In place of probes and metrics over HTTP."""

    def __init__(self, *_: Any) -> None:
        """Nothing is served."""

    async def start(self) -> None:
        """Nothing."""

    async def stop(self) -> None:
        """Nothing."""


class _Kopf:
    """In place of kopf: lists, watches, and calls the handlers as kopf does; it reports no missed deletion."""

    def __init__(self, context: Any, *_: Any) -> None:
        self._context = context
        self.is_running = True

    async def run(self) -> None:
        context = self._context
        async with asyncio.TaskGroup() as group:
            for resource, handler in _HANDLERS.items():
                target: Any = _Target(context, handler, group if resource is STORAGES else None)
                group.create_task(Watch(context.kube, resource, None, "", target, context.metrics).run())


_HANDLERS: dict[Any, Any] = {
    RUNS: handlers.run_event,
    COMPONENTS: handlers.component_event,
    CLUSTER_COMPONENTS: handlers.cluster_component_event,
    STORAGES: handlers.storage_event,
}


class _Target:
    def __init__(self, context: Any, handler: Any, daemons: asyncio.TaskGroup | None) -> None:
        self._context, self._handler, self._daemons = context, handler, daemons
        self._with_daemon: set[str] = set()

    def changed(self, raw: Any) -> None:
        self._take_in("MODIFIED", raw)

    def listed(self, raw: Any) -> None:
        self._take_in(None, raw)

    def _take_in(self, kind: str | None, raw: Any) -> None:
        self._call(kind, raw)
        uid = raw["metadata"]["uid"]
        if self._daemons is not None and uid not in self._with_daemon:
            self._with_daemon.add(uid)
            metadata = raw["metadata"]
            daemon = handlers.check_storage(metadata["namespace"], metadata["name"], uid, memo=self._context)
            self._daemons.create_task(daemon)

    def deleted(self, _uid: str, last: Any, /) -> None:
        self._call("DELETED", last)

    def vanished(self, uids: Any, errors: Any) -> None:
        """Kopf reports no deletion that it has missed."""

    def _call(self, kind: str | None, raw: Any) -> None:
        """Run the handler, which waits for nothing, to its end."""
        handling = self._handler(event={"type": kind, "object": raw}, memo=self._context)
        with suppress(StopIteration):
            handling.send(None)
            raise AssertionError("an event handler waited")


async def _find_scope(store: Any, _signer: Any) -> Scope:
    await store.request()
    return _SCOPE


def settings_for(operators: int, max_running: int | None) -> Settings:
    return Settings(
        agent_image="agent:1",
        lease="operators/operator" if operators > 1 else None,
        max_running=max_running or 0,
        workers=_WORKERS,
        **{f"{name}_seconds": seconds for name, seconds in asdict(LIMITS).items()},
    )


@contextmanager
def without_a_machine(seed: int) -> Iterator[None]:
    """While this lasts, operators need no sockets, no signals, no machine's clock and no chance of their own."""
    loop = asyncio.get_running_loop()
    parts: dict[str, Any] = {
        "HealthServer": _NoServer,
        "KopfRunner": _Kopf,
        "Lease": partial(Lease, clock=loop.time, random=Random(seed)),  # noqa: S311 - a test
        "Scopes": partial(Scopes, find=_find_scope),
        "listen_to_signals": lambda _: None,
    }
    with mock.patch.multiple(app, **parts), mock.patch.object(workqueue, "Random", partial(Random, seed)):
        yield


class Errors(logging.Handler):
    """Takes what is logged as an error: in a simulation without defects there is none but what a schedule causes."""

    EXPECTED = ("kopf",)

    def __init__(self, truth: Truth) -> None:
        super().__init__(logging.ERROR)
        self._truth = truth

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        self._truth.broken(f"logged as an error: {text[:300]}")


def storage_of(namespace: str) -> dict[str, Any]:
    egress = [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]}]
    spec = {"bucket": "bucket", "endpoint": f"http://{namespace}.test", "default": True, "egress": egress}
    spec["catalog"] = CATALOG
    body = {"metadata": {"name": "main"}, "spec": spec}
    assert parse is not None
    return body

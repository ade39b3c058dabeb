"""One simulation: whole operators, a cluster with kubelets, stores, a collector and people, by a schedule.

Real: `app.Operator` with all that it is made of, the Kubernetes client above HTTP, watches, Lease, resync. Left out:
HTTP, kopf (its handler is called by a watch of ours), agents (the kubelet writes what they would). When the schedule
has ended nothing goes wrong any more, and within a bounded time all runs have to end and nothing may be left.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from componentrun.core.lifecycle.ending import TERMINAL
from tests.unit.controller.fakekube import is_ours
from tests.unit.controller.simulation.apiserver import ApiServer
from tests.unit.controller.simulation.client import Network
from tests.unit.controller.simulation.kubelet import Kubelets
from tests.unit.controller.simulation.loader import Catalog
from tests.unit.controller.simulation.operators import (
    Deployment,
    Errors,
    Maker,
    settings_for,
    storage_of,
    without_a_machine,
)
from tests.unit.controller.simulation.people import People
from tests.unit.controller.simulation.processes import ProcessLoop
from tests.unit.controller.simulation.schedule import NAMESPACES, Found, Schedule, smaller
from tests.unit.controller.simulation.store import SimulatedStore
from tests.unit.controller.simulation.truth import Truth

if TYPE_CHECKING:
    from componentrun.controller.app import Operator

__all__ = ["Simulation", "shrunk", "simulate"]

_ALL_ENDS_SECONDS: Final = 1500
"""After the schedule: more than any limit, several times."""
_ALL_GONE_SECONDS: Final = 700
"""After the last end: more than two resyncs."""


class Simulation:
    """See the module."""

    def __init__(self, schedule: Schedule) -> None:
        loop = asyncio.get_running_loop()
        random = Random(schedule.seed + 1)  # noqa: S311 - a test
        self.schedule = schedule
        self.truth = truth = Truth(loop.time, schedule.max_running)
        self.server = server = ApiServer(loop.time, random, truth)
        server.gates = [{"name": "kueue.x-k8s.io/admission"}]
        self.network = network = Network(server, random, list(schedule.troubles))
        self.kept: dict[str, dict[str, bytes]] = {namespace: {} for namespace in NAMESPACES}
        stores = {name: SimulatedStore(network, kept, name, -1) for name, kept in self.kept.items()}
        self.kubelets = Kubelets(server, stores, truth, {plan.name: plan for plan in schedule.runs})
        settings = settings_for(schedule.operators, schedule.max_running)
        make = Maker(network, Catalog(truth), self.kept, settings, schedule.skews)
        self.deployments = [Deployment(number, network, truth, make) for number in range(schedule.operators)]
        self.people = People(server, self.kubelets, self.deployments, schedule)

    async def run(self) -> Found:
        """From the first event to the last check."""
        for namespace in NAMESPACES:
            self.server.put("storages", namespace, storage_of(namespace))
        for deployment in self.deployments:
            deployment.start()
        collector = asyncio.create_task(self.people.collect())
        try:
            await self.people.act()
            self.truth.note("nothing goes wrong any more")
            self.network.troubles.clear()
            await self.people.put_right()
            if await self._until(self._all_have_ended, _ALL_ENDS_SECONDS):
                await self._until(self._nothing_is_left, _ALL_GONE_SECONDS)
                self._check_the_tables()
            self._check_operators()
        finally:
            collector.cancel()
        return Found(self.truth.violations, self.truth.log)

    async def _until(self, look: Any, seconds: float) -> bool:
        """Wait until there is nothing to complain of; what there still is after that time is a violation."""
        for _ in range(int(seconds / 2)):
            if self.truth.violations:
                return False
            if not look():
                return True
            await asyncio.sleep(2)
        for complaint in look():
            self.truth.broken(complaint)
        return False

    def _all_have_ended(self) -> list[str]:
        return [
            f"run {run['metadata']['name']} does not end: {(run.get('status') or {}).get('message')}"
            for run in self.server.of("componentruns")
            if (run.get("status") or {}).get("phase") not in TERMINAL
        ]

    def _nothing_is_left(self) -> list[str]:
        # A pod that lost its labels when its run had no more use for it is not found by the next operator. It goes with
        # its run.
        lost = {pod["metadata"]["name"] for pod in self.server.of("pods") if not is_ours(pod)}
        left = [
            f"{plural} {item['metadata']['name']} {item['metadata']['uid']} is left"
            for plural in ("pods", "secrets")
            for item in self.server.of(plural)
            if item["metadata"]["name"] not in lost
        ]
        for deployment in self.deployments:
            operator = deployment.operator
            if operator is None:
                left.append(f"operator {deployment.number} does not run")
            else:
                left += [f"operator {deployment.number} is {operator._unready()}"] if operator._unready() else []
                left += [f"operator {deployment.number} keeps {what}" for what in _kept(operator)]
        return left

    def _check_the_tables(self) -> None:
        """A run that succeeded is in its table, unless its component wrote none; others are not."""
        leave_nothing = {plan.name for plan in self.schedule.runs if plan.leaves_nothing}
        for uid, run in self.truth.runs.items():
            status, is_in = run.get("status") or {}, uid in self.truth.published
            should_be_in = status.get("phase") == "Succeeded" and run["metadata"]["name"] not in leave_nothing
            if self.server.find("componentruns", uid) is not None and should_be_in != is_in:
                said = f"{status.get('phase')}/{status.get('reason')}"
                self.truth.broken(f"run {uid} is {said}, and its table {'has' if is_in else 'lacks'} its rows")

    def _check_operators(self) -> None:
        for deployment in self.deployments:
            for metrics in deployment.metrics:
                for sample in metrics.registry.collect():
                    for value in sample.samples:
                        if value.name in _DEFECTS and value.value:
                            self.truth.broken(
                                f"operator {deployment.number}: {value.name} {value.labels} {value.value}"
                            )


_DEFECTS: Final = {"controller_runtime_reconcile_panics_total", "componentrun_watch_event_errors_total"}


def _kept(operator: Operator) -> list[str]:
    """What an operator still keeps of runs that have ended."""
    reconciler, gate = operator._reconciler, operator._gate
    kept: dict[str, Any] = {
        "pods": len(operator._caches.pods),
        "keys on its queue": not operator._queue.idle,
        "namespaces in its queues": list(operator._queues._namespaces),
        "unread pods": len(operator._unread),
        "waiting for stores": gate.waiting + len(gate._operations) + len(gate._reservations),
        "unconfirmed writes": len(reconciler._writer._unconfirmed),
        "undecided publishing": len(reconciler._publisher._undecided),
        "memories": list(reconciler._memories._runs),
        "runs of others": len(operator._caches.runs._others),
    }
    return [f"{name}: {value}" for name, value in kept.items() if value]


def simulate(schedule: Schedule) -> Found:
    """What comes of a schedule; the same each time."""
    runner = asyncio.Runner(loop_factory=ProcessLoop)
    gc_was_on = gc.isenabled()
    gc.disable()  # tasks of killed processes must not be closed in the middle
    try:
        return runner.run(_simulate(schedule))
    finally:
        _drop(runner)
        if gc_was_on:
            gc.enable()


async def _simulate(schedule: Schedule) -> Found:
    simulation = Simulation(schedule)
    errors, log = Errors(simulation.truth), logging.getLogger("componentrun")
    level, propagates = log.level, log.propagate
    log.addHandler(errors)
    log.setLevel(logging.ERROR)
    log.propagate = False
    try:
        with without_a_machine(schedule.seed):
            return await simulation.run()
    finally:
        log.removeHandler(errors)
        log.setLevel(level)
        log.propagate = propagates


def _drop(runner: asyncio.Runner) -> None:
    """End the loop without another step of any task: those of killed processes never end."""
    loop: Any = runner.get_loop()
    loop.is_over = True
    logging.disable()
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # no other way to let a task go
        # What a `finally` would wait for, or ask the loop for, is not there any more.
        with suppress(Exception):
            task.get_coro().close()
    logging.disable(logging.NOTSET)
    loop._ready.clear()
    loop._scheduled.clear()
    loop.set_exception_handler(lambda *_: None)
    loop.close()
    asyncio.set_event_loop(None)


@dataclass
class Shrunk:
    schedule: Schedule
    found: Found


def shrunk(schedule: Schedule, found: Found) -> Shrunk:
    """A schedule with as little as possible by which something is violated."""
    best = Shrunk(schedule, found)
    while True:
        for candidate in smaller(best.schedule):
            again = simulate(candidate)
            if again.violations and _kind(again) == _kind(found):
                best = Shrunk(candidate, again)
                break
        else:
            return best


def _kind(found: Found) -> str:
    """The first violation, without names and numbers."""
    return re.sub(r"uid-\d+|\b[a-h](-\d+)?\b|\d+", "", found.violations[0])[:60]

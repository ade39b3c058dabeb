"""What watches of runs and pods do to the caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from componentrun.api import names
from componentrun.controller.caches import Caches, Key
from componentrun.controller.metrics import Metrics
from componentrun.controller.targets import make_watches
from componentrun.controller.workqueue import WorkQueue
from tests.unit.controller.fakes import FakeKube, Writes

if TYPE_CHECKING:
    from componentrun.process.kube import Kube
    from componentrun.process.watch import Target

KEY = Key("team", "load")


def a_run(version: int = 1) -> dict[str, Any]:
    return {"metadata": {"namespace": "team", "name": "load", "uid": "r", "resourceVersion": str(version)}, "spec": {}}


def a_pod(version: int = 2) -> dict[str, Any]:
    labels = {names.RUN_LABEL: "load", names.RUN_UID_LABEL: "r", names.ATTEMPT_LABEL: "1"}
    metadata = {
        "namespace": "team", "name": "load-1", "uid": "p", "resourceVersion": str(version), "labels": labels,
    }  # fmt: skip
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Running"}}


class Watched:
    def __init__(self) -> None:
        self.caches = Caches()
        self.queue: WorkQueue[Key] = WorkQueue()
        kube = cast("Kube", FakeKube(Writes()))
        watches = make_watches(kube, self.caches, self.queue, Metrics(), ["team"])
        self.runs, self.pods = (cast("Target", watch._target) for watch in watches)

    async def looked_at(self) -> list[Key]:
        keys = [await self.queue.get() for _ in range(len(self.queue))]
        for key in keys:
            self.queue.done(key)
        return keys


async def test_what_is_new_is_looked_at_and_what_is_old_is_not() -> None:
    world = Watched()
    world.runs.changed(a_run(5))
    world.pods.changed(a_pod(6))
    assert await world.looked_at() == [KEY]
    world.runs.changed(a_run(4))
    assert await world.looked_at() == []


async def test_a_pod_that_is_gone_leaves_its_last_state() -> None:
    world = Watched()
    world.pods.changed(a_pod())
    world.pods.deleted("p", a_pod(9) | {"status": {"phase": "Failed"}})
    pod = world.caches.pods.current(KEY, "r")
    assert pod is not None
    assert (pod.gone, pod.missed, pod.phase) == (True, False, "Failed")
    assert await world.looked_at() == [KEY]


async def test_an_end_that_was_missed_is_noticed() -> None:
    world = Watched()
    world.runs.changed(a_run())
    world.pods.changed(a_pod())
    await world.looked_at()
    world.pods.deleted("p", None)
    world.runs.deleted("r", None)
    pod = world.caches.pods.current(KEY, "r")
    assert pod is not None
    assert (pod.gone, pod.missed) == (True, True)
    assert world.caches.runs.document(KEY) is None
    assert await world.looked_at() == [KEY]


async def test_without_namespaces_all_are_watched() -> None:
    kube = cast("Kube", FakeKube(Writes()))
    watches = make_watches(kube, Caches(), WorkQueue(), Metrics(), [])
    assert [(watch.resource.plural, watch.namespace, watch._labels) for watch in watches] == [
        ("componentruns", None, ""),
        ("pods", None, names.OUR_PODS),
    ]

"""What watches of pods do to the caches."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, cast

from componentrun.api import names
from componentrun.controller.metrics import Metrics
from componentrun.controller.watching.caches import Caches, Key, PodCache
from componentrun.controller.watching.podwatch import make_pod_watches
from componentrun.controller.work.queue import WorkQueue
from componentrun.process.kubernetes.client import Page
from componentrun.process.kubernetes.errors import GoneError
from componentrun.process.kubernetes.eventerrors import EventErrors
from tests.unit.controller.fakekube import FakeKube, Writes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import pytest

    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.watch import Target

KEY = Key("team", "load")


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
        (watch,) = make_pod_watches(kube, self.caches, self.queue, Metrics(), ["team"])
        self.pods = cast("Target", watch._target)

    async def looked_at(self) -> list[Key]:
        keys = [await self.queue.get() for _ in range(len(self.queue))]
        for key in keys:
            self.queue.done(key)
        return keys


async def test_what_is_new_is_looked_at_and_what_is_old_is_not() -> None:
    world = Watched()
    world.pods.changed(a_pod(6))
    assert await world.looked_at() == [KEY]
    world.pods.changed(a_pod(4))
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
    world.pods.changed(a_pod())
    await world.looked_at()
    errors = EventErrors("pods", Metrics())
    world.pods.vanished({"p"}, errors)
    pod = world.caches.pods.current(KEY, "r")
    assert pod is not None
    assert (pod.gone, pod.missed) == (True, True)
    assert await world.looked_at() == [KEY]


async def test_without_namespaces_all_are_watched() -> None:
    kube = cast("Kube", FakeKube(Writes()))
    watches = make_pod_watches(kube, Caches(), WorkQueue(), Metrics(), [])
    assert [(watch.resource.plural, watch.namespace, watch._labels) for watch in watches] == [
        ("pods", None, names.OUR_PODS),
    ]


class Told:
    """An API server that lists nothing, tells these events, and then waits."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events, self.over = events, asyncio.Event()

    async def pages(self, *_: Any) -> AsyncIterator[Page]:
        yield Page((), "1")

    async def watch(self, *_: Any) -> AsyncIterator[dict[str, Any]]:
        for event in self.events:
            yield event
        self.over.set()
        await asyncio.Event().wait()


async def test_an_error_about_one_pod_ends_no_watch_and_its_run_is_reconciled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pods = [a_pod(version) for version in (2, 3)]
    for pod, name in zip(pods, ("bad", "next"), strict=True):
        pod["metadata"] |= {"name": f"{name}-1", "uid": name, "labels": {**a_pod()["metadata"]["labels"]}}
        pod["metadata"]["labels"][names.RUN_LABEL] = name
    told = Told(*({"type": "ADDED", "object": pod} for pod in pods))
    caches, metrics, queue = Caches(), Metrics(), WorkQueue[Key]()
    seen = caches.pods.seen

    def raises(raw: Mapping[str, Any], *, watched: bool) -> bool:
        if raw["metadata"]["uid"] == "bad":
            raise ZeroDivisionError
        return seen(raw, watched=watched)

    monkeypatch.setattr(caches.pods, "seen", raises)
    (watch,) = make_pod_watches(cast("Kube", told), caches, queue, metrics, ["team"])
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(5):
        await told.over.wait()
    assert not task.done()
    task.cancel()
    assert [await queue.get() for _ in range(len(queue))] == [Key("team", "bad"), Key("team", "next")]
    assert "pods team/bad-1 can't be taken in" in caplog.text
    assert 'componentrun_watch_event_errors_total{resource="pods"} 1.0' in metrics.render().decode()


class TooOld(Told):
    """An API server that does not know the version of the first listing any more, and lists what has changed since."""

    def __init__(self, *listings: dict[str, Any]) -> None:
        super().__init__()
        self.listings = list(listings)

    async def pages(self, *_: Any) -> AsyncIterator[Page]:
        pod = self.listings.pop(0)
        yield Page((pod,), pod["metadata"]["resourceVersion"])

    async def watch(self, *_: Any) -> AsyncIterator[dict[str, Any]]:
        if self.listings:
            raise GoneError("too old", 410)
        self.over.set()
        await asyncio.Event().wait()
        yield {}


async def test_a_pod_that_a_later_listing_finds_refused_may_have_run_in_between() -> None:
    refused = a_pod(9) | {"status": {"phase": "Failed", "reason": "NodeAffinity"}}
    told, caches = TooOld(a_pod(2) | {"status": {"phase": "Pending"}}, refused), Caches()
    (watch,) = make_pod_watches(cast("Kube", told), caches, WorkQueue(), Metrics(), ["team"])
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(5):
        await told.over.wait()
    task.cancel()
    pod = caches.pods.current(KEY, "r")
    assert pod is not None
    assert (pod.phase, pod.may_lack_containers) == ("Failed", True)


class CountedPods(PodCache):
    """Counts how many pods are handed out to find those that are gone."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_out = 0

    def older_than(self, version: int, namespace: str | None) -> list[tuple[Key, str]]:
        found = super().older_than(version, namespace)
        self.handed_out += len(found)
        return found


async def test_a_listing_without_a_thousand_pods_that_were_known_goes_through_the_cache_once() -> None:
    pods, queue, metrics = CountedPods(), WorkQueue[Key](), Metrics()
    told = Told()
    watch = make_pod_watches(cast("Kube", told), Caches(pods=pods), queue, metrics, ["team"])[0]
    for number in range(1000):
        pod = a_pod()
        pod["metadata"] |= {"uid": f"p{number}"}
        pods.seen(pod)
    watch.begin_at("", {f"p{number}" for number in range(1000)})
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(5):
        await told.over.wait()
    task.cancel()
    assert pods.older_than(sys.maxsize, None) == []
    assert pods.handed_out == 1000

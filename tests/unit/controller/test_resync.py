"""A listing mends what the watches missed, and touches nothing that is newer than itself."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from componentrun.controller.metrics import Metrics
from componentrun.controller.watching.caches import Key
from componentrun.controller.watching.resync import Resync
from componentrun.process.kubernetes.client import Page
from componentrun.process.kubernetes.errors import ForbiddenError
from componentrun.process.kubernetes.resources import PODS, RUNS
from componentrun.process.kubernetes.watch import Watch
from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import FakeOperator, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from collections.abc import Set as AbstractSet

    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.eventerrors import EventErrors
    from componentrun.process.kubernetes.resources import Resource


@pytest.fixture
def world() -> World:
    made = World()
    made.add_run()
    return made


async def drain(operator: FakeOperator) -> list[str]:
    names = []
    while len(operator.queue):
        key = await operator.queue.get()
        operator.queue.done(key)
        names.append(key.name)
    return names


async def test_the_first_listing_finds_everything_and_has_every_run_looked_at(world: World) -> None:
    operator = FakeOperator(world)
    await operator.start()
    assert await drain(operator) == ["load"]


async def test_watches_begin_where_the_first_listing_ends(world: World) -> None:
    operator = FakeOperator(world)
    told: list[str] = []

    class Told:
        def changed(self, raw: Mapping[str, Any]) -> None:
            told.append(raw["metadata"]["name"])

        listed = changed

        def deleted(self, uid: str, _: Mapping[str, Any]) -> None:
            told.append(f"{uid} is gone")

        def vanished(self, uids: AbstractSet[str], _: EventErrors) -> None:
            told.extend(f"{uid} is gone" for uid in uids)

    watches = [Watch(cast("Kube", world.kube), kind, None, "", Told(), Metrics()) for kind in (RUNS, PODS, RUNS)]
    watches[2].namespace = "another"
    await operator.resync.everything(first=True, watches=watches)
    assert [watch.synced for watch in watches] == [True, True, False]
    assert told == []


async def test_a_run_whose_deletion_was_missed_is_forgotten(world: World) -> None:
    operator = FakeOperator(world)
    await operator.start()
    await drain(operator)
    world.kube.listener = None
    world.kube.remove("componentruns", NAMESPACE, "load")
    await operator.resync.everything()
    assert await drain(operator) == ["load"]
    assert len(operator.caches.runs) == 0


async def test_a_pod_whose_deletion_was_missed_is_gone_and_ends_its_run(world: World) -> None:
    operator = FakeOperator(world)
    await operator.live(2)
    world.kube.listener = None
    world.kube.remove("pods", NAMESPACE, "load-1")
    await operator.resync.everything()
    await operator.work()
    assert world.run()["status"]["reason"] == "PodDeleted"
    assert 'componentrun_watch_missed_total{resource="pods"} 1.0' in operator.metrics.render().decode()


async def test_a_change_that_was_missed_is_found(world: World) -> None:
    operator = FakeOperator(world)
    await operator.live(1)
    world.kube.listener = None
    world.kube.change("componentruns", "load", {"spec": {"cancel": True}})
    await operator.resync.everything()
    await operator.work()
    assert world.run()["status"]["termination"]["reason"] == "Cancelled"


async def test_what_is_newer_than_the_listing_is_left_alone(world: World) -> None:
    operator = FakeOperator(world)
    await operator.start()
    newer = copy.deepcopy(world.run())
    newer["metadata"] |= {"name": "newer", "uid": "newer", "resourceVersion": "999999"}
    operator.caches.runs.seen(newer)
    await operator.resync.everything()
    assert len(operator.caches.runs) == 2


async def test_runs_that_have_ended_are_not_looked_at_again(world: World) -> None:
    operator = FakeOperator(world)
    await operator.live()
    await drain(operator)
    await operator.resync.everything()
    assert await drain(operator) == []


class _Refusing:
    """The API server, as one sees it who has no right in some namespaces (any more)."""

    def __init__(self, world: World, *refused: str) -> None:
        self._kube, self.refused = world.kube, refused

    async def pages(self, resource: Resource, namespace: str | None, labels: str = "") -> AsyncIterator[Page]:
        if namespace in self.refused:
            raise ForbiddenError(f"{resource.plural} is forbidden in {namespace}", 403)
        if namespace != NAMESPACE:
            yield Page((), "1")
            return
        async for page in self._kube.pages(resource, namespace, labels):
            yield page


def _of(operator: FakeOperator, kube: _Refusing, *namespaces: str) -> Resync:
    return Resync(cast("Kube", kube), operator.caches, operator.queue, operator.metrics, namespaces)


async def test_a_namespace_that_is_gone_does_not_keep_the_others_from_being_listed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    operator = FakeOperator(world)
    watches = [
        Watch(cast("Kube", world.kube), RUNS, place, "", cast("Any", None), Metrics()) for place in ("gone", NAMESPACE)
    ]
    await _of(operator, _Refusing(world, "gone"), "gone", NAMESPACE).everything(first=True, watches=watches)
    assert await drain(operator) == ["load"]
    assert [watch.synced for watch in watches] == [False, True]
    assert "namespace gone can't be listed" in caplog.text


async def test_where_nothing_may_be_listed_nothing_is_taken_for_listed(world: World) -> None:
    operator = FakeOperator(world)
    with pytest.raises(ForbiddenError):
        await _of(operator, _Refusing(world, "one", "two"), "one", "two").everything(first=True)


@pytest.mark.parametrize("how", ["everything", "late"])
async def test_where_rights_come_late_a_watch_that_tells_of_a_run_before_its_pod_does_not_end_it(
    world: World, how: str
) -> None:
    """Neither is a run of the namespace started then: of its configuration another one may be running."""
    await FakeOperator(world).live(1)
    operator = FakeOperator(world)
    world.kube.listener = operator._hear
    kube = _Refusing(world, NAMESPACE)
    resync = _of(operator, kube, NAMESPACE, "another")
    await resync.everything(first=True)
    world.add_run("next")
    operator.caches.runs.seen(world.run())
    operator.queue.add(Key(NAMESPACE, "load"))
    world.now += timedelta(minutes=10)
    await resync.late()
    await operator.work()
    assert (world.phase(), world.phase("next")) == ("Running", None)
    kube.refused = ()
    await getattr(resync, how)()
    for _ in range(10):
        await operator.work()
        await world.kubelet()
    await operator.work()
    assert (world.phase(), world.phase("next")) == ("Succeeded", "Succeeded")


async def test_an_object_that_can_not_be_taken_in_does_not_keep_the_others_from_being_listed(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.add_run("another")
    operator = FakeOperator(world)
    seen = operator.caches.runs.seen

    def raises(obj: Mapping[str, Any]) -> bool:
        if obj["metadata"]["name"] == "load":
            raise ZeroDivisionError
        return seen(obj)

    with monkeypatch.context() as patch:
        patch.setattr(operator.caches.runs, "seen", raises)
        await operator.resync.everything(first=True)
    assert await drain(operator) == ["another"]
    assert "componentruns team/load can't be taken in" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    rendered = operator.metrics.render().decode()
    assert 'componentrun_watch_event_errors_total{resource="componentruns"} 1.0' in rendered
    await operator.resync.everything()
    assert sorted(await drain(operator)) == ["another", "load"]


async def test_a_run_whose_end_can_not_be_taken_in_does_not_keep_the_others_from_being_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add_run("another")
    operator = FakeOperator(world)
    await operator.resync.everything(first=True)
    world.kube.listener = None
    for name in ("load", "another"):
        world.kube.remove("componentruns", NAMESPACE, name)
    vanished = operator.caches.runs.vanished

    def raises(key: Key, uid: str) -> bool:
        if key.name == "load":
            raise ZeroDivisionError
        return vanished(key, uid)

    with monkeypatch.context() as patch:
        patch.setattr(operator.caches.runs, "vanished", raises)
        await operator.resync.everything()
    assert operator.caches.runs.all_keys() == [Key(NAMESPACE, "load")]
    await operator.resync.everything()
    assert operator.caches.runs.all_keys() == []

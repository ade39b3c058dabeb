"""One run from its first event to its report, with a cluster and a store in memory."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api import names
from componentrun.collector.events import writer
from componentrun.collector.events.writer import SupersededError
from componentrun.collector.metrics import Metrics
from componentrun.collector.runs import followers
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.runs.registry import PodTarget, Registry, RunTarget
from componentrun.collector.runs.state import RunState
from componentrun.collector.settings import Settings
from componentrun.errors import PlatformError, Reason, TransientError, UserError
from componentrun.process.kubernetes.errors import NotFoundError, UnavailableError
from componentrun.process.kubernetes.eventerrors import EventErrors
from componentrun.storage.events.events import Event
from componentrun.storage.events.runs import ended_runs, open_runs
from componentrun.storage.events.segments import append_segment, last_segment, list_events
from tests.unit.collector.fakekube import Play
from tests.unit.collector.runs import ENDED, UID, a_run, container, ended_run, raw_pod, raw_run
from tests.unit.collector.world import ATTEMPT, COMPONENT_RAN, FakeStores, World, has, log, until, with_pod

if TYPE_CHECKING:
    from componentrun.storage.events.index import EndedRun
    from componentrun.storage.store.connection import Store

pytestmark = pytest.mark.usefixtures("quick")


async def test_a_run_with_a_pod() -> None:
    world = World()
    await world.work(with_pod(world, Play(log("one", "two"))))
    events = await world.events()
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert [event.message for event in events][2:4] == ["one", "two"]
    assert (events[-1].source, events[-1].message) == ("operator", "Succeeded after 12s: All is well")
    assert {event.component for event in events} == {"cleaner"}
    assert world.reported() == {"count": 5, "delivered": True, "message": ""}
    rendered = world.metrics.render().decode()
    assert 'componentrun_collector_lines_total{source="component"} 2.0' in rendered
    assert "componentrun_collector_streams 0.0" in rendered


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({}, "one\nmy [redacted]"),
        ({"lastWords": "one"}, None),
        ({"exitCode": 0}, "one\nmy [redacted]"),
        ({"exitCode": 137}, "one\nmy [redacted]"),
        ({"phase": "Cancelled"}, None),
    ],
    ids=["nothing known", "words known", "ended with 0 all the same", "exit code alone known", "cancelled"],
)
async def test_last_words_that_the_node_lost_are_reported(known: dict[str, Any], words: str | None) -> None:
    world = World()
    status = {"phase": "Failed", "result": "Error", "reason": "DiskFull"} | known
    state = with_pod(world, Play(log("one", "my hunter2-of-old")), secrets=["hunter2-of-old"], **status)
    await world.work(state)
    assert world.reported().get("lastWords") == words


async def test_a_run_that_never_had_a_pod() -> None:
    world = World()
    await world.work(RunState(ended_run(phase="Failed", result="Error", phases=[])))
    assert await world.messages() == ["Failed after 12s: All is well"]
    assert world.reported()["count"] == 1


async def test_events_come_while_the_run_goes_on() -> None:
    world = World()
    world.kube.add_secret("clean-1", [])
    world.kube.logs.plays[names.COMPONENT] = [Play(log("early"), hang=True)]
    state = RunState(a_run(phase="Running", attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(raw_pod(container(names.COMPONENT, "running"))))
    task = asyncio.create_task(world.work(state))
    await until(lambda: has(world, "early"))
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_attempt_that_another_follows_is_reported_while_the_run_goes_on() -> None:
    world = World()
    world.kube.add_secret("clean-1", [])
    world.kube.logs.plays[names.COMPONENT] = [Play(log("first"))]
    first = ATTEMPT | {"completionTime": "2026-11-24T07:00:09Z", "reason": "Evicted", "message": "The node ran short."}
    state = RunState(a_run(phase="Queued", attempts=[first], nextAttemptTime="2026-11-24T07:00:19Z"))
    raw = raw_pod(COMPONENT_RAN, phase="Failed")
    raw["metadata"]["labels"][names.ATTEMPT_LABEL] = "1"
    state.pod_changed(pod_facts(raw))
    task = asyncio.create_task(world.work(state))

    async def reported() -> bool:
        await asyncio.sleep(0)
        return bool(world.kube.patched)

    await until(reported)
    assert world.reported()["attempts"] == 1
    assert "delivered" not in world.reported()
    found = {event.message: event.attempt for event in await world.events()}
    assert found == {"first": 1, "attempt 1 ended: The node ran short.": 1}
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_secrets_are_taken_out() -> None:
    world = World()
    await world.work(with_pod(world, Play(log("it is hunter2")), secrets=["hunter2"], message="hunter2 is wrong"))
    assert "hunter2" not in repr(await world.events())


async def test_lines_wait_for_the_secret_and_are_withheld_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "_SECRET_PATIENCE", 0.05)
    world = World()
    state = with_pod(world, Play(log("it is hunter2")))
    world.kube.server.remove("secrets", "team", "clean-1")
    await world.work(state)
    assert "hunter2" not in repr(await world.events())
    assert not world.kube.logs.asked
    assert "are withheld" in world.reported()["message"]
    assert (await world.events())[-1].type == "success"


async def test_a_secret_without_the_list_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "_SECRET_PATIENCE", 0.0)
    world = World()
    state = with_pod(world, Play(log("it is hunter2")))
    world.kube.server.change("secrets", "team", "clean-1", {"data": None})
    await world.work(state)
    assert "has no key `redact`" in world.reported()["message"]


async def test_the_secret_of_a_later_pod_of_the_name_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run was deleted and created again with other secret values, and only now its first Secret is asked for."""
    monkeypatch.setattr(followers, "_SECRET_PATIENCE", 0.0)
    world = World()
    state = with_pod(world, Play(log("it is hunter2")), secrets=["changed since"])
    owners = [{"kind": "Pod", "name": "clean-1", "uid": "a later one"}]
    world.kube.server.change("secrets", "team", "clean-1", {"metadata": {"ownerReferences": owners}})
    await world.work(state)
    assert "hunter2" not in repr(await world.events())
    assert "that of another pod of this name" in world.reported()["message"]


async def test_a_missing_storage_is_reported_so_that_the_pod_can_go() -> None:
    world = World(stores=FakeStores(always=UserError("there is no Storage `x`", Reason.STORAGE_NOT_FOUND)))
    await world.work(RunState(ended_run()))
    message = "events were not written: there is no Storage `x`"
    assert world.reported() == {"count": 0, "delivered": True, "message": message}


async def test_a_storage_that_is_away_is_waited_for() -> None:
    away = TransientError("the store did not answer", Reason.STORAGE_UNAVAILABLE)
    world = World(stores=FakeStores(errors=[away, away, away]))
    await world.work(RunState(ended_run()))
    assert world.reported()["count"] == 3


async def test_a_storage_that_refuses_is_given_up_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_PATIENCE", 0.0)
    world = World(stores=FakeStores(always=PlatformError("the keys are wrong", Reason.STORAGE_ACCESS_DENIED)))
    await world.work(RunState(ended_run()))
    assert "the keys are wrong" in world.reported()["message"]


async def test_it_goes_on_where_the_last_collector_stopped() -> None:
    world = World()
    state = with_pod(world, Play(log("one"), hang=True))
    state.run = replace(state.run, status=state.run.status.model_copy(update={"phase": "Running"}))
    state._over_since = None
    state.pod_changed(pod_facts(raw_pod(container(names.COMPONENT, "running"))))
    task = asyncio.create_task(world.work(state))
    await until(lambda: has(world, "one"))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await world.work(with_pod(world, Play(log("one", "two"))))
    assert [event.message for event in await world.events() if event.source == "component"] == ["one", "two"]
    assert [event.seq for event in await world.events()] == [1, 2, 3, 4, 5]


async def test_a_delivered_run_is_only_reported_again() -> None:
    world = World()
    await world.work(with_pod(world, Play(log("one"))))
    before = await world.events()
    world.kube.patched.clear()
    world.kube.add_run(raw_run())  # the version at which another collector hears of it
    await world.work(with_pod(world, Play(log("one"))))
    assert await world.events() == before
    assert world.reported()["count"] == len(before)


async def test_the_report_is_tried_until_it_is_taken() -> None:
    world = World()
    world.kube.patch_errors += [UnavailableError("busy", 429), UnavailableError("busy", 503)]
    await world.work(RunState(ended_run()))
    assert world.reported()["delivered"]


async def test_a_run_that_is_gone_needs_no_report() -> None:
    world = World()
    world.kube.patch_errors += [NotFoundError("gone", 404)]
    await world.work(RunState(ended_run()))
    assert not world.kube.patched


async def test_a_run_that_was_deleted_while_it_ran() -> None:
    world = World()
    world.kube.add_secret("clean-1", [])
    state = RunState(a_run(phase="Running", attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(raw_pod(container(names.COMPONENT, "running"))))
    world.kube.logs.plays[names.COMPONENT] = [Play(log("last words"), then=lambda: state.pod_deleted("pod-uid"))]
    state.run_deleted()
    await world.work(state)
    said, missing, end = await world.messages()
    assert (said, end) == ("last words", "the run was deleted before its end was known")
    assert "after 2026-11-24T07:46:33.000000000Z may be missing" in missing
    assert not world.kube.patched


async def test_a_pod_that_was_deleted_while_no_collector_ran_is_said() -> None:
    world = World()
    await world.work(RunState(ended_run(attempts=[ATTEMPT])))
    assert "pod `clean-1` may be missing" in world.reported()["message"]
    assert (await world.messages())[-1].startswith("Succeeded")


async def test_a_pod_that_no_watch_has_told_of_yet_is_looked_for() -> None:
    world = World()
    world.kube.logs.plays[names.COMPONENT] = [Play(log("one"))]
    world.kube.add_secret("clean-1", [])
    world.kube.server.put("pods", raw_pod(COMPONENT_RAN, phase="Succeeded"))
    await world.work(RunState(ended_run(attempts=[ATTEMPT])))
    assert "one" in await world.messages()
    assert world.reported()["message"] == ""


async def test_a_sidecar_that_goes_on_does_not_hold_the_end_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "_QUIET", 0.05)
    # Its log is given up long after it was read, also on a machine that is busy.
    world = World(settings=Settings(collector_segment_seconds=0.05, events_wait_seconds=40.0))
    world.kube.add_secret("clean-1", [])
    world.kube.logs.plays[names.STAGE_OUT] = [Play(log("waiting"), hang=True)]
    state = RunState(ended_run(attempts=[ATTEMPT], phase="Failed", result="Error", reason="StageInFailed"))
    failed = container(names.STAGE_IN, "terminated", exitCode=1)
    waits = container(names.COMPONENT, "waiting")
    pod = raw_pod(container(names.STAGE_OUT, "running"), failed, waits, phase="Pending")
    world.kube.logs.last_lines[names.STAGE_OUT] = Play(log("waiting"))
    world.kube.server.put("pods", pod)
    state.pod_changed(pod_facts(pod))
    await world.work(state)
    assert "waiting" in await world.messages()
    assert world.reported()["message"] == ""


async def test_another_collector_is_noticed_and_not_mixed_in() -> None:
    world = World()
    state = with_pod(world, Play(log("one")))
    other = Event("x-1", 1, "2026-11-24T07:00:00Z", UID, "", "", "info", "of another collector")
    original, calls = world.stores.get, 0

    async def interfere(_namespace: str, name: str | None, _since: float = 0.0) -> Store:
        nonlocal calls
        calls += 1
        store = await original(_namespace, name)
        if calls == 2:
            checkpoint = {"format": 1, "containers": {}, "done": [], "told": [], "problems": [], "finished": False}
            await append_segment(store, UID, 1, [other], checkpoint)
        return store

    world.stores.get = interfere  # type: ignore[method-assign]  # the fault of this test
    with pytest.raises(SupersededError):
        await world.work(state)
    await world.work(with_pod(world, Play(log("one"))))
    assert [event.seq for event in await world.events()] == [1, 2, 3, 4, 5]
    assert await world.messages() == [
        "of another collector", "the run was accepted", "the component is running", "one",
        "Succeeded after 12s: All is well",
    ]  # fmt: skip


async def test_many_lines_are_cut_into_segments_of_bounded_size() -> None:
    world = World()
    await world.work(with_pod(world, Play(log(*("x" * 500 for _ in range(8_000))))))
    assert world.metrics.segments._value.get() >= 4
    found = await list_events(world.stores.store, UID)
    assert (len(found.merged), found.segments, found.obsolete) == (1, (), ())
    last = await last_segment(world.stores.store, UID)
    assert last is not None
    assert last.checkpoint["finished"]
    assert last.checkpoint["containers"] == {}


class TestRegistry:
    """Runs and pods come in any order."""

    @pytest.fixture
    def world(self) -> World:
        world = World()
        world.kube.add_secret("clean-1", [])
        world.kube.logs.plays[names.COMPONENT] = [Play(log("one"))]
        return world

    async def settle(self, world: World) -> None:
        async def patched() -> bool:
            return bool(world.kube.patched)

        await until(patched)

    async def test_a_pod_before_its_run(self, world: World) -> None:
        registry = Registry(world.services)
        PodTarget(registry).changed(raw_pod(COMPONENT_RAN, phase="Succeeded"))
        RunTarget(registry).changed(raw_run(**ENDED, attempts=[ATTEMPT]))
        await self.settle(world)
        assert "one" in await world.messages()

    async def test_a_pod_that_is_gone_before_the_run_is_told(self, world: World) -> None:
        registry = Registry(world.services)
        PodTarget(registry).changed(raw_pod(COMPONENT_RAN, phase="Succeeded"))
        PodTarget(registry).vanished({"pod-uid"}, EventErrors("pods", Metrics()))
        RunTarget(registry).changed(raw_run(**ENDED, attempts=[ATTEMPT]))
        await self.settle(world)
        assert "may be missing" in world.reported()["message"]

    async def test_delivered_runs_are_left_alone(self, world: World) -> None:
        registry = Registry(world.services)
        RunTarget(registry).changed(raw_run(**ENDED, events={"count": 1, "delivered": True}))
        await asyncio.sleep(0.05)
        assert not world.stores.asked

    async def test_a_run_of_another_shard_is_left_alone(self, world: World) -> None:
        world.services = replace(
            world.services, settings=world.settings.model_copy(update={"collector_shards": 2, "collector_shard": 0})
        )
        other = replace(
            world.services, settings=world.settings.model_copy(update={"collector_shards": 2, "collector_shard": 1})
        )
        for services in (world.services, other):
            RunTarget(Registry(services)).changed(raw_run(**ENDED))
        await self.settle(world)
        assert len(world.kube.patched) == 1

    async def test_an_unreadable_run_does_not_stop_the_others(self, world: World) -> None:
        registry = Registry(world.services)
        RunTarget(registry).changed(raw_run(phase="Dancing"))
        RunTarget(registry).changed(raw_run(**ENDED))
        await self.settle(world)

    async def test_a_stop_writes_what_is_held(self, world: World) -> None:
        world.kube.logs.plays[names.COMPONENT] = [Play(log("one", "two"), hang=True)]
        world.services = replace(
            world.services, settings=world.settings.model_copy(update={"collector_segment_seconds": 60})
        )
        registry = Registry(world.services)
        PodTarget(registry).changed(raw_pod(container(names.COMPONENT, "running")))
        RunTarget(registry).changed(raw_run(phase="Running", attempts=[ATTEMPT]))

        async def read() -> bool:
            await asyncio.sleep(0)
            return 'componentrun_collector_lines_total{source="component"} 2.0' in world.metrics.render().decode()

        await until(read)
        await registry.stop()
        assert await world.messages() == ["one", "two"]
        assert not world.kube.patched


async def entries(world: World) -> list[EndedRun]:
    return [run async for run in ended_runs(world.stores.store, "cleaner")]


async def test_a_run_is_in_the_index_from_its_first_event_to_its_end() -> None:
    world = World()
    world.kube.add_secret("clean-1", [])
    world.kube.logs.plays[names.COMPONENT] = [Play(log("early"), hang=True)]
    state = RunState(a_run(phase="Running", attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(raw_pod(container(names.COMPONENT, "running"))))
    work = asyncio.create_task(world.work(state))
    await until(lambda: has(world, "early"))
    assert (await open_runs(world.stores.store), await entries(world)) == ([UID], [])
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    again = with_pod(world, Play(log("early", "late")))
    await world.work(again)
    (entry,) = await entries(world)
    events = await world.events()
    assert await open_runs(world.stores.store) == []
    assert (entry.run, sum(entry.counts.values())) == (UID, len(events))
    assert entry.counts["success"] == 1


async def test_who_dies_before_the_index_says_the_end_is_completed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()

    async def dies(*_: object) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "enter_ended", dies)
        with pytest.raises(RuntimeError, match="killed"):
            await world.work(with_pod(world, Play(log("one"))))
    before = await world.events()
    assert await entries(world) == []
    await world.work(with_pod(world, Play(log("one"))))
    assert [entry.run for entry in await entries(world)] == [UID]
    assert await world.events() == before
    assert world.reported()["delivered"]


async def test_a_store_that_refuses_the_index_is_told_of_in_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(writer, "_PATIENCE", 0.0)

    async def refuses(*_: object) -> None:
        await asyncio.sleep(0)
        raise UserError("no room", Reason.STORAGE_NOT_FOUND)

    monkeypatch.setattr(writer, "enter_ended", refuses)
    await world.work(with_pod(world, Play(log("one"))))
    assert world.reported()["message"] == "the run is missing from the index of events: no room"

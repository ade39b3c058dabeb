"""The collector merges the segments of a run, and two collectors still can't mix their events."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from obstore.store import MemoryStore

from componentrun.collector.events import merger
from componentrun.collector.events.budget import MemoryBudget
from componentrun.collector.events.journal import Journal, Limits
from componentrun.collector.events.writer import EventWriter, SupersededError
from componentrun.collector.metrics import Metrics
from componentrun.collector.runs.lifecycle import LifecycleEvent
from componentrun.collector.runs.state import RunState
from componentrun.core.redact.redactor import Redactor
from componentrun.errors import PlatformError, TransientError
from componentrun.process.logs import RunLogger
from componentrun.storage.events.events import Event
from componentrun.storage.events.reader import read_events
from componentrun.storage.events.runs import ended_runs, open_runs
from componentrun.storage.events.segments import append_segment, last_segment, list_events
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from tests.unit.collector.runs import UID, a_run, ended_run
from tests.unit.collector.world import FakeStores
from tests.unit.storage.pastruns import Counting, in_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.store.connection import ObjectInfo

LEASE = 3.0


class Collector:
    """The part of a collector that writes the events of one run."""

    def __init__(
        self,
        store: Store,
        name: str = "a",
        *,
        is_over: bool = False,
        gate: merger.MergeGate | None = None,
        memory: MemoryBudget | None = None,
    ) -> None:
        stores: Any = FakeStores(store=store)
        state = RunState(ended_run() if is_over else a_run(phase="Running"))
        log = RunLogger(logging.getLogger(name), "team", "clean-7")
        self.writer = EventWriter(state, stores, Metrics(), log, Limits(), gate, memory)
        self.name, self.count = name, 0
        self.journal: Journal | None = None

    async def start(self) -> Collector:
        self.journal = await self.writer.journal()
        return self

    async def write(self, count: int = 1, *, finished: bool = False) -> None:
        """Write segments of one event."""
        assert self.journal is not None
        for _ in range(count):
            self.count += 1
            said = LifecycleEvent(f"{self.name}{self.count}", self.count * 10**9, "info", f"{self.name} {self.count}")
            if finished:
                self.journal.finish(said, Redactor())
            else:
                self.journal.add_lifecycle(said, Redactor())
            await self.writer.write(self.journal.take_segment())


async def keys(store: Store) -> list[str]:
    return [info.key.rpartition("/")[2] async for info in store.objects(store.layout.events(UID))]


async def messages(store: Store) -> list[str]:
    return [event.message async for event in read_events(store, UID)]


async def test_a_run_is_one_object_at_its_end() -> None:
    store = in_memory()
    one = await Collector(store).start()
    await one.write(20)
    await one.write(finished=True)
    assert len(await keys(store)) == 21
    assert await one.writer.close() == ""
    assert await keys(store) == ["merged-000000000021-000000000001.jsonl.zst"]
    assert len(await messages(store)) == 21
    assert [run.run async for run in ended_runs(store)] == [UID]
    assert await open_runs(store) == []
    assert await one.writer.close() == "", "it may be repeated"


async def test_a_collector_that_takes_over_merges_what_the_one_before_has_written() -> None:
    store = in_memory()
    await (await Collector(store).start()).write(5)
    other = await Collector(store, "b").start()
    await other.write(finished=True)
    await other.writer.close()
    assert await messages(store) == ["a 1", "a 2", "a 3", "a 4", "a 5", "b 1"]
    assert await keys(store) == ["merged-000000000006-000000000001.jsonl.zst"]


async def test_a_run_that_prints_for_long_has_few_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merger, "_SEGMENTS", 8)
    store = in_memory()
    counting = Counting(store)
    one = await Collector(counting).start()
    most = 0
    for _ in range(20):
        await one.write(5)
        await asyncio.sleep(0.05)
        most = max(most, len((await list_events(store, UID)).segments))
    assert most <= 16
    counting.requests.clear()
    last = await last_segment(counting, UID)
    assert last is not None
    assert last.next_seq == 101
    assert (counting.requests["list"], counting.requests["get"]) == (1, 1)
    await one.writer.stop()
    again = await Collector(store, "b").start()
    await again.write(finished=True)
    await again.writer.close()
    assert (await list_events(store, UID)).segments == ()
    assert await messages(store) == [*(f"a {number}" for number in range(1, 101)), "b 1"]


async def test_a_collector_whose_number_was_merged_by_another_one_notices() -> None:
    store = in_memory()
    slow, fast = await Collector(store, "slow").start(), Collector(store, "fast")
    await slow.write(3)
    await fast.start()
    await fast.write(4)
    await fast.write(finished=True)
    await fast.writer.close()
    with pytest.raises(SupersededError, match="merged events from 4 on"):
        await slow.write()
    expected = ["slow 1", "slow 2", "slow 3", "fast 1", "fast 2", "fast 3", "fast 4", "fast 5"]
    assert await messages(store) == expected
    assert await keys(store) == ["merged-000000000008-000000000001.jsonl.zst"]
    resumed = (await slow.start()).journal
    assert resumed is not None
    assert resumed.finished


class Clock:
    """The time of `merger`, which moves when somebody waits or a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.waits, self.goes_on = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(merger, "LEASE_SECONDS", LEASE)
        monkeypatch.setattr(merger, "clock", lambda: self.now)
        monkeypatch.setattr(merger, "sleep_until", self._sleep_until)

    async def _sleep_until(self, time: float) -> None:
        if time > self.now:
            self.waits.set()
            await self.goes_on.wait()
            self.now = time


async def test_segments_are_deleted_only_when_no_collector_writes_without_checking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, store = Clock(monkeypatch), in_memory()
    slow = await Collector(store, "slow").start()
    await slow.write(3)
    fast = await Collector(store, "fast").start()
    await fast.write(finished=True)
    closing = asyncio.create_task(fast.writer.close())
    await clock.waits.wait()
    clock.now += LEASE - 0.5
    assert "000000000004.jsonl.zst" in await keys(store)
    with pytest.raises(SupersededError, match="another event segment that starts with 4"):
        await slow.write()
    clock.goes_on.set()
    await closing
    assert await keys(store) == ["merged-000000000004-000000000001.jsonl.zst"]
    assert slow.journal is not None
    slow.journal.next_seq = 4
    with pytest.raises(SupersededError, match="merged events from 4 on"):
        await slow.write()


async def test_a_collector_that_prints_steadily_does_not_check_each_write(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, counting = Clock(monkeypatch), Counting(in_memory())
    one = await Collector(counting).start()
    await one.write()
    counting.requests.clear()
    for _ in range(60):
        clock.now += 1
        await one.write()
    assert counting.requests == {"put": 60}
    clock.now += LEASE
    await one.write()
    assert counting.requests["list"] == 1


async def test_requests_and_objects_of_a_run_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of decision 0084."""
    clock, store = Clock(monkeypatch), in_memory()
    counting = Counting(store)
    one = await Collector(counting).start()
    for _ in range(60):
        clock.now += 1
        await one.write()
    await one.write(finished=True)
    await one.writer.close()
    assert len(await keys(store)) == 1
    # Created: 61 segments and the merged object. Listed: before the first segment and after it. Deleted: all segments
    # at once, and the key of the open run. (Besides: four writes of small objects, to the index.)
    assert {kind: counting.requests[kind] for kind in ("put", "list", "get", "delete")} == {
        "put": 62, "list": 2, "get": 0, "delete": 2,
    }  # fmt: skip


class Failing(Store):
    """A store that fails at deletions for a while."""

    def __init__(self, store: Store, error: PlatformError, failures: int) -> None:
        super().__init__(store.settings, store._backend)
        self.error, self.failures = error, failures

    async def delete(self, keys: Sequence[str]) -> None:
        if self.failures:
            self.failures -= 1
            raise self.error
        await super().delete(keys)


@pytest.mark.usefixtures("quick")
async def test_a_store_that_fails_while_segments_are_merged_is_tried_again() -> None:
    store = in_memory()
    one = await Collector(Failing(store, TransientError("away"), 3), is_over=True).start()
    await one.write(3)
    await one.write(finished=True)
    assert await one.writer.close() == ""
    assert await keys(store) == ["merged-000000000004-000000000001.jsonl.zst"]


async def test_leftovers_of_a_killed_merge_are_deleted_by_the_next_collector() -> None:
    store = in_memory()
    one = await Collector(store).start()
    await one.write(3)
    await one.write(finished=True)
    before: list[ObjectInfo] = [info async for info in store.objects(store.layout.events(UID))]
    contents = {info.key: (await store.get(info.key)).data for info in before}
    await one.writer.close()
    for key, data in contents.items():
        await store.put(key, data)
    again = await Collector(store, "b").start()
    assert again.journal is not None
    assert again.journal.finished
    await again.writer.close()
    assert await keys(store) == ["merged-000000000004-000000000001.jsonl.zst"]
    assert await messages(store) == ["a 1", "a 2", "a 3", "a 4"]


class Hanging(Store):
    """A store that does not respond when merged segments are created."""

    def __init__(self, bucket: str) -> None:
        super().__init__(StoreSettings(bucket), MemoryStore())
        self.waiting, self.is_full = 0, asyncio.Event()

    async def create(self, key: str, data: bytes) -> str:
        if "/merged-" in key:
            self.waiting += 1
            if self.waiting == 2:
                self.is_full.set()
            await asyncio.Event().wait()
        return await super().create(key, data)


@pytest.mark.parametrize("held", [0, 2**20], ids=["segments_are_read_back", "segments_are_in_memory"])
async def test_a_store_that_does_not_respond_does_not_stop_the_merges_of_others(
    monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    gate, hanging, other = merger.MergeGate(total=4, each=2), Hanging("hangs"), in_memory()
    stuck = []
    for number in range(8):
        run = f"run-{number}"
        one = merger.RunMerger(run, gate)
        event = Event(f"{run}-1", 1, "2026-11-24T08:00:00.000000000Z", run, "a", "", "info", "x")
        await append_segment(hanging, run, 1, [event], {})
        one.listed(await list_events(hanging, run))
        stuck.append(asyncio.create_task(one.merge(hanging)))
    await hanging.is_full.wait()
    monkeypatch.setattr(merger, "_HELD_BYTES", held)
    healthy = await Collector(other, gate=gate).start()
    await healthy.write(3)
    await healthy.write(finished=True)
    async with asyncio.timeout(10):
        assert await healthy.writer.close() == ""
    assert await keys(other) == ["merged-000000000004-000000000001.jsonl.zst"]
    assert hanging.waiting == 2
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)


async def test_a_run_whose_segments_are_in_memory_waits_for_no_other_run() -> None:
    gate, store = merger.MergeGate(total=1, each=1), in_memory()
    one = await Collector(store, gate=gate).start()
    await one.write(finished=True)
    async with gate.place(store), asyncio.timeout(10):
        assert await one.writer.close() == ""
    assert await keys(store) == ["merged-000000000001-000000000001.jsonl.zst"]


async def test_segments_that_wait_to_be_merged_are_in_the_memory_budget_of_all_runs() -> None:
    memory, store = MemoryBudget(), in_memory()
    one = await Collector(store, memory=memory).start()
    await one.write(5)
    assert memory.kept > 0
    await one.write(finished=True)
    await one.writer.close()
    assert memory.kept == 0


@pytest.mark.parametrize("is_listed_again", [False, True], ids=["stopped", "merged by another one"])
async def test_a_collector_that_leaves_a_run_gives_its_memory_back(*, is_listed_again: bool) -> None:
    memory, store = MemoryBudget(), in_memory()
    one = await Collector(store, memory=memory).start()
    await one.write(5)
    assert memory.kept > 0
    if is_listed_again:
        other = await Collector(store, "b").start()
        await other.write(finished=True)
        await other.writer.close()
        await one.writer.journal()
    else:
        await one.writer.stop()
    assert memory.kept == 0


async def test_segments_without_room_in_memory_are_read_back_and_merged() -> None:
    counting = Counting(in_memory())
    one = await Collector(counting, memory=MemoryBudget(total=0)).start()
    await one.write(5)
    await one.write(finished=True)
    counting.requests.clear()
    assert await one.writer.close() == ""
    assert counting.requests["get"] >= 6
    assert len(await messages(counting)) == 6
    assert len(await keys(counting)) == 1

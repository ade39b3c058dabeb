"""The work queue on a clock that only moves when told to."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from componentrun.controller.work.queue import Backoff, ShutDownError, WorkQueue
from componentrun.process.fairqueue import Flow

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(order=True)
class FakeTimer:
    when: float
    number: int
    callback: Callable[[str], object] = field(compare=False)
    key: str = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """Time stands still but for `move`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[FakeTimer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[str], object], key: str, /) -> FakeTimer:
        timer = FakeTimer(when, len(self.timers), callback, key)
        heapq.heappush(self.timers, timer)
        return timer

    def move(self, seconds: float) -> None:
        end = self.now + seconds
        while self.timers and self.timers[0].when <= end:
            timer = heapq.heappop(self.timers)
            if not timer.cancelled:
                self.now = max(self.now, timer.when)
                timer.callback(timer.key)
        self.now = end

    @property
    def pending(self) -> int:
        return sum(not timer.cancelled for timer in self.timers)


class Observer:
    def __init__(self) -> None:
        self.adds = self.retries = self.waiting = 0
        self.waited: list[float] = []
        self.worked: list[float] = []

    def added(self) -> None:
        self.adds += 1

    def depth(self, waiting: int) -> None:
        self.waiting = waiting

    def taken(self, waited: float) -> None:
        self.waited.append(waited)

    def done(self, worked: float) -> None:
        self.worked.append(worked)

    def retried(self) -> None:
        self.retries += 1


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
def queue(clock: FakeClock, observer: Observer) -> WorkQueue[str]:
    return WorkQueue(clock, backoff=Backoff(first=1, longest=8, jitter=0), observer=observer)


async def take(queue: WorkQueue[str]) -> str:
    return await asyncio.wait_for(queue.get(), 1)


class TestTaking:
    async def test_keys_come_in_their_order(self, queue: WorkQueue[str]) -> None:
        for key in "abc":
            queue.add(key)
        assert [await take(queue) for _ in range(3)] == ["a", "b", "c"]

    async def test_a_key_that_waits_is_not_put_in_twice(self, queue: WorkQueue[str]) -> None:
        queue.add("a")
        queue.add("a")
        assert await take(queue) == "a"
        assert len(queue) == 0

    async def test_a_key_that_is_worked_on_waits_until_that_is_done(self, queue: WorkQueue[str]) -> None:
        queue.add("a")
        await take(queue)
        queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        assert await take(queue) == "a"

    async def test_a_key_that_nobody_put_in_again_does_not_come_again(self, queue: WorkQueue[str]) -> None:
        queue.add("a")
        await take(queue)
        queue.done("a")
        assert queue.idle

    async def test_whoever_waits_gets_the_next_key(self, queue: WorkQueue[str]) -> None:
        taking = [asyncio.create_task(queue.get()) for _ in range(3)]
        await asyncio.sleep(0)
        for key in "abc":
            queue.add(key)
        assert sorted(await asyncio.gather(*taking)) == ["a", "b", "c"]

    async def test_a_taker_that_is_cancelled_passes_its_key_on(self, queue: WorkQueue[str]) -> None:
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        first.cancel()
        assert await asyncio.wait_for(second, 1) == "a"


class TestLater:
    async def test_a_key_comes_when_its_time_has_come(self, queue: WorkQueue[str], clock: FakeClock) -> None:
        queue.add_after("a", 10)
        clock.move(9.9)
        assert len(queue) == 0
        clock.move(0.2)
        assert await take(queue) == "a"

    @pytest.mark.parametrize("delays", [(10, 5), (5, 10)])
    async def test_the_earlier_of_two_times_counts(
        self, queue: WorkQueue[str], clock: FakeClock, delays: tuple[int, int]
    ) -> None:
        for delay in delays:
            queue.add_after("a", delay)
        assert clock.pending == 1
        clock.move(5)
        assert await take(queue) == "a"
        queue.done("a")
        clock.move(10)
        assert queue.idle

    async def test_taking_a_key_drops_its_wake_up(self, queue: WorkQueue[str], clock: FakeClock) -> None:
        queue.add_after("a", 10)
        queue.add("a")
        await take(queue)
        assert clock.pending == 0

    async def test_no_delay_means_now(self, queue: WorkQueue[str]) -> None:
        queue.add_after("a", 0)
        assert await take(queue) == "a"


class TestFailing:
    def test_the_pause_doubles_up_to_the_longest(self, queue: WorkQueue[str]) -> None:
        assert [queue.retry("a") for _ in range(6)] == [1, 2, 4, 8, 8, 8]
        assert queue.failures("a") == 6

    def test_what_is_forgotten_starts_from_the_first_pause(self, queue: WorkQueue[str]) -> None:
        queue.retry("a")
        queue.retry("a")
        queue.forget("a")
        assert queue.retry("a") == 1

    def test_keys_fail_each_for_itself(self, queue: WorkQueue[str]) -> None:
        queue.retry("a")
        assert queue.retry("b") == 1

    @pytest.mark.parametrize("failures", [1, 5, 40, 5000])
    def test_jitter_only_shortens(self, failures: int) -> None:
        backoff = Backoff(first=1, longest=30, jitter=0.3)
        full = min(2.0 ** (failures - 1) if failures < 40 else 30.0, 30.0)
        delays = [backoff.delay(failures, Random(seed)) for seed in range(50)]  # noqa: S311 - spreads retries
        assert all(full * 0.7 <= delay <= full for delay in delays)
        assert len(set(delays)) > 10


class TestEnding:
    async def test_takers_are_told(self, queue: WorkQueue[str]) -> None:
        taking = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.shut_down()
        with pytest.raises(ShutDownError):
            await taking

    async def test_nothing_is_given_out_any_more(self, queue: WorkQueue[str], clock: FakeClock) -> None:
        queue.add("a")
        queue.add_after("b", 1)
        queue.shut_down()
        queue.add("c")
        queue.add_after("d", 1)
        assert clock.pending == 0
        with pytest.raises(ShutDownError):
            await queue.get()

    async def test_what_is_held_can_still_be_done(self, queue: WorkQueue[str]) -> None:
        queue.add("a")
        key = await take(queue)
        queue.shut_down()
        queue.done(key)


async def test_the_observer_hears_of_everything(queue: WorkQueue[str], clock: FakeClock, observer: Observer) -> None:
    queue.add("a")
    queue.add("a")
    clock.move(3)
    await take(queue)
    clock.move(2)
    queue.done("a")
    queue.retry("a")
    assert (observer.adds, observer.waited, observer.worked, observer.retries) == (2, [3], [2], 1)
    assert observer.waiting == 0


class TestWorkers:
    """Of a queue that gives out so many keys at a time."""

    @pytest.fixture
    def queue(self, clock: FakeClock) -> WorkQueue[str]:
        return WorkQueue(clock, flow_of=lambda key: Flow(key[0]), workers=2)

    async def test_a_key_waits_until_there_is_a_worker_for_it(self, queue: WorkQueue[str]) -> None:
        for key in ("a1", "a2", "b1"):
            queue.add(key)
        assert [await take(queue), await take(queue)] == ["a1", "b1"]
        taking = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        assert not taking.done()
        queue.done("b1")
        await asyncio.sleep(0)
        assert not taking.done(), "the last worker is for another namespace"
        queue.done("a1")
        assert await asyncio.wait_for(taking, 1) == "a2"

    async def test_one_that_waits_for_something_else_needs_none_and_stays_taken(self, queue: WorkQueue[str]) -> None:
        queue.add("a1")
        await take(queue)
        queue.detach("a1")
        queue.add("a1")
        for key in ("a2", "b1"):
            queue.add(key)
        assert {await take(queue), await take(queue)} == {"a2", "b1"}
        queue.detach("a2")
        queue.done("a1")
        assert await take(queue) == "a1"

    async def test_whoever_waits_is_told_of_news_meanwhile_and_only_then(self, queue: WorkQueue[str]) -> None:
        told: list[str] = []
        queue.on_added_while_detached = told.append
        queue.add("a1")
        await take(queue)
        queue.add("a1")
        queue.done("a1")
        await take(queue)
        queue.detach("a1")
        queue.add("a1")
        queue.add("a1")
        assert told == ["a1"]


KEYS = st.sampled_from(("a1", "a2", "b1", "b2", "c1"))
WORKERS = 3


async def nothing_comes(queue: WorkQueue[str]) -> bool:
    taking = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    waits = not taking.done()
    taking.cancel()
    return waits


class QueueAgainstModel(RuleBasedStateMachine):
    """The queue and a model made of sets, under any order of calls."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.queue: WorkQueue[str] = WorkQueue(
            self.clock,
            backoff=Backoff(first=1, longest=8, jitter=0),
            flow_of=lambda key: Flow(key[0]),
            workers=WORKERS,
        )
        self.dirty: set[str] = set()
        self.holding: set[str] = set()
        self.taken: set[str] = set()
        self.due: dict[str, float] = {}

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.dirty.add(key)

    @rule(key=KEYS, delay=st.integers(1, 9))
    def add_after(self, key: str, delay: int) -> None:
        self.queue.add_after(key, delay)
        self.due[key] = min(self.due.get(key, float("inf")), self.clock.now + delay)

    @rule(seconds=st.integers(1, 12))
    def move(self, seconds: int) -> None:
        self.clock.move(seconds)
        for key in [key for key, when in self.due.items() if when <= self.clock.now]:
            del self.due[key]
            self.dirty.add(key)

    def entitled(self) -> bool:
        free, held = WORKERS - len(self.holding), [key[0] for key in self.holding]
        return any(held.count(key[0]) < free for key in self.dirty - self.taken)

    @precondition(lambda self: self.entitled())
    @rule()
    def take(self) -> None:
        key = asyncio.run(asyncio.wait_for(self.queue.get(), 1))
        assert key in self.dirty - self.taken, "a key came that nobody wanted worked on, or that is being worked on"
        self.dirty.discard(key)
        self.taken.add(key)
        self.holding.add(key)
        self.due.pop(key, None)

    @precondition(lambda self: self.dirty - self.taken and not self.entitled())
    @rule()
    def take_none(self) -> None:
        assert asyncio.run(nothing_comes(self.queue)), "a key came for which there is no worker"

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def detach(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.taken)))
        self.holding.discard(key)
        self.queue.detach(key)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.taken)))
        self.taken.discard(key)
        self.holding.discard(key)
        self.queue.done(key)

    @invariant()
    def the_same_keys_wait(self) -> None:
        assert len(self.queue) == len(self.dirty - self.taken)
        assert self.queue.idle == (not self.dirty and not self.taken)
        assert self.clock.pending == len(self.due)


QueueAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestQueueAgainstModel = QueueAgainstModel.TestCase

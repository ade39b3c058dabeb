"""The memory that all receivers share: whoever is removed gives back all that it held, and nobody takes too much."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from obstore.store import MemoryStore

from componentrun.collector.forward.backlog import Backlog, Room
from componentrun.collector.forward.message import size_of
from componentrun.collector.forward.subscription import Subscription
from componentrun.collector.metrics import Metrics
from componentrun.storage.events.events import Event
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

SIZE = 8_000


def event(run: str, seq: int, size: int = 0) -> Event:
    return Event(f"{run}-{seq}", seq, "2026-01-01T00:00:00Z", run, "a", "1", "info", "x" * size, source="operator")


def a_lane(room: Room, store: Store | None = None) -> Subscription:
    return Subscription(
        "team",
        "main",
        "webhook",
        store or Store(StoreSettings("a-bucket", name="main"), MemoryStore()),
        room,
        Metrics(),
    )


async def test_a_thousand_receivers_that_are_removed_with_pending_events_leave_all_room_behind() -> None:
    room = Room()
    for number in range(1_000):
        subscription = a_lane(room)
        for run in (f"r{number}", f"s{number}"):
            await subscription.enter(run, run, 1)
            subscription.offer(run, (1, 2), [event(run, 1), event(run, 2)], finished=False)
        assert room.used > 0
        await subscription.close()
    assert room.used == 0


async def test_a_receiver_that_is_removed_takes_no_room_for_what_is_offered_afterwards() -> None:
    """A worker looked the subscription up before it was removed, and offers what it has written since."""
    room = Room()
    subscription = a_lane(room)
    await subscription.enter("r1", "r1", 1)
    await subscription.close()
    subscription.offer("r1", (1, 1), [event("r1", 1)], finished=False)
    await subscription.enter("r2", "r2", 1)
    subscription.offer("r2", (1, 1), [event("r2", 1)], finished=False)
    assert room.used == 0


async def test_room_comes_back_though_the_mark_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    subscription = a_lane(room)
    await subscription.enter("r1", "r1", 1)
    subscription.offer("r1", (1, 1), [event("r1", 1)], finished=False)

    async def refuse(*_: object) -> None:
        raise OSError("the store is away")

    monkeypatch.setattr(Store, "put", refuse)
    subscription._runs["r1"].sent = 1
    with contextlib.suppress(OSError):
        await subscription.close()
    assert room.used == 0


class Rooms(RuleBasedStateMachine):
    """Receivers come, take events, send some, fall behind and go, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(SIZE)
        self.shares = {name: self.room.share() for name in "ab"}
        self.backlogs: dict[tuple[str, str], Backlog] = {}

    def backlog(self, name: str, run: str) -> Backlog:
        made = self.backlogs.get((name, run))
        if made is None:
            made = self.backlogs[name, run] = Backlog(run, self.shares[name], sent=0)
            made.caught_up(0)
        return made

    names = st.sampled_from("ab")
    runs = st.sampled_from(["r1", "r2"])

    @rule(name=names, run=runs, sizes=st.lists(st.integers(0, 3_000), min_size=1, max_size=4))
    def offer(self, name: str, run: str, sizes: Sequence[int]) -> None:
        backlog = self.backlog(name, run)
        first = backlog.written + 1
        wanted = [event(run, first + at, size) for at, size in enumerate(sizes)]
        backlog.offer((first, first + len(sizes) - 1), wanted, finished=False)

    @rule(name=names, run=runs, most=st.integers(1, 4))
    def send(self, name: str, run: str, most: int) -> None:
        backlog = self.backlog(name, run)
        if backlog.held:
            backlog.advance(backlog.take(most, SIZE).upto)

    @rule(name=names, run=runs)
    def fall_behind(self, name: str, run: str) -> None:
        self.backlog(name, run).release()

    @rule(name=names, run=runs)
    def catch_up(self, name: str, run: str) -> None:
        backlog = self.backlog(name, run)
        backlog.caught_up(backlog.written)

    @rule(name=names)
    def remove(self, name: str) -> None:
        """A worker may still know the backlogs of the receiver that is removed."""
        self.shares[name].close()
        for (owner, _), backlog in self.backlogs.items():
            if owner == name:
                backlog.offer((backlog.written + 1, backlog.written + 1), [event("late", 1)], finished=False)

    @precondition(lambda self: any(share.closed for share in self.shares.values()))
    @rule(name=names)
    def add_again(self, name: str) -> None:
        if self.shares[name].closed:
            self.shares[name] = self.room.share()
            self.backlogs = {key: value for key, value in self.backlogs.items() if key[0] != name}

    @invariant()
    def what_is_used_is_what_is_held(self) -> None:
        held = [
            size_of(item)
            for (owner, _), backlog in self.backlogs.items()
            if not self.shares[owner].closed
            for item in backlog.held or ()
        ]
        assert self.room.used == sum(held) <= SIZE

    def teardown(self) -> None:
        for share in self.shares.values():
            share.close()
        assert self.room.used == 0


TestRooms = Rooms.TestCase
TestRooms.settings = settings(max_examples=100, stateful_step_count=30)


async def test_a_lane_that_is_closed_while_it_enters_a_run_forgets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    room, find = Room(), Store.find
    subscription = a_lane(room)
    began, go = asyncio.Event(), asyncio.Event()

    async def slow(self: Store, key: str) -> object:
        began.set()
        await go.wait()
        return await find(self, key)

    monkeypatch.setattr(Store, "find", slow)
    entering = asyncio.create_task(subscription.enter("r1", "r1", 1))
    await began.wait()
    await subscription.close()
    go.set()
    await entering
    subscription.offer("r1", (1, 1), [event("r1", 1)], finished=False)
    assert room.used == 0
    assert not subscription._runs

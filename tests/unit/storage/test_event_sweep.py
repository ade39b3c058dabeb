"""Events go when they have been kept for long enough: any runs, any times, killed at any moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.api.component import Component
from componentrun.api.storage import Storage, StorageEvents
from componentrun.errors import PlatformError
from componentrun.storage.events.deadletters import add_dead_letters, read_dead_letters
from componentrun.storage.events.forwardmarks import marked_runs, write_mark
from componentrun.storage.events.query import EventQuery, last_events
from componentrun.storage.events.retention import LEAST_KEEP, Retention, retention_of
from componentrun.storage.events.runs import EventRun, ended_runs, enter_ended, enter_open, open_runs
from componentrun.storage.events.sweep import SweptEvents, sweep_events
from componentrun.storage.store.connection import Store
from tests.unit.storage.pastruns import START, Run, in_memory, model, runs, write

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERYTHING = EventQuery()
LATER = datetime.now(UTC) + timedelta(days=1)
"""All that a test has written is older."""
SINCE_START = LATER - START
"""How long ago the first event was."""


class KilledError(BaseException):
    """The sweeper died. No `except Exception` may hide it."""


class Mortal(Store):
    """A store whose user is killed at its n-th deletion, with half of the keys gone."""

    def __init__(self, store: Store, deletions: int) -> None:
        super().__init__(store.settings, store._backend)
        self.left = deletions

    async def delete(self, keys: Sequence[str]) -> None:
        self.left -= 1
        if self.left < 0:
            await super().delete(keys[: len(keys) // 2])
            raise KilledError
        await super().delete(keys)


def one(uid: str, second: float = 0, *, ended: bool = True, component: str = "a") -> Run:
    return Run(uid, component, "1", ended, (((second, "info", "x"),), ((second, "info", "y"),)))


async def keys(store: Store) -> list[str]:
    return [info.key async for info in store.objects("team/a/")]


keeps = st.none() | st.integers(-30, 40).map(lambda seconds: SINCE_START - timedelta(seconds=seconds))


@settings(deadline=None)
@given(
    runs,
    keeps,
    st.dictionaries(st.sampled_from(["a", "reg/b:1", "c" * 300]), keeps),
)
def test_what_was_kept_for_long_enough_goes_and_nothing_else(
    made: list[Run],
    keep: timedelta | None,
    own: dict[str, timedelta | None],
) -> None:
    retention = Retention(keep, own)

    def stays(run: Run) -> bool:
        kept = retention.of(run.component)
        end = START + timedelta(seconds=max((item[0] for segment in run.segments for item in segment), default=0))
        return not run.ended or kept is None or end >= LATER - kept

    async def check() -> None:
        store = in_memory()
        for run in made:
            await write(store, run)
        left = [run for run in made if stays(run)]
        before = await keys(store)
        told = await sweep_events(store, retention, existing=[run.uid for run in made], dry_run=True, now=LATER)
        assert (await keys(store), told.runs) == (before, len(made) - len(left))
        await sweep_events(store, retention, existing=[run.uid for run in made], now=LATER)
        assert [item.event for item in await last_events(store, EVERYTHING, 1000)] == model(left, EVERYTHING)
        assert {run.run async for run in ended_runs(store)} == {run.uid for run in left if run.ended}
        expected = in_memory()
        for run in left:
            await write(expected, run)
        assert await keys(store) == await keys(expected)

    asyncio.run(check())


@pytest.mark.parametrize("death", range(10))
async def test_who_dies_in_between_leaves_what_the_next_sweep_goes_on_with(store: Store, death: int) -> None:
    made = [one(f"r{number}", number) for number in range(5)]
    for run in made:
        await write(store, run)
    await enter_open(store, EventRun("r1", "a", "1"))
    retention = Retention(SINCE_START - timedelta(seconds=3))
    mortal = Mortal(store, death)
    try:
        await sweep_events(mortal, retention, now=LATER)
    except BaseExceptionGroup as group:
        assert group.subgroup(KilledError) is not None  # noqa: PT017 - it may also have come to its end
    assert (mortal.left < 0) == (death < 9), "a run is three deletions"
    found = await last_events(store, EVERYTHING, 1000)
    assert [item.event for item in found if item.event.run in {"r3", "r4"}] == model(made[3:], EVERYTHING)
    await sweep_events(store, retention, now=LATER)
    expected = in_memory()
    for run in made[3:]:
        await write(expected, run)
    assert await keys(store) == await keys(expected)


async def test_a_run_that_goes_on_stays_however_old_it_is(store: Store) -> None:
    await write(store, one("suspended", ended=False))
    assert await sweep_events(store, Retention(LEAST_KEEP), existing=["suspended"], now=LATER) == SweptEvents()
    assert await sweep_events(store, Retention(LEAST_KEEP), existing=None, now=LATER) == SweptEvents()
    assert await open_runs(store) == ["suspended"]


async def test_what_a_run_left_that_was_deleted_before_its_end_goes_as_well(store: Store) -> None:
    for run in (one("deleted", ended=False), one("there", ended=False), one("b", ended=False, component="b")):
        await write(store, run)
    await enter_open(store, EventRun("empty", "a", "1"))
    retention = Retention(LEAST_KEEP, {"b": None})
    assert (await sweep_events(store, retention, existing=["there"], now=datetime.now(UTC))).runs == 0
    assert (await sweep_events(store, retention, existing=["there"], dry_run=True, now=LATER)).runs == 2
    swept = await sweep_events(store, retention, existing=["there"], now=LATER)
    assert (swept.runs, swept.objects) == (2, 2)
    assert await open_runs(store) == ["there", "b"]
    assert not any("deleted" in key or "empty" in key for key in await keys(store))


async def test_whoever_has_not_got_the_events_yet_does_not_wait_for_them_any_more(store: Store) -> None:
    for run in ("r1", "r2"):
        await write(store, one(run, 0 if run == "r1" else 9))
        for receiver in ("team/main/webhook", "team/main/otlp"):
            await write_mark(store, receiver, run, 1)
            await add_dead_letters(store, receiver, run, [{"id": f"{run}-1"}])
    await sweep_events(store, Retention(SINCE_START - timedelta(seconds=5)), now=LATER)
    for receiver in ("team/main/webhook", "team/main/otlp"):
        assert [run async for run in marked_runs(store, receiver)] == ["r2"]
        assert [len((await read_dead_letters(store, receiver, run))["letters"]) for run in ("r1", "r2")] == [0, 1]


async def test_a_collector_that_says_again_that_a_run_has_ended_brings_nothing_back(store: Store) -> None:
    about = await write(store, one("r1"))
    await sweep_events(store, Retention(LEAST_KEEP), now=LATER)
    await enter_ended(store, EventRun("r1", "a", "1"), about)
    assert [item.event for item in await last_events(store, EVERYTHING, 10)] == []
    assert (await sweep_events(store, Retention(LEAST_KEEP), now=LATER)).runs == 1
    assert await keys(store) == []


async def test_a_run_that_was_entered_a_moment_ago_waits_though_it_ended_long_ago(store: Store) -> None:
    await write(store, one("r1"))
    assert (await sweep_events(store, Retention(LEAST_KEEP))).runs == 0
    assert [item.event.run for item in await last_events(store, EVERYTHING, 10)] == ["r1", "r1"]


async def test_two_sweeps_at_once_do_the_same_work(store: Store) -> None:
    for number in range(40):
        await write(store, one(f"r{number}", number))
    retention = Retention(SINCE_START - timedelta(seconds=20))
    await asyncio.gather(*(sweep_events(store, retention, now=LATER) for _ in range(3)))
    assert sorted([int(run.run[1:]) async for run in ended_runs(store)]) == list(range(20, 40))


async def test_an_entry_that_is_none_is_named(store: Store) -> None:
    await write(store, one("r1"))
    (key,) = [key for key in await keys(store) if "/ended/component/" in key]
    await store.put(key, b"[]")
    with pytest.raises(PlatformError, match="is invalid"):
        await sweep_events(store, Retention(LEAST_KEEP), now=LATER)


def component(name: str, events: dict[str, str] | None) -> Component:
    return Component.model_validate({"metadata": {"name": name}, "spec": {"image": "i", "events": events}})


def test_the_component_goes_before_the_storage() -> None:
    spec = {"bucket": "bucket", "events": {"keep": "30d"}}
    storage = Storage.model_validate({"metadata": {"name": "main"}, "spec": spec})
    made = [component("long", {"keep": "90d"}), component("short", {"keep": "1s"}), component("none", None)]
    retention = retention_of(storage, [*made, component("empty", {})])
    days = {name: retention.of(name) for name in ("long", "none", "empty", "unknown")}
    assert days == {name: timedelta(days=90 if name == "long" else 30) for name in days}
    assert retention.of("short") == LEAST_KEEP
    assert not retention.endless
    silent = Storage.model_validate({"metadata": {"name": "main"}, "spec": {"bucket": "bucket"}})
    assert retention_of(silent, [component("none", None)]).of("none") == timedelta(days=90)
    assert retention_of(silent, [component("all", {"keep": "forever"})]).of("all") is None
    endless = storage.model_copy(
        update={"spec": storage.spec.model_copy(update={"events": StorageEvents(keep="forever")})}
    )
    shared = [component(name, {"keep": "400d"}) for name in ("long", "none", "wide")]
    hidden = retention_of(storage, made, shared)
    assert [hidden.of(name) for name in ("long", "wide")] == [timedelta(days=90), timedelta(days=400)]
    assert hidden.of("none") == timedelta(days=30), "a Component hides the ClusterComponent as a whole"
    assert retention_of(endless, [component("none", None)]).endless
    assert not retention_of(endless, made).endless


@given(
    st.builds(Retention, keeps, st.dictionaries(st.sampled_from("abc"), keeps)),
    st.builds(Retention, keeps, st.dictionaries(st.sampled_from("abc"), keeps)),
)
def test_two_storages_in_one_place_keep_for_the_longer_time(one: Retention, other: Retention) -> None:
    for name in "abcd":
        times = one.of(name), other.of(name)
        assert one.merged(other).of(name) == (None if None in times else max(times))  # type: ignore[type-var]

"""No file that a snapshot reaches is ever deleted, whatever came before; and nothing is left that none reaches."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path  # noqa: TC003 - hypothesis looks annotations up
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from componentrun.loader.catalog import snapshots
from componentrun.loader.maintenance import expiring
from componentrun.loader.maintenance.expiring import expire
from componentrun.loader.maintenance.history import HistoryLimits, expired_snapshots
from tests.unit.loader.lakeworld import DAY, START, World
from tests.unit.loader.memorylake import LOCATION, NAME

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def few_manifests() -> Iterator[None]:
    """Manifests are merged early, so that short histories have merged ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "_MOST_MANIFESTS", 4)
        yield


OPERATIONS = ("append", "full", "fence", "merge", "rewrite", "lose", "wait", "expire", "orphans")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(str(tmp_path))
    monkeypatch.setattr(expiring, "TableObjects", lambda _: made.lake)
    return made


@given(st.lists(st.sampled_from(OPERATIONS), max_size=25))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_all_files_of_all_snapshots_are_there(tmp_path: Path, operations: list[str]) -> None:
    world = World(str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiring, "TableObjects", lambda _: world.lake)
        for operation in operations:
            getattr(world, operation)()
            assert world.reached() <= set(world.lake.objects)
        world.expire()
        world.lake.now += 4 * DAY
        world.orphans()
        assert set(world.lake.objects) == world.reached()


def test_a_snapshot_that_was_current_until_a_moment_ago_is_kept_however_old_it_is(world: World) -> None:
    for _ in range(3):
        world.append()
    old = world.lake.find(NAME).metadata.current_snapshot_id
    world.lake.now += 30 * DAY
    for _ in range(3):
        world.full()
    expired = expired_snapshots(world.lake.find(NAME).metadata, HistoryLimits(snapshots=1), world.lake.now)
    assert len(expired) == 2
    assert old not in expired


def test_nothing_younger_than_a_day_expires_whatever_is_asked_for(world: World) -> None:
    for _ in range(5):
        world.full()
    world.lake.now += DAY / 2
    limits = HistoryLimits(timedelta(0), 0)
    assert expired_snapshots(world.lake.find(NAME).metadata, limits, world.lake.now) == []


def test_the_newest_snapshots_are_kept_however_old_they_are(world: World) -> None:
    for _ in range(5):
        world.full()
        world.wait()
    world.lake.now += 300 * DAY
    assert len(expired_snapshots(world.lake.find(NAME).metadata, HistoryLimits(snapshots=3), world.lake.now)) == 2


def test_files_that_only_expired_snapshots_reached_are_deleted(world: World) -> None:
    for _ in range(4):
        world.full()
        world.wait()
    world.lake.now += 30 * DAY
    done = expire(world.catalog, NAME, HistoryLimits(snapshots=1), world.scratch, lambda: world.lake.now)
    data = [location for location in world.lake.objects if "/data/" in location]
    assert (done.snapshots, data) == (3, [f"{LOCATION}/data/3.parquet"])
    # Of each of the three: a file, the manifest that brought it, the one that took its predecessor away, a list.
    assert done.files == 11


def test_a_table_whose_files_may_belong_to_others_loses_none(world: World) -> None:
    for _ in range(2):
        world.full()
    world.lose()
    world.lake._table = world.lake._table.model_copy(update={"properties": {"gc.enabled": "false"}})
    before = set(world.lake.objects)
    world.lake.now += 30 * DAY
    limits = HistoryLimits(snapshots=1)
    assert expire(world.catalog, NAME, limits, world.scratch, lambda: world.lake.now).snapshots == 1
    world.orphans()
    assert before <= set(world.lake.objects)


def test_files_of_a_load_on_its_way_and_of_a_dropped_table_of_the_same_name_are_left_alone(world: World) -> None:
    world.append()
    before, young = f"{LOCATION}/data/before.parquet", f"{LOCATION}/data/young.parquet"
    old = f"{LOCATION}/data/old.parquet"
    world.lake.objects[before] = (b"x", START - DAY)
    world.lake.objects[old] = (b"x", START + DAY)
    world.lake.now += 10 * DAY
    world.lake.upload(young)
    world.orphans()
    assert (before in world.lake.objects, young in world.lake.objects, old in world.lake.objects) == (True, True, False)


class Killed(BaseException):
    """What nothing catches."""


@pytest.mark.parametrize("step", ["_collect", "_remove", "_delete", "second page"])
def test_an_expiry_that_is_killed_leaves_all_that_is_needed_and_the_next_rounds_end_it(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    for _ in range(5):
        world.full()
        world.wait()
    world.lake.now += 30 * DAY

    def killed(*arguments: Any) -> Any:
        if step == "second page":
            world.lake.delete(arguments[0][:3])
        raise Killed

    half = type("Half", (), {"delete": staticmethod(killed)})
    with monkeypatch.context() as patch:
        patch.setattr(expiring, *("TableObjects", lambda _: half) if step == "second page" else (step, killed))
        with pytest.raises(Killed):
            world.expire()
    assert world.reached() <= set(world.lake.objects)
    world.expire()
    world.orphans()
    assert set(world.lake.objects) == world.reached()


def test_orphans_of_a_table_with_many_commits_are_deleted(world: World) -> None:
    world.lose()
    for _ in range(120):
        world.fence()
    world.lake.now += 4 * DAY
    world.orphans()
    assert set(world.lake.objects) == world.reached()

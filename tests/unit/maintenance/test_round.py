"""One round over all Storages: what is wrong with one keeps nobody from the others, and events go by what all say.

Faked: the Kubernetes API. Real: everything else, on stores in memory.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import PlatformError, TransientError
from componentrun.maintenance import app
from componentrun.maintenance.settings import Settings
from tests.unit.maintenance.world import NOW, World

if TYPE_CHECKING:
    from componentrun.storage.store.connection import Store


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def test_events_go_by_storage_and_component(world: World) -> None:
    world.storage("main", "bucket-a", "30d")
    world.component("audit", "90d")
    for uid, component, days in (("old", "x", 40), ("young", "x", 20), ("kept", "audit", 40), ("gone", "audit", 100)):
        await world.said("bucket-a", uid, component, days)
    await app.maintain(Settings())
    assert await world.left("bucket-a") == {"young", "kept"}


@pytest.mark.parametrize(("namespaces", "left"), [((), {"wide", "own"}), (("team",), {"own"})])
async def test_cluster_components_count_unless_namespaces_are_listed(
    world: World, namespaces: tuple[str, ...], left: set[str]
) -> None:
    world.storage("main", "bucket-a", "30d")
    world.component("own", "90d")
    world.cluster_component("own", "1d")
    world.cluster_component("wide", "90d")
    for component in ("own", "wide", "other"):
        await world.said("bucket-a", component, component, 40)
    await app.maintain(Settings(namespaces=",".join(namespaces)))
    assert await world.left("bucket-a") == left
    asked = any("clustercomponents" in request.path for request in world.kube.server.requests)
    assert asked is not bool(namespaces)


async def test_two_storages_in_one_place_keep_for_the_longer_time(world: World) -> None:
    world.storage("one", "bucket-a", "10d")
    world.storage("two", "bucket-a", "30d")
    world.storage("short", "bucket-b", "10d")
    world.storage("for-good", "bucket-b", None)
    for bucket in ("bucket-a", "bucket-b"):
        for days in (20, 40):
            await world.said(bucket, f"r{days}", "x", days)
    await app.maintain(Settings())
    assert await world.left("bucket-a") == {"r20"}
    assert await world.left("bucket-b") == {"r20", "r40"}


@pytest.mark.parametrize("error", [TransientError("the store is away"), ValueError("a defect")])
async def test_a_store_in_trouble_keeps_nobody_from_the_others(
    world: World, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    world.storage("away", "bucket-a", None)
    world.storage("main", "bucket-b", "30d")
    await world.said("bucket-b", "old", "x", 40)
    world.away["bucket-a"] = error
    with pytest.raises(PlatformError, match="steps of maintenance failed"):
        await app.maintain(Settings())
    assert await world.left("bucket-b") == set()
    assert "team/away" in caplog.text


@pytest.mark.parametrize("keep", ["999999d", "99999999999999d", "36600d"])
async def test_events_that_are_to_be_kept_beyond_all_times_are_kept(world: World, keep: str) -> None:
    world.storage("main", "bucket-a", keep)
    world.storage("other", "bucket-b", "30d")
    world.component("audit", keep)
    for bucket in ("bucket-a", "bucket-b"):
        for component in ("x", "audit"):
            await world.said(bucket, f"old-{component}", component, 40)
    await app.maintain(Settings())
    assert await world.left("bucket-a") == {"old-x", "old-audit"}
    assert await world.left("bucket-b") == {"old-audit"}


async def test_a_defect_with_events_of_one_storage_keeps_nobody_from_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.storage("main", "bucket-a", "30d")
    world.storage("other", "bucket-b", "30d")
    await world.said("bucket-b", "old", "x", 40)
    sweep_events = app.sweep_events

    async def broken(store: Store, *arguments: Any, **more: Any) -> Any:
        if store.settings.bucket == "bucket-a":
            raise ValueError("a defect")
        return await sweep_events(store, *arguments, **more)

    monkeypatch.setattr(app, "sweep_events", broken)
    with pytest.raises(PlatformError, match="1 steps of maintenance failed"):
        await app.maintain(Settings())
    assert await world.left("bucket-b") == set()
    assert "team/main" in caplog.text


async def test_where_a_component_can_not_be_read_no_event_goes(world: World) -> None:
    world.storage("main", "bucket-a", "30d")
    world.component("broken", "soon")
    await world.said("bucket-a", "old", "x", 40)
    with pytest.raises(PlatformError, match="1 steps"):
        await app.maintain(Settings())
    assert await world.left("bucket-a") == {"old"}


async def test_what_a_run_left_that_is_gone_goes_and_what_exists_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.storage("main", "bucket-a", "30d")
    world.run("waits")
    for uid in ("uid-waits", "uid-gone"):
        await world.said("bucket-a", uid, "x", 40, ended=False)
    sweep_events = app.sweep_events

    async def in_forty_days(store: Store, *arguments: Any, **more: Any) -> Any:
        return await sweep_events(store, *arguments, now=NOW + timedelta(days=40), **more)

    monkeypatch.setattr(app, "sweep_events", in_forty_days)
    await app.maintain(Settings())
    assert await world.left("bucket-a") == {"uid-waits"}

"""Runs whose tables are in a catalog: what the loader answers, and what is said of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from componentrun.controller.storages import catalogtables
from componentrun.errors import Reason, TransientError, UnknownOutcomeError, UserError
from componentrun.wire.loader import CatalogCheck, CatalogReason
from tests.unit.controller.fakeloader import FIT
from tests.unit.controller.fakes import TABLE, FakeOperator, World

if TYPE_CHECKING:
    from tests.unit.controller.fakeloader import FakeLoader


def world_with_catalog() -> tuple[World, FakeLoader]:
    world = World()
    world.add_run()
    return world, world.loader


def status(world: World) -> dict[str, Any]:
    return dict(world.run()["status"])


async def test_the_loader_publishes_what_stage_out_uploaded() -> None:
    world, loader = world_with_catalog()
    await FakeOperator(world).live(5)
    assert status(world)["phase"] == "Succeeded"
    assert status(world)["outputTables"] == [{"table": TABLE, "rows": 2, "bytes": loader.loads[0].tables[0].size}]
    assert [(request.attempt, request.buckets) for request in loader.loads] == [(1, (TABLE.rpartition(".")[0],))]


async def test_a_table_that_does_not_fit_ends_the_run_at_once() -> None:
    world, loader = world_with_catalog()
    loader.fails = UserError("it lacks the column `v`", Reason.OUTPUT_INVALID)
    await FakeOperator(world).live(5)
    assert (status(world)["phase"], status(world)["reason"]) == ("Failed", "OutputInvalid")
    assert loader.fences == [], "everything was answered, so nothing is on its way"


async def test_another_operator_says_failed_only_behind_a_fence() -> None:
    world, loader = world_with_catalog()
    loader.fails = UnknownOutcomeError("the loader did not answer", Reason.LOADER_UNAVAILABLE)
    await FakeOperator(world).live(5)
    loader.fails = UserError("it lacks the column `v`", Reason.OUTPUT_INVALID)
    await FakeOperator(world).live(5)
    assert (status(world)["phase"], status(world)["reason"]) == ("Failed", "OutputInvalid")
    assert [request.tables for request in loader.fences] == [(TABLE,)]


async def test_failed_is_not_said_while_a_commit_may_be_on_its_way() -> None:
    world, loader = world_with_catalog()
    loader.fails = UnknownOutcomeError("the loader did not answer", Reason.LOADER_UNAVAILABLE)
    loader.fence_fails = TransientError("the catalog does not answer", Reason.STORAGE_UNAVAILABLE)
    operator = FakeOperator(world)
    await operator.live(60)
    assert status(world)["phase"] == "Publishing"
    loader.fence_fails = None
    await operator.live(10)
    assert (status(world)["phase"], status(world)["reason"]) == ("Failed", "PublishFailed")


async def test_a_commit_that_landed_though_its_answer_was_lost_is_a_success() -> None:
    world, loader = world_with_catalog()
    loader.fails, loader.lands = UnknownOutcomeError("the loader did not answer", Reason.LOADER_UNAVAILABLE), True
    operator = FakeOperator(world)
    await operator.live(30)
    assert status(world)["phase"] == "Publishing"
    loader.fails = None
    await operator.live(10)
    assert status(world)["phase"] == "Succeeded"


class TestAStorageWithoutACatalog:
    """It keeps files, state and events, and no tables."""

    def world(self) -> World:
        world = World()
        world.storage = {"catalog": None}
        return world

    @pytest.mark.parametrize(
        ("spec", "told"),
        [
            ({"output": {"tables": [{"source": "result.csv", "destination": TABLE}]}}, f"writes table `{TABLE}`"),
            ({"input": {"tables": [{"source": "in.c-main.a"}]}, "output": {}}, "reads table `in.c-main.a`"),
        ],
    )
    async def test_refuses_a_run_that_names_tables_before_its_pod_is_made(
        self, spec: dict[str, Any], told: str
    ) -> None:
        world = self.world()
        world.add_run(**spec)
        await FakeOperator(world).live(5)
        assert (status(world)["phase"], status(world)["reason"]) == ("Failed", "InvalidSpec")
        assert told in status(world)["message"]
        assert "Storage `main` has no `spec.catalog`" in status(world)["message"]
        assert not [name for name in world.kube.created if name.startswith("pods/")]
        assert await world.slices() == [], "something was looked up or planned"

    async def test_publishes_nothing_of_a_component_that_wrote_a_table_all_the_same(self) -> None:
        world = self.world()
        world.state, world.write_always = {"last": 1}, True
        world.add_run(output={"defaultBucket": "out.c-main"}, configuration={"id": "12"})
        await FakeOperator(world).live(5)
        assert (status(world)["phase"], status(world)["reason"]) == ("Failed", "OutputInvalid")
        assert f"the component wrote table `{TABLE}`" in status(world)["message"]
        assert (world.loader.loads, world.loader.fences) == ([], [])
        assert not [key for key in await world.slices() if "state/" in key]

    async def test_serves_a_run_without_tables(self) -> None:
        world = self.world()
        world.state, world.writes_table = {"last": 1}, False
        world.add_run(output={"defaultBucket": "out.c-main"}, configuration={"id": "12"})
        await FakeOperator(world).live(5)
        assert status(world)["phase"] == "Succeeded"
        assert [key for key in await world.slices() if "state/" in key]


def unfit(reason: CatalogReason) -> CatalogCheck:
    return CatalogCheck("try", False, "it accepts what it should refuse", "use another one", reason)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (CatalogReason.STALE_COMMITS, "CatalogUnfit"),
        (CatalogReason.UNFIT, "CatalogUnfit"),
        (CatalogReason.ACCESS_DENIED, "StorageAccessDenied"),
    ],
)
async def test_no_pod_is_made_for_a_run_whose_catalog_is_unfit(found: CatalogReason, reason: str) -> None:
    world, loader = world_with_catalog()
    loader.checks = [unfit(found)]
    await FakeOperator(world).live(5)
    assert (status(world)["phase"], status(world)["reason"]) == ("Failed", reason)
    assert f"({found})" in status(world)["message"]
    assert "It accepts what it should refuse." in status(world)["message"]
    assert world.kube.of("pods") == []


async def test_a_run_waits_for_a_catalog_that_may_come_back_and_goes_on_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogtables, "_FRESH_SECONDS", 0.0)
    world, loader = world_with_catalog()
    loader.checks = [unfit(CatalogReason.UNAVAILABLE)]
    operator = FakeOperator(world)
    await operator.live(2)
    assert status(world)["phase"] != "Failed"
    assert "(CatalogUnavailable)" in status(world)["message"]
    assert world.kube.of("pods") == []
    loader.checks = [FIT]
    await operator.live(5)
    assert status(world)["phase"] == "Succeeded"


async def test_a_loader_that_is_away_keeps_no_run_from_its_start() -> None:
    world, loader = world_with_catalog()
    loader.check_fails = TransientError("the loader did not answer", Reason.LOADER_UNAVAILABLE)
    await FakeOperator(world).live(5)
    assert status(world)["phase"] == "Succeeded"


async def test_a_run_without_tables_does_not_ask_for_the_catalog() -> None:
    world, loader = world_with_catalog()
    loader.checks = [unfit(CatalogReason.STALE_COMMITS)]
    world.run()["spec"]["output"] = {}
    await FakeOperator(world).live(3)
    assert loader.times_checked == 0
    assert world.kube.of("pods") != []

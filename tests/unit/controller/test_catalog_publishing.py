"""Runs whose tables are in a catalog: what the loader answers, and what is said of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from componentrun.controller import catalogtables
from componentrun.errors import Reason, TransientError, UnknownOutcomeError, UserError
from componentrun.storage.catalogsettings import CatalogSettings
from componentrun.wire.loader import CatalogCheck, CatalogReason, CheckAnswer, FenceAnswer, LoadAnswer, LoadedTable
from tests.unit.controller.fakes import TABLE, FakeOperator, World, catalogs_of

if TYPE_CHECKING:
    from componentrun.controller.loaderclient import LoaderClient
    from componentrun.errors import ComponentRunError
    from componentrun.wire.loader import CheckRequest, FenceRequest, LoadRequest


class FakeLoader:
    """One table commit, and what is known of it."""

    def __init__(self) -> None:
        self.loads: list[LoadRequest] = []
        self.fences: list[FenceRequest] = []
        self.fails: ComponentRunError | None = None
        self.lands = False
        """Whether a load is committed though its answer is lost."""
        self.published: set[str] = set()
        self.fence_fails: ComponentRunError | None = None
        self.checks: list[CatalogCheck] = [CatalogCheck("connect", ok=True, detail="it answers")]
        self.check_fails: ComponentRunError | None = None
        self.times_checked = 0

    async def check(self, _request: CheckRequest, _storage: str) -> CheckAnswer:
        self.times_checked += 1
        if self.check_fails is not None:
            raise self.check_fails
        return CheckAnswer(tuple(self.checks))

    async def load(self, request: LoadRequest, _storage: str) -> LoadAnswer:
        self.loads.append(request)
        if self.fails is None or self.lands:
            self.published.add(request.run)
        if self.fails is not None:
            raise self.fails
        tables = tuple(LoadedTable(table.destination, table.rows, table.size, "1") for table in request.tables)
        return LoadAnswer(tables, request.attempt)

    async def fence(self, request: FenceRequest, _storage: str) -> FenceAnswer:
        self.fences.append(request)
        if self.fence_fails is not None:
            raise self.fence_fails
        return FenceAnswer(request.run in self.published)


def world_with_catalog() -> tuple[World, FakeLoader]:
    world, loader = World(), FakeLoader()
    catalog = CatalogSettings(uri="http://catalog.example.com", warehouse="lake", token="secret")
    world.store.settings = replace(world.store.settings, catalog=catalog)
    world.catalogs = catalogs_of(cast("LoaderClient", loader))
    world.add_run()
    return world, loader


def status(world: World) -> dict[str, Any]:
    return dict(world.run()["status"])


async def test_the_loader_publishes_what_stage_out_uploaded() -> None:
    world, loader = world_with_catalog()
    await FakeOperator(world).live(5)
    assert status(world)["phase"] == "Succeeded"
    assert status(world)["outputTables"] == [{"table": TABLE, "rows": 2, "bytes": loader.loads[0].tables[0].size}]
    assert [(request.attempt, request.buckets) for request in loader.loads] == [(1, (TABLE.rpartition(".")[0],))]
    assert await world.rows(TABLE) is None, "the table was written in the old format, too"


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
    loader.checks = []
    loader.checks.append(CatalogCheck("connect", ok=True, detail="it answers"))
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

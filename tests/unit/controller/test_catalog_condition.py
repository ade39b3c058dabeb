"""What a Storage's status says of its catalog, when it is asked again, and that one that hangs holds nobody else up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from componentrun.controller.watching.caches import Key
from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.storage.store.errors import NoAnswerError
from componentrun.wire.loader import CatalogCheck, CatalogReason
from tests.unit.controller.onestorage import World

KEY = Key("team", "main")
NON_ATOMIC = CatalogCheck(
    "commit several tables at once", False, "it can't", "get one", CatalogReason.NON_ATOMIC, False
)
STALE = CatalogCheck(
    "refuse stale commits",
    ok=False,
    detail="it does not refuse stale commits: two runs could mix",
    hint="update the catalog",
    reason=CatalogReason.STALE_COMMITS,
)
AWAY = CatalogCheck("connect", False, "the catalog does not answer", "look at it", CatalogReason.UNAVAILABLE)


@pytest.fixture
async def world() -> World:
    world = World()
    world.storage["spec"]["catalog"] = {"uri": "https://catalog.test", "warehouse": "lake"}
    return world


async def asked(world: World) -> None:
    world.storages.seen(world.storage)
    await world.settle()


async def asked_later(world: World, seconds: float) -> None:
    world.now += timedelta(seconds=seconds)
    world.changed.append(KEY)
    await world.settle()


async def test_a_catalog_that_is_fit_is_told_together_with_the_store(world: World) -> None:
    await asked(world)
    assert (world.tried, len(world.patches)) == (1, 1)
    assert world.condition("Catalog")[:2] == ("True", "CatalogReady")
    assert world.condition("Ready")[:2] == ("True", "Scoped")


async def test_a_storage_without_a_catalog_says_so_and_is_as_ready_as_its_bucket(world: World) -> None:
    await asked(world)
    del world.storage["spec"]["catalog"]
    world.edit(generation=2)
    await asked(world)
    assert world.tried == 1
    status, reason, message = world.condition("Catalog")
    assert (status, reason) == ("False", "NoCatalog")
    assert "`spec.catalog`" in message
    assert world.condition("Ready")[:2] == ("True", "Scoped")
    await asked_later(world, 60)
    assert (world.tried, world.asked) == (1, 2), "there is nothing to ask again"


async def test_that_a_storage_has_no_catalog_is_told_also_while_its_store_is_away(world: World) -> None:
    del world.storage["spec"]["catalog"]
    world.answer = NoAnswerError("can't list: the store did not answer", "operation timed out")
    await asked(world)
    assert world.condition("Catalog")[:2] == ("False", "NoCatalog")
    assert world.condition("Ready")[:2] == ("False", "StorageUnavailable")


@pytest.mark.parametrize(
    ("found", "reason", "told"),
    [
        (STALE, "StaleCommitsAccepted", "two runs could mix. Update the catalog."),
        (AWAY, "CatalogUnavailable", "answer"),
    ],
)
async def test_a_storage_whose_catalog_can_not_be_used_is_not_ready(
    world: World, found: CatalogCheck, reason: str, told: str
) -> None:
    world.catalog = (found,)
    await asked(world)
    assert world.condition("Catalog")[:2] == ("False", reason)
    assert world.condition("Ready")[:2] == ("False", reason)
    assert told in world.condition("Ready")[2]
    assert world.condition("Scoped")[0] == "True", "the store is what it is"


async def test_a_catalog_that_can_not_commit_several_tables_at_once_is_told_and_can_be_used(world: World) -> None:
    world.catalog = (NON_ATOMIC,)
    await asked(world)
    status, reason, message = world.condition("Catalog")
    assert (status, reason) == ("False", "NonAtomic")
    assert "runs that publish more than one table fail" in message
    assert "`allowNonAtomic`" in message
    assert world.condition("Ready")[0] == "True"
    await asked_later(world, 60)
    assert world.tried == 1, "that will not change within the minute"


async def test_where_the_storage_accepts_it_the_catalog_is_fit(world: World) -> None:
    world.catalog = (NON_ATOMIC,)
    world.storage["spec"]["allowNonAtomic"] = True
    await asked(world)
    assert world.condition("Catalog")[:2] == ("True", "NonAtomic")
    assert world.condition("Ready")[0] == "True"


async def test_without_a_loader_nobody_knows_and_the_storage_is_not_ready(world: World) -> None:
    world.has_loader = False
    world.catalog = PlatformError("no loader is installed. Install the chart with it", Reason.LOADER_UNAVAILABLE)
    await asked(world)
    assert world.condition("Catalog")[:2] == ("Unknown", "NoLoader")
    assert world.condition("Ready")[:2] == ("False", "NoLoader")


async def test_while_the_loader_is_away_what_was_found_out_stays_and_it_is_asked_again(world: World) -> None:
    await asked(world)
    world.catalog = TransientError("the loader did not answer", Reason.LOADER_UNAVAILABLE)
    await asked_later(world, 3601)
    assert world.condition("Catalog")[:2] == ("True", "CatalogReady")
    assert world.condition("Ready")[:2] == ("False", "LoaderUnavailable")
    world.catalog = (CatalogCheck("connect", True, "it answers"),)
    await asked_later(world, 3)
    assert (world.tried, world.condition("Ready")[:2]) == (3, ("True", "Scoped"))


async def test_what_an_older_spec_was_told_is_not_taken_for_this_one(world: World) -> None:
    await asked(world)
    world.catalog = TransientError("the loader did not answer", Reason.LOADER_UNAVAILABLE)
    world.edit(generation=2)
    await asked(world)
    assert world.condition("Catalog")[:2] == ("Unknown", "LoaderUnavailable")


async def test_a_catalog_that_is_away_is_asked_again_soon_without_asking_the_store(world: World) -> None:
    world.catalog = (AWAY,)
    await asked(world)
    (since,) = [item["lastTransitionTime"] for item in world.storage["status"]["conditions"] if item["type"] == "Ready"]
    await asked_later(world, 1)
    assert world.tried == 1
    await asked_later(world, 2)
    assert (world.tried, world.asked, len(world.patches)) == (2, 1, 1)
    world.catalog = (CatalogCheck("connect", True, "it answers"),)
    await asked_later(world, 5)
    assert (world.tried, world.asked) == (3, 1)
    assert (world.condition("Ready")[0], world.condition("Catalog")[0]) == ("True", "True")
    assert world.storage["status"]["checked"] == since == "2026-03-01T12:00:00Z"


async def test_with_a_store_that_is_away_the_catalog_is_not_asked(world: World) -> None:
    world.answer = NoAnswerError("can't list: the store did not answer", "operation timed out")
    await asked(world)
    assert world.tried == 0
    assert world.condition("Catalog")[:2] == ("Unknown", "NotChecked")
    assert world.condition("Ready")[:2] == ("False", "StorageUnavailable")


async def test_an_operator_that_starts_anew_reads_in_the_status_that_the_catalog_is_fit(world: World) -> None:
    await asked(world)
    other = World()
    other.storage = world.storage
    await asked(other)
    assert (other.asked, other.tried) == (0, 0)

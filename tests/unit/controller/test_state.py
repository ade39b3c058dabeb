"""State from run to run: kept once all tables are published, for a configuration only, and never of a failed run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from componentrun.api.componentrun import ComponentRun
from componentrun.controller.publishing import Publisher
from componentrun.storage.connection import Store
from componentrun.storage.state import StateOwner, read_state
from tests.unit.controller.fakes import NAMESPACE, TABLE, FakeOperator, FakeStores, World

if TYPE_CHECKING:
    from componentrun.controller.stores import Stores

CONFIGURATION = {"id": "12", "row": "r", "branch": "b"}
OWNER = StateOwner("cleaner", "12", "r", "b")


async def kept(world: World, owner: StateOwner = OWNER) -> dict[str, Any]:
    return await read_state(Store(world.store.settings, world.store._backend), owner)


async def given(world: World, run: str) -> dict[str, Any]:
    """in/state.json of a run's first attempt."""
    uid = world.kube.objects["componentruns", NAMESPACE, run]["metadata"]["uid"]
    plan = await world.store.find(world.store.layout.stage_in_plan(uid, 1))
    return dict(json.loads(plan.data)["state"])


async def test_a_run_finds_what_the_one_before_it_left() -> None:
    world = World()
    world.state = {"last": 1}
    world.add_run("first", configuration=CONFIGURATION)
    await FakeOperator(world).live()
    assert (await given(world, "first"), await kept(world)) == ({}, {"last": 1})
    world.state = None
    world.add_run("second", configuration=CONFIGURATION)
    world.add_run("elsewhere", configuration=CONFIGURATION | {"branch": "other"})
    await FakeOperator(world).live()
    assert (await given(world, "second"), await given(world, "elsewhere")) == ({"last": 1}, {})
    assert await kept(world) == {"last": 1}


async def test_a_run_that_fails_leaves_the_state_as_it_was() -> None:
    world = World()
    world.state, world.exit_code = {"last": 1}, 1
    world.add_run(configuration=CONFIGURATION)
    await FakeOperator(world).live()
    assert (world.phase(), await kept(world)) == ("Failed", {})


async def test_nor_does_one_that_fails_and_publishes_what_is_always_stored() -> None:
    world = World()
    world.state, world.exit_code, world.write_always = {"last": 1}, 1, True
    tables = [{"source": "result.csv", "destination": TABLE, "writeAlways": True}]
    world.add_run(configuration=CONFIGURATION, output={"tables": tables})
    await FakeOperator(world).live()
    assert (world.phase(), await world.rows(TABLE), await kept(world)) == ("Failed", 2, {})


async def test_without_a_configuration_no_state_is_kept() -> None:
    world = World()
    world.state = {"last": 1}
    world.add_run()
    await FakeOperator(world).live()
    assert world.phase() == "Succeeded"
    assert not [key for key in await world.slices() if "/state/" in f"/{key}"]


async def test_the_state_comes_after_the_tables_and_also_where_the_operator_was_interrupted() -> None:
    world = World()
    world.state = {"last": 1}
    world.add_run(configuration=CONFIGURATION)
    world.store.away_after = "journal.json"
    await FakeOperator(world).live(40)
    assert world.phase() == "Failed"
    world.store.away, world.store.away_after = False, None
    assert (await world.rows(TABLE), await kept(world)) == (None, {})
    await FakeOperator(world).live(5)
    assert (await world.rows(TABLE), await kept(world)) == (2, {"last": 1})


async def test_a_publish_that_is_resumed_late_leaves_the_state_of_a_later_run() -> None:
    world = World()
    for number, name in enumerate(("first", "second"), start=1):
        world.state = {"last": number}
        world.add_run(name, configuration=CONFIGURATION)
        await FakeOperator(world).live()
    assert await kept(world) == {"last": 2}
    publisher = Publisher(cast("Stores", FakeStores(world.store)), lambda: world.now)
    first = ComponentRun.model_validate(world.run("first"))
    await publisher.resume(first)
    assert await kept(world) == {"last": 2}
    await publisher.publish(first, 1, write_always_only=False)
    assert await kept(world) == {"last": 2}


@pytest.mark.parametrize("image", ["cleaner:1", "registry.example.com/team/cleaner@sha256:" + "0" * 64])
async def test_an_image_is_known_by_its_name(image: str) -> None:
    world = World()
    world.state = {"last": 1}
    world.add_run(image=image, configuration=CONFIGURATION)
    await FakeOperator(world).live()
    assert await kept(world) == {"last": 1}

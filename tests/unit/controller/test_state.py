"""State from run to run: kept once all tables are published, for a configuration only, and never of a failed run."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Self, cast

import pytest

from componentrun.api.componentrun import ComponentRun
from componentrun.controller.reconcile.publish import Publisher
from componentrun.storage.state import state
from componentrun.storage.state.state import StateOwner, read_state
from componentrun.storage.store.connection import Store
from componentrun.wire.agents import TableWritten
from tests.unit.controller.fakekube import NAMESPACE, Crash
from tests.unit.controller.fakes import TABLE, FakeOperator, FakeStores, World

if TYPE_CHECKING:
    from componentrun.controller.storages.stores import Stores

CONFIGURATION = {"id": "12", "row": "r", "branch": "b"}
OWNER = StateOwner("cleaner", "12", "r", "b")
MISFIT = TableWritten(
    "other.csv",
    "out.c-main.other",
    ("id",),
    ("nowhere",),
    incremental=False,
    write_always=False,
    slices=(),
    rows=0,
    size=0,
)


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


@pytest.mark.parametrize("crash_at", [None, *range(1, 20)])
@pytest.mark.parametrize("always", [True, False])
async def test_a_table_that_does_not_fit_takes_nothing_from_what_is_always_stored(
    always: bool, crash_at: int | None
) -> None:
    """The component was well and all is uploaded; that a table has other columns is only found when it is published."""
    world = World()
    world.state, world.write_always, world.other_tables = {"last": 1}, always, (MISFIT,)
    world.add_run(configuration=CONFIGURATION)
    world.writes.crash_at = crash_at
    with suppress(Crash, BaseExceptionGroup):
        await FakeOperator(world).live()
    await FakeOperator(world).live()
    status = world.run()["status"]
    assert (status["phase"], status["reason"], status["exitCode"]) == ("Failed", "OutputInvalid", 0)
    assert "`nowhere`" in status["message"]
    assert (await world.rows(TABLE), await world.rows(MISFIT.destination)) == (2 if always else None, None)
    assert [item["table"] for item in status.get("outputTables", ())] == ([TABLE] if always else [])
    published = next(item for item in status["conditions"] if item["type"] == "Published")
    assert published["status"] == str(always)
    assert await kept(world) == {}


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
    world.loader.loses_answers = True
    await FakeOperator(world).live(40)
    assert (world.phase(), await world.rows(TABLE), await kept(world)) == ("Publishing", 2, {})
    world.loader.loses_answers = False
    await FakeOperator(world).live(5)
    assert (await world.rows(TABLE), await kept(world)) == (2, {"last": 1})


async def test_a_publish_that_is_repeated_late_leaves_the_state_of_a_later_run() -> None:
    world = World()
    for number, name in enumerate(("first", "second"), start=1):
        world.state = {"last": number}
        world.add_run(name, configuration=CONFIGURATION)
        await FakeOperator(world).live()
    assert await kept(world) == {"last": 2}
    stores = cast("Stores", FakeStores(world.store))
    publisher = Publisher(stores, lambda: world.now, FakeOperator(world).gate, world.catalogs)
    first = ComponentRun.model_validate(world.run("first"))
    await publisher.publish(first, 1, write_always_only=False)
    assert await kept(world) == {"last": 2}


ADAPTIVE = {"tables": [{"source": TABLE, "destination": "in.csv", "changedSince": "adaptive"}]}


async def after(world: World, run: str) -> int | None:
    """Time (in seconds) of the load after which rows of the only input are new to a run's first attempt; None: all."""
    uid = world.kube.objects["componentruns", NAMESPACE, run]["metadata"]["uid"]
    plan = await world.store.find(world.store.layout.stage_in_plan(uid, 1))
    found = json.loads(plan.data)["tables"][0]["parquet"].get("after")
    return None if found is None else int(found) // 1_000_000


async def test_a_run_is_given_what_came_since_the_last_one_that_succeeded() -> None:
    world = World()
    world.add_run("loads")  # two rows, as every run here
    await FakeOperator(world).live()
    found = {}
    for name, exit_code, write_always in (
        ("first", 0, False), ("fails", 2, False), ("fails-and-writes", 2, True), ("second", 0, False),
    ):  # fmt: skip
        world.exit_code, world.write_always = exit_code, write_always
        output = {"tables": [{"source": "result.csv", "destination": TABLE, "writeAlways": write_always}]}
        world.add_run(name, configuration=CONFIGURATION, input=ADAPTIVE, output=output)
        await FakeOperator(world).live()
        found[name] = await after(world, name)
    assert found == {"first": None, "fails": 1, "fails-and-writes": 1, "second": 1}
    world.add_run("elsewhere", configuration=CONFIGURATION | {"branch": "other"}, input=ADAPTIVE)
    await FakeOperator(world).live()
    assert await after(world, "elsewhere") is None
    assert await kept(world) == {}, "the component sees nothing of it"


async def test_what_a_run_has_seen_counts_also_where_the_operator_was_interrupted() -> None:
    world = World()
    world.add_run("loads")
    await FakeOperator(world).live()
    world.add_run("first", configuration=CONFIGURATION, input=ADAPTIVE)
    world.loader.loses_answers = True
    await FakeOperator(world).live(40)
    world.loader.loses_answers = False
    await FakeOperator(world).live(5)
    world.add_run("second", configuration=CONFIGURATION, input=ADAPTIVE)
    await FakeOperator(world).live()
    assert (await after(world, "first"), await after(world, "second")) == (None, 1)


@pytest.mark.parametrize("image", ["cleaner:1", "registry.example.com/team/cleaner@sha256:" + "0" * 64])
async def test_an_image_is_known_by_its_name(image: str) -> None:
    world = World()
    world.state = {"last": 1}
    world.add_run(image=image, configuration=CONFIGURATION)
    await FakeOperator(world).live()
    assert await kept(world) == {"last": 1}


async def test_what_stands_below_a_secret_key_of_the_state_is_hidden_from_what_is_said() -> None:
    """Components keep renewed tokens in their state."""
    world = World()
    world.state = {"oauth": {"#refresh_token": "renewed-8472635"}, "#n": 5, "last": "plain"}
    world.add_run("first", configuration=CONFIGURATION)
    await FakeOperator(world).live()
    world.add_run("second", configuration=CONFIGURATION)
    operator = FakeOperator(world)
    await operator.start()
    await operator.work()
    secret = world.kube.objects["secrets", NAMESPACE, "second-1"]["data"]
    assert json.loads(base64.b64decode(secret["redact"])) == ["renewed-8472635"]


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(days=400)])
async def test_an_operator_whose_clock_was_ahead_keeps_no_later_run_from_leaving_its_state(
    ahead: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.state = {"last": 1}
    with monkeypatch.context() as patch:
        patch.setattr(state, "datetime", _ahead_by(ahead))
        world.add_run("first", configuration=CONFIGURATION)
        await FakeOperator(world).live()
    world.state = {"last": 2}
    world.add_run("second", configuration=CONFIGURATION)
    await FakeOperator(world).live()
    assert await given(world, "second") == {"last": 1}
    assert await kept(world) == {"last": 2}


def _ahead_by(ahead: timedelta) -> type[datetime]:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp((datetime.now(UTC) + ahead).timestamp(), tz)

    return Ahead

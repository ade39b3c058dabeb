"""ClusterComponents, and Components that are deprecated or deleted, on the fake API server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.watched import CONFIGURATION, Watched

NAME = "acme.ex-shop"


def put(world: World, plural: str, name: str = NAME, **spec: Any) -> None:
    world.kube.put(plural, {"metadata": {"name": name}, "spec": {"image": plural, "tag": "1", **spec}})


async def image_of(world: World) -> str:
    world.add_run(image=None, component=NAME)
    await FakeOperator(world).live(2)
    return str(world.run()["status"].get("image"))


class TestClusterComponents:
    async def test_a_run_of_any_namespace_can_name_one(self) -> None:
        world = World()
        put(world, "clustercomponents")
        assert await image_of(world) == "clustercomponents:1"

    async def test_a_component_of_the_namespace_comes_first(self) -> None:
        world = World()
        put(world, "clustercomponents")
        put(world, "components")
        assert await image_of(world) == "components:1"

    async def test_with_neither_the_run_ends_with_a_reason_that_says_so(self) -> None:
        world = World()
        await image_of(world)
        status = world.run()["status"]
        assert status["reason"] == "ComponentNotFound"
        assert f"there is no Component `{NAME}` in the namespace, and no ClusterComponent" in status["message"]

    async def test_one_that_no_event_has_told_of_is_found(self) -> None:
        world = World()
        operator = FakeOperator(world)
        await operator.start()
        with operator.unheard("clustercomponents"):
            put(world, "clustercomponents")
        world.add_run(image=None, component=NAME)
        await operator.work()
        assert world.run()["status"]["image"] == "clustercomponents:1"

    async def test_a_run_of_a_namespaces_component_asks_for_no_other(self) -> None:
        world = World()
        put(world, "components")
        await image_of(world)
        assert "get clustercomponents" not in world.kube.asked

    async def test_an_operator_of_listed_namespaces_asks_for_none(self) -> None:
        world = World()
        put(world, "clustercomponents")
        operator = FakeOperator(world)
        object.__setattr__(operator.caches, "uses_cluster_components", False)
        world.add_run(image=None, component=NAME)
        await operator.live(2)
        assert world.run()["status"]["reason"] == "ComponentNotFound"
        assert "get clustercomponents" not in world.kube.asked

    async def test_its_secrets_are_those_of_the_runs_namespace(self) -> None:
        world = World()
        put(world, "clustercomponents", imageParameterSecrets={"#k": {"name": "app", "key": "k"}})
        await image_of(world)
        assert f"key `k` of Secret `{NAMESPACE}/app`" in world.run()["status"]["message"]


class TestConcurrency:
    async def most(self, *components: tuple[str, dict[str, Any]]) -> int:
        world = Watched()
        for plural, concurrency in components:
            put(world, plural, concurrency=concurrency)
        for name in "abc":
            world.add_run(name, image=None, component=NAME, configuration=CONFIGURATION)
        await FakeOperator(world).live(60)
        assert [world.phase(name) for name in "abc"] == ["Succeeded"] * 3
        return world.most

    async def test_settings_of_a_cluster_component_apply(self) -> None:
        assert await self.most(("clustercomponents", {"parallelism": 2})) == 2

    async def test_a_component_without_settings_hides_them(self) -> None:
        assert await self.most(("clustercomponents", {"parallelism": 2}), ("components", {})) == 1

    async def test_a_component_that_is_deleted_leaves_the_place_to_the_other(self) -> None:
        world = Watched()
        put(world, "clustercomponents", concurrency={"parallelism": 3})
        put(world, "components")
        operator = FakeOperator(world)
        await operator.start()
        for name in "abc":
            world.add_run(name, image=None, component=NAME, configuration=CONFIGURATION)
        await operator.work()
        assert len(world.kube.of("pods")) == 1
        world.kube.remove("components", NAMESPACE, NAME)
        await operator.work()
        assert len(world.kube.of("pods")) == 3


class TestDeprecated:
    async def test_runs_have_a_warning(self) -> None:
        world = World()
        put(world, "components", deprecated={"replacedBy": "new"})
        put(world, "clustercomponents", "new")
        await image_of(world)
        assert world.run()["status"]["warnings"] == [f"Component `{NAME}` is deprecated; it is replaced by `new`."]

    async def test_after_the_last_day_new_runs_are_refused_before_anything_is_created(self) -> None:
        world = World()
        put(world, "components", deprecated={"replacedBy": "new", "endOfLife": "2025-12-31"})
        await image_of(world)
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "ComponentWithdrawn")
        assert "it is replaced by `new`, which does not exist" in status["message"]
        assert world.kube.of("pods") == []
        assert await world.slices() == []

    async def test_a_run_that_was_created_before_still_starts(self) -> None:
        world = World()
        put(world, "components", deprecated={"endOfLife": "2026-01-01"})
        world.add_run(image=None, component=NAME, suspend=True)
        operator = FakeOperator(world)
        await operator.live(1)
        world.now = datetime(2026, 1, 5, tzinfo=UTC)
        world.kube.change("componentruns", "load", {"spec": {"suspend": False}})
        await operator.work()
        assert len(world.kube.of("pods")) == 1

    @pytest.mark.parametrize(
        ("last_day", "phase", "field"), [("2026-12-31", "Running", "warnings"), ("2025-12-31", "Failed", "message")]
    )
    async def test_those_of_processors_count_as_well(self, last_day: str, phase: str, field: str) -> None:
        world = World()
        put(world, "components")
        put(world, "clustercomponents", "unzip", type="processor", deprecated={"endOfLife": last_day})
        world.add_run(image=None, component=NAME, processors={"before": [{"component": "unzip"}]})
        await FakeOperator(world).live(2)
        assert world.phase() == phase
        assert "ClusterComponent `unzip` is deprecated" in str(world.run()["status"][field])


class TestDeleted:
    async def test_a_run_that_has_started_goes_on_to_its_end(self) -> None:
        world = World()
        put(world, "components")
        world.add_run(image=None, component=NAME)
        operator = FakeOperator(world)
        await operator.start()
        await operator.work()
        assert len(world.kube.of("pods")) == 1
        world.kube.remove("components", NAMESPACE, NAME)
        await operator.live(10)
        assert world.phase() == "Succeeded"

    async def test_one_that_waits_ends_with_a_reason_that_says_so(self) -> None:
        world = World()
        put(world, "components")
        for name in ("first", "second"):
            world.add_run(name, image=None, component=NAME, configuration=CONFIGURATION)
        operator = FakeOperator(world)
        await operator.start()
        await operator.work()
        assert world.phase("second") == "Queued"
        world.kube.remove("components", NAMESPACE, NAME)
        await operator.live(10)
        assert world.phase("first") == "Succeeded"
        status = world.run("second")["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "ComponentNotFound")


@pytest.mark.parametrize("name", ["acme.ex-shop", "a.b.c", f"{'a' * 30}.{'b' * 30}.{'c' * 30}"])
async def test_names_with_dots_work_from_start_to_end(name: str) -> None:
    world = World()
    put(world, "components", name)
    world.add_run("load.v1", image=None, component=name, configuration=CONFIGURATION)
    world.state = {"a": 1}
    await FakeOperator(world).live(20)
    assert world.phase("load.v1") == "Succeeded"
    assert any(f"state/{name}/" in key for key in await world.slices())

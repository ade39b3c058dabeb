"""The operator writes what it finds out about Components to their status, on the fake API server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from componentrun.controller.components.checks import ComponentChecks
from componentrun.controller.storages.references import References
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.watching.events import take_in
from componentrun.controller.work.queue import WorkQueue
from componentrun.core.lease.shard import Shard
from componentrun.process.kubernetes.errors import ConflictError
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes
from tests.unit.controller.fakes import InProcessChecker

if TYPE_CHECKING:
    from componentrun.controller.schemacheck.checker import SchemaChecker

NAME = "acme.ex-shop"


class Checked:
    """A fake API server, the caches, and the checks."""

    def __init__(self, shard: Shard | None = None) -> None:
        self.now = datetime(2026, 7, 1, tzinfo=UTC)
        self.kube = FakeKube(Writes())
        self.caches = Caches(shard=shard or Shard())
        self.queue: WorkQueue[Key] = WorkQueue()
        references = References(self.kube, self.caches)
        checker = cast("SchemaChecker", InProcessChecker())
        self.checks = ComponentChecks(self.kube, self.caches, references, checker, lambda: self.now)
        self.kube.listener = self._heard

    def _heard(self, kind: str, plural: str, obj: dict[str, Any]) -> None:
        take_in(self.caches, self.queue, plural, kind, obj)

    def put(self, plural: str = "components", name: str = NAME, **spec: Any) -> None:
        body = {"metadata": {"name": name, "generation": 1}, "spec": {"image": "a", **spec}}
        self.kube.put(plural, body)

    def conditions(self, plural: str = "components", name: str = NAME) -> dict[str, str]:
        namespace = NAMESPACE if plural == "components" else ""
        status = self.kube.objects[plural, namespace, name].get("status") or {}
        return {item["type"]: item["reason"] for item in status.get("conditions") or ()}

    async def rest(self) -> None:
        """Work until nothing is left to do now."""
        task = asyncio.create_task(self.checks.run())
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
            while not self.checks._queue.idle:  # noqa: ASYNC110 - the queue has no event for it
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
async def world() -> Checked:
    made = Checked()
    made.checks.activate(True)
    return made


async def test_each_new_component_gets_a_status(world: Checked) -> None:
    world.put()
    world.put("clustercomponents")
    await world.rest()
    assert world.conditions() == world.conditions("clustercomponents") == {"Ready": "Ready"}
    assert world.kube.objects["components", NAMESPACE, NAME]["status"]["observedGeneration"] == 1


async def test_a_second_look_writes_nothing(world: Checked) -> None:
    world.put(deprecated={})
    await world.rest()
    count = world.kube.writes.count
    assert count == 1
    world.checks.activate(True)
    world.checks._queue = WorkQueue()
    await world.checks.check(Key(NAMESPACE, NAME))
    assert world.kube.writes.count == count


async def test_a_changed_spec_is_checked_again(world: Checked) -> None:
    world.put()
    await world.rest()
    world.checks._queue = WorkQueue()
    world.kube.change("components", NAME, {"spec": {"configuration": {"schema": {"type": "button"}}}})
    await world.checks.check(Key(NAMESPACE, NAME))
    assert world.conditions() == {"Ready": "SchemaInvalid", "ConfigurationValid": "SchemaInvalid"}


async def test_a_standby_writes_nothing() -> None:
    world = Checked()
    world.put()
    await world.checks.check(Key(NAMESPACE, NAME))
    assert world.kube.writes.count == 0


@pytest.mark.parametrize(("number", "written"), [(0, 1), (1, 0)])
async def test_one_shard_alone_writes_the_status_of_a_cluster_component(number: int, written: int) -> None:
    world = Checked(Shard(number, 2))
    world.checks.activate(True)
    world.put("clustercomponents")
    await world.checks.check(Key("", NAME))
    assert world.kube.writes.count == written


async def test_a_replacement_that_appears_or_goes_changes_the_condition(world: Checked) -> None:
    world.put(deprecated={"replacedBy": "new"})
    await world.checks.check(Key(NAMESPACE, NAME))
    assert world.conditions()["Deprecated"] == "ReplacementMissing"
    world.put("clustercomponents", "new")
    assert world.checks._queue._since.keys() >= {Key(NAMESPACE, NAME)}
    await world.checks.check(Key(NAMESPACE, NAME))
    assert world.conditions()["Deprecated"] == "Deprecated"
    world.kube.remove("clustercomponents", "", "new")
    await world.checks.check(Key(NAMESPACE, NAME))
    assert world.conditions()["Deprecated"] == "ReplacementMissing"


async def test_after_its_last_day_a_component_is_not_ready(world: Checked) -> None:
    world.put(deprecated={"endOfLife": "2026-07-01"})
    await world.checks.check(Key(NAMESPACE, NAME))
    assert world.conditions()["Ready"] == "Ready"
    world.now = datetime(2026, 7, 2, tzinfo=UTC)
    await world.checks.check(Key(NAMESPACE, NAME))
    assert world.conditions() == {"Ready": "Withdrawn", "Deprecated": "Withdrawn"}


async def test_the_status_is_only_for_the_version_that_was_checked(world: Checked) -> None:
    world.put()
    world.kube.listener = None
    world.kube.change("components", NAME, {"spec": {"image": "b"}})
    with pytest.raises(ConflictError):
        await world.checks.check(Key(NAMESPACE, NAME))
    assert world.conditions() == {}


async def test_conditions_of_others_stay(world: Checked) -> None:
    others = {"type": "Scanned", "status": "True", "reason": "Scanned", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    body = {"metadata": {"name": NAME, "generation": 1}, "spec": {"image": "a"}}
    world.kube.put("components", {**body, "status": {"conditions": [others], "channels": [{"name": "release"}]}})
    await world.checks.check(Key(NAMESPACE, NAME))
    assert world.conditions() == {"Scanned": "Scanned", "Ready": "Ready"}
    assert world.kube.objects["components", NAMESPACE, NAME]["status"]["channels"] == [{"name": "release"}]


async def test_two_hundred_components_are_each_written_once(world: Checked) -> None:
    for number in range(200):
        world.put(name=f"component-{number}")
    await world.rest()
    assert world.kube.writes.count == 200

"""What the reconciler remembers of a run goes with the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.controller.watching.caches import Key
from componentrun.core.limits import Limits
from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import FakeOperator, World

if TYPE_CHECKING:
    from datetime import datetime

KEY = Key(NAMESPACE, "load")


def failing_since(operator: FakeOperator) -> datetime | None:
    run = operator.caches.runs.get(KEY)
    assert run is not None
    return operator.reconciler._memories.of(run).failing_since


async def failing() -> tuple[World, FakeOperator]:
    """A run that does not start, as its store is away."""
    world = World()
    world.limits = Limits(start_retry=600)
    world.add_run()
    world.store.away = True
    operator = FakeOperator(world)
    await operator.live(1)
    assert failing_since(operator) is not None
    return world, operator


@pytest.mark.parametrize("end", ["cancelled", "deleted", "given up"])
async def test_since_when_a_run_fails_is_forgotten_with_the_run(end: str) -> None:
    world, operator = await failing()
    match end:
        case "cancelled":
            world.kube.change("componentruns", "load", {"spec": {"cancel": True}})
            await operator.work()
        case "deleted":
            world.kube.remove("componentruns", NAMESPACE, "load")
            await operator.work()
        case _:
            await operator.reconciler.give_up(KEY, RuntimeError("a defect"))
    assert len(operator.reconciler._memories) == 0


async def test_a_run_of_the_same_name_is_not_taken_for_the_one_that_failed() -> None:
    world, operator = await failing()
    with operator.unheard("componentruns"):
        world.kube.remove("componentruns", NAMESPACE, "load")
        world.add_run()
    await operator.resync.everything()
    assert failing_since(operator) is None

"""Candidates of several shards, while the number of shards is changed."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest

from componentrun.controller.lease import Lease, LeaseSettings, LostError
from componentrun.core.lease.holder import CONTAINER, HolderPod
from componentrun.core.lease.shard import Shard
from componentrun.process.kubernetes.errors import ForbiddenError
from tests.unit.controller import virtualtime
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes

if TYPE_CHECKING:
    from componentrun.process.kubernetes.client import Kube


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube(Writes())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def candidate(kube: FakeKube, name: str, clock: Any, shard: Shard, pod: HolderPod | None = None) -> Lease:
    identity = pod.identity(name) if pod is not None else name
    return Lease(cast("Kube", kube), LeaseSettings(NAMESPACE, "operator", 10, pod, shard), identity, clock)


async def test_shards_of_one_number_each_hold_their_own(kube: FakeKube, clock: Clock) -> None:
    for number in range(3):
        name = f"shard {number}"
        assert await candidate(kube, name, clock, Shard(number, 3)).try_once() == name
    assert sorted(lease["metadata"]["name"] for lease in kube.of("leases")) == [
        f"operator-{number}-of-3" for number in range(3)
    ]


async def test_a_standby_takes_over_its_own_shard_only(kube: FakeKube, clock: Clock) -> None:
    first, other = (candidate(kube, f"shard {number}", clock, Shard(number, 2)) for number in range(2))
    standby = candidate(kube, "standby", clock, Shard(0, 2))
    for each in (first, other):
        await each.try_once()
    assert await standby.try_once() == "shard 0"
    await other.release()
    assert await standby.try_once() == "shard 0", "the Lease of the other shard is not its own"
    await first.release()
    assert await standby.try_once() == "standby"


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 2), (1, 2), (2, 1)])
async def test_a_shard_waits_until_nobody_holds_a_lease_of_the_number_before(
    kube: FakeKube, clock: Clock, before: int, after: int
) -> None:
    old = [candidate(kube, f"old {number}", clock, Shard(number, before)) for number in range(before)]
    for each in old:
        await each.try_once()
    new = candidate(kube, "new", clock, Shard(0, after))
    for each in old:
        assert (await new.try_once()).startswith("old ")
        await each.release()
    assert await new.try_once() == "new"


async def test_a_standby_of_the_number_before_takes_over_while_the_new_ones_still_wait(
    kube: FakeKube, clock: Clock
) -> None:
    """So a rollout that does not get any further leaves no namespace without an operator."""
    first, other = (candidate(kube, f"old {number}", clock, Shard(number, 2)) for number in range(2))
    for each in (first, other):
        await each.try_once()
    new = candidate(kube, "new", clock, Shard(0, 3))
    await new.try_once()
    await first.release()
    assert (await new.try_once()).startswith("old 1")
    assert await candidate(kube, "standby", clock, Shard(0, 2)).try_once() == "standby"


async def test_a_lease_of_another_number_that_is_not_renewed_runs_out(kube: FakeKube, clock: Clock) -> None:
    await candidate(kube, "old", clock, Shard(1, 2)).try_once()
    new = candidate(kube, "new", clock, Shard(0, 3))
    assert await new.try_once() == "old with lease operator-1-of-2"
    clock.now += 9.9
    assert await new.try_once() == "old with lease operator-1-of-2"
    clock.now += 0.2
    assert await new.try_once() == "new"


async def test_a_holder_of_another_number_whose_pod_is_deleted_is_not_waited_for(kube: FakeKube, clock: Clock) -> None:
    running = {"name": CONTAINER, "state": {"running": {"startedAt": "2020-01-01T00:00:00Z"}}}
    kube.put("pods", {"metadata": {"name": "old"}, "status": {"phase": "Running", "containerStatuses": [running]}})
    pod = HolderPod("old", kube.objects["pods", NAMESPACE, "old"]["metadata"]["uid"])
    await candidate(kube, "process", clock, Shard(1, 2), pod).try_once()
    new = candidate(kube, "new", clock, Shard(0, 3))
    assert (await new.try_once()).startswith("old_")
    kube.remove("pods", NAMESPACE, "old")
    assert await new.try_once() == "new"


async def test_leases_of_others_in_the_namespace_hold_nobody_off(kube: FakeKube, clock: Clock) -> None:
    for name in ("operator-canary", "cert-manager", "operator-0-of-2-x"):
        held = {"holderIdentity": "somebody", "leaseDurationSeconds": 60, "renewTime": "now"}
        kube.put("leases", {"metadata": {"name": name}, "spec": held})
    assert await candidate(kube, "new", clock, Shard(0, 2)).try_once() == "new"


async def test_leases_are_listed_only_when_the_own_one_is_free(
    kube: FakeKube, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each standby would list all Leases of the namespace once a second."""
    first, standby = (candidate(kube, name, clock, Shard(0, 2)) for name in ("first", "standby"))
    await first.try_once()

    def listed(*_: Any) -> Any:
        raise AssertionError("leases are listed")

    monkeypatch.setattr(kube, "pages", listed)
    assert await standby.try_once() == "first"
    assert await first.try_once() == "first"


def test_a_candidate_that_may_not_list_leases_does_not_begin() -> None:
    class Refusing(FakeKube):
        is_allowed = False

        def pages(self, *arguments: Any) -> Any:
            if not self.is_allowed:
                raise ForbiddenError("leases is forbidden", 403)
            return super().pages(*arguments)

    async def scene() -> float:
        loop, kube = asyncio.get_running_loop(), Refusing(Writes())
        taking = asyncio.create_task(candidate(kube, "new", loop.time, Shard(0, 2)).acquire())
        await asyncio.sleep(30)
        assert not taking.done()
        kube.is_allowed = True
        await taking
        return loop.time()

    assert virtualtime.run(scene()) <= 31


class SlowKube(FakeKube):
    """Each request and each answer takes a random time, so requests of several candidates overlap."""

    def __init__(self, random: Random) -> None:
        super().__init__(Writes())
        self._random = random

    async def request(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        await asyncio.sleep(self._random.choice((0, 0.01, 0.3)))
        answer = await super().request(method, path, **rest)
        await asyncio.sleep(self._random.choice((0, 0.01, 0.3)))
        return answer


class Operators:
    """Candidates of shards that work while they hold their Lease, and begin and end at random times."""

    def __init__(self, random: Random, kube: SlowKube) -> None:
        self._random, self._kube = random, kube
        self._numbers = itertools.count()
        self.active: dict[str, Shard] = {}
        self.worked: set[Shard] = set()

    async def run(self, shard: Shard, begin: float, end: float) -> None:
        await asyncio.sleep(begin)
        loop, name = asyncio.get_running_loop(), f"process {next(self._numbers)}"
        lease = candidate(self._kube, name, loop.time, shard)
        with suppress(TimeoutError, LostError):
            async with asyncio.timeout_at(end):
                await lease.acquire()
                self._begin(name, shard)
                try:
                    await lease.hold()
                finally:
                    del self.active[name]
        await lease.release()

    def _begin(self, name: str, shard: Shard) -> None:
        others = [other for other in self.active.values() if other.count != shard.count]
        assert not others, f"{shard} begins while {others} work"
        assert shard not in self.active.values(), f"two work for {shard}"
        self.active[name] = shard
        self.worked.add(shard)


@pytest.mark.parametrize("seed", range(60))
def test_no_two_numbers_of_shards_ever_work_at_the_same_time(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - for a schedule

    async def scene() -> Operators:
        operators = Operators(random, SlowKube(random))
        async with asyncio.TaskGroup() as group:
            for number in range(2):
                for _ in range(2):  # the second one stands by
                    group.create_task(operators.run(Shard(number, 2), random.uniform(0, 3), random.uniform(5, 40)))
            for number in range(3):
                group.create_task(operators.run(Shard(number, 3), random.uniform(0, 20), 120))
        return operators

    worked = virtualtime.run(scene()).worked
    assert {Shard(number, 3) for number in range(3)} <= worked, "the new ones have begun in the end"

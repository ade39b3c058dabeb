"""Candidates for one Lease, each on a clock of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from componentrun.controller import lease as lease_module
from componentrun.controller.lease import Lease, LeaseSettings, LostError
from componentrun.core.lease.holder import CONTAINER, HolderPod
from componentrun.process.kubernetes.errors import ConflictError, ForbiddenError, KubeError, UnavailableError
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


def candidate(
    kube: FakeKube, name: str, clock: Clock, seconds: float = 15, *, pod: dict[str, Any] | None = None
) -> Lease:
    own = HolderPod(pod["metadata"]["name"], pod["metadata"]["uid"]) if pod is not None else None
    identity = own.identity(name) if own is not None else name
    return Lease(cast("Kube", kube), LeaseSettings(NAMESPACE, "operator", seconds, own), identity, clock)


def pod_of(kube: FakeKube, name: str) -> dict[str, Any]:
    """A pod that an operator runs in."""
    running = {"name": CONTAINER, "state": {"running": {"startedAt": "2020-01-01T00:00:00Z"}}}
    kube.put("pods", {"metadata": {"name": name}, "status": {"phase": "Running", "containerStatuses": [running]}})
    return kube.objects["pods", NAMESPACE, name]


def holder_of(kube: FakeKube) -> str:
    (lease,) = kube.of("leases")
    return str(lease["spec"]["holderIdentity"])


async def test_the_first_one_gets_it(kube: FakeKube, clock: Clock) -> None:
    assert await candidate(kube, "a", clock).try_once() == "a"


async def test_the_second_one_waits_while_the_first_one_renews(kube: FakeKube, clock: Clock) -> None:
    a, b = candidate(kube, "a", clock), candidate(kube, "b", clock)
    for _ in range(10):
        assert await a.try_once() == "a"
        assert await b.try_once() == "a"
        clock.now += 10


async def test_the_second_one_takes_what_was_not_renewed_for_its_duration(kube: FakeKube, clock: Clock) -> None:
    a, b = candidate(kube, "a", clock), candidate(kube, "b", clock)
    await a.try_once()
    assert await b.try_once() == "a"
    clock.now += 14.9
    assert await b.try_once() == "a"
    clock.now += 0.2
    assert await b.try_once() == "b"
    assert await a.try_once() == "b"
    assert kube.of("leases")[0]["spec"]["leaseTransitions"] == 1


async def test_it_is_its_own_clock_that_counts(kube: FakeKube, clock: Clock) -> None:
    """The holder's clock is hours behind; what it wrote is compared with nothing but what it wrote before."""
    a, b = candidate(kube, "a", clock), candidate(kube, "b", clock)
    await a.try_once()
    kube.change("leases", "operator", {"spec": {"renewTime": "2001-01-01T00:00:00.000000Z"}})
    assert await b.try_once() == "a"


async def test_a_released_one_is_free_at_once(kube: FakeKube, clock: Clock) -> None:
    a, b = candidate(kube, "a", clock), candidate(kube, "b", clock)
    await a.try_once()
    await b.try_once()
    await a.release()
    assert await b.try_once() == "b"


async def test_only_the_holder_releases(kube: FakeKube, clock: Clock) -> None:
    a, b = candidate(kube, "a", clock), candidate(kube, "b", clock)
    await a.try_once()
    await b.release()
    assert await b.try_once() == "a"


async def test_of_two_at_the_same_moment_one_gets_it(kube: FakeKube, clock: Clock) -> None:
    a, b, c = (candidate(kube, name, clock) for name in "abc")
    await a.try_once()
    await a.release()
    lease = kube.of("leases")[0]
    assert await b.try_once() == "b"
    assert not await c._write(lease, c._claim(lease["spec"])), "c had read it before b took it"
    assert await c.try_once() == "b"


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_write_whose_answer_was_lost_and_that_was_repeated_is_its_own(
    kube: FakeKube, clock: Clock, at: int
) -> None:
    kube.writes.repeat_at = at
    a = candidate(kube, "a", clock)
    for _ in range(3):
        assert await a.try_once() == "a"
    await a.release()
    kube.writes.repeat_at = kube.writes.count + 1
    await a.try_once()
    await a.release()
    assert kube.of("leases")[0]["spec"]["holderIdentity"] == ""


async def test_a_holder_none_of_whose_answers_arrive_reads_that_its_renewals_did(
    kube: FakeKube, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = candidate(kube, "a", clock)
    await a.try_once()
    patch = kube.patch

    async def without_answer(*arguments: Any) -> dict[str, Any]:
        await patch(*arguments)
        lost = UnavailableError("no answer")
        lost.may_be_done = True
        raise lost

    monkeypatch.setattr(kube, "patch", without_answer)
    before = kube.of("leases")[0]["spec"]["renewTime"]
    assert await a.try_once() == "a"
    assert kube.of("leases")[0]["spec"]["renewTime"] > before
    assert kube.asked.count("patch leases") == 1


async def test_a_renewal_that_certainly_was_not_sent_has_failed(kube: FakeKube, clock: Clock) -> None:
    a = candidate(kube, "a", clock)
    await a.try_once()
    away = UnavailableError("away")
    away.may_be_done = False
    kube.refusals["patch", "leases"] = [away]
    with pytest.raises(UnavailableError, match="away"):
        await a.try_once()


async def test_a_lease_whose_labels_somebody_edits_stays_its_holders(kube: FakeKube, clock: Clock) -> None:
    a = candidate(kube, "a", clock)
    await a.try_once()
    kube.refusals["patch", "leases"] = [ConflictError("changed", 409)]
    assert await a.try_once() == "a"


async def test_a_lease_that_changes_all_the_time_is_no_other_candidates(kube: FakeKube, clock: Clock) -> None:
    a = candidate(kube, "a", clock)
    await a.try_once()
    kube.refusals["patch", "leases"] = [ConflictError("changed", 409)] * 9
    with pytest.raises(ConflictError, match="changed by others"):
        await a.try_once()


class TestAHolderThatHasCertainlyEnded:
    """The clock stands still: nobody waits for the Lease's duration."""

    async def test_is_replaced_at_the_next_look_when_its_pod_is_deleted(self, kube: FakeKube, clock: Clock) -> None:
        a, b = (candidate(kube, name, clock, pod=pod_of(kube, f"pod-{name}")) for name in "ab")
        await a.try_once()
        assert (await b.try_once()).startswith("pod-a_")
        kube.remove("pods", NAMESPACE, "pod-a")
        await b.try_once()
        assert holder_of(kube).startswith("pod-b_")
        assert kube.of("leases")[0]["spec"]["leaseTransitions"] == 1

    async def test_is_replaced_when_another_pod_has_its_name(self, kube: FakeKube, clock: Clock) -> None:
        a, b = (candidate(kube, name, clock, pod=pod_of(kube, f"pod-{name}")) for name in "ab")
        await a.try_once()
        kube.remove("pods", NAMESPACE, "pod-a")
        pod_of(kube, "pod-a")
        await b.try_once()
        assert holder_of(kube).startswith("pod-b_")

    async def test_is_replaced_when_its_container_has_ended(self, kube: FakeKube, clock: Clock) -> None:
        a, b = (candidate(kube, name, clock, pod=pod_of(kube, f"pod-{name}")) for name in "ab")
        await a.try_once()
        ended = {"name": CONTAINER, "state": {"terminated": {"finishedAt": "2999-01-01T00:00:00Z"}}}
        kube.change("pods", "pod-a", {"status": {"containerStatuses": [ended]}})
        await b.try_once()
        assert holder_of(kube).startswith("pod-b_")

    async def test_is_replaced_by_the_next_process_of_its_container(self, kube: FakeKube, clock: Clock) -> None:
        pod = pod_of(kube, "pod-a")
        await candidate(kube, "first", clock, pod=pod).try_once()
        await candidate(kube, "next", clock, pod=pod).try_once()
        assert holder_of(kube).endswith("_next")

    async def test_is_replaced_by_one_candidate_of_several(self, kube: FakeKube, clock: Clock) -> None:
        a, b, c = (candidate(kube, name, clock, pod=pod_of(kube, f"pod-{name}")) for name in "abc")
        await a.try_once()
        kube.remove("pods", NAMESPACE, "pod-a")
        said = await asyncio.gather(b.try_once(), c.try_once())
        assert set(said) == {holder_of(kube)}

    async def test_does_not_take_the_lease_back(self, kube: FakeKube, clock: Clock) -> None:
        """Its pod was deleted by force, and its container lives on for a moment."""
        a, b = (candidate(kube, name, clock, pod=pod_of(kube, f"pod-{name}")) for name in "ab")
        await a.try_once()
        kube.remove("pods", NAMESPACE, "pod-a")
        await b.try_once()
        assert (await a.try_once()).startswith("pod-b_")
        await a.release()
        assert holder_of(kube).startswith("pod-b_")


class TestAHolderThatMayWork:
    @pytest.mark.parametrize("error", [ForbiddenError("pods is forbidden", 403), UnavailableError("away")])
    async def test_keeps_the_lease_while_its_pod_can_not_be_read(
        self, kube: FakeKube, clock: Clock, error: KubeError, caplog: pytest.LogCaptureFixture
    ) -> None:
        a, b = (candidate(kube, name, clock, pod=pod_of(kube, f"pod-{name}")) for name in "ab")
        await a.try_once()
        kube.remove("pods", NAMESPACE, "pod-a")
        kube.refusals["get", "pods"] = [error]
        assert (await b.try_once()).startswith("pod-a_")
        assert "has to run out" in caplog.text

    async def test_of_an_earlier_release_keeps_it_for_its_duration(self, kube: FakeKube, clock: Clock) -> None:
        """Its identity does not name its pod by uid."""
        b = candidate(kube, "b", clock, pod=pod_of(kube, "pod-b"))
        await candidate(kube, "pod-a-1-1a2b3c4d", clock).try_once()
        assert await b.try_once() == "pod-a-1-1a2b3c4d"
        assert "get pods" not in kube.asked

    async def test_costs_one_request_more_for_each_look(self, kube: FakeKube, clock: Clock) -> None:
        a, b = (candidate(kube, name, clock, pod=pod_of(kube, f"pod-{name}")) for name in "ab")
        await a.try_once()
        kube.asked.clear()
        await a.try_once()
        assert kube.asked == ["get leases", "patch leases"]
        kube.asked.clear()
        await b.try_once()
        assert kube.asked == ["get leases", "get pods"]


class TestHolding:
    @pytest.fixture(autouse=True)
    def quick(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sleeping moves the clock, and takes no time."""

        async def sleep(seconds: float) -> None:
            clock.now += seconds
            await real_sleep(0)

        real_sleep = asyncio.sleep
        monkeypatch.setattr(lease_module.asyncio, "sleep", sleep)

    async def test_a_holder_that_can_not_renew_stops_before_the_others_begin(
        self, kube: FakeKube, clock: Clock
    ) -> None:
        a = candidate(kube, "a", clock)
        await a.acquire()
        kube.refusals["get", "leases"] = [UnavailableError("away") for _ in range(99)]
        began = clock.now
        with pytest.raises(LostError, match="could not be renewed"):
            await a.hold()
        assert clock.now - began < 15

    @pytest.mark.parametrize("slow", ["acquired", "renewed"])
    async def test_a_holder_whose_answer_comes_late_counts_from_when_it_asked(
        self, kube: FakeKube, clock: Clock, monkeypatch: pytest.MonkeyPatch, slow: str
    ) -> None:
        """Others may have seen the renewal as soon as it was sent."""
        a, patch, sent = candidate(kube, "a", clock), kube.patch, 0.0
        await a.try_once()

        async def late(*arguments: Any) -> dict[str, Any]:
            nonlocal sent
            sent = clock.now
            answer = await patch(*arguments)
            clock.now += 6
            kube.refusals["get", "leases"] = [UnavailableError("away") for _ in range(99)]
            return answer

        with monkeypatch.context() as slowly:
            if slow == "acquired":
                slowly.setattr(kube, "patch", late)
            await a.acquire()
            slowly.setattr(kube, "patch", late)
            with pytest.raises(LostError, match="could not be renewed"):
                await a.hold()
        assert clock.now - sent < 15

    async def test_an_outage_that_is_short_is_survived(self, kube: FakeKube, clock: Clock) -> None:
        a = candidate(kube, "a", clock)
        await a.acquire()
        kube.refusals["get", "leases"] = [UnavailableError("away") for _ in range(3)]
        holding = asyncio.create_task(a.hold())
        for _ in range(50):
            await asyncio.sleep(0)
        assert not holding.done()
        holding.cancel()

    async def test_a_holder_that_lost_it_stops(self, kube: FakeKube, clock: Clock) -> None:
        a = candidate(kube, "a", clock)
        await a.acquire()
        kube.change("leases", "operator", {"spec": {"holderIdentity": "b", "renewTime": "now"}})
        with pytest.raises(LostError, match="held by b"):
            await a.hold()

    async def test_one_that_stands_by_takes_over(self, kube: FakeKube, clock: Clock) -> None:
        await candidate(kube, "a", clock).try_once()
        began = clock.now
        await candidate(kube, "b", clock).acquire()
        assert 15 <= clock.now - began <= 15 + 1

    def test_by_default_it_takes_less_than_15_seconds_with_a_renewal_that_was_just_not_seen(self) -> None:
        settings = LeaseSettings(NAMESPACE, "operator")
        assert settings.seconds + 2 * settings.look_every < 15
        assert settings.give_up_after < settings.seconds

    async def test_what_was_given_back_is_taken_within_a_second(self, kube: FakeKube, clock: Clock) -> None:
        a, b = candidate(kube, "a", clock, 60), candidate(kube, "b", clock, 60)
        await a.acquire()
        waiting = asyncio.create_task(b.acquire())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        began = clock.now
        await a.release()
        await waiting
        assert clock.now - began <= 1.5

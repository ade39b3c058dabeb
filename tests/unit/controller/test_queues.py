"""Runs that wait for each other in a world in memory: order, policies, limits, quotas, restarts, crashes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from componentrun.api.names import KUEUE_QUEUE_LABEL
from componentrun.process.kubernetes.errors import QuotaExceededError
from tests.unit.controller.fakekube import NAMESPACE, Crash
from tests.unit.controller.fakes import TABLE, FakeOperator, World
from tests.unit.controller.watched import CONFIGURATION, Watched


def three(world: World, **spec: Any) -> None:
    for name in ("c", "a", "b"):  # neither their names nor their uids are in order
        world.add_run(name, configuration=CONFIGURATION, **spec)


class TestGroups:
    async def test_runs_of_one_configuration_go_one_after_another_in_order_of_creation(self) -> None:
        world = Watched()
        three(world)
        await FakeOperator(world).live(60)
        assert world.pods_made() == ["c-1", "a-1", "b-1"]
        assert world.most == 1
        assert [world.phase(name) for name in "cab"] == ["Succeeded"] * 3
        assert await world.rows(TABLE) == 6

    async def test_those_that_wait_say_for_whom_and_their_place(self) -> None:
        world = Watched()
        operator = FakeOperator(world)
        await operator.start()
        three(world)
        await operator.work()
        queue = world.status("b")["queue"]
        assert (queue["waitingFor"], queue["position"], queue["group"]) == ("ConcurrencyGroup", 2, "cleaner/42")
        assert world.phase("b") == "Queued"
        assert "`c`, `a`" in world.status("b")["message"]

    async def test_when_its_turn_has_come_it_waits_for_nothing_any_more(self) -> None:
        world = Watched()
        three(world)
        await FakeOperator(world).live(60)
        assert not [name for name in "cab" if "queue" in world.status(name)]

    @pytest.mark.parametrize("at", range(1, 45))
    async def test_a_crash_after_any_write_never_makes_two_run_at_once(self, at: int) -> None:
        world = Watched()
        three(world)
        world.writes.crash_at = at
        try:
            await FakeOperator(world).live(60)
        except (Crash, BaseExceptionGroup):
            world.writes.crash_at = None
            await FakeOperator(world).live(60)
        assert world.most == 1
        assert world.pods_made() == ["c-1", "a-1", "b-1"]
        assert [world.phase(name) for name in "cab"] == ["Succeeded"] * 3

    @pytest.mark.parametrize("at", range(1, 45, 3))
    async def test_a_lost_answer_never_makes_two_run_at_once(self, at: int) -> None:
        world = Watched()
        three(world)
        world.writes.lose_at = at
        await FakeOperator(world).live(80)
        assert world.most == 1
        assert [world.phase(name) for name in "cab"] == ["Succeeded"] * 3

    async def test_the_pod_of_a_run_that_was_deleted_keeps_the_group_until_it_is_gone(self) -> None:
        world = Watched()
        three(world)
        operator = FakeOperator(world)
        await operator.live(1)
        # It was told to end, which takes its time.
        told = {"deletionTimestamp": "2026-01-01T00:10:00Z", "deletionGracePeriodSeconds": 600}
        world.kube.change("pods", "c-1", {"metadata": {**told, "ownerReferences": None}})
        world.kube.remove("componentruns", NAMESPACE, "c")
        await operator.work()
        assert world.pods_made() == ["c-1"]
        world.kube.remove("pods", NAMESPACE, "c-1")
        await operator.work()
        assert world.pods_made() == ["c-1", "a-1"]

    async def test_a_run_that_is_cancelled_while_it_waits_ends_and_the_next_one_moves_up(self) -> None:
        world = Watched()
        three(world)
        operator = FakeOperator(world)
        await operator.live(1)
        world.kube.change("componentruns", "a", {"spec": {"cancel": True}})
        await operator.work()
        assert world.phase("a") == "Cancelled"
        await operator.live(40)
        assert world.pods_made() == ["c-1", "b-1"]

    async def test_a_component_may_let_several_run(self) -> None:
        world = Watched()
        component = {"metadata": {"name": "loader"}, "spec": {"image": "loader", "concurrency": {"parallelism": 2}}}
        world.kube.put("components", component)
        three(world, component="loader", image=None)
        await FakeOperator(world).live(60)
        assert world.most == 2
        assert set(world.pods_made()[:2]) == {"c-1", "a-1"}


class TestPolicies:
    async def test_forbid_ends_at_once_and_names_the_run_in_the_way(self) -> None:
        world = Watched()
        world.add_run("first", configuration=CONFIGURATION)
        world.add_run("second", configuration=CONFIGURATION, concurrency={"policy": "Forbid"})
        await FakeOperator(world).live(1)
        status = world.status("second")
        assert (status["phase"], status["reason"]) == ("Failed", "ConcurrencyForbidden")
        assert "`first`" in status["message"]

    async def test_replace_stops_the_one_that_runs_and_starts_when_that_has_ended(self) -> None:
        world = Watched()
        world.add_run("old", configuration=CONFIGURATION)
        world.add_run("waits", configuration=CONFIGURATION)
        operator = FakeOperator(world)
        await operator.live(1)
        world.add_run("new", configuration=CONFIGURATION, concurrency={"policy": "Replace"})
        await operator.live(40)
        for name in ("old", "waits"):
            status = world.status(name)
            assert (status["phase"], status["reason"]) == ("Cancelled", "Replaced"), status
            assert "`new`" in status["message"]
        assert world.status("old")["termination"]["reason"] == "Replaced"
        assert world.phase("new") == "Succeeded"
        assert world.pods_made() == ["old-1", "new-1"]
        assert world.most == 1
        assert await world.rows(TABLE) == 2, "the replaced run published nothing"

    async def test_allow_runs_beside_the_others(self) -> None:
        world = Watched()
        world.add_run("first", configuration=CONFIGURATION)
        world.add_run("second", configuration=CONFIGURATION, concurrency={"policy": "Allow"})
        await FakeOperator(world).live(1)
        assert world.pods_made() == ["first-1", "second-1"]

    async def test_they_hold_for_runs_whose_component_is_told_of_after_them(self) -> None:
        world = Watched()
        operator = FakeOperator(world)
        await operator.start()
        with operator.unheard("components"):
            spec = {"image": "cleaner:1", "concurrency": {"policy": "Forbid"}}
            world.kube.put("components", {"metadata": {"name": "cleaner"}, "spec": spec})
            for name in "abc":
                world.add_run(name, image=None, component="cleaner", configuration=CONFIGURATION)
            await operator.work()
        assert world.pods_made() == ["a-1"]
        assert [world.status(name)["reason"] for name in "bc"] == ["ConcurrencyForbidden"] * 2


class TestRoom:
    async def test_no_more_runs_than_the_limit_have_a_pod(self) -> None:
        world = Watched()
        world.max_running = 2
        for name in ("e", "d", "c", "b", "a"):
            world.add_run(name)
        operator = FakeOperator(world)
        await operator.live(1)
        assert world.status("b")["queue"]["waitingFor"] == "MaxRunning"
        assert operator.queues.counts()["MaxRunning"] == 3
        await operator.live(60)
        assert world.most == 2
        made = world.pods_made()  # two whose turn comes at the same time may overtake each other
        assert [set(made[:2]), set(made[2:4]), set(made[4:])] == [{"e-1", "d-1"}, {"c-1", "b-1"}, {"a-1"}]

    async def test_the_namespaces_default_storage_says_another_limit_and_a_change_holds_at_once(self) -> None:
        world = Watched()
        world.max_running = 1
        spec = {"default": True, "bucket": "bucket"}
        world.kube.put("storages", {"metadata": {"name": "s"}, "spec": spec | {"maxRunning": 2}})
        for name in "abcd":
            world.add_run(name)
        operator = FakeOperator(world)
        await operator.live(0)
        assert len(world.pods_made()) == 2
        world.kube.change("storages", "s", {"spec": {"maxRunning": 4}})
        await operator.work()
        assert len(world.pods_made()) == 4

    async def test_the_limit_holds_for_runs_whose_storage_is_told_of_after_them(self) -> None:
        world = Watched()
        operator = FakeOperator(world)
        await operator.start()
        with operator.unheard("storages"):
            spec = {"default": True, "maxRunning": 1, "bucket": "bucket"}
            world.kube.put("storages", {"metadata": {"name": "s"}, "spec": spec})
            for name in "abc":
                world.add_run(name)
            await operator.work()
        assert world.pods_made() == ["a-1"]
        assert [world.status(name)["queue"]["waitingFor"] for name in "bc"] == ["MaxRunning"] * 2

    async def test_a_full_quota_is_tried_by_the_first_in_line_alone_and_again_when_a_pod_ends(self) -> None:
        world = Watched()
        said = "pods is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"
        for name in "abc":
            world.add_run(name)
        operator = FakeOperator(world)
        await operator.live(0)
        for name in "def":
            world.add_run(name)
        refusals = world.kube.refusals[("create", "pods")] = [QuotaExceededError(said, 403)]
        await operator.work()
        assert not refusals
        assert len(world.pods_made()) == 3, "e and f did not even try"
        assert world.status("d")["queue"]["waitingFor"] == "ResourceQuota"
        assert "quota `small` (pods: 1 wanted, 1 of 1 used)" in world.status("d")["message"]
        assert "`d` goes first" in world.status("e")["message"]
        world.kube.remove("pods", NAMESPACE, "a-1")
        await operator.work()
        assert world.pods_made()[3:] == ["d-1", "e-1", "f-1"]

    async def test_a_run_that_a_quota_refused_and_that_kueue_takes_over_is_in_nobodys_way(self) -> None:
        world = Watched()
        for name in "abcd":
            world.add_run(name)
        said = "pods is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"
        world.kube.refusals[("create", "pods")] = [QuotaExceededError(said, 403)] * 3
        operator = FakeOperator(world)
        await operator.live(0)
        assert world.status("b")["queue"]["waitingFor"] == "ResourceQuota"
        world.kube.change("componentruns", "a", {"metadata": {"labels": {KUEUE_QUEUE_LABEL: "team"}}})
        await operator.live(60)
        assert [world.phase(name) for name in "abcd"] == ["Succeeded"] * 4

    async def test_runs_that_a_quota_blocks_do_not_use_up_the_limit(self) -> None:
        world = Watched()
        world.max_running = 2
        for name in "abc":
            world.add_run(name)
        said = "pods is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"
        world.kube.refusals[("create", "pods")] = [QuotaExceededError(said, 403)]
        operator = FakeOperator(world)
        await operator.live(0)
        assert world.pods_made() == []
        world.add_run("d", priorityClassName="vip")
        await operator.work()
        assert world.pods_made() == ["d-1"]
        assert world.status("c")["queue"]["waitingFor"] == "ResourceQuota"
        assert operator.queues.counts() == {"ConcurrencyGroup": 0, "MaxRunning": 0, "ResourceQuota": 3}

    async def test_a_quota_that_is_too_small_for_the_run_ends_it(self) -> None:
        world = Watched()
        world.add_run("big")
        said = "exceeded quota: small, requested: requests.cpu=8, used: requests.cpu=1, limited: requests.cpu=4"
        world.kube.refusals[("create", "pods")] = [QuotaExceededError(said, 403)]
        await FakeOperator(world).live(1)
        status = world.status("big")
        assert (status["phase"], status["reason"]) == ("Failed", "PodRejected")
        assert "quota `small`" in status["message"]
        assert "too small" in status["message"]


class TestKueue:
    async def test_a_gated_pod_is_queued_for_as_long_as_it_takes_and_counts_for_no_limit(self) -> None:
        world = Watched()
        world.max_running = 1
        world.add_run("managed")
        world.kube.change("componentruns", "managed", {"metadata": {"labels": {KUEUE_QUEUE_LABEL: "team"}}})
        world.add_run("other")
        world.kube.gates = [{"name": "kueue.x-k8s.io/admission"}]
        operator = FakeOperator(world)
        await operator.start()
        await operator.work()
        world.kube.gates = []
        assert world.kube.objects["pods", NAMESPACE, "managed-1"]["metadata"]["labels"][KUEUE_QUEUE_LABEL] == "team"
        status = world.status("managed")
        assert (status["phase"], status["queue"]["waitingFor"]) == ("Queued", "SchedulingGates")
        assert "other-1" in world.pods_made()
        world.now += timedelta(hours=5)
        operator.queue.add(next(key for key in operator.caches.runs.all_keys() if key.name == "managed"))
        await operator.work()
        assert world.phase("managed") == "Queued", "the limit for pending pods does not run"
        world.kube.change("pods", "managed-1", {"spec": {"schedulingGates": None}})
        await operator.work()
        assert world.phase("managed") == "Pending"
        assert "queue" not in world.status("managed")
        await operator.live(40)
        assert world.phase("managed") == "Succeeded"

    async def test_the_gates_are_named_though_no_event_tells_of_the_pod_once_it_is_made(self) -> None:
        world = Watched()
        world.kube.gates = [{"name": "kueue.x-k8s.io/admission"}, {"name": "example.com/budget"}]
        operator = FakeOperator(world)
        await operator.start()
        with operator.unheard("pods"):
            world.add_run("managed")
            await operator.work()
        told = (
            "The pod waits for its scheduling gates to be taken away: `kueue.x-k8s.io/admission`, `example.com/budget`."
        )
        assert world.status("managed")["message"] == told

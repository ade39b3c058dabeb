"""A run's whole life in a world in memory: as it should be, with a crash after every write, with lost answers."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from componentrun.api.common import API_VERSION
from componentrun.api.names import OPERATOR_LABEL
from componentrun.controller.reconcile import publish as publishing
from componentrun.controller.watching.caches import Key
from componentrun.process.kubernetes.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    KubeError,
    NamespaceTerminatingError,
    NotFoundError,
    QuotaExceededError,
    UnavailableError,
    error_for,
)
from componentrun.wire.agents import StageOutPlan, from_json
from tests.unit.controller.fakekube import NAMESPACE, Crash
from tests.unit.controller.fakes import TABLE, FakeOperator, World

SECRET = "hunter22-very-secret"


async def assert_well_ended(world: World) -> None:
    status = world.run()["status"]
    assert (status["phase"], status["reason"], status["result"]) == ("Succeeded", "Succeeded", "Success"), status
    assert status["outputTables"] == [{"table": TABLE, "rows": 2, "bytes": 12}]
    assert [attempt["number"] for attempt in status["attempts"]] == [1]
    assert await world.rows(TABLE) == 2, "an incremental table was loaded not once"
    assert [name for name in world.kube.created if name.startswith("pods/")] == ["pods/load-1"]
    assert world.kube.of("pods") == []
    assert world.kube.of("secrets") == []


class TestTheMainWay:
    async def test_a_run_becomes_a_pod_and_its_output_a_table(self) -> None:
        world = World()
        world.add_run()
        await FakeOperator(world).live()
        await assert_well_ended(world)

    async def test_it_may_store_as_much_as_its_volume_may_hold(self) -> None:
        world = World()
        world.add_run()
        await FakeOperator(world).live()
        plan = await world.store.find("runs/uid-100/1/stage-out.json")
        assert plan is not None
        assert from_json(StageOutPlan, plan.data.decode()).max_bytes == 10 * 2**30

    async def test_it_costs_few_writes(self) -> None:
        world = World()
        world.add_run()
        await FakeOperator(world).live()
        assert Counter(world.writes.log) == {
            "write runs/uid-100/1/stage-in.json": 1,
            "write runs/uid-100/1/stage-out.json": 1,
            "create networkpolicies": 1,  # once for all runs of its class
            "create pods": 1,
            "create secrets": 1,
            "patch componentruns/status": 6,  # Pending, Running, StagingOut, Publishing, Succeeded, events
            "load tables": 1,  # by the loader
            "delete pods": 1,
        }

    async def test_the_collectors_part_of_the_status_is_left_alone(self) -> None:
        world = World()
        world.add_run()
        events = {"count": 7, "delivered": True, "message": ""}
        world.kube.change("componentruns", "load", {"status": {"events": events}})
        await FakeOperator(world).live()
        await assert_well_ended(world)
        assert world.run()["status"]["events"] == events

    async def test_metrics_count_each_run_once(self) -> None:
        world = World()
        world.add_run()
        operator = FakeOperator(world)
        await operator.live()
        text = operator.metrics.render().decode()
        assert 'componentrun_results_total{component="image",reason="Succeeded"} 1.0' in text
        assert 'componentrun_phase_duration_seconds_count{phase="Running"} 1.0' in text

    async def test_a_run_that_is_deleted_leaves_nothing_in_memory(self) -> None:
        world = World()
        world.add_run()
        operator = FakeOperator(world)
        await operator.live(2)
        world.kube.remove("componentruns", NAMESPACE, "load")
        await operator.work()
        assert len(operator.caches.runs) == 0
        assert len(operator.caches.pods) == 0


class TestNamespaces:
    @pytest.mark.parametrize("kind", ["pods", "secrets", "networkpolicies"])
    async def test_a_run_whose_namespace_is_being_deleted_says_so(self, kind: str) -> None:
        world = World()
        world.add_run()
        refusal = NamespaceTerminatingError("create: the namespace is being deleted", 403)
        world.kube.refusals["create", kind] = [refusal]
        await FakeOperator(world).live()
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "NamespaceTerminating"), status
        assert world.kube.of("pods") == []


class TestGrants:
    async def test_a_secret_that_is_deleted_while_its_pod_waits_for_a_node_is_made_again(self) -> None:
        world = World()
        key = world.add_run()
        operator = FakeOperator(world)
        await operator.start()
        await operator.work()
        world.kube.remove("secrets", NAMESPACE, "load-1")
        for _ in range(2):
            world.now += timedelta(seconds=45)
            operator.queue.add(key)
            await operator.work()
        assert [item["metadata"]["name"] for item in world.kube.of("secrets")] == ["load-1"]
        await operator.live()
        await assert_well_ended(world)

    async def test_whether_it_is_there_is_not_asked_again_and_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        key = world.add_run()
        operator = FakeOperator(world)
        await operator.start()
        await operator.work()
        asked: list[str] = []
        monkeypatch.setattr(world.kube, "_refuse", lambda verb, plural: asked.append(f"{verb} {plural}"))
        for _ in range(100):
            world.now += timedelta(seconds=1)
            operator.queue.add(key)
            await operator.work()
        assert asked.count("get secrets") == 1

    async def life_that_ends_at(self, world: World, write: str) -> None:
        """An operator that dies right behind this write."""
        world.add_run()
        probe = World()
        probe.add_run()
        await FakeOperator(probe).live(3)
        assert await life_with_crash(world, probe.writes.log.index(write) + 1, go_on=False)

    async def test_a_pod_that_was_not_written_down_never_runs(self) -> None:
        """Made, its operator dies, somebody deletes it, all unseen: it may be made again."""
        world = World()
        await self.life_that_ends_at(world, "create pods")
        for _ in range(5):
            await world.kubelet()
        (pod,) = world.kube.of("pods")
        assert pod["status"] == {"phase": "Pending"}
        world.kube.remove("pods", NAMESPACE, "load-1")
        await FakeOperator(world).live()
        assert world.run()["status"]["phase"] == "Succeeded"
        assert [attempt["number"] for attempt in world.run()["status"]["attempts"]] == [1]
        assert await world.rows(TABLE) == 2

    async def test_a_pod_that_was_written_down_and_is_deleted_before_it_could_run_is_the_attempts_end(self) -> None:
        world = World()
        await self.life_that_ends_at(world, "patch componentruns/status")
        assert world.kube.of("secrets") == []
        world.kube.remove("pods", NAMESPACE, "load-1")
        await FakeOperator(world).live(60)
        assert world.run()["status"]["reason"] == "PodDeleted"

    async def test_an_operator_that_comes_after_a_record_without_a_secret_makes_it(self) -> None:
        world = World()
        await self.life_that_ends_at(world, "patch componentruns/status")
        assert world.kube.of("secrets") == []
        await FakeOperator(world).live()
        await assert_well_ended(world)

    async def test_what_it_leads_to_is_in_the_storage_that_was_written_down(self) -> None:
        """Else stage-out would upload to the namespace's new default, and nobody look for it there."""
        world = World()
        await self.life_that_ends_at(world, "patch componentruns/status")
        operator = FakeOperator(world)
        await operator.live()
        await assert_well_ended(world)
        assert set(operator.opens.wanted) == {"main"}

    async def test_one_that_comes_later_makes_no_second_one(self) -> None:
        world = World()
        await self.life_that_ends_at(world, "create secrets")
        await FakeOperator(world).live()
        await assert_well_ended(world)
        assert [name for name in world.kube.created if name.startswith("secrets/")] == ["secrets/load-1"]

    async def test_a_secret_that_can_not_be_made_yet_is_said_and_made_later(self) -> None:
        world = World()
        world.add_run()
        world.kube.refusals["create", "secrets"] = [QuotaExceededError("exceeded quota: x", 403)] * 2
        operator = FakeOperator(world)
        await operator.start()
        await operator.work()
        assert world.phase() == "Pending"
        assert "waits for its Secret" in world.run()["status"]["message"]
        await operator.live()
        await assert_well_ended(world)

    @pytest.mark.parametrize("status_code", [403, 422, 418])  # a webhook chooses it
    async def test_one_that_never_can_ends_the_run_and_its_pod(self, status_code: int) -> None:
        world = World()
        world.add_run()
        refusal = error_for(status_code, b"its value of-a-secret is not allowed", "create secrets")
        world.kube.refusals["create", "secrets"] = [refusal]
        await FakeOperator(world).live()
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "PodRejected")
        assert "of-a-secret" not in status["message"]
        assert status["message"].startswith("The run could not be started: ")
        assert world.kube.of("pods") == []

    async def test_another_pod_of_that_name_gets_nothing(self) -> None:
        """The recorded one was deleted while the operator was at it."""
        world = World()
        await self.life_that_ends_at(world, "patch componentruns/status")
        operator = FakeOperator(world)
        await operator.start()
        world.kube.listener = None
        world.kube.remove("pods", NAMESPACE, "load-1")
        await operator.work()
        assert world.kube.of("secrets") == []
        assert world.kube.of("pods") == []


class TestRunsThatHaveEnded:
    async def test_keep_their_pods_for_a_collector_that_was_away_as_long_as_their_operator(self) -> None:
        """Else lines that are still there were lost, as an operator comes back a moment before the collector."""
        world = World()
        world.add_run()
        first = FakeOperator(world)
        while world.phase() != "Succeeded":
            await first.live(1)
        assert len(world.kube.of("pods")) == 1
        world.now += timedelta(hours=1)
        second = FakeOperator(world)
        await second.live(2)
        assert len(world.kube.of("pods")) == 1
        delivered = {"count": 3, "delivered": True, "message": ""}
        world.kube.change("componentruns", "load", {"status": {"events": delivered}})
        await second.work()
        assert world.kube.of("pods") == []
        told = next(item for item in world.run()["status"]["conditions"] if item["type"] == "EventsDelivered")
        assert told["status"] == "True"

    @pytest.mark.parametrize("spec", [{}, {"ttlAfterFinished": "5s"}])
    async def test_are_looked_at_once_more_though_nobody_says_anything_of_them(self, spec: dict[str, Any]) -> None:
        """Its own writes are no news to an operator, and the rest of the run has times of its own."""
        world = World()
        key = world.add_run(component="there-is-none", image=None, **spec)
        operator = FakeOperator(world)
        await operator.start()
        await operator.queue.get()
        wake = await operator.reconciler.reconcile(key)
        assert world.run()["status"]["reason"] == "ComponentNotFound"
        assert wake is not None
        assert wake < 1
        assert await operator.reconciler.reconcile(key) == (5 if spec else None)


class TestRunsThatAreDeleted:
    @staticmethod
    def orphan(world: World) -> None:
        """Delete the run, and nothing that it owns."""
        obj = world.kube.objects.pop(("componentruns", NAMESPACE, "load"))
        world.kube.change("pods", "load-1", {"metadata": {"ownerReferences": None}})
        if world.kube.listener is not None:
            world.kube.listener("DELETED", "componentruns", obj)

    async def test_a_pod_that_nobody_else_would_delete_goes(self) -> None:
        world = World()
        world.add_run()
        operator = FakeOperator(world)
        await operator.live(1)
        self.orphan(world)
        await operator.work()
        assert world.kube.of("pods") == []
        assert len(operator.caches.pods) == 0

    async def test_so_does_one_whose_run_was_deleted_while_no_operator_was_there(self) -> None:
        world = World()
        world.add_run()
        await FakeOperator(world).live(1)
        world.kube.listener = None
        self.orphan(world)
        await FakeOperator(world).live(1)
        assert world.kube.of("pods") == []

    async def test_a_pod_of_another_operators_run_is_left_alone(self) -> None:
        world = World()
        world.add_run()
        await FakeOperator(world).live(1)
        world.kube.change("componentruns", "load", {"metadata": {"labels": {OPERATOR_LABEL: "canary"}}})
        await FakeOperator(world).live(1)
        assert len(world.kube.of("pods")) == 1
        # Its event may come later than its pod's.
        late = FakeOperator(world)
        await late.start()
        late.caches.runs._others.clear()
        late.queue.add(Key(NAMESPACE, "load"))
        await late.work()
        assert len(world.kube.of("pods")) == 1

    async def test_so_is_that_of_another_operators_run_that_is_deleted(self) -> None:
        """Each has a stop grace of its own."""
        world = World()
        world.add_run()
        await FakeOperator(world).live(1)
        world.kube.change("componentruns", "load", {"metadata": {"labels": {OPERATOR_LABEL: "canary"}}})
        operator = FakeOperator(world)
        await operator.live(1)
        self.orphan(world)
        operator.queue.add(Key(NAMESPACE, "load"))  # as an event of the pod does that comes behind the run's last one
        await operator.work()
        assert len(world.kube.of("pods")) == 1

    @pytest.mark.parametrize("at", range(1, 16))
    async def test_one_that_is_gone_when_something_is_written_is_no_defect(self, at: int) -> None:
        world = World()
        world.add_run()
        world.writes.crash_at = at
        with suppress(Crash, BaseExceptionGroup):
            await FakeOperator(world).live()
        world.writes.crash_at = None
        operator = FakeOperator(world)
        await operator.start()
        world.kube.listener = None  # the event is on its way
        if ("componentruns", NAMESPACE, "load") in world.kube.objects:
            world.kube.remove("componentruns", NAMESPACE, "load")
        await operator.work()  # raises nothing


async def life_with_crash(world: World, at: int, *, go_on: bool = True) -> bool:
    """Whether the operator crashed after its write number `at`; another one then lives on."""
    world.writes.crash_at = at
    try:
        await FakeOperator(world).live()
    except (Crash, BaseExceptionGroup):
        world.writes.crash_at = None
        if go_on:
            await FakeOperator(world).live()
        return True
    return False


class TestCrashes:
    @pytest.mark.parametrize("at", range(1, 16))
    async def test_a_crash_after_any_write_changes_nothing_about_the_end(self, at: int) -> None:
        world = World()
        world.add_run()
        await life_with_crash(world, at)
        await assert_well_ended(world)

    async def test_there_is_no_write_after_which_no_crash_was_tried(self) -> None:
        world = World()
        world.add_run()
        assert not await life_with_crash(world, 16)

    @pytest.mark.parametrize("at", range(1, 16))
    async def test_two_operators_at_once_do_no_harm(self, at: int) -> None:
        """An operator that is thought dead works on, a step behind, with what it saw before."""
        world = World()
        world.add_run()
        old = FakeOperator(world)
        await old.live(at // 3)
        stale = {key: old.caches.runs.document(key) for key in old.caches.runs.all_keys()}
        await FakeOperator(world).live(at % 3 + 1)
        assert stale
        for key in stale:
            old.queue.add(key)
        await old.work()
        await FakeOperator(world).live()
        await assert_well_ended(world)

    @pytest.mark.parametrize("at", range(1, 16))
    async def test_a_lost_answer_changes_nothing_about_the_end(self, at: int) -> None:
        world = World()
        world.add_run()
        world.writes.lose_at = at
        await FakeOperator(world).live(40)
        await assert_well_ended(world)


class TestStandingBy:
    async def test_an_operator_that_stands_by_writes_nothing_and_then_takes_over(self) -> None:
        world = World()
        world.add_run()
        operator = FakeOperator(world)
        operator.reconciler.active = False
        await operator.live(3)
        assert world.writes.count == 0
        operator.reconciler.active = True
        await operator.live()
        await assert_well_ended(world)

    async def test_it_keeps_no_pods_of_runs_that_another_one_ended(self) -> None:
        world = World()
        world.add_run()
        standing_by, working = FakeOperator(world), FakeOperator(world)
        standing_by.reconciler.active = False
        await standing_by.start()
        feed = world.kube.listener
        await working.live(2)
        both = world.kube.listener

        def tell(*event: Any) -> None:
            assert feed is not None
            assert both is not None
            feed(*event)
            both(*event)

        await standing_by.resync.everything()
        world.kube.listener = tell
        for _ in range(12):
            world.now += timedelta(seconds=1)
            await world.kubelet()
            await standing_by.work()
            for key in working.caches.runs.all_keys():
                working.queue.add(key)
            await working.work()
        await standing_by.work()
        assert world.phase() == "Succeeded"
        assert len(standing_by.caches.pods) == 0


async def test_a_result_that_a_thief_made_huge_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stole stage-out's grant can store gigabytes in its place, and the operator has half of one."""
    monkeypatch.setattr(publishing, "_MOST_BYTES", 100)
    world = World()
    world.add_run()
    await FakeOperator(world).live()
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "PublishFailed")
    assert "expected at most 100" in status["message"]
    assert await world.rows(TABLE) is None


class TestStarting:
    async def test_the_storage_is_read_anew_as_the_component_is(self) -> None:
        world = World()
        world.add_run()
        operator = FakeOperator(world)
        await operator.start()
        await operator.work()
        assert operator.opens.anew == [True]

    async def test_a_missing_secret_is_named(self) -> None:
        world = World()
        reference = {"path": "db.#password", "secretKeyRef": {"name": "db", "key": "password"}}
        world.add_run(configuration={"secrets": [reference]})
        await FakeOperator(world).live(2)
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "SecretNotFound")
        assert "`team/db`" in status["message"]
        assert "`db.#password`" in status["message"]
        assert world.kube.of("pods") == []

    async def test_the_secret_of_another_run_is_no_parameter(self) -> None:
        """Its name can be guessed, and it holds that run's grants and secrets."""
        world = World()
        world.add_run("other")
        operator = FakeOperator(world)
        await operator.live(2)
        assert [item["metadata"]["name"] for item in world.kube.of("secrets")] == ["other-1"]
        reference = {"path": "#mine", "secretKeyRef": {"name": "other-1", "key": "grant-out"}}
        world.add_run(configuration={"secrets": [reference]})
        await operator.live(2)
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
        assert "`team/other-1`" in status["message"]
        assert [item for item in world.kube.of("pods") if item["metadata"]["name"] == "load-1"] == []

    async def test_a_missing_component_is_named(self) -> None:
        world = World()
        world.add_run(image=None, component="nobody")
        await FakeOperator(world).live(2)
        assert world.run()["status"]["reason"] == "ComponentNotFound"
        assert "`nobody`" in world.run()["status"]["message"]

    async def test_a_component_that_comes_with_its_run_is_found(self) -> None:
        world = World()
        world.add_run(image=None, component="cleaner")
        operator = FakeOperator(world)
        await operator.start()
        world.kube.listener = None  # its event comes later
        world.kube.put("components", {"metadata": {"name": "cleaner"}, "spec": {"image": "cleaner:1"}})
        await operator.work()
        assert world.phase() == "Pending"

    async def test_a_stranger_with_the_pods_name_is_left_alone(self) -> None:
        world = World()
        world.kube.put("pods", {"metadata": {"name": "load-1"}})
        world.add_run()
        await FakeOperator(world).live(2)
        status = world.run()["status"]
        assert status["reason"] == "PodRejected"
        assert "does not belong to this run" in status["message"]
        assert len(world.kube.of("pods")) == 1

    async def test_the_pod_of_an_earlier_run_of_that_name_is_waited_for(self) -> None:
        world = World()
        labels = {"app.kubernetes.io/managed-by": "componentrun"}
        world.kube.put("pods", {"metadata": {"name": "load-1", "labels": labels}})
        world.add_run()
        operator = FakeOperator(world)
        await operator.live(2)
        assert world.phase() == "Queued"
        world.kube.remove("pods", NAMESPACE, "load-1")
        await operator.live()
        assert world.phase() == "Succeeded"

    @pytest.mark.parametrize("kind", ["pods", "secrets"])
    async def test_a_name_that_is_freed_while_it_is_looked_who_had_it_is_taken_then(self, kind: str) -> None:
        world = World()
        world.add_run()
        world.kube.refusals["create", kind] = [AlreadyExistsError("it was on its way out", 409)]
        await FakeOperator(world).live()
        await assert_well_ended(world)

    async def test_a_refused_pod_ends_the_run_with_what_the_api_server_said(self) -> None:
        world = World()
        world.add_run()
        world.kube.refusals["create", "pods"] = [ForbiddenError("violates PodSecurity restricted", 403)]
        await FakeOperator(world).live(2)
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "PodRejected")
        assert "violates PodSecurity restricted" in status["message"]

    async def test_a_right_that_the_operator_lacks_is_none_of_the_namespaces_rules(self) -> None:
        world = World()
        world.add_run()
        said = 'pods is forbidden: User "op" cannot create resource "pods" in API group "" in the namespace "team"'
        world.kube.refusals["create", "pods"] = [ForbiddenError(said, 403)]
        await FakeOperator(world).live(2)
        assert "The operator lacks this permission" in world.run()["status"]["message"]

    @pytest.mark.parametrize("status", [404, 418, 451])
    async def test_a_webhook_chooses_the_status_of_its_refusal(self, status: int) -> None:
        world = World()
        world.add_run()
        refusal = error_for(status, b'{"message": "admission webhook denied the request: no"}', "create pods")
        world.kube.refusals["create", "pods"] = [refusal]
        await FakeOperator(world).live(2)
        told = world.run()["status"]
        assert (told["phase"], told["reason"]) == ("Failed", "PodRejected"), told
        assert "webhook denied the request: no" in told["message"]

    async def test_a_webhook_that_does_not_answer_is_waited_for_and_is_no_defect_of_ours(self) -> None:
        world = World()
        world.add_run()
        world.kube.refusals["create", "pods"] = [UnavailableError("500: failed calling webhook", 500)] * 100
        await FakeOperator(world).live()
        told = world.run()["status"]
        assert (told["phase"], told["reason"]) == ("Failed", "PodRejected"), told
        assert "failed calling webhook. If this persists, check the API server and its" in told["message"]

    @pytest.mark.parametrize("error", [ConflictError("has changed", 409), NotFoundError("is gone", 404)])
    async def test_a_network_policy_that_others_change_too_is_looked_at_again(self, error: KubeError) -> None:
        """Or collect: it is that of a Storage that was deleted and created again."""
        world = World()
        world.add_run("first")
        await FakeOperator(world).live()
        (policy,) = world.kube.of("networkpolicies")
        world.kube.change("networkpolicies", policy["metadata"]["name"], {"spec": {"egress": []}})
        world.add_run()
        world.kube.refusals["patch", "networkpolicies"] = [error]
        await FakeOperator(world).live()
        assert world.phase() == "Succeeded", world.run()["status"]

    @pytest.mark.parametrize(
        "lacking",
        [
            'error looking up service account team/default: serviceaccount "default" not found',
            "status unknown for quota: small, resources: limits.memory,pods",
        ],
    )
    async def test_what_a_namespace_that_was_made_just_now_lacks_is_waited_for(self, lacking: str) -> None:
        world = World()
        world.add_run()
        body = json.dumps({"reason": "Forbidden", "message": f'pods "load-1" is forbidden: {lacking}'}).encode()
        world.kube.refusals["create", "pods"] = [error_for(403, body, "create pods team/load-1") for _ in range(3)]
        operator = FakeOperator(world)
        await operator.start()
        await operator.work()
        assert (world.phase(), world.run()["status"]["reason"]) == ("Queued", "PodRejected")
        assert lacking in world.run()["status"]["message"]
        await operator.live()
        await assert_well_ended(world)

    async def test_an_api_server_that_is_away_for_a_moment_is_waited_for(self) -> None:
        world = World()
        world.add_run()
        world.kube.refusals["create", "pods"] = [UnavailableError("no answer") for _ in range(3)]
        await FakeOperator(world).live()
        await assert_well_ended(world)

    async def test_a_store_that_stays_away_ends_the_run(self) -> None:
        world = World()
        world.add_run()
        world.store.away = True
        await FakeOperator(world).live()
        assert world.phase() == "Failed"

    async def test_a_conflict_is_read_anew(self) -> None:
        world = World()
        world.add_run()
        world.kube.refusals["patch", "componentruns"] = [ConflictError("has changed", 409)]
        await FakeOperator(world).live()
        await assert_well_ended(world)


class TestPublishing:
    async def test_a_store_that_is_away_for_a_while_is_waited_for(self) -> None:
        world = World()
        world.add_run()
        operator = FakeOperator(world)
        await operator.live(2)
        world.store.away = True
        await operator.live(8)
        assert world.phase() == "Publishing"
        world.store.away = False
        await operator.live()
        await assert_well_ended(world)

    async def test_the_time_of_an_operator_that_was_away_is_not_taken_from_the_stores(self) -> None:
        """All was down, and the operator is back before the store is."""
        world = World()
        world.add_run()
        operator = FakeOperator(world)
        await operator.live(2)
        world.store.away = True
        await operator.live(2)
        assert world.phase() == "Publishing"
        world.now += timedelta(hours=3)
        back = FakeOperator(world)
        await back.live(5)
        assert world.phase() == "Publishing"
        world.store.away = False
        await back.live()
        await assert_well_ended(world)
        assert not len(back.reconciler._memories)

    async def test_a_run_that_ends_before_its_tables_are_loaded_changes_nothing(self) -> None:
        world = World()
        world.add_run()
        operator = FakeOperator(world)
        await operator.live(2)
        world.store.away = True
        await operator.live(40)
        assert (world.phase(), world.run()["status"]["reason"]) == ("Failed", "PublishFailed")
        world.store.away = False
        await FakeOperator(world).live(5)
        assert await world.rows(TABLE) is None


class TestQuota:
    async def test_a_full_quota_means_queued_not_failed(self) -> None:
        world = World()
        world.add_run()
        error = QuotaExceededError("exceeded quota: pods=5", 403)
        world.kube.refusals["create", "pods"] = [error for _ in range(60)]
        operator = FakeOperator(world)
        await operator.live(40)
        assert world.phase() == "Queued"
        assert "exceeded quota" in json.dumps(world.run()["status"]["conditions"])
        world.kube.refusals.clear()
        await operator.live()
        await assert_well_ended(world)


class TestSecrets:
    def add(self, world: World) -> Key:
        world.kube.put("secrets", {"metadata": {"name": "db"}, "stringData": {"password": SECRET}})
        reference = {"path": "db.#password", "secretKeyRef": {"name": "db", "key": "password"}}
        return world.add_run(configuration={"secrets": [reference]})

    async def test_values_go_into_stage_ins_grant_and_nowhere_else(self) -> None:
        world = World()
        self.add(world)
        operator = FakeOperator(world)
        await operator.start()
        await operator.work()
        pod_secret = world.kube.objects["secrets", NAMESPACE, "load-1"]["data"]
        assert set(pod_secret) == {"grant-in", "grant-out", "redact"}
        for obj in (*world.kube.of("pods"), *world.kube.of("componentruns"), *world.kube.of("networkpolicies")):
            assert SECRET not in json.dumps(obj)
        for key in await world.slices():
            assert SECRET.encode() not in (await world.store.get(key)).data

    async def test_what_the_component_said_is_redacted_in_status_and_event(self, monkeypatch: Any) -> None:
        world = World()
        world.exit_code = 1
        self.add(world)

        def ended(code: int, message: str) -> dict[str, Any]:
            said = f"can't log in with {SECRET}" if message == "last words" else message
            return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", "message": said}}

        monkeypatch.setattr(world, "ended", ended)
        await FakeOperator(world).live()
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "UserError")
        assert "can't log in with" in json.dumps(status)
        events = world.kube.of("events")
        assert events
        assert SECRET not in json.dumps([status, events])


class TestCopiesOfPods:
    async def test_one_that_bears_a_runs_labels_is_none_of_its_pods(self) -> None:
        """As `kubectl debug --copy-to=look --keep-labels` makes it."""
        world = World()
        world.add_run()
        operator = FakeOperator(world)
        await operator.start()
        await operator.work()
        await world.kubelet()
        (pod,) = world.kube.of("pods")
        labels = dict(pod["metadata"]["labels"])
        metadata = {"name": "look", "labels": labels, "creationTimestamp": "2026-01-01T00:00:05Z"}
        world.kube.put("pods", {"metadata": metadata, "spec": {}, "status": {"phase": "Running"}})
        await operator.live(90)
        assert world.phase() == "Succeeded", world.run()["status"]
        assert [item["metadata"]["name"] for item in world.kube.of("pods")] == ["look"]


class TestGivingUp:
    @pytest.mark.parametrize("path", ["spec.resources.limits.cpu", "spec.resources.requests.memory"])
    async def test_a_quantity_that_the_api_server_takes_and_that_is_none_ends_its_run(self, path: str) -> None:
        """It takes any number: no pattern holds for numbers. So no other release's CRD is the reason."""
        world = World()
        _, _, kind, name = path.split(".")
        world.add_run(resources={kind: {name: -1}})
        await FakeOperator(world).live(5)
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
        assert f"{path}: `-1` is no quantity" in status["message"]

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ({"dataSize": -1}, "Component `cleaner`: spec.dataSize: `-1` holds nothing"),
            (
                {"resources": {"limits": {"memory": -5}}},
                "Component `cleaner`: spec.resources.limits.memory: `-5` is no quantity",
            ),
        ],
    )
    @pytest.mark.parametrize("size", [None, "small"])
    async def test_so_does_that_of_a_component(self, spec: dict[str, Any], said: str, size: str | None) -> None:
        world = World()
        component = {"metadata": {"name": "cleaner"}, "spec": {"image": "cleaner", **spec}}
        world.kube.put("components", {"apiVersion": API_VERSION, "kind": "Component", **component})
        world.add_run(image=None, component="cleaner", size=size)
        await FakeOperator(world).live(5)
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec"), status
        assert said in status["message"]

    async def test_a_run_that_can_not_be_brought_further_ends_as_internal(self) -> None:
        world = World()
        key = world.add_run()
        operator = FakeOperator(world)
        await operator.live(1)
        assert world.kube.of("pods")
        await operator.reconciler.give_up(key, ZeroDivisionError("division by zero"))
        status = world.run()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "Internal")
        assert "ZeroDivisionError" in status["message"]
        assert world.kube.of("pods") == []

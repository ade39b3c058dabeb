"""What a run says about its place among others, and what it says to those who ask."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.api.componentrun import QueueStatus
from componentrun.core.lifecycle.plan import plan
from componentrun.core.queue.admission import START, Turn
from componentrun.core.queue.concurrency import DEFAULTS, Defaults, defaults_of, entry_of, facts_of, limit_of
from componentrun.core.queue.quota import read_quota
from componentrun.core.queue.texts import UPDATED_EVERY_SECONDS, look_again, queued
from tests.unit.core.make import NOW, at, done_in, make_pod, make_run, observe, running, started_status, written


def run(spec: dict[str, Any], *, status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    meta = {"name": "daily", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", **metadata}
    return {"metadata": meta, "spec": {"image": "registry/team/cleaner:1", **spec}, "status": status or {}}


class TestGroup:
    @pytest.mark.parametrize(
        ("spec", "group"),
        [
            ({}, None),
            ({"component": "cleaner"}, None),
            ({"configuration": {"parameters": {}}}, None),
            ({"configuration": {"id": "42"}}, "cleaner/42"),
            ({"component": "loader", "configuration": {"id": "42"}}, "loader/42"),
            ({"configuration": {"id": "42", "row": "7"}}, "cleaner/42/7"),
            ({"configuration": {"id": "42", "branch": "dev"}}, "cleaner/42@dev"),
            ({"configuration": {"id": "42", "branch": "default"}}, "cleaner/42"),
            ({"configuration": {"id": "42"}, "concurrency": {"group": "nightly"}}, "nightly"),
            ({"concurrency": {"group": "nightly"}}, "nightly"),
        ],
    )
    def test_it_is_what_the_runs_state_is_kept_for(self, spec: dict[str, Any], group: str | None) -> None:
        assert facts_of(run(spec), 1).group == group

    def test_a_run_that_allows_others_is_in_no_group(self) -> None:
        facts = facts_of(run({"concurrency": {"group": "g", "policy": "Allow"}}), 1)
        assert entry_of(facts, DEFAULTS, placed=False).group is None

    def test_the_runs_policy_goes_before_the_components(self) -> None:
        given = defaults_of({"spec": {"concurrency": {"policy": "Forbid", "parallelism": 3}}})
        assert given == Defaults("Forbid", 3)
        own = entry_of(facts_of(run({"concurrency": {"policy": "Queue"}}), 1), given, placed=False)
        none = entry_of(facts_of(run({"concurrency": {"group": "g"}}), 1), given, placed=False)
        assert (own.policy, own.parallelism, none.policy) == ("Queue", 3, "Forbid")

    @pytest.mark.parametrize("parallelism", [0, -1, "2", None])
    def test_a_parallelism_that_is_no_number_of_runs_reads_as_not_there(self, parallelism: Any) -> None:
        assert defaults_of({"spec": {"concurrency": {"parallelism": parallelism}}}) == DEFAULTS


class TestFacts:
    @pytest.mark.parametrize(
        ("given", "stage"),
        [
            (run({}), "waiting"),
            (run({}, status={"phase": "Queued"}), "waiting"),
            (run({"suspend": True}), "held"),
            (run({"cancel": True}), "held"),
            (run({}, deletionTimestamp="2026-01-01T00:00:00Z"), "held"),
            (run({"cancel": True}, status={"phase": "Running", "attempts": [{}]}), "started"),
            (run({}, status={"phase": "Failed", "attempts": [{}]}), "ended"),
        ],
    )
    def test_where_a_run_is(self, given: dict[str, Any], stage: str) -> None:
        assert facts_of(given, 1).stage == stage

    def test_its_place_stays_though_it_changes_and_though_the_operator_restarts(self) -> None:
        first = facts_of(run({}), 7)
        changed = run({"suspend": True}, status={"queue": {"number": 7}})
        assert facts_of(run({"suspend": True}), 9, first).order == first.order
        assert facts_of(changed, 11).order == first.order
        assert facts_of(run({}, uid="another"), 12, first).order.number == 12

    @pytest.mark.parametrize("where", ["run", "template"])
    def test_what_kueue_manages_is_not_counted(self, where: str) -> None:
        labels = {"kueue.x-k8s.io/queue-name": "team"}
        given = run({"podTemplate": {"labels": labels}}) if where == "template" else run({}, labels=labels)
        assert not facts_of(given, 1).counted
        assert facts_of(run({}, labels={"other": "x"}), 1).counted

    def test_the_default_storages_limit_goes_before_the_operators(self) -> None:
        other, default = {"spec": {"maxRunning": 1}}, {"spec": {"maxRunning": 5, "default": True}}
        assert limit_of([other, default], 9) == 5
        assert limit_of([other, {"spec": {"default": True}}], 9) == 9
        assert limit_of([], None) is None


def turn(position: int, **more: Any) -> Turn:
    return Turn("wait", "MaxRunning", position, limit=3, number=5, **more)


def told(position: int, seconds: float = 0) -> dict[str, Any]:
    status = QueueStatus(waiting_for="MaxRunning", position=position, number=5, updated=at(seconds))
    return {"phase": "Queued", "queue": status.to_dict()}


class TestTelling:
    def test_the_first_time_it_is_told(self) -> None:
        status = queued(make_run(), turn(7), NOW)
        assert status.queue == QueueStatus(waiting_for="MaxRunning", position=7, number=5, updated=NOW)
        assert status.phase == "Queued"
        assert "place 7 in line" in (status.message or "")

    @pytest.mark.parametrize(
        ("before", "now", "after", "is_told"),
        [
            (4, 3, UPDATED_EVERY_SECONDS, True),
            (4, 3, UPDATED_EVERY_SECONDS - 1, False),
            (3, 3, 1000, False),
            (100, 99, 1000, False),
            (100, 51, 1000, False),
            (100, 50, 1000, True),
            (100, 50, 1, False),
        ],
    )
    def test_a_place_is_told_at_the_front_or_when_half_the_way_is_done(
        self, before: int, now: int, after: float, is_told: bool
    ) -> None:
        run = make_run(status=told(before))
        assert (queued(run, turn(now), at(after)) != run.status) == is_told

    def test_what_it_waits_for_is_told_at_once(self) -> None:
        run = make_run(status=told(1))
        assert queued(run, Turn("wait", "ConcurrencyGroup", 9, "g", ("other",)), at(1)) != run.status

    def test_who_was_told_a_moment_ago_is_told_a_little_later(self) -> None:
        run = make_run(status=told(3))
        assert look_again(run, turn(2), at(4)) == at(UPDATED_EVERY_SECONDS)
        assert look_again(run, turn(3), at(4)) is None
        assert look_again(run, turn(50), at(4)) is None


class TestPlan:
    def test_a_run_that_waits_and_has_said_so_costs_nothing(self) -> None:
        observed = observe(make_run(status=told(50)), turn=turn(49))
        assert plan(observed).actions == ()

    def test_a_run_whose_place_is_taken_publishes_nothing_even_where_it_writes_always(self) -> None:
        tables = [{"source": "a.csv", "destination": "out.c-main.a", "writeAlways": True}]
        alive = make_pod(stage_in=done_in(), component=running(3), stage_out=running())
        spec: dict[str, Any] = {"output": {"tables": tables}}
        taken = Turn(group="g", replaced_by="newer")
        stopping = written(plan(observe(make_run(status=started_status(), **spec), alive, turn=taken)))
        assert stopping.termination is not None
        assert (stopping.termination.reason, "`newer`" in stopping.termination.message) == ("Replaced", True)
        end = written(plan(observe(make_run(status=stopping.to_dict(), **spec), alive, gone=True)))
        assert (end.phase, end.reason) == ("Cancelled", "Replaced")
        assert "`newer`" in (end.message or "")

    def test_a_decision_stands_though_the_newer_run_goes_away(self) -> None:
        alive = make_pod(stage_in=done_in(), component=running(3), stage_out=running())
        stopping = written(
            plan(observe(make_run(status=started_status()), alive, turn=Turn(group="g", replaced_by="n")))
        )
        assert plan(observe(make_run(status=stopping.to_dict()), alive, turn=START)).actions

    def test_a_pod_that_was_gated_has_its_whole_time_for_a_node_from_then_on(self) -> None:
        pod = make_pod(phase="Pending", node="", spec={"schedulingGates": [{"name": "kueue"}]})
        status = {
            **started_status(),
            "phase": "Queued",
            "phases": [{"phase": "Queued", "startTime": at(0).isoformat()}],
        }
        assert plan(observe(make_run(status=status), pod, seconds=5000)).wake_at is None
        free = make_pod(phase="Pending", node="")
        found = plan(observe(make_run(status=status), free, seconds=5000))
        assert written(found).phase == "Pending"
        assert found.wake_at == at(5600)
        later = plan(observe(make_run(status=written(found).to_dict()), free, seconds=5601))
        assert written(later).reason == "Unschedulable"
        assert "for 601 s" in (written(later).message or "")


class TestQuota:
    SAID = (
        'pods "load-1" is forbidden: exceeded quota: small, requested: pods=1,requests.cpu=500m, '
        "used: pods=4,requests.cpu=3800m, limited: pods=10,requests.cpu=4"
    )

    def test_it_is_told_in_words(self) -> None:
        quota = read_quota(self.SAID)
        assert quota is not None
        assert str(quota) == (
            "quota `small` (pods: 1 wanted, 4 of 10 used; requests.cpu: 500m wanted, 3800m of 4 used)"
        )
        assert not quota.too_small

    def test_one_that_is_too_small_by_itself_is_known(self) -> None:
        quota = read_quota(self.SAID.replace("500m", "5"))
        assert quota is not None
        assert quota.too_small

    @pytest.mark.parametrize("said", [SAID.replace("500m", "50100u"), SAID.replace("cpu=4", "cpu=1E")])
    def test_what_can_not_be_read_is_waited_for(self, said: str) -> None:
        quota = read_quota(said)
        assert quota is not None
        assert not quota.too_small

    @pytest.mark.parametrize("text", ["", "pods is forbidden", "exceeded quota: small"])
    def test_another_message_is_none(self, text: str) -> None:
        assert read_quota(text) is None

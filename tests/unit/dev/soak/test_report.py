"""What the soak concludes from what it saw."""

from __future__ import annotations

from typing import Any

import pytest

from dev.soak.parts import Instance, Restarts, holder_among
from dev.soak.report import Report, add_times, problem_of
from dev.soak.tenants import Submitted, has_pod

DELIVERED = {"phase": "Succeeded", "attempts": [{"number": 1}], "events": {"delivered": True}}


def times(waits: list[float], *, every: float = 2.0) -> tuple[list[Submitted], dict[str, float]]:
    runs = [Submitted(f"r-{i}", "rows", i * every) for i in range(len(waits))]
    return runs, {run.name: run.created + wait for run, wait in zip(runs, waits, strict=True)}


class TestTimesFromCreateToPod:
    def test_quick_pods_are_no_problem(self) -> None:
        report = Report(1, 0)
        add_times(report, *times([0.1] * 200), [])
        assert report.problems == []
        assert report.seconds_to_pod == {"p50": 0.1, "p99": 0.1, "max": 0.1}

    def test_more_than_one_in_a_hundred_slow_ones_fail_it(self) -> None:
        report = Report(1, 0)
        add_times(report, *times([0.1] * 194 + [3.0] * 6), [])
        assert report.problems == ["p99 from create to pod is 3.00 s; less than 2.0 is wanted"]

    def test_slow_ones_right_after_a_kill_fail_it_too_and_are_told_apart(self) -> None:
        waits = [3.0 if i % 30 in {0, 1} else 0.1 for i in range(300)]
        report = Report(1, 10)
        add_times(report, *times(waits), [60.0 * i for i in range(10)])
        assert len(report.problems) == 1
        assert (report.seconds_to_pod["p99"], report.seconds_to_pod_between_kills["p99"]) == (3.0, 0.1)

    def test_runs_created_before_a_kill_are_not_left_out(self) -> None:
        report = Report(1, 1)
        add_times(report, *times([0.1] * 199 + [9.0]), [399.0])
        assert report.seconds_to_pod_between_kills["max"] == 9.0

    def test_a_run_without_a_pod_fails_it(self) -> None:
        report, (runs, pods) = Report(1, 0), times([0.1] * 200)
        del pods["r-7"]
        add_times(report, runs, pods, [])
        assert report.problems == ["1 runs had no pod"]

    @pytest.mark.parametrize("count", [0, 1, 99])
    def test_too_few_runs_prove_nothing(self, count: int) -> None:
        report = Report(1, 0)
        add_times(report, *times([0.1] * count), [])
        assert report.problems == [f"{count} runs had a pod; too few for a 99th percentile"]


class TestARunOfTheSteadyTenant:
    def test_that_succeeded_in_one_attempt_with_all_events_is_right(self) -> None:
        assert problem_of(DELIVERED) == ""

    @pytest.mark.parametrize(
        "change",
        [
            {"phase": "Failed", "reason": "PodDeleted"},
            {"phase": None},
            {"attempts": [{"number": 1}, {"number": 2}]},
            {"events": {"delivered": False}},
            {"events": None},
        ],
    )
    def test_that_did_not_is_a_problem(self, change: dict[str, Any]) -> None:
        assert problem_of({**DELIVERED, **change})

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (None, False),
            ({"phase": "Queued"}, False),
            ({"phase": "Pending", "attempts": [{}]}, True),
            (DELIVERED, False),
        ],
    )
    def test_counts_as_one_with_a_pod_from_its_start_to_its_end(self, status: Any, expected: bool) -> None:
        assert has_pod({"status": status}) is expected


class TestUnexpectedRestarts:
    def restarts(self) -> Restarts:
        made = Restarts()
        made.start([Instance("operator", "o-1", 2), Instance("collector", "c-1")])
        return made

    def test_what_the_soak_killed_does_not_count(self) -> None:
        restarts = self.restarts()
        restarts.killed.add("o-1")
        restarts.note([Instance("operator", "o-2"), Instance("collector", "c-1")])
        assert (restarts.counts, restarts.problems) == ({}, [])

    def test_a_container_that_was_restarted_counts_once(self) -> None:
        restarts = self.restarts()
        for _ in range(2):
            restarts.note([Instance("operator", "o-1", 3), Instance("collector", "c-1")])
        assert restarts.counts == {"operator": 1}
        assert "o-1" in restarts.problems[0]

    def test_a_new_pod_that_was_restarted_counts(self) -> None:
        restarts = self.restarts()
        restarts.killed.add("c-1")
        restarts.note([Instance("operator", "o-1", 2), Instance("collector", "c-2", 1)])
        assert restarts.counts == {"collector": 1}

    def test_a_pod_that_vanished_counts(self) -> None:
        restarts = self.restarts()
        restarts.note([Instance("operator", "o-1", 2)])
        assert restarts.counts == {"collector": 1}


@pytest.mark.parametrize(
    ("pods", "holders", "expected"),
    [(["o-1", "o-2"], "o-2_uid_1a", "o-2"), (["o-1", "o-2"], "", "o-1"), ([], "o-1_uid_1a", "")],
)
def test_the_pod_that_holds_the_lease_is_killed(pods: list[str], holders: str, expected: str) -> None:
    assert holder_among(pods, holders) == expected

"""What people and probes see: log lines, metrics."""

from __future__ import annotations

import logging

import pytest

from componentrun.controller import logs
from componentrun.controller.metrics import Metrics

pytestmark = pytest.mark.usefixtures("restored_logging")


class TestLogs:
    def test_many_broken_watches_are_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.set_up("INFO", "text")
        for number in range(1, 9):
            message = f"Request attempt #{number}/9 failed; will retry: GET https://x -> Refused"
            logging.getLogger("kopf").error(message)
        [line] = capsys.readouterr().err.splitlines()
        assert line.endswith("WARNING a watch is broken, trying again: Refused")


class TestMetrics:
    def test_rare_components_are_folded_into_one(self) -> None:
        metrics = Metrics()
        for number in range(250):
            metrics.run_ended("Succeeded", f"component-{number}", 1)
        text = metrics.render().decode()
        assert 'componentrun_results_total{component="other",reason="Succeeded"} 50.0' in text
        assert text.count("componentrun_results_total{") == 201

    def test_a_phase_without_runs_reads_zero(self) -> None:
        metrics = Metrics()
        metrics.set_runs({"Running": 3})
        metrics.set_runs({})
        assert 'componentrun_runs{phase="Running"} 0.0' in metrics.render().decode()

    @pytest.mark.parametrize(
        "name",
        [
            "workqueue_depth",
            "workqueue_adds_total",
            "workqueue_queue_duration_seconds_count",
            "workqueue_work_duration_seconds_count",
            "workqueue_retries_total",
            "controller_runtime_reconcile_time_seconds_count",
            "leader_election_master_status",
        ],
    )
    def test_shared_names_are_those_of_controller_runtime(self, name: str) -> None:
        assert f"{name}{{" in Metrics().render().decode()

    def test_two_registries_do_not_meet(self) -> None:
        first, second = Metrics(), Metrics()
        first.panicked()
        assert 'panics_total{controller="componentrun"} 0.0' in second.render().decode()

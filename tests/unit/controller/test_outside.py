"""What people and probes see: log lines, health, metrics."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import aiohttp
import pytest

from componentrun.controller import logs
from componentrun.controller.health import HealthServer
from componentrun.controller.logs import RunLogger
from componentrun.controller.metrics import Metrics
from componentrun.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


class TestLogs:
    def test_a_json_line_names_the_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.set_up("INFO", "json")
        RunLogger(logging.getLogger("test"), "team", "load").info("Failed: %s", "first\nsecond")
        [line] = capsys.readouterr().err.splitlines()
        document = json.loads(line)
        assert document.pop("time").endswith("+00:00")
        assert document == {
            "level": "INFO",
            "logger": "test",
            "message": "Failed: first\nsecond",
            "namespace": "team",
            "run": "load",
        }

    def test_a_text_line_is_one_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.set_up("INFO", "text")
        RunLogger(logging.getLogger("test"), "team", "load").info("Failed: %s", "first\nsecond")
        [line] = capsys.readouterr().err.splitlines()
        assert line.endswith("INFO    team/load: Failed: first | second")

    def test_an_exception_is_told_with_its_traceback(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.set_up("INFO", "json")
        error = ZeroDivisionError("division by zero")
        logging.getLogger("test").error("unexpected", exc_info=error)
        assert "ZeroDivisionError: division by zero" in json.loads(capsys.readouterr().err)["error"]

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


class TestHealth:
    async def test_it_says_why_it_is_not_ready(self) -> None:
        why = ["waiting for the API server"]
        server = HealthServer("127.0.0.1", 18471, lambda: why[0], lambda: b"metric 1\n")
        await server.start()
        try:
            async with aiohttp.ClientSession("http://127.0.0.1:18471") as session:
                async with session.get("/readyz") as answer:
                    assert (answer.status, await answer.text()) == (503, "waiting for the API server")
                why[0] = ""
                async with session.get("/readyz") as answer:
                    assert (answer.status, await answer.text()) == (200, "ready")
                async with session.get("/healthz") as answer:
                    assert answer.status == 200
                async with session.get("/metrics") as answer:
                    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                    assert await answer.text() == "metric 1\n"
        finally:
            await server.stop()

    async def test_a_port_that_is_taken_is_said_clearly(self) -> None:
        first = HealthServer("127.0.0.1", 18472, str, bytes)
        await first.start()
        try:
            with pytest.raises(PlatformError, match=r"127\.0\.0\.1:18472.*COMPONENTRUN_PORT"):
                await HealthServer("127.0.0.1", 18472, str, bytes).start()
        finally:
            await first.stop()

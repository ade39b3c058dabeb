"""What people and probes see: log lines, health."""

from __future__ import annotations

import json
import logging

import aiohttp
import pytest

from componentrun.errors import PlatformError
from componentrun.process import logs
from componentrun.process.logs import RunLogger
from componentrun.process.serving.server import HealthServer

pytestmark = pytest.mark.usefixtures("restored_logging")


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

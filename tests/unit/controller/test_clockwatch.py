"""An operator that has nothing to do learns the API server's time all the same."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from componentrun.controller.clockwatch import ClockWatch
from componentrun.controller.watching.caches import Key, RunCache
from componentrun.process.kubernetes.clock import ApiClock
from componentrun.process.kubernetes.errors import UnavailableError
from tests.unit.controller import virtualtime

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Server:
    """An API server that tells the true time, which begins at noon; it is away for the first seconds."""

    def __init__(self, wrong: float, away_for: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        self._truth = lambda: NOON + timedelta(seconds=loop.time())
        self._time, self._away_for = loop.time, away_for
        self.clock = ApiClock(lambda: self._truth() + timedelta(seconds=wrong), loop.time)

    async def request(self, method: str, path: str) -> dict[str, Any]:
        assert (method, path) == ("GET", "/version")
        if self._time() < self._away_for:
            raise UnavailableError("no answer")
        self.clock.answered(format_datetime(self._truth(), usegmt=True), self._time(), "1")
        return {}

    @property
    def off(self) -> float:
        return (self.clock.now() - self._truth()).total_seconds()


def runs() -> RunCache:
    cache = RunCache()
    for name, phase in (("running", "Running"), ("over", "Succeeded")):
        metadata = {"namespace": "team", "name": name, "uid": name, "resourceVersion": "1"}
        cache.seen({"metadata": metadata, "spec": {"image": "i"}, "status": {"phase": phase}})
    return cache


@pytest.mark.parametrize("away_for", [0, 60])
@pytest.mark.parametrize("wrong", [-600, 600])
def test_a_correction_has_all_runs_that_go_on_looked_at(wrong: float, away_for: float) -> None:
    async def check() -> None:
        server, looked_at = Server(wrong, away_for), list[Key]()
        watch = ClockWatch(SimpleNamespace(clock=server.clock, request=server.request), runs(), looked_at.append)  # type: ignore[arg-type]  # what it uses of a client
        task = asyncio.create_task(watch.run())
        await asyncio.sleep(away_for + 20)
        assert abs(server.off) < 8
        assert set(looked_at) == {Key("team", "running")}
        task.cancel()

    virtualtime.run(check())


def test_a_clock_that_is_right_disturbs_nobody() -> None:
    async def check() -> None:
        server, looked_at = Server(0), list[Key]()
        watch = ClockWatch(SimpleNamespace(clock=server.clock, request=server.request), runs(), looked_at.append)  # type: ignore[arg-type]  # likewise
        task = asyncio.create_task(watch.run())
        await asyncio.sleep(600)
        assert looked_at == []
        task.cancel()

    virtualtime.run(check())

"""A loader on a free port, a fake engine behind it, an API server that knows some tokens, and the operator's client."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from componentrun.controller.settings import LoaderSettings
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.loader.metrics import Metrics
from componentrun.loader.service.server import LoaderServer
from componentrun.loader.settings import Settings
from componentrun.process.guard import Guard
from componentrun.process.serving.certificate import Certificate
from componentrun.wire import loaderaccess
from componentrun.wire.agents import TableWritten
from componentrun.wire.loader import (
    CatalogCheck,
    CheckAnswer,
    CheckRequest,
    FenceAnswer,
    FenceRequest,
    LoadAnswer,
    LoadedTable,
    LoadRequest,
    PlanAnswer,
    PlanRequest,
)
from e2e.tenant.certificates import make_certificate
from tests.unit.process.reviewer import Reviewer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

OPERATOR = "system:serviceaccount:componentrun-system:operator"
MAINTENANCE = "system:serviceaccount:componentrun-system:maintenance"
TOKEN = "the.operator.s"
STORAGE = "team/default"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCY"
PLACE: dict[str, Any] = {
    "endpoint": "https://store.example.com",
    "access_key": "AKIAIOSFODNN7",
    "secret_key": SECRET,
    "catalog": {"uri": "https://catalog.example.com", "token": f"{SECRET}-of-the-catalog"},
}


def a_load(run: str = "run-1") -> LoadRequest:
    table = TableWritten("a.csv", "out.c-main.a", ("id",), (), False, False, (), rows=3, size=30)
    return LoadRequest(PLACE, run, 1, (table,), "staging/run-1-1/", ("out.c-main",))


def a_fence(run: str = "run-1") -> FenceRequest:
    return FenceRequest(PLACE, run, 1, ("out.c-main.a",))


def a_plan() -> PlanRequest:
    return PlanRequest(PLACE, ("out.c-main.a",))


def a_check() -> CheckRequest:
    return CheckRequest(PLACE)


@cache
def a_certificate() -> Path:
    """One for all loaders of the tests that do not care: keys take a while."""
    return make_certificate(Path(tempfile.mkdtemp()), loaderaccess.SERVER_NAME)


@dataclass
class FakeEngine:
    """Does what a test has it do."""

    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    hold: dict[str, asyncio.Event] = field(default_factory=dict)
    """Requests that end when the event is set, by run; of plans and checks: by `plan` and `check`."""
    error: Exception | None = None
    load_answer: LoadAnswer = field(
        default_factory=lambda: LoadAnswer((LoadedTable("out.c-main.a", 3, 30, "7"),), attempt=1)
    )
    fence_answer: FenceAnswer = field(default_factory=FenceAnswer)
    plan_answer: PlanAnswer = field(default_factory=PlanAnswer)
    check_answer: CheckAnswer = field(
        default_factory=lambda: CheckAnswer((CatalogCheck("connect", True, "it answers"),))
    )
    requests: list[LoadRequest | FenceRequest | PlanRequest | CheckRequest] = field(default_factory=list)

    async def load(self, request: LoadRequest) -> LoadAnswer:
        await self._work(request.run, request)
        return self.load_answer

    async def fence(self, request: FenceRequest) -> FenceAnswer:
        await self._work(request.run, request)
        return self.fence_answer

    async def plan(self, request: PlanRequest) -> PlanAnswer:
        await self._work("plan", request)
        return self.plan_answer

    async def check(self, request: CheckRequest) -> CheckAnswer:
        await self._work("check", request)
        return self.check_answer

    def held(self, *runs: str) -> asyncio.Event:
        """These wait for the event."""
        event = asyncio.Event()
        self.hold |= dict.fromkeys(runs, event)
        return event

    async def _work(self, name: str, request: LoadRequest | FenceRequest | PlanRequest | CheckRequest) -> None:
        self.begun.append(name)
        self.requests.append(request)
        try:
            if name in self.hold:
                await self.hold[name].wait()
            if self.error is not None:
                raise self.error
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        self.ended.append(name)


@dataclass
class Served:
    """A running loader."""

    engine: FakeEngine
    reviewer: Reviewer
    server: LoaderServer
    metrics: Metrics
    folder: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    @asynccontextmanager
    async def client(self, token: str = TOKEN, **other: Any) -> AsyncIterator[LoaderClient]:
        """The operator's way to it."""
        file = self.folder / f"token-{token[:20]}"
        file.write_text(token)
        chosen = LoaderSettings(**{"url": self.url, "token_file": str(file)} | self.authority | other)
        async with LoaderClient(chosen) as client:
            yield client

    @property
    def authority(self) -> dict[str, str]:
        return {"authority_file": str(a_certificate() / "ca.crt")}

    def number(self, name: str, **labels: str) -> float:
        """A number as Prometheus gets it."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def serving(folder: Path, **chosen: Any) -> AsyncIterator[Served]:
    """A loader; `chosen` are settings."""
    engine, metrics = FakeEngine(), Metrics()
    reviewer = Reviewer(loaderaccess.AUDIENCE, {TOKEN: OPERATOR, "m": MAINTENANCE, "other": f"{OPERATOR}2"})
    default: dict[str, Any] = {"callers": (OPERATOR, MAINTENANCE), "port": 0, "stop_seconds": 5}
    named = {f"loader_{name}": value for name, value in (default | chosen).items()}
    settings = Settings(host="127.0.0.1", **named)
    guard = Guard(reviewer, settings.loader_callers, loaderaccess.AUDIENCE)
    certificate = Certificate(str(a_certificate()), "loader", "loader.tls")
    server = LoaderServer(settings, engine, guard, metrics, certificate)
    await server.start()
    served = Served(engine, reviewer, server, metrics, folder)
    try:
        yield served
    finally:
        for event in engine.hold.values():
            event.set()
        await server.stop()


async def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)

"""What surrounds an operator as a whole: an API server that answers as it is told, watches that end as a test wants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from componentrun.process.kubernetes.errors import NotFoundError, UnavailableError
from tests.unit.controller.fakes import FakeKube, Writes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

RESOURCES = ["componentruns", "componentruns/status", "components", "storages"]


class Api(FakeKube):
    """A cluster that answers as it is told."""

    def __init__(self) -> None:
        super().__init__(Writes())
        self.host = "https://api.test"
        self.away = False
        self.resources: list[str] | None = RESOURCES

    async def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        assert method == "GET"
        if self.away:
            raise UnavailableError("no answer")
        if path == "/version":
            return {"gitVersion": "v1.35.4"}
        if self.resources is None:
            raise NotFoundError("no such group", 404)
        return {"resources": [{"name": name} for name in self.resources]}

    async def watch(self, *_: Any) -> AsyncIterator[dict[str, Any]]:
        await asyncio.Event().wait()
        yield {}


class Watches:
    """Takes the place of kopf: its one task ends when and how a test wants."""

    def __init__(self) -> None:
        self.starts = 0
        self.ending: asyncio.Future[None] | None = None

    async def spawn_tasks(self, *, ready_flag: asyncio.Event, **_: Any) -> list[asyncio.Task[None]]:
        self.starts += 1
        self.ending = asyncio.get_running_loop().create_future()
        ready_flag.set()

        async def watch(ending: asyncio.Future[None]) -> None:
            await ending

        return [asyncio.create_task(watch(self.ending))]

    def fail(self, error: Exception) -> None:
        assert self.ending is not None
        self.ending.set_exception(error)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")

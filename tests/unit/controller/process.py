"""What surrounds an operator as a whole: an API server that answers as it is told, watches that end as a test wants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kopf._cogs.structs.references import Resource as KopfResource

from componentrun.api.common import API_VERSION
from componentrun.process.kubernetes.errors import NotFoundError, UnavailableError
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, RUNS, STORAGES
from tests.unit.controller.fakekube import FakeKube, Writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from kopf._cogs.structs.references import Insights

RESOURCES = ["clustercomponents", "componentruns", "componentruns/status", "components", "storages"]


class Api(FakeKube):
    """A cluster whose API server may be away, or lack custom resources."""

    def __init__(self) -> None:
        super().__init__(Writes())
        self.away = False
        self.resources: list[str] | None = RESOURCES

    async def request(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        if self.away:
            raise UnavailableError("no answer")
        if path != f"/apis/{API_VERSION}":
            return await super().request(method, path, **rest)
        if self.resources is None:
            raise NotFoundError("no such group", 404)
        return {"resources": [{"name": name} for name in self.resources]}


class Watches:
    """Takes the place of kopf: its one task ends when and how a test wants."""

    def __init__(self) -> None:
        self.starts = 0
        self.ending: asyncio.Future[None] | None = None
        self.found = [RUNS, COMPONENTS, CLUSTER_COMPONENTS, STORAGES]

    async def spawn_tasks(self, *, insights: Insights, **_: Any) -> list[asyncio.Task[None]]:
        self.starts += 1
        self.ending = asyncio.get_running_loop().create_future()
        insights.watched_resources.update(
            KopfResource(one.group, one.version, one.plural, namespaced=True) for one in self.found
        )
        insights.ready_resources.set()

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

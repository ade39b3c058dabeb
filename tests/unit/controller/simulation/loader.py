"""A loader that hangs, fails, answers late or loses answers by the schedule; what it commits is noted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

from componentrun.errors import ComponentRunError, Reason, TransientError, UnknownOutcomeError
from componentrun.wire.loader import CatalogCheck, CheckAnswer
from tests.unit.controller.fakeloader import FakeLoader
from tests.unit.controller.simulation.processes import outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.controller.storages.loaderclient import LoaderClient
    from componentrun.wire.loader import FenceAnswer, FenceRequest, LoadAnswer, LoadRequest, PlanAnswer, PlanRequest
    from tests.unit.controller.simulation.client import Network
    from tests.unit.controller.simulation.truth import Truth

_HANGS_SECONDS: Final = 10.0
_KINDS: Final = ("store-hangs", "store-fails", "store-late", "store-loses")


class Catalog(FakeLoader):
    """What all loaders commit to. Runs of all namespaces are in one, by their uids."""

    def __init__(self, truth: Truth) -> None:
        super().__init__()
        self._truth = truth

    def commit(self, request: LoadRequest) -> None:
        is_new = request.run not in self.published
        super().commit(request)
        if is_new:
            self._truth.decided(request.run, request.attempt)


class SimulatedLoader:
    """What one operator sees of the loader."""

    installed = True

    def __init__(self, network: Network, catalog: Catalog, operator: int) -> None:
        self._network, self._catalog, self._operator = network, catalog, operator

    def as_client(self) -> LoaderClient:
        return cast("LoaderClient", self)

    async def load(self, request: LoadRequest, storage: str) -> LoadAnswer:
        return cast("LoadAnswer", await self._change(lambda: self._catalog.load(request, storage), storage))

    async def fence(self, request: FenceRequest, storage: str) -> FenceAnswer:
        return cast("FenceAnswer", await self._change(lambda: self._catalog.fence(request, storage), storage))

    async def plan(self, request: PlanRequest, storage: str) -> PlanAnswer:
        await self._request(storage)
        return await self._catalog.plan(request, storage)

    async def check(self, _request: object, storage: str) -> CheckAnswer:
        await self._request(storage)
        return CheckAnswer((CatalogCheck("connect", True, "it answers"),))

    async def _request(self, storage: str) -> None:
        random = self._network.random
        trouble = self._network.trouble(_KINDS, self._operator, storage.partition("/")[0])
        kind = "" if trouble is None else trouble.kind
        if kind == "store-hangs":
            await asyncio.sleep(_HANGS_SECONDS)
            raise TransientError("the loader did not answer", Reason.LOADER_UNAVAILABLE)
        if kind == "store-fails":
            await asyncio.sleep(0.02)
            raise TransientError("the loader is busy", Reason.LOADER_UNAVAILABLE)
        await asyncio.sleep(random.uniform(1, 9) if kind == "store-late" else random.uniform(0.002, 0.03))

    async def _change(self, carry_out: Callable[[], Any], storage: str) -> object:
        """A request that changes something: it may arrive whatever becomes of who sent it."""
        await self._request(storage)
        loses = self._network.trouble(("store-loses",), self._operator, storage.partition("/")[0]) is not None
        late = loses and self._network.random.random() < 0.5
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        outside(self._arrive, self._network.random.uniform(0.1, 20) if late else 0.01, done, carry_out)
        if late:
            await asyncio.sleep(self._network.random.uniform(0.1, 20))
            raise UnknownOutcomeError("the loader did not answer", Reason.LOADER_UNAVAILABLE)
        answer = await done
        if loses:
            raise UnknownOutcomeError("the loader did not answer", Reason.LOADER_UNAVAILABLE)
        return answer

    def _arrive(self, done: asyncio.Future[object], carry_out: Callable[[], Any]) -> None:
        try:
            carry_out().send(None)  # it waits for nothing
        except StopIteration as ended:
            if not done.done():
                done.set_result(ended.value)
        except ComponentRunError as error:
            if not done.done():
                done.set_exception(error)
                done.exception()

"""A store in memory that hangs, fails, answers late or loses answers by the schedule."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from componentrun.errors import Reason, TransientError
from componentrun.storage.store.errors import ExistsError, NoAnswerError, StaleError
from tests.unit.controller.fakekube import Writes
from tests.unit.controller.fakes import FakeStore
from tests.unit.controller.simulation.processes import outside
from tests.unit.controller.tenants import DictStore, _etag

if TYPE_CHECKING:
    from tests.unit.controller.simulation.client import Network

_HANGS_SECONDS: Final = 10.0
_KINDS: Final = ("store-hangs", "store-fails", "store-late", "store-loses")


class SimulatedStore(DictStore):
    """What one process sees of a store that all of them share."""

    def __init__(self, network: Network, kept: dict[str, bytes], namespace: str, operator: int) -> None:
        FakeStore.__init__(self, Writes())
        self.kept = kept
        self._network, self._namespace, self._operator = network, namespace, operator

    async def request(self) -> None:
        random = self._network.random
        trouble = self._network.trouble(_KINDS, self._operator, self._namespace)
        kind = "" if trouble is None else trouble.kind
        if kind == "store-hangs":
            await asyncio.sleep(_HANGS_SECONDS)
            raise NoAnswerError("can't read `k`: the store did not answer", "operation timed out")
        if kind == "store-fails":
            await asyncio.sleep(0.02)
            raise TransientError("the store is busy", Reason.STORAGE_UNAVAILABLE)
        await asyncio.sleep(random.uniform(1, 9) if kind == "store-late" else random.uniform(0.002, 0.03))

    async def _put(self, operation: str, key: str, data: bytes, *, mode: Any) -> str:
        loses = self._network.trouble(("store-loses",), self._operator, self._namespace) is not None
        late = loses and self._network.random.random() < 0.5
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        outside(self._arrive, self._network.random.uniform(0.1, 20) if late else 0.01, done, operation, key, data, mode)
        if late:
            await asyncio.sleep(self._network.random.uniform(0.1, 20))
            raise NoAnswerError("can't write `k`: the store did not answer", "operation timed out")
        await self.request()
        etag = await done
        if loses:
            raise NoAnswerError("can't write `k`: the store did not answer", "operation timed out")
        return etag

    def _arrive(self, done: asyncio.Future[str], operation: str, key: str, data: bytes, mode: Any) -> None:
        try:
            etag = self._put_now(operation, key, data, mode)
        except Exception as error:  # noqa: BLE001 - the answer to who asked
            if not done.done():
                done.set_exception(error)
                done.exception()
        else:
            if not done.done():
                done.set_result(etag)

    def _put_now(self, operation: str, key: str, data: bytes, mode: Any) -> str:
        if mode == "create" and key in self.kept:
            raise ExistsError(f"{operation}: {key} is there")
        if isinstance(mode, dict) and (key not in self.kept or _etag(self.kept[key]) != mode["e_tag"]):
            raise StaleError(f"{operation}: {key} was changed")
        self.kept[key] = data
        return _etag(data)

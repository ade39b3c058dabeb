"""A cluster with two tenants on virtual time: the store of `hung` takes requests and never answers, until told to.

Real: the work queue, the workers, the gate, the reconciler and all behind it. Each request to the API server takes
5 ms; a request to a store 20 ms, or, if it hangs, the response timeout.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from componentrun.api.common import API_VERSION
from componentrun.api.storage import Storage
from componentrun.controller.storages.stores import OpenStorage
from componentrun.controller.watching.caches import Key
from componentrun.controller.work.workers import Workers
from componentrun.core.limits import Limits
from componentrun.core.storages.scope import status_of
from componentrun.storage.store.connection import ObjectInfo, Stored
from componentrun.storage.store.errors import ExistsError, MissingError, NoAnswerError, StaleError
from tests.unit.controller.fakekube import NAMESPACE, FakeKube
from tests.unit.controller.fakes import CATALOG, FakeOperator, FakeStore, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from componentrun.core.storages.scope import Scope

HUNG = "hung"
RESPONSE_SECONDS = 10.0
_BASE = datetime(2026, 1, 1, tzinfo=UTC)


class SlowKube(FakeKube):
    """Each request takes 5 ms, and it is noted when pods were made and told to end."""

    pods_made: dict[str, float]
    pods_ended: dict[str, float]

    async def create(self, resource: Any, namespace: str, obj: Any) -> Any:
        await asyncio.sleep(0.005)
        answer = await super().create(resource, namespace, obj)
        if resource.plural == "pods":
            self.pods_made[answer["metadata"]["name"]] = asyncio.get_running_loop().time()
        return answer

    async def delete(self, resource: Any, namespace: str, name: str, *rest: Any) -> Any:
        await asyncio.sleep(0.005)
        if resource.plural == "pods":
            self.pods_ended[name] = asyncio.get_running_loop().time()
        return await super().delete(resource, namespace, name, *rest)

    async def patch(self, *args: Any) -> Any:
        await asyncio.sleep(0.005)
        return await super().patch(*args)

    async def get(self, *args: Any) -> Any:
        await asyncio.sleep(0.005)
        return await super().get(*args)


class DictStore(FakeStore):
    """Objects in a dict: obstore's own memory store works in threads, for which virtual time does not wait."""

    def __init__(self, world: World) -> None:
        super().__init__(world.writes)
        self.kept: dict[str, bytes] = {}
        self.hangs = False
        self.asked = self.waiting = self.most_waiting = 0

    async def request(self) -> None:
        self.asked += 1
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            await asyncio.sleep(RESPONSE_SECONDS if self.hangs else 0.02)
        finally:
            self.waiting -= 1
        if self.hangs:
            raise NoAnswerError("can't read `k`: the store did not answer", "operation timed out")

    async def get(self, key: str, *, most: int | None = None) -> Stored:  # noqa: ARG002 - all are small
        await self.request()
        if key not in self.kept:
            raise MissingError(f"there is no {key}")
        return Stored(self.kept[key], _etag(self.kept[key]))

    async def find(self, key: str, *, most: int | None = None) -> Any:  # noqa: ARG002 - all are small
        try:
            return await self.get(key)
        except MissingError:
            return None

    async def head(self, key: str, version: str | None = None) -> ObjectInfo | None:  # noqa: ARG002 - there are none
        await self.request()
        data = self.kept.get(key)
        return None if data is None else ObjectInfo(key, len(data), _etag(data), _BASE)

    async def _put(self, operation: str, key: str, data: bytes, *, mode: Any) -> str:
        await self.request()
        if mode == "create" and key in self.kept:
            raise ExistsError(f"{operation}: {key} is there")
        if isinstance(mode, dict) and (key not in self.kept or _etag(self.kept[key]) != mode["e_tag"]):
            raise StaleError(f"{operation}: {key} was changed")
        self.kept[key] = data
        return _etag(data)

    async def agent_put(self, key: str, data: bytes) -> str:
        self.kept[key] = data
        return _etag(data)

    async def delete(self, keys: Any) -> None:
        await self.request()
        for key in keys:
            self.kept.pop(key, None)

    async def objects(self, prefix: str, *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        await self.request()
        for key, data in sorted(self.kept.items()):
            if key.startswith(prefix) and (after is None or key > after):
                yield ObjectInfo(key, len(data), _etag(data), _BASE)


def _etag(data: bytes) -> str:
    return sha256(data).hexdigest()


class Tenants(World):
    """See the module. Create it, and all else, on a loop of `virtualtime`."""

    def __init__(self) -> None:
        super().__init__()
        self.kube: SlowKube = SlowKube(self.writes)
        self.kube.pods_made, self.kube.pods_ended = {}, {}
        self.store: DictStore = DictStore(self)
        self.hung = DictStore(self)
        self.limits = Limits()
        self.background: list[asyncio.Task[None]] = []

    @property
    def now(self) -> datetime:
        return _BASE + timedelta(seconds=asyncio.get_running_loop().time())

    @now.setter
    def now(self, value: datetime) -> None:
        """Time goes on by itself."""

    async def find_scope(self, store: Any, _signer: Any) -> Scope:
        await store.request()
        return self.scope

    def put_storage(self, namespace: str, name: str, *, default: bool = False) -> None:
        egress = [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]}]  # so that no host is resolved, in a thread
        spec = {"bucket": "bucket", "endpoint": f"http://{namespace}.test", "default": default, "egress": egress}
        spec["catalog"] = CATALOG
        self.kube.put("storages", {"metadata": {"name": name, "namespace": namespace}, "spec": spec})

    def put_run(self, namespace: str, name: str, status: dict[str, Any] | None = None, **spec: Any) -> Key:
        output = {"tables": [{"source": "result.csv", "destination": "out.c-main.result", "incremental": True}]}
        body = {
            "apiVersion": API_VERSION,
            "kind": "ComponentRun",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": self.text()},
            "spec": {"image": "cleaner:1", "output": output, "concurrency": {"policy": "Allow"}, **spec},
        }
        self.kube.put("componentruns", body | ({"status": status} if status else {}))
        return Key(namespace, name)

    def put_publishing(self, namespace: str, name: str, **spec: Any) -> Key:
        """A run whose output is complete, as an operator before has left it."""
        text = self.text()
        attempt = {"number": 1, "pod": f"{name}-1", "podUid": "gone", "startTime": text, "reason": "Succeeded"}
        phases = [{"phase": phase, "startTime": text} for phase in ("Queued", "Pending", "Publishing")]
        status = {
            "phase": "Publishing",
            "attempts": [attempt],
            "phases": phases,
            "storage": spec.get("storage", "known"),
        }
        return self.put_run(namespace, name, status, **spec)

    def status(self, key: Key) -> dict[str, Any]:
        return dict(self.kube.objects["componentruns", key.namespace, key.name].get("status", {}))

    async def operator(self, workers: int = 64) -> FakeOperator:
        """An operator at work, and a kubelet for the pods of the tenant that behaves."""
        made = FakeOperator(self, workers)
        for name in ("known", "new"):
            raw = self.kube.objects["storages", HUNG, name]
            storage = Storage.model_validate(raw)
            if name == "known":
                storage = storage.model_copy(update={"status": status_of(storage, self.scope, self.now)})
            opened = OpenStorage(storage, self.hung, made.opens.opened.signer)
            made.opens.others[HUNG, name] = opened
            if name == "known":
                made.opens.others[HUNG, ""] = opened
        made.opens.opened = replace(made.opens.opened, store=self.store)
        await made.start()
        working = Workers(made.queue, made.reconciler, made.metrics, made.gate)
        working.start()
        self.background = [asyncio.create_task(working.watch()), asyncio.create_task(self._kubelet())]
        return made

    async def _kubelet(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            await self.kubelet()

    async def until(self, condition: Callable[[], object], seconds: float) -> float:
        """Wait for a condition, looking each 10 ms; how long it took."""
        began = asyncio.get_running_loop().time()
        while not condition():
            passed = asyncio.get_running_loop().time() - began
            assert passed < seconds, f"not within {seconds} s"
            assert not any(task.done() for task in self.background)
            await asyncio.sleep(0.01)
        return asyncio.get_running_loop().time() - began

    def cancel(self, key: Key) -> None:
        self.kube.server.change("componentruns", key.namespace, key.name, {"spec": {"cancel": True}})


def two_tenants() -> Tenants:
    made = Tenants()
    made.put_storage(HUNG, "known", default=True)
    made.put_storage(HUNG, "new")
    made.put_storage(NAMESPACE, "main", default=True)
    return made

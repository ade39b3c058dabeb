"""Which Storage a run means, and how often its Secret is read."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.controller.storages import stores as stores_module
from componentrun.controller.storages.references import References
from componentrun.controller.storages.stores import OpenStorage, Stores
from componentrun.controller.watching.caches import Caches
from componentrun.errors import UnsupportedError, UserError
from componentrun.process.kubernetes.errors import UnavailableError
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes
from tests.unit.core.make import make_run

if TYPE_CHECKING:
    from componentrun.process.kubernetes.resources import Resource


class Secrets(FakeKube):
    """A cluster that has one Secret, and counts how often it is read."""

    def __init__(self) -> None:
        super().__init__(Writes())
        self.reads = 0
        self.key = "first"
        self.away = False

    @property
    def storages(self) -> list[dict[str, Any]]:
        """The Storages that a listing finds."""
        return self.of("storages")

    @storages.setter
    def storages(self, found: list[dict[str, Any]]) -> None:
        for storage in found:
            self.objects["storages", NAMESPACE, storage["metadata"]["name"]] = storage

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        self.reads += 1
        if self.away:
            raise UnavailableError("away")
        keys = {"accessKeyId": "user", "secretAccessKey": self.key}
        self.put("secrets", {"metadata": {"name": name}, "stringData": keys})
        return await super().get(resource, namespace, name)


def a_storage(generation: int = 1) -> dict[str, Any]:
    metadata = {
        "namespace": "team", "name": "main", "uid": "s", "generation": generation, "resourceVersion": str(generation),
    }  # fmt: skip
    spec = {"bucket": "bucket", "endpoint": "http://store.test", "credentials": {"secretName": "keys"}, "default": True}
    return {"metadata": metadata, "spec": spec}


def stores_of(api: Secrets, caches: Caches) -> Stores:
    return Stores(api, References(api, caches))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(stores_module.time, "monotonic", lambda: now[0])
    return now


async def test_runs_that_start_at_the_same_time_read_the_secret_once(clock: list[float]) -> None:
    api, caches = Secrets(), Caches()
    caches.storages.seen(a_storage())
    stores = stores_of(api, caches)
    for _ in range(5):
        await stores.open("team", None)
    assert api.reads == 1
    api.key = "second"
    clock[0] += 1.1
    opened = await stores.open("team", None)
    assert (api.reads, opened.store.settings.secret_key) == (2, "second")


async def test_runs_that_start_while_the_secret_is_read_wait_for_that(clock: list[float]) -> None:
    assert clock
    api, caches = Secrets(), Caches()
    caches.storages.seen(a_storage())
    stores = stores_of(api, caches)
    api.away = True
    failed = await asyncio.gather(*(stores.open("team", None) for _ in range(5)), return_exceptions=True)
    assert (api.reads, {type(error) for error in failed}) == (1, {UnavailableError})
    api.away = False
    opening = [asyncio.create_task(stores.open("team", None)) for _ in range(5)]
    await asyncio.sleep(0)
    opening[0].cancel()
    cancelled, *opened = await asyncio.gather(*opening, return_exceptions=True)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert api.reads == 2
    assert [item.store.settings.secret_key for item in opened if isinstance(item, OpenStorage)] == ["first"] * 4


async def test_a_storage_that_was_edited_is_read_anew(clock: list[float]) -> None:
    assert clock
    api, caches = Secrets(), Caches()
    caches.storages.seen(a_storage())
    stores = stores_of(api, caches)
    await stores.open("team", None)
    caches.storages.seen(a_storage(2))
    await stores.open("team", None)
    assert api.reads == 2


def another(name: str, *, default: bool) -> dict[str, Any]:
    storage = a_storage()
    storage["metadata"] |= {"name": name, "uid": f"uid of {name}", "resourceVersion": "3"}
    storage["spec"] |= {"bucket": name, "default": default}
    return storage


class TestWhatWasChangedRightBeforeARun:
    """Its watch tells of it later than another one of the run."""

    @pytest.fixture
    def api(self) -> Secrets:
        return Secrets()

    @pytest.fixture
    def stores(self, api: Secrets) -> Stores:
        caches = Caches()
        caches.storages.seen(a_storage())
        return stores_of(api, caches)

    async def test_a_storage_that_was_edited(self, api: Secrets, stores: Stores) -> None:
        edited = a_storage(2)
        edited["spec"]["bucket"] = "new"
        api.storages = [edited]
        assert (await stores.open("team", None)).store.settings.bucket == "bucket"
        assert (await stores.open("team", None, anew=True)).store.settings.bucket == "new"

    async def test_one_that_was_deleted_and_created_again(self, api: Secrets, stores: Stores) -> None:
        """Policies are owned by it: what a Storage owns that is gone is collected, with its pods running."""
        api.storages = [another("main", default=True)]
        assert (await stores.open("team", None, anew=True)).storage.metadata.uid == "uid of main"

    async def test_the_default_one(self, api: Secrets, stores: Stores) -> None:
        api.storages = [another("main", default=False), another("other", default=True)]
        assert (await stores.open("team", None, anew=True)).storage.metadata.name == "other"

    async def test_another_one_that_can_not_be_read(self, api: Secrets, stores: Stores) -> None:
        pasted = another("pasted", default=False)
        pasted["spec"]["endpoint"] = "http://minio\u00a0.test"
        api.storages = [a_storage(2), pasted]
        assert (await stores.open("team", None, anew=True)).storage.metadata.name == "main"
        with pytest.raises(UnsupportedError, match="Storage `pasted` can't be read by this release"):
            await stores.open("team", "pasted", anew=True)

    async def test_one_that_is_gone(self, stores: Stores) -> None:
        with pytest.raises(UserError, match="no Storage `main` in namespace `team`"):
            await stores.open("team", "main", anew=True)


@pytest.mark.parametrize("names_one", [True, False])
async def test_a_storage_that_can_not_be_read_may_use_any_secret(names_one: bool) -> None:
    caches = Caches()
    caches.storages.seen(a_storage() | {"spec": {"bucket": "bucket", "endpoint": "http://minio\u00a0.test"}})
    secrets = [{"path": "#key", "secretKeyRef": {"name": "keys", "key": "secretAccessKey"}}] if names_one else []
    references = References(Secrets(), caches)
    with pytest.raises(UnsupportedError, match="Storage `main` can't be read") if names_one else nullcontext():
        references.check_keys(make_run(configuration={"secrets": secrets}), None)

"""`doctor` finds stores that promise more than they keep. (Signed requests: tests/integration/storage.)"""

from __future__ import annotations

from typing import Any

import pytest
from obstore.store import MemoryStore

from componentrun.storage.access.doctor import check_store
from componentrun.storage.access.grants import Signer
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings

SETTINGS = StoreSettings(
    bucket="bkt", endpoint="http://127.0.0.1:1", access_key="AKIA-1", secret_key="hush-2", name="main"
)


class CarelessStore(Store):
    """Ignores some of the conditions on a write."""

    def __init__(self, ignored: str) -> None:
        super().__init__(SETTINGS, MemoryStore())
        self._ignored = ignored

    async def _put(self, operation: str, key: str, data: bytes, *, mode: Any) -> str:
        careless = operation == self._ignored and (key.endswith("swap.json") or self._ignored == "replace")
        return await super()._put(operation, key, data, mode="overwrite" if careless else mode)


class TornStore(Store):
    """Confirms two writes with the same ETag where they come at once; one of them is lost."""

    async def swap(self, key: str, data: bytes, etag: str) -> str:
        return await self.put(key, data) if key.endswith("counter.json") else await super().swap(key, data, etag)


async def failed(store: Store) -> dict[str, str]:
    checks = await check_store(store, Signer(SETTINGS))
    return {check.name: check.detail for check in checks if not check.ok}


@pytest.mark.parametrize(
    ("store", "name", "told"),
    [
        (CarelessStore("create"), "create once", "ignores `If-None-Match`"),
        (CarelessStore("replace"), "compare and swap", "ignores `If-Match`"),
        (TornStore(SETTINGS, MemoryStore()), "no lost update", "were lost although the store confirmed them"),
    ],
)
async def test_a_condition_that_is_not_kept_is_found(store: Store, name: str, told: str) -> None:
    assert told in (await failed(store))[name]


async def test_a_store_that_keeps_them_has_no_such_complaint_and_is_left_clean() -> None:
    store = Store(SETTINGS, MemoryStore())
    # Nothing answers at the endpoint, so all that is signed fails, and says so without a key or a URL.
    complaints = await failed(store)
    assert {"create once", "compare and swap", "no lost update"}.isdisjoint(complaints)
    assert "the store did not answer" in complaints["presigned GET"]
    assert not any(secret in str(complaints) for secret in ("AKIA-1", "hush-2", "X-Amz"))
    assert [info.key async for info in store.objects("doctor/")] == []

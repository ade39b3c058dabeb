"""What is deleted is gone, whoever else deletes it at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from obstore.store import LocalStore

from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_store_that_misses_what_it_should_delete_deletes_the_others_all_the_same(tmp_path: Path) -> None:
    store = Store(StoreSettings(bucket="bucket", endpoint="http://store.test"), LocalStore(tmp_path))
    for key in ("a", "b"):
        await store.put(key, b"content")
    await store.delete(["gone", "a", "gone too", "b"])
    assert [found.key async for found in store.objects("")] == []
    await store.delete(["a"])

"""Two at a time: what was taken away and given."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from componentrun.storage.events.retention import Retention
from componentrun.storage.files.lookup import FileQuery, find_files
from componentrun.storage.files.records import change_file
from tests.unit.storage.filing import published, stored

if TYPE_CHECKING:
    import pytest

    from componentrun.storage.store.connection import Store


async def test_a_tag_that_is_taken_away_and_given_at_once_leads_to_its_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = await published(store, "r0", await stored(store, "r0", "a.bin", b"aaaa", tags=["daily"]))
    delete = store.delete

    async def given_first(keys: Any) -> None:
        monkeypatch.setattr(store, "delete", delete)
        await change_file(store, file, add=["daily"])
        await delete(keys)

    monkeypatch.setattr(store, "delete", given_first)
    await change_file(store, file, remove=["daily"])
    assert [found.id for found in await find_files(store, FileQuery(tags=("daily",)))] == [file]


def test_events_that_are_not_to_be_kept_at_all_are_not_kept_for_good() -> None:
    assert not Retention(None, {"noisy": timedelta(0)}).endless
    assert Retention(None, {"noisy": None}).endless

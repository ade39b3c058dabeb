"""Any files, any question: what is found is what a plain model says, and no record is read that is not delivered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from componentrun.storage.files.lookup import FileQuery, find_files
from componentrun.storage.files.records import FILE_KEEP, create_files, need_file, records_of
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire.agents import FileWritten
from tests.unit.storage.filing import expected

if TYPE_CHECKING:
    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import Stored

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = StoreSettings(bucket="bucket", endpoint="http://store.test", prefix="p", name="main")

# Few letters, so that names begin alike and patterns match; one that takes two bytes, and what keys must not hold.
NAMES = st.text(alphabet="ab-.é %", min_size=1, max_size=7).filter(lambda text: text not in {".", ".."})
TAGS = st.lists(st.sampled_from(["x", "y", "ž", "a/b", "-"]), max_size=3, unique=True)
AGES = st.integers(0, 2 * FILE_KEEP.days).map(lambda days: timedelta(days=days))
FILES = st.lists(st.tuples(NAMES, TAGS, st.booleans(), AGES), max_size=12)
GLOBS = st.text(alphabet="ab-.é%*?[]!", min_size=1, max_size=6)


async def filled(store: Store, files: list[tuple[str, list[str], bool, timedelta]]) -> list[FileRecord]:
    records = []
    for number, (name, tags, permanent, age) in enumerate(files):
        records += records_of([FileWritten(name, tuple(tags), permanent, (), 0)], "", f"r{number}", 1, NOW - age)
    for record in records:
        await create_files(store, [record])
    return records


@settings(max_examples=300, deadline=None)
@given(st.data(), FILES, st.sampled_from([None, 1, 2, 100]))
def test_what_is_found_is_what_a_plain_model_says(
    data: st.DataObject, files: list[tuple[str, list[str], bool, timedelta]], limit: int | None
) -> None:
    async def check() -> None:
        store = Store(SETTINGS, MemoryStore())
        records = await filled(store, files)
        known = [record.name for record in records]
        query = FileQuery(
            id=data.draw(st.none() | st.sampled_from([record.id for record in records])) if records else None,
            name=data.draw(st.none() | st.sampled_from(known) if known else st.none()),
            glob=data.draw(st.none() | GLOBS),
            tags=tuple(data.draw(TAGS)),
        )
        found = await find_files(store, query, limit, NOW)
        assert found == expected(records, query, limit, NOW)

    asyncio.run(check())


class CountingStore(Store):
    """Counts the objects that are read."""

    reads = 0

    async def find(self, key: str, *, most: int | None = None) -> Stored | None:
        self.reads += 1
        return await super().find(key, most=most)


@pytest.mark.parametrize(
    "query", [FileQuery(name="f7"), FileQuery(glob="f7*"), FileQuery(tags=("every", "seven")), FileQuery(glob="*7")]
)
async def test_only_records_that_are_delivered_are_read(query: FileQuery) -> None:
    store = CountingStore(SETTINGS, MemoryStore())
    files = [
        (f"f{number % 10}", ["every", *(["seven"] if number % 10 == 7 else [])], True, timedelta(minutes=number))
        for number in range(400)
    ]
    await filled(store, files)
    store.reads = 0
    found = await find_files(store, query, 5, NOW)
    assert [(NOW - file.created).seconds // 60 for file in found] == [7, 17, 27, 37, 47]
    assert store.reads == 5


async def test_a_key_that_leads_nowhere_is_passed_over(store: Store) -> None:
    (record,) = await filled(store, [("a", ["x"], True, timedelta())])
    assert await need_file(store, record.id, NOW) == record
    await store.delete([store.layout.file_index.record(record.id)])
    assert await find_files(store, FileQuery(tags=("x",)), now=NOW) == []

"""Files on real stores: published with the tables despite crashes at any time, and found by sorted listings."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.storage.files.expiry import delete_expired, named_data
from componentrun.storage.files.lookup import FileQuery, find_files
from componentrun.storage.files.records import FILE_KEEP, change_file, create_files, read_content, records_of
from componentrun.storage.files.upload import upload_file
from componentrun.storage.store.errors import StaleError
from componentrun.wire.agents import FileWritten
from tests.unit.storage.filing import expected, index, published, stored
from tests.unit.storage.scenarios import KilledError, MortalStore

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import Store

pytestmark = pytest.mark.store

NOW = datetime(2026, 1, 2, tzinfo=UTC)
WRITES = 5  # a record; keys: by name, by data, a tag, by expiry


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("killed_at", range(1, WRITES + 1))
async def test_killed_at_any_write_a_file_appears_once(store: Store, killed_at: int, after: bool) -> None:
    wanted = await stored(store, "r1", "résumé 1.pdf", b"0123456789", tags=["daily"])
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await published(MortalStore(store, killed_at, after=after), "r1", wanted, now=NOW)
    await asyncio.gather(*(published(store, "r1", wanted, now=NOW) for _ in range(3)))
    (file,) = await find_files(store, FileQuery(tags=("daily",), glob="r*.pdf"), now=NOW)
    assert (file.name, file.size, len(file.parts)) == ("résumé 1.pdf", 10, 3)
    assert await index(store) == ["data", "expiry", "names", "records", "tags"]


NAMES = ["a", "a-b", "a.b", "a/".replace("/", " "), "ab", "abc", "abcd-1", "b", "é", "éa", "x" * 180, "%41", "a+b=c"]


async def filled(store: Store, count: int) -> list[FileRecord]:
    records: list[FileRecord] = []
    for number in range(count):
        tags = tuple(tag for step, tag in ((2, "two"), (3, "ž/3"), (5, "five")) if number % step == 0)
        written = FileWritten(NAMES[number % len(NAMES)], tags, number % 7 == 0, (), 0)
        records += records_of([written], "", f"r{number}", 1, NOW - timedelta(hours=number))
    for start in range(0, count, 20):
        await create_files(store, records[start : start + 20])
    return records


async def test_what_real_servers_list_leads_to_what_a_plain_model_says(store: Store) -> None:
    records = await filled(store, 39)
    queries = [
        FileQuery(),
        *(FileQuery(name=name) for name in ("a", "a-b", "é", "x" * 180)),
        *(FileQuery(glob=glob) for glob in ("*", "a*", "ab*", "abc*", "*b", "é*", "x*", "[ab]", "%*", "?", "none*")),
        FileQuery(tags=("two",)),
        FileQuery(tags=("two", "ž/3")),
        FileQuery(tags=("two", "ž/3", "five")),
        FileQuery(tags=("none",)),
        FileQuery(tags=("two",), glob="a*"),
        FileQuery(tags=("two",), name="a-b"),
        FileQuery(id=records[9].id),
    ]
    for query in queries:
        for limit in (None, 2):
            assert await find_files(store, query, limit, NOW) == expected(records, query, limit, NOW), query


async def test_files_expire_and_their_data_is_not_named_any_more(store: Store) -> None:
    records = await filled(store, 10)
    data = [store.layout.data(record.run, 1) for record in records]
    assert len(await named_data(store, data)) == 10
    await change_file(store, records[0].id, add=["kept"])
    gone = await delete_expired(store, now=NOW + FILE_KEEP)
    assert gone == sum(not record.permanent for record in records)
    left = [record for record in records if record.permanent]
    assert await named_data(store, data) == {store.layout.data(record.run, 1) for record in left}
    assert {key for key in await index(store) if key == "expiry"} == set()


async def test_a_local_file_makes_the_way_there_and_back(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "päth.bin"
    path.write_bytes(bytes(range(256)) * 80_000)
    record = await upload_file(store, path, tags=("x",))
    assert len(record.parts) == 2
    (found,) = await find_files(store, FileQuery(name="päth.bin"))
    assert found == record


async def test_writing_over_a_published_file_changes_nothing_for_its_readers(store: Store, kind: str) -> None:
    written = await stored(store, "r1", "a.bin", b"aaaa", permanent=True)
    await published(store, "r1", written)
    # As a holder of the attempt's grant could.
    await store.put(written.parts[0].key, b"evil")
    (record,) = await find_files(store, FileQuery(name="a.bin"))
    if kind == "versitygw":  # without versions
        with pytest.raises(StaleError):
            assert [chunk async for chunk in read_content(store, record)]
    else:
        assert b"".join([chunk async for chunk in read_content(store, record)]) == b"aaaa"

"""Many files of one run: fewer writes, and everything as with files that came alone."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from componentrun.errors import PlatformError
from componentrun.storage.files import records as files_module
from componentrun.storage.files.expiry import delete_expired, named_data
from componentrun.storage.files.lookup import FileQuery, find_files
from componentrun.storage.files.records import (
    FILE_KEEP,
    MANY_FILES,
    change_file,
    create_files,
    delete_file,
    need_file,
    records_of,
)
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire.agents import FileWritten
from tests.unit.storage.filing import expected, index, published, stored
from tests.unit.storage.scenarios import KilledError, MortalStore
from tests.unit.storage.test_stored_files import DyingStore

if TYPE_CHECKING:
    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import ObjectInfo

NOW = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
SETTINGS = StoreSettings(bucket="bucket", endpoint="http://store.test", prefix="p", name="main")
SHARED = ["runId: r1", "componentId: c"]
DATA = tuple(f"team/a/data/r{number}-1/" for number in range(10))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files are many."""
    monkeypatch.setattr(files_module, "MANY_FILES", 2)


async def three(store: Store, run: str = "r1", *, permanent: bool = False, now: datetime = NOW) -> list[str]:
    """Three files of one run, of which one has a tag of its own."""
    written = [
        await stored(store, run, name, b"x", tags=[*SHARED, *(["own"] if name == "b" else [])], permanent=permanent)
        for name in ("a", "b", "c")
    ]
    return await published(store, run, *written, now=now)


async def names(store: Store, now: datetime = NOW, **query: Any) -> list[str]:
    return sorted(file.name for file in await find_files(store, FileQuery(**query), now=now))


async def test_a_file_of_many_costs_two_writes(store: Store) -> None:
    count = 3 * MANY_FILES
    written = tuple(FileWritten(f"f{number}", tuple(SHARED), False, (), 0) for number in range(count))
    counting = MortalStore(store, 10_000, after=False)
    await published(counting, "r1", *written, now=NOW)
    assert 10_000 - counting.left <= 2 * count + 20
    assert len(await find_files(store, FileQuery(tags=tuple(SHARED)), now=NOW)) == count


class AskedStore(Store):
    """Counts the objects that are asked for one by one. Its bucket may keep versions."""

    asked = 0
    version: str | None = None

    async def head(self, key: str, version: str | None = None) -> ObjectInfo | None:
        self.asked += 1
        found = await super().head(key, version)
        return None if found is None else dataclasses.replace(found, version=self.version)


@pytest.mark.parametrize(("version", "asked"), [(None, 1), ("v1", 151)])
async def test_many_objects_are_looked_at_in_one_listing_unless_their_versions_count(
    store: Store, version: str | None, asked: int
) -> None:
    counting = AskedStore(store.settings, store._backend)
    counting.version = version
    written = [await stored(store, "r1", f"f{number}", b"x") for number in range(150)]
    await published(counting, "r1", *written, now=NOW)
    assert counting.asked == asked
    (file,) = await find_files(store, FileQuery(name="f7"), now=NOW)
    assert file.parts[0].version == version


async def test_one_of_many_objects_that_is_not_what_was_uploaded_is_refused(store: Store) -> None:
    written = [await stored(store, "r1", f"f{number}", b"x") for number in range(150)]
    await store.put(written[77].parts[0].key, b"changed")
    with pytest.raises(PlatformError, match="is not what stage-out uploaded: found 7 bytes"):
        await published(store, "r1", *written, now=NOW)
    await store.delete([written[77].parts[0].key])
    with pytest.raises(PlatformError, match="is not what stage-out uploaded: found no object"):
        await published(store, "r1", *written, now=NOW)


async def test_fewer_files_keep_keys_of_their_own(store: Store) -> None:
    written = tuple(FileWritten(f"f{number}", tuple(SHARED), False, (), 0) for number in range(MANY_FILES - 1))
    await published(store, "r1", *written, now=NOW)
    assert (await index(store)).count("tags") == 2 * len(written)


@pytest.mark.usefixtures("small")
async def test_they_are_found_by_name_pattern_and_tags(store: Store) -> None:
    await three(store)
    await published(store, "r2", await stored(store, "r2", "a", tags=[*SHARED, "own"]), now=NOW + timedelta(hours=1))
    later = NOW + timedelta(hours=2)
    assert await names(store, later, tags=tuple(SHARED)) == ["a", "a", "b", "c"]
    assert await names(store, later, tags=("own", *SHARED)) == ["a", "b"]
    assert await names(store, later, name="a") == ["a", "a"]
    assert await names(store, later, glob="[bc]", tags=tuple(SHARED)) == ["b", "c"]


NAMES = st.lists(st.sampled_from(["a", "b", "ab", "c.é"]), min_size=1, max_size=4, unique=True)
TAGS = st.lists(st.sampled_from(["x", "y", "z"]), max_size=3, unique=True)
COMMITS = st.lists(
    st.tuples(st.integers(0, 20), st.lists(st.tuples(TAGS, st.booleans()), min_size=4, max_size=4), NAMES), max_size=4
)


@settings(max_examples=200, deadline=None)
@given(st.data(), COMMITS, st.sampled_from([None, 1, 2, 100]))
def test_what_is_found_is_what_a_plain_model_says(
    data: st.DataObject, commits: list[tuple[int, list[tuple[list[str], bool]], list[str]]], limit: int | None
) -> None:
    async def check() -> None:
        store = Store(SETTINGS, MemoryStore())
        records: list[FileRecord] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files_module, "MANY_FILES", 2)
            for number, (age, kinds, own) in enumerate(commits):
                written = [
                    FileWritten(name, tuple(tags), permanent, (), 0)
                    for name, (tags, permanent) in zip(own, kinds, strict=False)
                ]
                made = records_of(written, "", f"r{number}", 1, NOW - timedelta(days=age))
                await create_files(store, made)
                records += made
        for record in [*records]:
            if not record.is_there(datetime.now(UTC)) or not data.draw(st.booleans()):
                continue
            add, remove = data.draw(TAGS), data.draw(TAGS)
            records[records.index(record)] = await change_file(store, record.id, add=add, remove=remove)
        for record in data.draw(st.lists(st.sampled_from(records), unique_by=lambda file: file.id)) if records else []:
            await delete_file(store, record, NOW)
            records.remove(record)
        query = FileQuery(
            name=data.draw(st.none() | st.sampled_from(["a", "b"])),
            glob=data.draw(st.none() | st.sampled_from(["a*", "*"])),
            tags=tuple(data.draw(TAGS)),
        )
        assert await find_files(store, query, limit, NOW) == expected(records, query, limit, NOW)
        folders = [store.layout.data(f"r{number}", 1) for number in range(len(commits))]
        assert await named_data(store, folders) == {store.layout.data(record.run, 1) for record in records}

    asyncio.run(check())


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("permanent", [False, True])
async def test_the_last_one_that_is_deleted_takes_what_they_shared_along(store: Store, permanent: bool) -> None:
    ids = await three(store, permanent=permanent)
    for left in (2, 1, 0):
        await delete_file(store, await need_file(store, ids[left], NOW), NOW)
        assert bool(await named_data(store, DATA)) == bool(left)
    await delete_expired(store, now=NOW + FILE_KEEP)
    assert await index(store) == []


@pytest.mark.usefixtures("small")
async def test_the_sweeper_takes_all_that_have_expired_and_keeps_the_others(store: Store) -> None:
    recent = datetime.now(UTC)
    ids = await three(store, now=recent)
    await change_file(store, ids[1], permanent=True)
    end = recent + FILE_KEEP
    assert await delete_expired(store, now=end - timedelta(seconds=1)) == 0
    assert await delete_expired(store, now=end, dry_run=True) == 2
    assert len(await names(store, recent)) == 3
    assert await delete_expired(store, now=end) == 2
    assert await names(store, end, tags=("own",)) == ["b"]
    assert await names(store, end, tags=tuple(SHARED)) == ["b"]
    assert await named_data(store, DATA)
    await delete_file(store, await need_file(store, ids[1], end), end)
    assert await index(store) == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("killed_at", range(1, 16))
async def test_killed_at_any_write_everything_is_there_once_in_the_end(
    store: Store, killed_at: int, after: bool
) -> None:
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await three(MortalStore(store, killed_at + 3, after=after))
    ids = await three(store)
    assert await names(store) == await names(store, tags=tuple(SHARED)) == ["a", "b", "c"]
    assert await names(store, tags=("own",)) == ["b"]
    assert len(set(ids)) == 3
    assert await named_data(store, DATA) == {"team/a/data/r1-1/"}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize("killed_at", range(1, 10))
async def test_a_deletion_that_was_interrupted_leaves_nothing_for_ever(
    store: Store, permanent: bool, killed_at: int, after: bool
) -> None:
    ids = await three(store, permanent=permanent)
    records = [await need_file(store, file, NOW) for file in ids]
    for record in records[:2]:
        await delete_file(store, record, NOW)
    try:
        await delete_file(DyingStore(store, killed_at, after=after), records[2], NOW)
    except (KilledError, BaseExceptionGroup):
        there = [file.id for file in await find_files(store, FileQuery(), now=NOW)]
        assert not there or await named_data(store, DATA), "the bytes of a file that is there are named"
        await delete_expired(store, now=NOW + FILE_KEEP)
        if there and permanent:
            await delete_file(store, records[2], NOW)
    await delete_expired(store, now=NOW + FILE_KEEP)
    assert await index(store) == []

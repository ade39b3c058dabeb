"""What a sweep of many objects costs: requests, and what is held in memory."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.exceptions import NotSupportedError, PermissionDeniedError
from obstore.store import MemoryStore

from componentrun.errors import PlatformError
from componentrun.storage.cleanup.leftovers import delete_below, held_folders
from componentrun.storage.files.expiry import delete_expired, named_data
from componentrun.storage.files.index import file_id
from componentrun.storage.files.record import FileRecord
from componentrun.storage.files.records import create_files
from componentrun.storage.store import connection
from componentrun.storage.store.connection import Store, open_store
from componentrun.storage.store.objectversions import ObjectVersion, Versions
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SETTINGS = StoreSettings(
    bucket="bucket", endpoint="http://store.test", prefix="team", access_key="k", secret_key="s", name="main"
)
VERSIONS = Versions(SETTINGS)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MANY = 20_000


class CountingStore(Store):
    """Counts requests as S3 answers them: a listing has pages, a bulk deletion takes 1,000 keys."""

    def __init__(self, *, bulk: bool = True) -> None:
        backend = MemoryStore()
        super().__init__(SETTINGS, backend, self, backend if bulk else None)
        self.requests: Counter[str] = Counter()

    def store_request_done(self, operation: str, outcome: str, seconds: float) -> None:  # noqa: ARG002 - see StoreObserver
        self.requests[operation] += 1

    async def fill(self, keys: Sequence[str]) -> None:
        for key in keys:
            await obstore.put_async(self._backend, key, b"")

    async def keys(self) -> list[str]:
        return [meta["path"] for chunk in obstore.list(self._backend) for meta in chunk]


FOLDERS = st.lists(st.sampled_from(["a-1", "a-10", "a-2", "a", "b-1", "b0-1", "c-1", "z-9"]), unique=True)


@given(
    files=st.dictionaries(st.sampled_from(["a-1", "a-10", "a-2", "b-1", "b0-1", "c-1", "y-1"]), st.integers(1, 9)),
    among=FOLDERS,
)
async def test_which_prefixes_hold_files_costs_no_more_than_a_listing_nor_than_a_look_at_each(
    files: dict[str, int], among: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_LIST_CHUNK", 3)
        store = CountingStore()
        index, data = store.layout.file_index, store.layout.data_root()
        await store.fill([f"{index.data(folder)}{n}" for folder, count in files.items() for n in range(count)])
        found = await named_data(store, [f"{data}{folder}/" for folder in among])
        assert found == {f"{data}{folder}/" for folder in among if folder in files}
        assert store.requests["list"] <= min(len(among), math.ceil(sum(files.values()) / 3) + 1)


async def test_a_prefix_that_sorts_behind_many_others_that_begin_alike_is_found() -> None:
    """`r-1-2/` comes before `r-1/`, as a dash comes before a slash."""
    store = CountingStore()
    index, data = store.layout.file_index, store.layout.data_root()
    await store.fill([f"{index.data('r-1-2')}{number:05d}" for number in range(2500)] + [f"{index.data('r-1')}0"])
    assert await named_data(store, [f"{data}r-1/"]) == {f"{data}r-1/"}
    assert store.requests["list"] == 1


@given(files=st.dictionaries(st.sampled_from(["a-1", "a-10", "a-2", "a", "b0-1", "b-1"]), st.integers(1, 9)))
async def test_which_prefixes_there_are_costs_a_request_for_each_at_most(files: dict[str, int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_LIST_CHUNK", 3)
        store = CountingStore()
        root = store.layout.data_root()
        await store.fill([f"{root}{folder}/{n}" for folder, count in files.items() for n in range(count)])
        await store.fill([f"{root}loose", "team/data0", "team/elsewhere/x"])
        assert await held_folders(store, root) == sorted(f"{root}{folder}/" for folder in files)
        assert store.requests["list"] <= len(files) + 2


async def test_many_files_that_expire_are_deleted_by_few_requests_and_in_little_memory() -> None:
    store = CountingStore()
    created = NOW - timedelta(days=20)
    for number in range(MANY // 10):
        record = FileRecord(
            id=file_id(created, str(number)), name=f"f{number % 7}", tags=("a", "b"), size=0, created=created,
            run=f"r{number // 100}", attempt=1, expires=NOW,
        )  # fmt: skip
        await create_files(store, [record])
    before = set(await store.keys())
    assert len(before) == MANY // 10 * 6
    store.requests.clear()
    tracemalloc.start()
    assert await delete_expired(store, now=NOW) == MANY // 10
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert await store.keys() == []
    assert store.requests["list"] <= MANY // 10 / 1000 + 1
    assert store.requests["delete"] <= 2 * (3 + 1 + 1 + 1), "of 1,000 files 6,000 keys, by 6 requests"
    assert peak < 16 * 2**20


async def test_many_objects_below_a_prefix_are_never_held_together() -> None:
    store = CountingStore()
    await store.fill([f"team/data/r-1/{number:08d}" for number in range(MANY)])
    tracemalloc.start()
    assert await delete_below(store, "team/data/r-1/") == (MANY, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert await store.keys() == []
    assert store.requests == {"list": MANY // 1000 + 1, "delete": MANY // 1000}
    assert peak < 4 * 2**20


class TestStoresWithoutBulkDeletes:
    @pytest.mark.parametrize("error", [NotSupportedError("501"), PermissionDeniedError("403 MethodNotAllowed")])
    async def test_they_are_asked_once(self, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        store = CountingStore()
        asked = _refuse_bulk(store, error, monkeypatch)
        for batch in ("a", "b"):
            keys = [f"team/{batch}{number}" for number in range(3)]
            await store.fill(keys)
            await store.delete(keys)
        assert await store.keys() == []
        assert len(asked) == 1

    async def test_a_refusal_that_is_about_the_objects_is_no_such_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store = CountingStore()
        asked = _refuse_bulk(store, PermissionDeniedError("403"), monkeypatch, singly=PermissionDeniedError("403"))
        for _ in range(2):
            with pytest.raises(PlatformError):
                await store.delete(["team/a", "team/b"])
        assert len(asked) == 2

    async def test_one_object_needs_no_bulk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store = CountingStore()
        asked = _refuse_bulk(store, NotSupportedError("501"), monkeypatch)
        await store.delete(["team/a"])
        await store.delete([])
        assert not asked

    async def test_a_storage_is_opened_with_both_ways(self) -> None:
        store = open_store(SETTINGS)
        assert store._bulk is not None
        assert store._bulk is not store._backend


def _refuse_bulk(
    store: Store, error: Exception, monkeypatch: pytest.MonkeyPatch, singly: Exception | None = None
) -> list[Any]:
    """Have the bulk client refuse; what it was asked for."""
    asked: list[Any] = []
    store._bulk = bulk = MemoryStore()
    real = obstore.delete_async

    async def delete(backend: Any, keys: Any) -> None:
        if backend is bulk:
            asked.append(keys)
            raise error
        if singly is not None:
            raise singly
        await real(backend, keys)

    monkeypatch.setattr(obstore, "delete_async", delete)
    return asked


@dataclass(frozen=True)
class Listed:
    """As the client that signs gives it."""

    object_name: str
    version_id: str
    is_delete_marker: bool
    is_latest: str = "false"
    size: int = 0


@given(counts=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=60), page=st.integers(1, 9))
async def test_versions_come_in_chunks_that_hold_all_of_a_key(counts: list[tuple[int, int]], page: int) -> None:
    """A page of the listing holds versions and then markers, and a key may go on in the next page."""
    everything = [
        Listed(f"k{number:03d}", str(version), version >= versions)
        for number, (versions, markers) in enumerate(counts)
        for version in range(versions + markers)
    ]
    pages = [everything[start : start + page] for start in range(0, len(everything), page)]

    def listing(**_: object) -> Iterator[Listed]:
        for each in pages:
            yield from sorted(each, key=lambda item: item.is_delete_marker)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("componentrun.storage.store.objectversions._PAGE", page)
        patch.setattr("componentrun.storage.store.objectversions._CHUNK", 4 * page)
        patch.setattr(VERSIONS._client, "list_objects", listing)
        chunks = [chunk async for chunk in VERSIONS.chunks("team/")]
    found = [item for chunk in chunks for item in chunk]
    assert sorted(map(_plain, found)) == sorted((i.object_name, i.version_id, i.is_delete_marker) for i in everything)
    assert [item.key for item in found] == sorted(item.key for item in found)
    keys = [key for chunk in chunks for key, _ in groupby(chunk, key=lambda item: item.key)]
    assert len(keys) == len(set(keys)), "what belongs to one key is in one chunk"
    assert all(len(chunk) <= 4 * page + 2 * page + 8 for chunk in chunks)


def _plain(item: ObjectVersion) -> tuple[str, str, bool]:
    return item.key, item.version, item.marker

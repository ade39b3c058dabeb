"""Compaction and sweeping on real stores, while others load and read."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.maintenance.app import maintain_store
from componentrun.maintenance.settings import Settings
from componentrun.storage.commit import publish
from componentrun.storage.download import read_csv
from componentrun.storage.grants import make_client
from componentrun.storage.layout import TableId
from componentrun.storage.multipart import end_uploads
from componentrun.storage.reading import Wish
from componentrun.storage.rewriting import compact_table
from componentrun.storage.sweep import HISTORY_KEEP, MIN_KEEP, sweep
from componentrun.storage.tables import need_table
from componentrun.storage.versions import Versions
from tests.unit.storage.scenarios import KilledError, MortalStore, content, result, uploaded

if TYPE_CHECKING:
    from componentrun.storage.connection import Store
    from componentrun.storage.settings import StoreSettings

pytestmark = pytest.mark.store

FOO = "in.c-main.foo"
TABLE = TableId.parse(FOO)
LOADS = 40


async def load(store: Store, number: int, rows: list[str]) -> None:
    table = await uploaded(store, f"r{number}", 1, FOO, rows, columns=("id", "load"), incremental=True,
                           primary_key=("id",) if number == 0 else ())  # fmt: skip
    await publish(store, f"r{number}", 1, result(table))


async def test_compaction_races_with_loads_and_readers_and_nothing_is_lost_or_doubled(store: Store) -> None:
    await load(store, 0, ["same,0", "row0,0"])
    done = asyncio.Event()
    outcomes: list[str] = []

    async def compact() -> None:
        while not done.is_set():
            outcomes.append((await compact_table(store, TABLE, segments=3)).outcome)

    async def read() -> None:
        last = 0
        while not done.is_set():
            seen = await content(store, FOO)
            assert len([row for row in seen if row.startswith("same,")]) == 1
            assert len(seen) == len(set(seen))
            assert len(seen) >= last, "rows never go back"
            last = len(seen)

    async def write() -> None:
        for number in range(1, LOADS):
            await load(store, number, [f"same,{number}", f"row{number},{number}"])
        done.set()

    async with asyncio.TaskGroup() as group:
        for work in (write(), read(), compact(), compact()):
            group.create_task(work)
    assert "compacted" in outcomes
    expected = [f"row{number},{number}" for number in range(LOADS)]
    expected.insert(LOADS - 1, f"same,{LOADS - 1}")
    assert (await content(store, FOO))[1:] == expected
    await compact_table(store, TABLE, segments=None)
    assert (await content(store, FOO))[1:] == expected
    pointer = (await need_table(store, TABLE)).pointer
    assert len(pointer.segments) == 1
    last = pointer.segments[0].origins[-1].time
    since = b"".join([chunk async for chunk in read_csv(store, TABLE, Wish(changed_since=last))])
    assert since.decode().splitlines()[1:] == expected[-2:]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [1, 2, 3])
async def test_killed_between_any_two_writes(store: Store, write: int, after: bool) -> None:
    for number in range(4):
        await load(store, number, [f"same,{number}", f"row{number},{number}"])
    expected = await content(store, FOO)
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await compact_table(MortalStore(store, write, after=after), TABLE, segments=None)
    assert await content(store, FOO) == expected
    await compact_table(store, TABLE, segments=None)
    assert await content(store, FOO) == expected
    now = datetime.now(UTC) + HISTORY_KEEP + timedelta(hours=1)
    await sweep(store, history=HISTORY_KEEP, now=now)
    await sweep(store, history=HISTORY_KEEP, now=now + MIN_KEEP)
    assert await content(store, FOO) == expected
    left = {info.key.split("/data/")[1].split("/")[0] async for info in store.objects(store.layout.data_root())}
    assert len(left) == 1


async def test_an_upload_that_nobody_ended_is_ended(store: Store, settings: StoreSettings, kind: str) -> None:
    client = make_client(settings)
    key = f"{settings.prefix}/files/large.bin"
    client._create_multipart_upload(settings.bucket, key, {})
    later = datetime.now(UTC) + timedelta(hours=1)
    assert await end_uploads(settings, datetime.now(UTC) - timedelta(hours=1)) == 0, "it may go on"
    told = await end_uploads(settings, later, dry_run=True)
    # MinIO lists the uploads of a whole key only, and ends them itself after a day.
    assert told == (0 if kind == "minio" else 1)
    assert (await sweep(store, now=later + MIN_KEEP, hidden=True)).uploads == told
    assert await end_uploads(settings, later, dry_run=True) == 0


async def test_a_store_that_does_not_tell_of_uploads_is_swept_all_the_same(settings: StoreSettings) -> None:
    strange = dataclasses.replace(settings, bucket="not-there")
    assert await end_uploads(strange, datetime.now(UTC)) is None


async def test_what_is_deleted_is_gone_also_where_the_bucket_keeps_versions(
    store: Store, settings: StoreSettings, kind: str
) -> None:
    versions = Versions(settings)
    for number in range(4):
        await load(store, number, [f"same,{number}", f"row{number},{number}"])
    await compact_table(store, TABLE, segments=None)
    expected = await content(store, FOO)
    over = (await need_table(store, TABLE)).pointer.slices[0].key
    loose = await uploaded(store, "r9", 1, FOO, ["loose,9"], columns=("id", "load"), incremental=True)
    await store.put(loose.slices[0].key, b"loose,9\n")
    now = datetime.now(UTC) + HISTORY_KEEP + timedelta(hours=1)
    await sweep(store, now=now, hidden=True)
    if kind == "versitygw":
        assert (await sweep(store, now=now, hidden=True)).hidden == 0, "this store keeps no versions"
        return
    assert len(await versions.below(store.layout.data("r9", 1))) == 2, "it may be published at this moment"
    counted = await sweep(store, now=now + MIN_KEEP, hidden=True, dry_run=True)
    done = await sweep(store, now=now + MIN_KEEP, hidden=True)
    assert (done.hidden or 0) >= 5
    assert counted.hidden is not None
    left = await versions.below(f"{settings.prefix}/")
    assert {item.key for item in left if "/data/" in item.key} == {over}
    assert all(item.latest and not item.marker for item in left if not item.key.endswith("sweep.json"))
    assert await content(store, FOO) == expected


async def test_a_round_compacts_what_is_due_and_sweeps_and_a_broken_table_keeps_nobody(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for number in range(4):
        await load(store, number, [f"same,{number}", f"row{number},{number}"])
    expected = await content(store, FOO)
    assert await maintain_store(store, Settings(segments=3), "team/main") == 0
    assert len((await need_table(store, TABLE)).pointer.segments) == 1
    assert await content(store, FOO) == expected
    assert "in.c-main.foo compacted: 4 segments became one" in caplog.text
    assert "Storage team/main swept: 0 data prefixes" in caplog.text
    await store.put(store.layout.pointer(TableId.parse("in.c-main.broken")), b"{}")
    assert await maintain_store(store, Settings(segments=3), "team/main") == 2
    assert "in.c-main.broken was not compacted: the pointer of `in.c-main.broken`" in caplog.text
    assert await content(store, FOO) == expected

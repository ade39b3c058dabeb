"""Files, events and sweeping on real stores."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.encoding import GZIP, NONE, ZSTD
from componentrun.exchange import Where
from componentrun.storage.connection import open_store
from componentrun.storage.download import head_rows, read_csv
from componentrun.storage.eventreader import read_events
from componentrun.storage.events import Event
from componentrun.storage.eventsegments import SegmentTakenError, append_segment, last_segment
from componentrun.storage.layout import TableId
from componentrun.storage.reading import Wish
from componentrun.storage.rewriting import compact_table
from componentrun.storage.sweep import HISTORY_KEEP, MIN_KEEP, sweep
from componentrun.storage.tables import list_tables, need_table
from componentrun.storage.upload import upload_table

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.storage.connection import Store
    from componentrun.storage.settings import StoreSettings

pytestmark = pytest.mark.store

FOO = TableId("in", "c-main", "foo")


def event(seq: int, message: str = "hello") -> Event:
    return Event(f"r1-{seq}", seq, "2026-01-01T00:00:00Z", "r1", "ex", "12", "info", message)


async def test_a_big_file_goes_up_and_comes_down_byte_for_byte(store: Store, tmp_path: Path) -> None:
    rows = b"".join(b'%d,"text, with\nborders %d"\r\n' % (number, number) for number in range(100_000))
    data = b"\xef\xbb\xbfid,text\r\n" + rows * 8
    (tmp_path / "foo.csv").write_bytes(data)
    loaded = await upload_table(store, tmp_path / "foo.csv", FOO)
    assert loaded.rows == 800_000
    assert len(loaded.pointer.slices) == 2
    assert b"".join([chunk async for chunk in read_csv(store, FOO)]) == b"id,text\n" + rows * 8
    assert await head_rows(store, FOO, 1) == b'id,text\n0,"text, with\nborders 0"\r\n'
    assert [table async for table in list_tables(store)] == [FOO]


async def test_a_table_whose_slices_are_stored_in_every_way(settings: StoreSettings, tmp_path: Path) -> None:
    wanted = b""
    for number, compression in enumerate([ZSTD, NONE, GZIP]):
        store = open_store(dataclasses.replace(settings, compression=compression))
        rows = b"".join(b'%d,"in two\nlines, ""%d"""\n' % (number, row) for row in range(20_000))
        (tmp_path / "foo.csv").write_bytes(b"id,text\n" + rows)
        loaded = await upload_table(store, tmp_path / "foo.csv", FOO, incremental=True)
        assert (loaded.rows, loaded.bytes) == (20_000, len(rows))
        wanted += rows
    pointer = (await need_table(store, FOO)).pointer
    assert [part.encoding for part in pointer.slices] == ["zstd", None, "gzip"]
    assert [part.key.rpartition("00000")[2] for part in pointer.slices] == [".csv.zst", ".csv", ".csv.gz"]
    assert sum(part.stored_size for part in pointer.slices) < pointer.bytes // 2
    assert b"".join([chunk async for chunk in read_csv(store, FOO)]) == b"id,text\n" + wanted
    assert await head_rows(store, FOO, 1) == b'id,text\n0,"in two\nlines, ""0"""\n'
    text = Wish(where=Where("id", "eq", ("2",)), limit=1)
    assert b"".join([chunk async for chunk in read_csv(store, FOO, text)]) == b'id,text\n2,"in two\nlines, ""0"""\n'
    assert (await compact_table(store, FOO, segments=None)).outcome == "compacted"
    assert [part.encoding for part in (await need_table(store, FOO)).pointer.slices] == ["gzip"]
    assert b"".join([chunk async for chunk in read_csv(store, FOO)]) == b"id,text\n" + wanted
    await store.delete([info.key async for info in store.objects(settings.prefix + "/")])


async def test_a_primary_key_is_resolved_when_a_table_is_read(store: Store, tmp_path: Path) -> None:
    (tmp_path / "foo.csv").write_bytes(b'id,text\r\n1,"a\r\n"\r\n2,b\r\n1,c')
    await upload_table(store, tmp_path / "foo.csv", FOO, primary_key=("id",))
    assert b"".join([chunk async for chunk in read_csv(store, FOO)]) == b"id,text\n2,b\n1,c\n"
    (tmp_path / "foo.csv").write_bytes(b"id,text,more\n2,new,x\n")
    await upload_table(store, tmp_path / "foo.csv", FOO, incremental=True)
    assert b"".join([chunk async for chunk in read_csv(store, FOO)]) == b"id,text,more\n1,c,\n2,new,x\n"
    assert await head_rows(store, FOO, 1) == b"id,text,more\n1,c,\n"


async def test_several_files_are_added_at_once(store: Store, tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{number}.csv").write_bytes(b"a\n%d\n" % number)
    await asyncio.gather(
        *(upload_table(store, tmp_path / f"{number}.csv", FOO, incremental=True) for number in range(8))
    )
    assert (await need_table(store, FOO)).pointer.rows == 8


async def test_of_two_collectors_one_notices(store: Store) -> None:
    ends = await asyncio.gather(
        *(append_segment(store, "r1", 1, [event(1, f"{n}")], {"by": n}) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(end, SegmentTakenError) for end in ends) == 4
    await append_segment(store, "r1", 2, [event(2), event(3)], {"by": "next"})
    last = await last_segment(store, "r1")
    assert last is not None
    assert (last.checkpoint, last.next_seq) == ({"by": "next"}, 4)
    assert [found.seq async for found in read_events(store, "r1", 2)] == [3]


async def test_what_was_replaced_is_swept(store: Store, tmp_path: Path) -> None:
    for content in (b"a\n1\n", b"a\n2\n"):
        (tmp_path / "foo.csv").write_bytes(content)
        await upload_table(store, tmp_path / "foo.csv", FOO)
    later = datetime.now(UTC) + HISTORY_KEEP + timedelta(hours=1)
    await sweep(store, MIN_KEEP, now=later)
    done = await sweep(store, MIN_KEEP, now=later + MIN_KEEP)
    assert (done.objects, done.bytes) == (1, 2)
    assert b"".join([chunk async for chunk in read_csv(store, FOO)]) == b"a\n2\n"

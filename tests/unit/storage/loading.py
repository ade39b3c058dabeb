"""What the tests of reading and compaction share: loads of one small table, from stage-out to its pointer."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from componentrun.exchange import SliceWritten, TableWritten, Where
from componentrun.storage.columns import Column
from componentrun.storage.commit import publish
from componentrun.storage.download import read_csv
from componentrun.storage.layout import TableId
from componentrun.storage.pointer import Commit, Pointer, Segment, Slice
from componentrun.storage.reading import EVERYTHING, Wish
from tests.unit.mapping.model import decode, encode
from tests.unit.storage.scenarios import result

if TYPE_CHECKING:
    from componentrun.storage.connection import Store

FOO = TableId.parse("in.c-main.foo")
START = datetime(2026, 1, 1, tzinfo=UTC)
SMALL = st.sampled_from(["", "x", 'y"', "z\n"])
ROWS = st.lists(st.tuples(SMALL, SMALL, SMALL), max_size=4)


@dataclasses.dataclass(frozen=True)
class Load:
    rows: list[tuple[str, ...]]
    incremental: bool = True
    wide: bool = False
    key: tuple[str, ...] = ()
    delete: Where | None = None
    insert: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return ("a", "b", "c") if self.wide else ("a", "b")


DELETES = st.none() | st.builds(
    Where,
    st.sampled_from(["a", "b"]),
    st.sampled_from(["eq", "ne"]),
    st.lists(SMALL, min_size=1, max_size=2).map(tuple),
)


async def written(store: Store, run: str, load: Load) -> TableWritten:
    """As stage-out leaves it: a slice a row."""
    slices = []
    for number, row in enumerate(load.rows):
        content = encode([row[: len(load.columns)]])
        key = f"{store.layout.data(run, 1)}{number:04d}.csv"
        slices.append(SliceWritten(key, len(content), 1, await store.put(key, content)))
    return TableWritten("foo.csv", str(FOO), load.columns, load.key, load.incremental, False, tuple(slices),
                        len(slices), sum(part.size for part in slices), load.delete, insert=load.insert)  # fmt: skip


async def take(store: Store, number: int, load: Load) -> None:
    done = result(await written(store, f"r{number}", load))
    await publish(store, f"r{number}", 1, done, now=START + timedelta(hours=number))


async def content(store: Store, wish: Wish = EVERYTHING) -> list[tuple[str, ...]]:
    return decode(b"".join([chunk async for chunk in read_csv(store, FOO, wish)]))


def pointer(*segments: Segment, key: tuple[str, ...] = (), columns: tuple[str, ...] = ("a", "b")) -> Pointer:
    return Pointer(
        id=str(FOO),
        version=1,
        columns=tuple(Column(name=name) for name in columns),
        primary_key=key,
        segments=segments,
        rows=0,
        bytes=0,
        created=START,
        last_change=START,
        committed_by=Commit(run="r", attempt=1, time=START),
    )


def rows(name: str, *counts: int, columns: tuple[str, ...] = ("a", "b")) -> Segment:
    slices = tuple(Slice(key=f"{name}{i}", size=10, rows=count, etag='"e"') for i, count in enumerate(counts))
    return Segment(run=name, attempt=1, columns=columns, slices=slices)

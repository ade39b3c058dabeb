"""Event segments: in order, once, and cheap to follow."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from componentrun.errors import PlatformError
from componentrun.storage.events import reader as eventreader
from componentrun.storage.events.blocks import Block
from componentrun.storage.events.events import Event, Segment
from componentrun.storage.events.reader import EventReader, read_events
from componentrun.storage.events.segments import SegmentTakenError, append_segment, last_segment

if TYPE_CHECKING:
    from componentrun.storage.store.connection import Store

RUN = "r1"


def event(seq: int, message: str = "hello", **more: Any) -> Event:
    return Event(
        id=f"{RUN}-{seq}",
        seq=seq,
        time="2026-01-01T00:00:00.123456789Z",
        run=RUN,
        component="ex",
        configuration="12",
        type="info",
        message=message,
        **more,
    )


async def write(store: Store, *sizes: int) -> None:
    first = 1
    for size in sizes:
        await append_segment(store, RUN, first, [event(n) for n in range(first, first + size)], {"read": first + size})
        first += size


async def test_events_come_back_in_order_with_their_checkpoint(store: Store) -> None:
    await write(store, 3, 1, 5)
    assert [found.seq async for found in read_events(store, RUN)] == list(range(1, 10))
    last = await last_segment(store, RUN)
    assert last is not None
    assert (last.first_seq, last.next_seq, last.checkpoint) == (5, 10, {"read": 10})


async def test_a_run_without_events_has_none(store: Store) -> None:
    assert await last_segment(store, RUN) is None
    assert [found async for found in read_events(store, RUN)] == []


@pytest.mark.parametrize("since", range(11))
async def test_reading_starts_anywhere(store: Store, since: int) -> None:
    await write(store, 3, 1, 5, 1)
    assert [found.seq async for found in read_events(store, RUN, since)] == list(range(since + 1, 11))


@pytest.mark.parametrize("since", range(0, 24, 3))
async def test_reading_starts_anywhere_though_it_looks_back_a_little_only(
    store: Store, since: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventreader, "MAX_SEGMENT_EVENTS", 4)
    await write(store, 4, 4, 1, 1, 4, 3, 4, 3)
    assert [found.seq async for found in read_events(store, RUN, since)] == list(range(since + 1, 25))


async def test_a_reader_at_a_border_does_not_look_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await write(store, 3, 3)
    reader = EventReader(store, RUN)
    assert [found.seq async for found in reader.read()] == [1, 2, 3, 4, 5, 6]
    asked: list[str | None] = []
    whole = store.objects

    def listed(prefix: str, *, after: str | None = None) -> Any:
        asked.append(after)
        return whole(prefix, after=after)

    monkeypatch.setattr(store, "objects", listed)
    assert [found async for found in reader.read()] == []
    assert asked == [store.layout.segment(RUN, 6)]
    await append_segment(store, RUN, 7, [event(7)], {})
    assert [found.seq async for found in reader.read()] == [7]


async def test_a_second_collector_notices_the_first(store: Store) -> None:
    await append_segment(store, RUN, 1, [event(1, "mine")], {"by": "a"})
    with pytest.raises(SegmentTakenError, match="second collector"):
        await append_segment(store, RUN, 1, [event(1, "mine")], {"by": "b"})


async def test_the_same_segment_may_be_written_again(store: Store) -> None:
    first = await append_segment(store, RUN, 1, [event(1)], {"by": "a"})
    assert await append_segment(store, RUN, 1, [event(1)], {"by": "a"}) == first


@pytest.mark.parametrize(
    ("first", "numbers"), [(1, []), (1, [2]), (2, [1]), (1, [1, 3]), (1, [1, 1]), (1, range(1, 10_002))]
)
async def test_a_segment_is_numbered_without_gap(store: Store, first: int, numbers: list[int]) -> None:
    with pytest.raises(PlatformError):
        await append_segment(store, RUN, first, [event(number) for number in numbers], {})


TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@given(st.lists(TEXT, min_size=1, max_size=5), st.dictionaries(st.text(), st.integers(), max_size=3))
def test_any_message_survives(messages: list[str], params: dict[str, int]) -> None:
    written = tuple(event(seq, text, params=params) for seq, text in enumerate(messages, 1))
    segment = Segment(RUN, 1, {"at": [1, None, {"x": "y"}]}, written)
    assert Block.of(segment).lines.count(b"\n") == len(messages)
    assert decoded(Block.of(segment).encode()) == segment


def decoded(data: bytes) -> Segment:
    return Block.decode(data, "s3://b/k").segment("s3://b/k")


def text(data: bytes) -> bytes:
    return bytes(zstd.decompress(data))


def test_a_line_has_only_what_differs_from_event_to_event() -> None:
    plain = Block.of(Segment(RUN, 1, {}, (event(1, source="component", attempt=1),)))
    full = Block.of(Segment(RUN, 1, {}, (event(1, results={"rows": 3}, params={"a": 1}),)))
    assert plain.lines == (
        b'{"seq":1,"time":"2026-01-01T00:00:00.123456789Z","type":"info","message":"hello",'
        b'"source":"component","attempt":1}\n'
    )
    assert b'"params":{"a":1},"results":{"rows":3}' in full.lines
    assert text(plain.encode()).startswith(
        b'{"format":2,"run":"r1","component":"ex","configuration":"12","firstSeq":1,"count":1,"checkpoint":{}}\n'
    )


def test_a_field_of_a_later_release_is_ignored() -> None:
    data = text(Block.of(Segment(RUN, 1, {}, (event(1),))).encode()).replace(b'"message"', b'"later":1,"message"')
    assert decoded(zstd.compress(data)).events == (event(1),)


HEAD = b'{"format":2,"run":"r","component":"c","configuration":"","firstSeq":1,"count":%d,"checkpoint":{}}\n'


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is no event segment"),
        (b"nonsense\n", "is no event segment"),
        (HEAD % 2, "holds 0 events, its header says 2"),
        (HEAD.replace(b":2", b":3", 1) % 0, "has format 3"),
        (HEAD % 1 + b'{"id":1}\n', "is no event segment"),
    ],
)
def test_a_broken_segment_is_refused_with_its_place(data: bytes, told: str) -> None:
    with pytest.raises(PlatformError, match=told) as refusal:
        decoded(zstd.compress(data))
    assert "s3://b/k" in refusal.value.message


def test_what_is_not_compressed_is_refused_with_its_place() -> None:
    with pytest.raises(PlatformError, match="s3://b/k is no event segment"):
        decoded(b"{}\n")


def test_an_event_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        event(1).seq = 2  # type: ignore[misc]  # what must not work

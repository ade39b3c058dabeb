"""Streams and datagrams to messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.agent.gelf.framing import CHUNK_SECONDS, Chunks, NullSplitter
from componentrun.agent.gelf.messages import MESSAGE_LIMIT, BadMessageError

ID = b"8 bytes!"


def chunk(number: int, count: int, data: bytes, identity: bytes = ID) -> bytes:
    return b"\x1e\x0f" + identity + bytes([number, count]) + data


def said(found: Any) -> list[str]:
    return [str(item) if isinstance(item, BadMessageError) else item.decode() for item in found]


@given(st.lists(st.binary(min_size=1).filter(lambda m: b"\0" not in m and m.strip())), st.lists(st.integers(1, 9)))
def test_a_stream_cut_anywhere_gives_its_messages(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"\0".join(messages)
    splitter, found, at = NullSplitter(), [], 0
    for size in [*cuts, len(stream) + 1]:
        found += list(splitter.feed(stream[at : at + size]))
        at += size
    assert [*found, *splitter.rest()] == messages


def test_a_message_that_is_too_long_is_named_and_the_next_one_is_read() -> None:
    splitter = NullSplitter()
    found = list(splitter.feed(b"x" * (MESSAGE_LIMIT + 7)))
    found += list(splitter.feed(b"yyy\0next\0"))
    assert said(found) == [f"it has {MESSAGE_LIMIT + 10} bytes, more than {MESSAGE_LIMIT}", "next"]


def test_nothing_between_null_bytes_is_no_message() -> None:
    assert list(NullSplitter().feed(b"\0\0a\0\n\0b\0")) == [b"a", b"b"]


@given(st.binary(min_size=1, max_size=2000), st.integers(1, 128), st.randoms(use_true_random=False))
def test_chunks_in_any_order_and_twice_give_the_message_once(data: bytes, count: int, random: Any) -> None:
    size = -(-len(data) // count)
    parts = [chunk(i, count, data[i * size : (i + 1) * size]) for i in range(count)]
    order = parts + parts[: count // 2]
    random.shuffle(order)
    chunks = Chunks()
    found = [item for part in order for item in chunks.feed(part, "a", 0.0)]
    assert found[0] == data
    assert [item for item in found[1:] if not isinstance(item, BadMessageError)] in ([], [data])


def test_two_senders_with_one_id_are_kept_apart() -> None:
    chunks = Chunks()
    assert not list(chunks.feed(chunk(0, 2, b"a"), "one", 0.0))
    assert not list(chunks.feed(chunk(1, 2, b"z"), "two", 0.0))
    assert list(chunks.feed(chunk(1, 2, b"b"), "one", 0.0)) == [b"ab"]


def test_a_message_whose_chunks_do_not_all_come_is_named() -> None:
    chunks = Chunks()
    assert not list(chunks.feed(chunk(0, 3, b"a"), "one", 10.0))
    assert not list(chunks.overdue(10.0 + CHUNK_SECONDS - 0.1))
    assert said(chunks.feed(b"whole", "two", 10.0 + CHUNK_SECONDS)) == [
        "only 1 of its 3 chunks came within 5 s",
        "whole",
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x1e\x0fshort", "a chunk of 7 bytes: its header alone has 12"),
        (chunk(0, 0, b"a"), "chunk 0 of 0: expected one of at most 128, counted from 0"),
        (chunk(0, 129, b"a"), "chunk 0 of 129: expected one of at most 128, counted from 0"),
        (chunk(3, 3, b"a"), "chunk 3 of 3: expected one of at most 128, counted from 0"),
    ],
)
def test_a_chunk_that_is_none_is_named(data: bytes, expected: str) -> None:
    assert said(Chunks().feed(data, "one", 0.0)) == [expected]


def test_chunks_that_disagree_are_named() -> None:
    chunks = Chunks()
    assert not list(chunks.feed(chunk(0, 3, b"a"), "one", 0.0))
    assert said(chunks.feed(chunk(1, 2, b"b"), "one", 0.0)) == [
        "only 1 of its 3 chunks came before one that says there are 2"
    ]


def test_what_is_held_is_bounded() -> None:
    chunks = Chunks()
    problems: list[str] = []
    for i in range(400):
        problems += said(chunks.feed(chunk(0, 2, b"x" * 60_000, i.to_bytes(8, "big")), "one", 0.0))
    assert len(problems) == 400 - 16 * MESSAGE_LIMIT // 60_000
    assert problems[0].startswith("only 1 of its 2 chunks came before")

"""Bytes to lines: what a line is, and what is none."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.collector.readers.api.lines import KEPT_BYTES, RawLine, Splitter, digest, parse, stamp_of

STAMP = b"2026-11-24T07:46:33.866288610Z"
NANOSECONDS = 1_795_506_393_866_288_610


def raw(data: bytes) -> RawLine:
    return RawLine(data, len(data), digest(data))


@given(st.binary(max_size=300), st.lists(st.integers(1, 40)))
def test_lines_do_not_depend_on_how_the_bytes_come(data: bytes, sizes: list[int]) -> None:
    splitter, found, at = Splitter(), [], 0
    for size in [*sizes, len(data)]:
        found += [line.data for line in splitter.feed(data[at : at + size])]
        at += size
    tail = splitter.tail()
    *lines, rest = data.split(b"\n")
    assert found == lines
    assert (tail.data if tail else b"") == rest


@pytest.mark.parametrize("odd", [b"\r", b"\x85", b"\x0b", b"\x0c", b"\x1c", "\u2028".encode(), b"\0", b"\xff"])
def test_only_a_newline_ends_a_line(odd: bytes) -> None:
    assert [line.data for line in Splitter().feed(b"a" + odd + b"b\n")] == [b"a" + odd + b"b"]


@pytest.mark.parametrize("chunk", [1000, 65_536, 10**7])
def test_of_an_endless_line_only_the_beginning_is_held(chunk: int) -> None:
    data = bytes(range(48, 58)) * 100_000 + b"\nnext\n"
    splitter, found = Splitter(), []
    for at in range(0, len(data), chunk):
        found += list(splitter.feed(data[at : at + chunk]))
        assert len(splitter._tail) <= KEPT_BYTES + chunk
    assert [line.size for line in found] == [1_000_000, 4]
    assert len(found[0].data) == KEPT_BYTES
    assert found[0].digest == hashlib.blake2b(data[:1_000_000], digest_size=8).digest()
    assert found[1].data == b"next"


@pytest.mark.parametrize(
    ("data", "time", "text"),
    [
        (STAMP + b" hello", NANOSECONDS, b"hello"),
        (STAMP + b" ", NANOSECONDS, b""),
        (STAMP + b"  two spaces ", NANOSECONDS, b" two spaces "),
        (STAMP + b" \xff\0\x1b", NANOSECONDS, b"\xff\0\x1b"),
        (b"2026-11-24T09:46:33.866288610+02:00 zone", NANOSECONDS, b"zone"),
        (b"2026-11-24T02:16:33.866288610-05:30 zone", NANOSECONDS, b"zone"),
        (b"2026-11-24T07:46:33.8Z trimmed", NANOSECONDS - 66_288_610, b"trimmed"),
        (b"2026-11-24T07:46:33Z whole", NANOSECONDS - 866_288_610, b"whole"),
    ],
)
def test_a_line_has_a_time_and_a_text(data: bytes, time: int, text: bytes) -> None:
    line = parse(raw(data))
    assert line is not None
    assert (line.time, line.text) == (time, text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        STAMP,
        b"unable to retrieve container logs for containerd://4711",
        b"failed to create fsnotify watcher: too many open files",
        b"2026-13-24T07:46:33.866288610Z there is no such month",
        b"2026-11-24T07:46:33.86628861xZ no digit",
        b"2026-11-24 07:46:33.866288610Z no T",
        b" " + STAMP + b" text",
    ],
)
def test_what_does_not_start_with_a_timestamp_is_no_line(data: bytes) -> None:
    assert parse(raw(data)) is None


@given(st.integers(10**9, 4 * 10**18))
def test_a_time_is_written_as_it_was_read(nanoseconds: int) -> None:
    line = parse(raw(stamp_of(nanoseconds).encode() + b" x"))
    assert line is not None
    assert line.time == nanoseconds

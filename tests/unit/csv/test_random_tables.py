"""Random tables against the csv module, and random bytes against a slow parser."""

from __future__ import annotations

import csv
import io
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.csv import parse as csvparse
from componentrun.csv import text as csvtext
from componentrun.csv.text import CsvError, Read


def reader(data: bytes) -> Read:
    return lambda length, offset: data[offset : offset + length]


values = st.text(alphabet=st.sampled_from('ab,"\n\r é\x00\x01x'), max_size=6)


def written(value: str, *, always: bool) -> str:
    # Not csv.writer: in Python 3.11 it leaves a lone carriage return without quotes.
    return '"' + value.replace('"', '""') + '"' if always or any(sign in value for sign in ',"\r\n') else value


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, list[list[str]], bytes]:
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(values, min_size=width, max_size=width), max_size=30))
    always, line_end = draw(st.booleans()), draw(st.sampled_from(["\n", "\r\n"]))
    lines = [",".join(written(value, always=always) for value in row) + line_end for row in rows]
    data = "".join(lines).encode()
    if rows and rows[-1] != [""] and draw(st.booleans()):
        data = data.removesuffix(line_end.encode())
    return width, rows, data


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    # So that a few bytes cross block borders in every way.
    monkeypatch.setattr(csvtext, "_CHUNK_BYTES", 7)
    monkeypatch.setattr(csvtext, "_SCAN_BYTES", 5)
    monkeypatch.setattr(csvparse, "_SCAN_BYTES", 5)


@settings(max_examples=600)
@given(tables(), st.integers(1, 9))
def test_a_cut_table_is_the_table_and_every_slice_is_whole_rows(
    table: tuple[int, list[list[str]], bytes], parts: int
) -> None:
    width, rows, data = table
    read = reader(data)
    slices = list(csvtext.cut(read, 0, len(data), parts))
    assert len(slices) <= parts
    assert b"".join(data[s.offset : s.offset + s.size] for s in slices) == data
    parsed = []
    for piece in slices:
        text = data[piece.offset : piece.offset + piece.size].decode()
        parsed += [row or [""] for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
    assert parsed == rows
    columns = [f"c{i}" for i in range(width)]
    counted = [csvtext.check_rows(read, s.offset, s.offset + s.size, columns, "t.csv") for s in slices]
    assert sum(counted) == len(rows)
    assert csvtext.count_rows(read, 0, len(data)) == len(rows)


@settings(max_examples=300)
@given(tables())
def test_a_wrong_width_is_always_found(table: tuple[int, list[list[str]], bytes]) -> None:
    width, rows, data = table
    if rows:
        with pytest.raises(CsvError, match="expected"):
            csvtext.check_rows(reader(data), 0, len(data), ["c"] * (width + 1), "t.csv")


ROW = re.compile(
    rb'(?:"(?:[^"]|"")*"|[^",\r\n]*)(?:,(?:"(?:[^"]|"")*"|[^",\r\n]*))*(?:\r?\n|\r?\Z)',
)


def strictly(data: bytes, width: int) -> int | None:
    """A slow model of the format: row by row with regular expressions. The number of rows, or None."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    rows = at = 0
    while at < len(data):
        row = ROW.match(data, at)
        if row is None or re.sub(rb'"(?:[^"]|"")*"', b"", row.group()).count(b",") != width - 1:
            return None
        rows, at = rows + 1, row.end()
    return rows


def check(data: bytes, width: int) -> int | None:
    try:
        return csvtext.check_rows(reader(data), 0, len(data), ["c"] * width, "t.csv")
    except CsvError:
        return None


@pytest.mark.parametrize("cost", [0, 10**6], ids=["piece by piece", "as a whole"])
@pytest.mark.parametrize("chunk", [1, 9, 10**6])
def test_the_fast_check_accepts_what_a_slow_parser_accepts(
    monkeypatch: pytest.MonkeyPatch, chunk: int, cost: int
) -> None:
    monkeypatch.setattr(csvtext, "_PIECE_COST", cost)
    monkeypatch.setattr(csvtext, "_CHUNK_BYTES", chunk)
    random_source = random.Random(chunk)  # noqa: S311 - a seed makes it repeatable
    pieces = [b'"', b'"', b'""', b",", b",", b"\n", b"\r\n", b"a", b'","', b'"\n"', b'"\r\n"', b"\r", b"\x00", b"\xc3"]
    accepted = 0
    for _ in range(30_000):
        data = b"".join(random_source.choices(pieces, k=random_source.randrange(9)))
        width = random_source.randrange(1, 4)
        expected = strictly(data, width)
        accepted += expected is not None and b'"' in data
        assert check(data, width) == expected, data
        if data.endswith(b"\n"):
            assert csvtext._well_formed_rows(data, width) == expected, data
    assert accepted > 200

"""Random tables in random dialects become plain CSV with the same values; what is wrong is told in their own words."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.csv import convert as csvconvert
from componentrun.csv import text as csvtext
from componentrun.csv.convert import converted
from componentrun.csv.dialect import PLAIN, Dialect, Read
from componentrun.csv.text import CsvError, read_header


def reader(data: bytes) -> Read:
    return lambda length, offset: data[offset : offset + length]


SIGNS = [",", '"', ";", "\t", "'", "|", "\x01", "a", " ", "\\"]
VALUES = st.text(alphabet=st.sampled_from("".join(SIGNS) + "\n\r é😀\0x"), max_size=6)


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    delimiter, enclosure = draw(st.permutations(SIGNS))[:2]
    return Dialect(delimiter, draw(st.sampled_from([enclosure, ""])))


@st.composite
def tables(draw: st.DrawFn) -> tuple[Dialect, list[list[str]], bytes]:
    dialect = draw(dialects())
    width = draw(st.integers(1, 4))
    values = VALUES
    if not dialect.enclosure:
        values = values.map(lambda text: "".join(sign for sign in text if sign not in f"{dialect.delimiter}\r\n\0"))
    rows = draw(st.lists(st.lists(values, min_size=width, max_size=width), max_size=30))
    always, line_end = draw(st.booleans()), draw(st.sampled_from(["\n", "\r\n"]))
    lines = [dialect.delimiter.join(written(value, dialect, always=always) for value in row) + line_end for row in rows]
    return dialect, rows, "".join(lines).encode()


def written(value: str, dialect: Dialect, *, always: bool) -> str:
    sign = dialect.enclosure
    special = any(other in value for other in (dialect.delimiter, sign, "\r", "\n"))
    return sign + value.replace(sign, sign * 2) + sign if sign and (always or special) else value


def parsed(content: bytes) -> list[list[str]]:
    # A row of one empty value is an empty line, which the csv module takes for none.
    return [row or [""] for row in csv.reader(io.StringIO(content.decode(), newline=""), strict=True)]


@settings(max_examples=600)
@given(tables())
def test_values_are_the_same_in_plain_csv(table: tuple[Dialect, list[list[str]], bytes]) -> None:
    dialect, rows, data = table
    columns = [f"c{i}" for i in range(len(rows[0]) if rows else 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvtext, "_CHUNK_BYTES", 7)
        patch.setattr(csvconvert, "PIECE_BYTES", 20)
        pieces = list(converted(reader(data), 0, len(data), columns, "x.csv", dialect))
    content = b"".join(piece.content for piece in pieces)
    assert parsed(content) == rows
    assert sum(piece.rows for piece in pieces) == len(rows)
    # What comes out is what stage-out stores: it passes the plain check, piece by piece.
    for piece in pieces:
        end = len(piece.content)
        assert csvtext.check_rows(reader(piece.content), 0, end, columns, "x.csv") == piece.rows


@given(dialects(), st.lists(VALUES.filter(str.strip), min_size=1, max_size=4, unique=True))
def test_a_header_is_read_in_its_dialect(dialect: Dialect, columns: list[str]) -> None:
    if not dialect.enclosure and any(sign in name for name in columns for sign in f"{dialect.delimiter}\r\n\0"):
        return
    line = dialect.delimiter.join(written(name, dialect, always=False) for name in columns).encode()
    data = b"\xef\xbb\xbf" + line + b"\nrest"
    header = read_header(dialect.view(reader(data)), len(data), "x.csv", dialect)
    assert (list(header.columns), header.data_offset) == (columns, len(line) + 4)


@settings(max_examples=600)
@given(dialects(), st.binary(max_size=40))
def test_any_bytes_are_plain_csv_afterwards_or_an_error(dialect: Dialect, data: bytes) -> None:
    try:
        content = b"".join(piece.content for piece in converted(reader(data), 0, len(data), ["c"], "x.csv", dialect))
    except CsvError:
        return
    csvtext.check_rows(reader(content), 0, len(content), ["c"], "x.csv")


@pytest.mark.parametrize(
    ("dialect", "content", "problem"),
    [
        (Dialect(";"), b"1;2\n1,2\n", "x.csv, line 2: found 1 field separated by a semicolon, expected 2 (`a`, `b`)"),
        (
            Dialect(";", "'"),
            b"'x',2\n",
            "line 1, column `a`: found ',' after a closing `'`, expected a semicolon or the end of",
        ),
        (Dialect("\t", "'"), b"1\t2\nx'\t2\n", "line 2, column `a`: a `'` inside a field that is not quoted"),
        (
            Dialect("|", "'"),
            b"'x|2\n",
            "line 1, column `a`: a quoted field begins here and is never closed; expected a closing `'`",
        ),
        (Dialect("|"), b"1|2\n\xff|2\n", "line 2, column `a`: byte 0xff is not UTF-8"),
        (Dialect("|", ""), b"1|2\n\0|2\n", "line 2: a NUL byte"),
        (Dialect("|", ""), b'1|2\n"a\nb"|2\n', "line 2: found 1 field separated by a pipe, expected 2"),
        (Dialect(";"), b"1;2\r3;4\n", "line 1, column `b`: a carriage return without a newline"),
    ],
)
def test_a_fault_is_told_in_the_words_of_the_file(dialect: Dialect, content: bytes, problem: str) -> None:
    with pytest.raises(CsvError) as caught:
        list(converted(reader(content), 0, len(content), ["a", "b"], "x.csv", dialect))
    assert problem in caught.value.message


@pytest.mark.parametrize(
    ("dialect", "problem"),
    [
        (Dialect(""), "`delimiter` is ''; expected one ASCII character"),
        (Dialect(";;"), "`delimiter` is ';;'"),
        (Dialect("§"), "`delimiter` is '§'"),
        (Dialect("\n"), "`delimiter` is '\\n'"),
        (Dialect(",", "''"), "`enclosure` is \"''\""),
        (Dialect(";", ";"), "are both ';'"),
    ],
)
def test_what_no_dialect_can_be(dialect: Dialect, problem: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        dialect.check()
    assert problem in str(caught.value)


def test_fields_stay_enclosed_or_bare_unless_they_must_change() -> None:
    data = b"a;'b';'it''s';1,5;say \"x\"\r\n"
    (piece,) = converted(reader(data), 0, len(data), list("abcde"), "x.csv", Dialect(";", "'"))
    assert piece.content == b'a,"b","it\'s","1,5","say ""x"""\r\n'


def test_plain_csv_passes_as_it_is() -> None:
    rows = b'1,"a;b"\n'
    assert PLAIN.plain(rows) is rows
    read = reader(rows)
    assert PLAIN.view(read) is read

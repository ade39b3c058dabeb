"""What a person reads when a table is malformed: file, line, what was found, what was expected."""

from __future__ import annotations

import pytest

from componentrun.csv import parse as csvparse
from componentrun.csv import text as csvtext
from componentrun.csv.text import CsvError, Read
from componentrun.errors import Reason


def reader(data: bytes) -> Read:
    return lambda length, offset: data[offset : offset + length]


@pytest.mark.parametrize(
    ("data", "columns", "offset"),
    [
        (b"a,b\n1,2\n", ("a", "b"), 4),
        (b"a,b\r\n1,2\r\n", ("a", "b"), 5),
        (b"a,b", ("a", "b"), 3),
        (b"a\n", ("a",), 2),
        (b"\xef\xbb\xbfa,b\n", ("a", "b"), 7),
        (b'"a","b"\n', ("a", "b"), 8),
        (b'"a,1","say ""b"""\nx,y\n', ("a,1", 'say "b"'), 18),
        (b'"two\nlines",b\nx,y\n', ("two\nlines", "b"), 14),
        ("jméno,věk\n".encode(), ("jméno", "věk"), 12),
        (b"a,A, a\n", ("a", "A", " a"), 7),
    ],
)
def test_a_header_is_read_with_the_place_where_the_data_begins(
    data: bytes, columns: tuple[str, ...], offset: int
) -> None:
    assert csvtext.read_header(reader(data), len(data), "t.csv") == csvtext.Header(columns, offset)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "t.csv: the file is empty; expected a header line"),
        (b"\na,b\n", "t.csv, line 1: the line is empty; expected the header line, without empty lines before it"),
        (b"\xef\xbb\xbf\r\na,b\r\n", "t.csv, line 1: the line is empty; expected the header line"),
        (b"\xef\xbb\xbf", "t.csv: the file is empty"),
        (b"\n1\n", "t.csv, line 1: the line is empty; expected the header line"),
        (b"a,,c\n", "t.csv, line 1: the name of column 2 is empty"),
        (b"a,b,\n", "t.csv, line 1: the name of column 3 is empty"),
        (b"a,b,a\n", "t.csv, line 1: column `a` is there twice"),
        (b'a,"b\n1,2\n', "t.csv, line 1, column 2: a quoted field begins here and is never closed"),
        (b'a,5" disk\n', "t.csv, line 1, column 2: a quote inside a field that is not quoted"),
        (b'a,"b" \n', "t.csv, line 1, column 2: found ' ' after a closing quote"),
        (b"a\xff,b\n", "t.csv, line 1, column 1: byte 0xff is not UTF-8"),
        (b"a\rb\n", "t.csv, line 1, column 1: a carriage return without a newline"),
    ],
)
def test_a_malformed_header_is_refused_with_a_reason(data: bytes, message: str) -> None:
    with pytest.raises(CsvError) as caught:
        csvtext.read_header(reader(data), len(data), "t.csv")
    assert caught.value.message.startswith(message)
    assert caught.value.reason is Reason.OUTPUT_INVALID


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a,b\n1,2\n3\n", "t.csv, line 3: found 1 field, expected 2 (`a`, `b`)"),
        (b"a,b\n1,2,3\n", "t.csv, line 2: found 3 fields, expected 2 (`a`, `b`)"),
        (b"a,b\n1,2\n\n", "t.csv, line 3: the line is empty, expected 2 fields (`a`, `b`); leave empty lines out"),
        (
            b"a,b\r\n\r\n1,2\r\n",
            "t.csv, line 2: the line is empty, expected 2 fields (`a`, `b`); leave empty lines out",
        ),
        (b'a,b\n"1\n1",2\n3\n', "t.csv, line 4: found 1 field, expected 2 (`a`, `b`)"),
        (b"a,b\r\n1,2\r\n3\r\n", "t.csv, line 3: found 1 field, expected 2 (`a`, `b`)"),
        (b'a,b\n1,"2\n3,4\n', "t.csv, line 2, column `b`: a quoted field begins here and is never closed"),
        (b'a,b\n1,5" disk\n2,6" disk\n', "t.csv, line 2, column `b`: a quote inside a field that is not quoted"),
        (b'a,b\n1,"2\n"3,4\n', "t.csv, line 3, column `b`: found '3' after a closing quote"),
        (b"a,b\n1,2\n3,\xff\n", "t.csv, line 3, column `b`: byte 0xff is not UTF-8"),
        (b"a,b\n1\n3,\xff\n", "t.csv, line 2: found 1 field"),
        (b"a,b\n1,2\r3,4\n", "t.csv, line 2, column `b`: a carriage return without a newline"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line(data: bytes, message: str) -> None:
    header = csvtext.read_header(reader(data), len(data), "t.csv")
    with pytest.raises(CsvError) as caught:
        csvtext.check_rows(reader(data), header.data_offset, len(data), header.columns, "t.csv")
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("begins", "kind"),
    [
        ("a,b\n1,2\n".encode("utf-16"), "text in UTF-16"),
        (b"\x1f\x8b\x08\x00\xff,1\n", "a file that gzip has compressed"),
        (b"PK\x03\x04\xff\n", "a ZIP archive (or a spreadsheet, which is one)"),
        (b"PAR1\x15\xff\n", "a Parquet file"),
    ],
)
def test_what_is_no_csv_at_all_is_called_by_its_name(begins: bytes, kind: str) -> None:
    with pytest.raises(CsvError) as caught:
        csvtext.read_header(reader(begins), len(begins), "t.csv")
    assert caught.value.message == f"t.csv: it begins like {kind}; expected CSV as text in UTF-8"
    with pytest.raises(CsvError, match="it begins like"):
        csvtext.check_rows(reader(begins), 0, len(begins), ("a", "b", "c"), "t.csv/slice")


def test_the_line_counts_from_the_start_of_the_file_also_in_a_later_slice() -> None:
    data = b"a,b\n" + b"1,2\n" * 1000 + b"3\n"
    last = list(csvtext.cut(reader(data), 4, len(data), 4))[-1]
    with pytest.raises(CsvError, match="line 1002: found 1 field"):
        csvtext.check_rows(reader(data), last.offset, last.offset + last.size, ("a", "b"), "t.csv")


def test_a_value_never_appears_in_a_message() -> None:
    data = b"a,b\nhunter2,x,y\n"
    with pytest.raises(CsvError) as caught:
        csvtext.check_rows(reader(data), 4, len(data), ("a", "b"), "t.csv")
    assert "hunter2" not in caught.value.message


def test_many_columns_are_named_shortly() -> None:
    columns = [f"c{i}" for i in range(20)]
    with pytest.raises(CsvError, match=r"expected 20 \(`c0`, .*`c9` and 10 more\)"):
        csvtext.check_rows(reader(b"1\n"), 0, 2, columns, "t.csv")


@pytest.mark.parametrize("value", ["x" * 200, 'say ""hi""' * 20, "\n" * 200, "a,b" * 70])
def test_a_row_longer_than_the_limit_is_refused_and_a_long_one_below_it_is_not(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr(csvtext, "_CHUNK_BYTES", 16)
    monkeypatch.setattr(csvtext, "_FAST_BYTES", 64)
    data = f'a,b\n1,2\n3,"{value}"\n5,6\n'.encode()
    assert csvtext.check_rows(reader(data), 4, len(data), ("a", "b"), "t.csv") == 3
    monkeypatch.setattr(csvtext, "MAX_ROW_BYTES", 150)
    with pytest.raises(CsvError, match="line 3: the row is longer than 150 bytes; is a quote not closed"):
        csvtext.check_rows(reader(data), 4, len(data), ("a", "b"), "t.csv")


def test_a_file_that_shrinks_while_it_is_read_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(CsvError, match="ends after 8 bytes, expected 100"):
        csvtext.check_rows(reader(b"a,b\n1,2\n"), 4, 100, ("a", "b"), "t.csv")


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (("a", "b"), b"a,b\n"),
        (("a,b", 'c"d'), b'"a,b","c""d"\n'),
        (("two\nlines", " x"), b'"two\nlines"," x"\n'),
        (("věk",), "věk\n".encode()),
        (("\ufeffid", "b\ufeff"), '"\ufeffid",b\ufeff\n'.encode()),
    ],
)
def test_an_encoded_header_reads_back(columns: tuple[str, ...], line: bytes) -> None:
    assert csvtext.encode_header(columns) == line
    assert csvtext.read_header(reader(line), len(line), "t.csv").columns == columns


def test_cutting_nothing_gives_nothing() -> None:
    assert list(csvtext.cut(reader(b"a\n"), 2, 2, 8)) == []


def test_no_border_is_looked_for_where_none_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a quote that is not closed there is none: a file of 100 GiB is not to be read for it."""
    monkeypatch.setattr(csvtext, "MAX_ROW_BYTES", 100)
    monkeypatch.setattr(csvtext, "_SCAN_BYTES", 10)
    data = b"1,2\n" * 100 + b'1,"2\n' + b"1,2\n" * 10_000
    looked_at = 0

    def read(length: int, offset: int) -> bytes:
        nonlocal looked_at
        looked_at = max(looked_at, offset + length)
        return data[offset : offset + length]

    slices = list(csvtext.cut(read, 0, len(data), len(data) // 200))
    assert [(part.offset, part.size) for part in slices[-2:]] == [(0, 204), (204, len(data) - 204)]
    assert looked_at < 1000


@pytest.mark.parametrize("block", range(4, 9))
@pytest.mark.parametrize("text", ["plain", "ž" * 20, "x" + "€" * 20, "xy" + "😀" * 20])
def test_text_is_validated_in_pieces_that_split_no_character(
    monkeypatch: pytest.MonkeyPatch, block: int, text: str
) -> None:
    monkeypatch.setattr(csvparse, "_SCAN_BYTES", block)
    good = text.encode()
    assert csvparse.valid_text(good) == len(good)
    for bad in (b"\xff", b"\x80", b"\xc3", b"\xf0\x9f"):
        assert csvparse.valid_text(good + bad + good) == len(good)
        assert csvparse.valid_text(good + bad) == len(good)
        assert csvparse.valid_text(good + b"\x80" * 20) == len(good)

"""Where rows begin: header line, manifest, or both, as components of ten years write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.agent.folder import FOLDER, Folder
from componentrun.agent.stageout import main as stage_out
from componentrun.agent.stageout.layout import (
    MOST_COLUMNS,
    columns_of,
    header_of,
    known_facts,
    primary_key_of,
    rows_of_slice,
)
from componentrun.agent.stageout.main import bounded
from componentrun.agent.stageout.manifest import Manifest
from componentrun.agent.stageout.outputs import Source
from componentrun.agent.stageout.upload import Uploaded
from componentrun.csv.columnfacts import ColumnFacts
from componentrun.csv.dialect import Dialect
from componentrun.errors import UserError
from componentrun.storage.store.keys import TableId
from componentrun.wire.agents import TableWritten

if TYPE_CHECKING:
    from pathlib import Path

AB = ("a", "b")
TABLE = TableId.parse("out.c-a.x")


def source(manifest: Manifest, *key: str, kind: str = "") -> Source:
    return Source(
        "x.csv",
        kind == FOLDER,
        TABLE,
        key,
        incremental=False,
        write_always=False,
        dialect=Dialect(manifest.delimiter or ","),
        columns=manifest.columns,
        has_header=manifest.has_header,
        replaces_header=manifest.has_header is True,
        facts=manifest.facts,
    )


@pytest.mark.parametrize(
    ("content", "columns", "has_header", "wanted", "rows", "warned"),
    [
        (b"a,b\n1,2\n", None, None, AB, b"1,2\n", False),
        (b"a,b\n1,2\n", None, True, AB, b"1,2\n", False),
        (b"1,2\n", AB, None, AB, b"1,2\n", False),
        (b"1,2\n", AB, False, AB, b"1,2\n", False),
        (b"\xef\xbb\xbf1,2\n", AB, None, AB, b"1,2\n", False),
        # Both, and the manifest says so; the header's order is the order of the values.
        (b"b,a\n1,2\n", AB, True, ("b", "a"), b"1,2\n", False),
        # Both, although the interface says that there is no header then.
        (b'"a","b"\r\n1,2\n', AB, None, AB, b"1,2\n", True),
        # What reads like a header is a row, as the manifest says; but hardly anybody means that.
        (b"a,b\n1,2\n", AB, False, AB, b"a,b\n1,2\n", True),
        (b"b,a\n1,2\n", AB, None, AB, b"b,a\n1,2\n", True),
        (b"A, b\n1,2\n", AB, None, AB, b"A, b\n1,2\n", True),
        (b"a,a\n1,2\n", AB, None, AB, b"a,a\n1,2\n", False),
        # The manifest's names count where it says that there is a header line, whatever that says.
        (b"x,y\n1,2\n", AB, True, AB, b"1,2\n", True),
        (b"x,x\n1,2\n", AB, True, AB, b"1,2\n", True),
        (b",\n1,2\n", AB, True, AB, b"1,2\n", True),
        (b"A,B\r\n", AB, True, AB, b"", True),
        # Well-formed, and hardly what was meant.
        (b"a;b\n1;2\n", None, None, ("a;b",), b"1;2\n", True),
        (b"a\tb\n1\t2\n", None, None, ("a\tb",), b"1\t2\n", True),
        (b"a|b\n", None, None, ("a|b",), b"", True),
        (b"<!DOCTYPE html>\n<p>Bad gateway</p>\n", None, None, ("<!DOCTYPE html>",), b"<p>Bad gateway</p>\n", True),
        (b"\xef\xbb\xbf \n<HTML>\n", ("a",), None, ("a",), b" \n<HTML>\n", True),
        (b"<?xml version='1.0'?>\n", None, None, ("<?xml version='1.0'?>",), b"", True),
        (b"htmlpage\n<html>\n", None, None, ("htmlpage",), b"<html>\n", False),
        (b"text\na;b\n", None, None, ("text",), b"a;b\n", False),
        (b"x,x\n", AB, None, AB, b"x,x\n", False),
        (b"", AB, None, AB, b"", False),
        (b"", AB, True, AB, b"", False),
        (b"\xef\xbb\xbf", AB, None, AB, b"", False),
    ],
)
def test_where_the_rows_begin(
    tmp_path: Path,
    content: bytes,
    columns: tuple[str, ...] | None,
    has_header: bool | None,
    wanted: tuple[str, ...],
    rows: bytes,
    warned: bool,
) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    manifest = Manifest(columns=columns, has_header=has_header)
    with Folder(str(tmp_path)).open("x.csv") as file:
        header, warning = header_of(file, source(manifest, wanted[0]), "x.csv")
    assert header.columns == wanted
    assert content[header.data_offset :] == rows
    assert (warning is not None) == warned


@pytest.mark.parametrize(
    ("content", "manifest", "key", "problem"),
    [
        (b"", Manifest(), (), "x.csv: the file is empty"),
        (b"a,b\n", Manifest(has_header=False), (), "it has no header, and gives no columns"),
        (
            b"a,b,c\n",
            Manifest(columns=AB, has_header=True),
            (),
            "x.csv, line 1: its header has 3 columns, `a`, `b`, `c`; its manifest or the output mapping says 2, ",
        ),
        (b"a,b\n", Manifest(), ("c",), "x.csv, line 1: the primary key column `c` is missing; it has `a`, `b`"),
        (b"1,2\n", Manifest(columns=AB), ("c",), "x.csv: the primary key column `c` is missing; it has `a`, `b`"),
    ],
)
def test_what_can_not_be_read(
    tmp_path: Path, content: bytes, manifest: Manifest, key: tuple[str, ...], problem: str
) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with Folder(str(tmp_path)).open("x.csv") as file, pytest.raises(UserError) as caught:
        header_of(file, source(manifest, *key), "x.csv")
    assert problem in caught.value.message


@pytest.mark.parametrize(
    ("header", "key", "told"),
    [
        (
            "e\u0301,b",
            "\u00e9",
            "(`e\u0301` is another name: it is written with other Unicode characters, composed or not)",
        ),
        ("id ,b", "id", "it has `id `, `b` (`id ` is another name: spaces differ)"),
        ("\u00a0id,b", "id", "(`\u00a0id` is another name: spaces differ)"),
        ("ID,b", "id", "(`ID` is another name: capital letters differ)"),
        ("x,y", "id", "it has `x`, `y`"),
    ],
)
def test_a_column_that_looks_like_the_one_that_is_missing_is_pointed_at(
    tmp_path: Path, header: str, key: str, told: str
) -> None:
    (tmp_path / "x.csv").write_text(header + "\n", encoding="utf-8")
    with Folder(str(tmp_path)).open("x.csv") as file, pytest.raises(UserError) as caught:
        header_of(file, source(Manifest(), key), "x.csv")
    assert caught.value.message.endswith(told)


@pytest.mark.parametrize(
    ("manifest", "key", "problem"),
    [
        (Manifest(), (), "needs `columns` in its manifest"),
        (Manifest(columns=AB), ("c",), "the primary key column `c` is missing"),
    ],
)
def test_slices_need_columns(manifest: Manifest, key: tuple[str, ...], problem: str) -> None:
    with pytest.raises(UserError) as caught:
        columns_of(source(manifest, *key, kind=FOLDER), "x.csv")
    assert problem in caught.value.message


@pytest.mark.parametrize(
    ("content", "has_header", "rows", "told"),
    [
        (b"1,2\n", None, b"1,2\n", None),
        (b"\xef\xbb\xbf1,2\n", None, b"1,2\n", None),
        (b"", None, b"", None),
        (
            b"a,b\n1,2\n",
            None,
            b"a,b\n1,2\n",
            "part-0, line 1: `a`, `b` was stored as a row, but it holds exactly the columns",
        ),
        (
            b"b,a\n1,2\n",
            False,
            b"b,a\n1,2\n",
            "part-0, line 1: `b`, `a` was stored as a row, but it holds the names of the columns in another order",
        ),
        (b"<html>\n", None, b"<html>\n", "part-0, line 1: it begins like a web page or XML: `<html>`"),
        (b"a,b\n1,2\n", True, b"1,2\n", None),
        (b"x,y\n1,2\n", True, b"1,2\n", "part-0, line 1: the header names `x`, `y`; the table got the names of the"),
        (b"", True, b"", None),
    ],
)
def test_where_the_rows_of_a_slice_begin(
    tmp_path: Path, content: bytes, has_header: bool | None, rows: bytes, told: str | None
) -> None:
    (tmp_path / "part-0").write_bytes(content)
    manifest = Manifest(columns=AB, has_header=has_header)
    with Folder(str(tmp_path)).open("part-0") as file:
        start, warning = rows_of_slice(file, source(manifest, kind=FOLDER), AB, "part-0")
    assert content[start:] == rows
    assert (warning or "").startswith(told or "")
    assert (warning is None) == (told is None)


@pytest.mark.parametrize("header", [b"b,a\n", b"a\n", b"a,b,c\n"])
def test_a_slice_whose_header_does_not_fit_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "part-0").write_bytes(header)
    manifest = Manifest(columns=AB, has_header=True)
    with (
        Folder(str(tmp_path)).open("part-0") as file,
        pytest.raises(UserError, match=r"part-0, line 1: its header has"),
    ):
        rows_of_slice(file, source(manifest, kind=FOLDER), AB, "part-0")


def test_slices_with_columns() -> None:
    assert columns_of(source(Manifest(columns=AB), "b", kind=FOLDER), "x.csv") == AB


def test_a_header_in_another_dialect(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfa;b\n1;2\n")
    with Folder(str(tmp_path)).open("x.csv") as file:
        header, _ = header_of(file, source(Manifest(delimiter=";"), "a"), "x.csv")
    assert (header.columns, header.data_offset) == (AB, 7)


def test_what_is_said_of_columns_that_are_not_there_is_passed_over_with_a_warning() -> None:
    told = Manifest(facts=(ColumnFacts("a", "INTEGER"), ColumnFacts("x", "DATE")))
    facts, warning = known_facts(source(told), AB, "x.csv")
    assert facts == (ColumnFacts("a", "INTEGER"),)
    assert warning is not None
    assert "the column `x`, which it does not have" in warning
    assert known_facts(source(Manifest(facts=told.facts[:1])), AB, "x.csv") == (facts, None)


def test_a_table_of_more_columns_than_the_operator_can_publish_is_refused(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(MOST_COLUMNS + 1)]
    for count in (MOST_COLUMNS, MOST_COLUMNS + 1):
        (tmp_path / "x.csv").write_text(",".join(names[:count]) + "\n")
        with Folder(str(tmp_path)) as folder, folder.open("x.csv") as file:
            if count == MOST_COLUMNS:
                assert len(header_of(file, source(Manifest()), "x.csv")[0].columns) == count
                continue
            with pytest.raises(UserError, match="it has 50001 columns; expected at most 50000"):
                header_of(file, source(Manifest()), "x.csv")
    with pytest.raises(UserError, match="it has 50001 columns"):
        columns_of(source(Manifest(columns=tuple(names)), kind=FOLDER), "x.csv")


def test_tables_of_more_columns_together_than_the_operator_can_publish_are_refused() -> None:
    def of(columns: int) -> Uploaded:
        names = tuple(f"c{number}" for number in range(columns // 5))
        table = TableWritten(
            "x.csv", "out.c-a.x", names, (), incremental=False, write_always=False, slices=(), rows=0, size=0
        )
        return Uploaded((table,) * 5, (), ())

    assert bounded(of(stage_out.MOST_COLUMNS)) == of(stage_out.MOST_COLUMNS)
    refused = bounded(of(stage_out.MOST_COLUMNS + 5))
    assert refused.tables == ()
    assert "have 250005 columns together" in refused.errors[0].message


def test_blanks_around_a_name_of_the_key_count_only_where_a_column_has_them() -> None:
    spaced = source(Manifest(columns=("a", " b ")), " a", " b ", "a", kind=FOLDER)
    assert columns_of(spaced, "x.csv") == ("a", " b ")
    assert primary_key_of(spaced, ("a", " b ")) == ("a", " b ")

"""Rows of Iceberg tables from real Parquet files, through DuckDB, to the bytes of the CSV file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from componentrun.errors import PlatformError, Reason, UserError
from componentrun.sql import scan as parquetscan
from componentrun.sql.scan import (
    EMPTY_FILE,
    check_types,
    field_id_statement,
    parquet_files,
    refuse_without_ids,
    scan_of,
)
from componentrun.wire.agents import Where
from componentrun.wire.parquet import ParquetColumn, ParquetTable
from tests.unit.sql.icefiles import Files, delivered

if TYPE_CHECKING:
    from pathlib import Path

AB = (("a", 1, "VARCHAR"), ("b", 2, "VARCHAR"))
TEXTS = (("a", 1, "string"), ("b", 2, "string"))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_rows_come_file_by_file_in_their_order(files: Files, tmp_path: Path) -> None:
    rows = [[str(number), f"x{number}"] for number in range(10_000)]
    files.add(AB, rows[:6_000])
    files.add(AB, rows[6_000:6_001])
    files.add(AB, rows[6_001:])
    found = delivered(files.table(*TEXTS), tmp_path)
    assert found.decode() == "".join(f"{a},{b}\n" for a, b in rows)


def test_columns_are_found_by_their_ids_whatever_they_were_called(files: Files, tmp_path: Path) -> None:
    files.add((("a", 1, "VARCHAR"), ("gone", 7, "VARCHAR"), ("b", 2, "VARCHAR")), [["1", "old", "x"]])
    files.add((("b", 1, "VARCHAR"), ("a", 2, "VARCHAR"), ("c", 3, "VARCHAR")), [["2", "y", "new"]])
    table = files.table(("b", 1, "string"), ("B", 2, "string"), ("c", 3, "string"), ("later", 4, "string"))
    assert delivered(table, tmp_path) == b"1,x,,\n2,y,new,\n"
    assert delivered(table, tmp_path, ("later",)) == b'""\n""\n'
    assert delivered(table, tmp_path, ("c", "B")) == b",x\nnew,y\n"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("", ""),
        (None, ""),
        ('"', '""""'),
        ("a\nb", '"a\nb"'),
        ("a\r\nb", '"a\r\nb"'),
        ("\r", '"\r"'),
        ("\ufeffx", "\ufeffx"),
        (" x ", " x "),
        ("a,b", '"a,b"'),
        ("NULL", "NULL"),
        ("ž🎈\u2028", "ž🎈\u2028"),
        ("\\N", "\\N"),
    ],
)
def test_texts_stay_byte_for_byte(files: Files, tmp_path: Path, value: str | None, wanted: str) -> None:
    files.add(AB, [[value, "x"]])
    assert delivered(files.table(*TEXTS), tmp_path).decode() == f"{wanted},x\n"


@pytest.mark.parametrize(
    ("kind", "iceberg", "value", "wanted"),
    [
        ("BOOLEAN", "boolean", "true", "true"),
        ("INTEGER", "int", "-7", "-7"),
        ("INTEGER", "long", "7", "7"),
        ("BIGINT", "long", "9223372036854775807", "9223372036854775807"),
        ("FLOAT", "double", "0.5", "0.5"),
        ("DOUBLE", "double", "1e300", "1e+300"),
        ("DECIMAL(38,9)", "decimal(38, 9)", "1.5", "1.500000000"),
        ("DECIMAL(9,2)", "decimal(9,2)", "-1234.5", "-1234.50"),
        ("DATE", "date", "2026-01-31", "2026-01-31"),
        ("TIME", "time", "12:30:00.5", "12:30:00.5"),
        ("TIMESTAMP", "timestamp", "2026-01-31 12:30:00.123456", "2026-01-31 12:30:00.123456"),
        ("TIMESTAMPTZ", "timestamptz", "2026-01-31 12:30:00.123456+02", "2026-01-31 10:30:00.123456+00"),
        ("UUID", "uuid", "5bffefaf-9d8e-493c-837a-c3f8c53e9bf9", "5bffefaf-9d8e-493c-837a-c3f8c53e9bf9"),
        ("BIGINT", "long", None, ""),
    ],
)
def test_other_types_come_as_text(
    files: Files, tmp_path: Path, kind: str, iceberg: str, value: str | None, wanted: str
) -> None:
    files.add((("a", 1, kind), ("b", 2, "VARCHAR")), [[value, "x"]])
    assert delivered(files.table(("a", 1, iceberg), ("b", 2, "string")), tmp_path).decode() == f"{wanted},x\n"


def test_what_has_no_form_in_a_csv_file_is_refused_unless_nobody_asks_for_it(files: Files, tmp_path: Path) -> None:
    files.add((("a", 1, "VARCHAR"),), [["1"]])
    table = files.table(("a", 1, "string"), ("tags", 2, "list<string>"))
    with pytest.raises(UserError, match=r"the column `tags` is of type `list<string>`.* `a` can be delivered") as error:
        check_types(table.columns, {"a", "tags"}, "in.c-main.t")
    assert error.value.reason is Reason.INPUT_INVALID
    check_types(table.columns, {"a"}, "in.c-main.t")
    assert delivered(table, tmp_path, ("a",)) == b"1\n"


def test_deleted_positions_are_not_there_and_the_others_keep_their_order(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquetscan, "_BLOCK_ROWS", 1_000)
    rows = [[str(number), f"x{number}"] for number in range(9_000)]
    first = files.add(AB, rows[:5_000])
    files.add(AB, rows[5_000:6_000])
    last = files.add(AB, rows[6_000:])
    gone = {number for number in range(9_000) if number % 7 == 0 and not 5_000 <= number < 6_000}
    files.delete({first: {number for number in gone if number < 5_000}})
    files.delete({first: {4_900}, last: {number - 6_000 for number in gone if number >= 6_000}, "s3://lake/other": {1}})
    found = delivered(files.table(*TEXTS), tmp_path)
    assert found.decode() == "".join(f"{a},{b}\n" for a, b in rows if int(a) not in gone - {4_900} | {4_900})
    some = delivered(files.table(*TEXTS), tmp_path, ("b",), Where("a", "eq", ("1", "7", "8999", "4900")), 1)
    assert some == b"x1\n"


def test_a_file_of_deleted_positions_may_be_empty_or_name_rows_beyond_the_end(files: Files, tmp_path: Path) -> None:
    path = files.add(AB, [["1", "x"], ["2", "y"]])
    files.add(AB, [["3", "z"]])
    files.delete({path: ()})
    assert delivered(files.table(*TEXTS), tmp_path) == b"1,x\n2,y\n3,z\n"
    files.delete({path: (1, 2, 5)})
    assert delivered(files.table(*TEXTS), tmp_path) == b"1,x\n3,z\n"


def test_only_rows_that_came_later_or_tell_no_time(files: Files, tmp_path: Path) -> None:
    files.add(AB, [["1", "x"]], stamps=[100])
    files.add(AB, [["2", "x"], ["3", "x"]], stamps=[200, None])
    files.add(AB, [["4", "x"]])
    assert delivered(files.table(*TEXTS, after=100), tmp_path, ("a",)) == b"2\n3\n4\n"
    assert delivered(files.table(*TEXTS, after=99), tmp_path, ("a",)) == b"1\n2\n3\n4\n"


TYPED = (("n", 1, "BIGINT"), ("d", 2, "DATE"), ("s", 3, "TIMESTAMP"), ("z", 4, "TIMESTAMPTZ"), ("t", 5, "VARCHAR"))
COLUMNS = (("n", 1, "long"), ("d", 2, "date"), ("s", 3, "timestamp"), ("z", 4, "timestamptz"), ("t", 5, "string"))


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        (Where("n", "eq", ("1", "x", "99999999999999999999")), "1"),
        (Where("n", "eq", ("01",)), ""),
        (Where("n", "eq", ("",)), "3"),
        (Where("n", "ne", ("1",)), "23"),
        (Where("n", "gt", ("1",), "number"), "2"),
        (Where("n", "ge", ("0.5",), "number"), "12"),
        (Where("n", "lt", ("1e3",), "number"), "12"),
        (Where("d", "gt", ("2026-01-01T12:00:00",), "timestamp"), "2"),
        (Where("d", "ge", ("2026-01-01",), "timestamp"), "12"),
        (Where("d", "lt", ("2026-01-01T00:00:01",), "timestamp"), "1"),
        (Where("d", "le", ("2026-01-02T01:00:00+02:00",), "timestamp"), "1"),
        (Where("s", "ge", ("2026-01-02T01:00:00+01:00",), "timestamp"), "2"),
        (Where("s", "gt", ("2026-01-02",), "timestamp"), ""),
        (Where("z", "ge", ("2026-01-02",), "timestamp"), "2"),
        (Where("z", "eq", ("2026-01-02 00:00:00+00",)), "2"),
        (Where("t", "eq", ("b", "")), "23"),
        (Where("t", "eq", ("a",)), "1"),
        (Where("t", "gt", ("1",), "number"), ""),
    ],
)
def test_conditions_mean_the_same_for_every_type(files: Files, tmp_path: Path, where: Where, wanted: str) -> None:
    table: list[list[str | None]] = [
        ["1", "2026-01-01", "2026-01-01", "2026-01-01 00:00:00+00", "a"],
        ["2", "2026-01-02", "2026-01-02", "2026-01-02 00:00:00+00", "b"],
        [None, None, None, None, ""],
    ]
    files.add((*TYPED, ("id", 6, "VARCHAR")), [[*row, str(number)] for number, row in enumerate(table, 1)])
    found = delivered(files.table(*COLUMNS, ("id", 6, "string")), tmp_path, ("id",), where)
    assert found.decode() == "".join(f"{number}\n" for number in wanted)


def test_a_table_of_2000_columns(files: Files, tmp_path: Path) -> None:
    names = [f"column {number}" for number in range(2_000)]
    files.add([(name, number, "VARCHAR") for number, name in enumerate(names, 1)], [[str(i) for i in range(2_000)]])
    table = files.table(*((name, number, "string") for number, name in enumerate(names, 1)))
    assert delivered(table, tmp_path) == (",".join(map(str, range(2_000))) + "\n").encode()
    assert delivered(table, tmp_path, ("column 1999", "column 3")) == b"1999,3\n"


def test_a_table_without_files_has_no_rows(tmp_path: Path) -> None:
    table = ParquetTable((ParquetColumn("a", 1, "long"),), ())
    assert delivered(table, tmp_path) == b""
    assert field_id_statement(table) is None


def test_rows_can_be_asked_for_with_their_file_and_position_and_types(files: Files) -> None:
    first = files.add((("n", 1, "BIGINT"), ("t", 2, "VARCHAR")), [["1", ""], ["2", None]])
    files.add((("n", 1, "BIGINT"), ("t", 2, "VARCHAR")), [["2", "x"]])
    files.delete({first: {0}})
    table = files.table(("n", 1, "long"), ("t", 2, "string"))
    with duckdb.connect() as connection:
        for statement in parquetscan.delete_statements(table, "t"):
            connection.execute(statement)
        query = scan_of(table, {"n", "t"}, "t", as_text=False, position=True)
        assert connection.execute(query).fetchall() == [(2, None, 0, 1), (2, "x", 1, 0)]
        count = scan_of(table, (), "t", position=True)
        assert connection.execute(f"SELECT file, count(*) FROM ({count}) GROUP BY file ORDER BY 1").fetchall() == [  # noqa: S608 - made here
            (0, 1),
            (1, 1),
        ]


def test_a_single_large_file_is_read_by_several_threads_in_its_order(files: Files, tmp_path: Path) -> None:
    # DuckDB reads a single file with one thread if it is given a schema: an empty file goes with it.
    files.add(AB, [[str(number), f"{number * 7919 % 100_003:0200d}"] for number in range(60_000)])
    table = files.table(*TEXTS)
    assert files.data[0].size >= 2**20
    assert EMPTY_FILE in scan_of(table, {"a"}, "t")
    assert delivered(table, tmp_path, ("a",)) == "".join(f"{number}\n" for number in range(60_000)).encode()
    with duckdb.connect() as connection:
        query = scan_of(table, {"a"}, "t", position=True)
        assert connection.execute(f"SELECT max(file), max(pos), count(*) FROM ({query})").fetchall() == [  # noqa: S608 - made here
            (0, 59_999, 60_000)
        ]


def test_small_files_and_several_files_are_read_as_they_are(files: Files) -> None:
    files.add(AB, [["1", "x"]])
    assert EMPTY_FILE not in scan_of(files.table(*TEXTS), {"a"}, "t")
    files.add(AB, [["2", "y"]])
    assert EMPTY_FILE not in scan_of(files.table(*TEXTS), {"a"}, "t")
    assert parquet_files(["a", "b"], 2**30) == "['a', 'b']"


def test_a_file_without_field_ids_is_told_by_its_name(files: Files, tmp_path: Path) -> None:
    files.add(AB, [["1", "x"]])
    foreign = tmp_path / "foreign.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 'x' AS a) TO '{foreign}' (FORMAT parquet)")
        files.add(AB, [["1", "x"]], url=str(foreign))
        table = files.table(*TEXTS)
        found = connection.execute(field_id_statement(table) or "").fetchall()
    with pytest.raises(PlatformError, match=r"its file `s3://lake/t/data-1.parquet` has no field ids") as error:
        refuse_without_ids(table, [url for (url,) in found], "in.c-main.t")
    assert error.value.reason is Reason.STAGE_IN_FAILED
    refuse_without_ids(table, (), "in.c-main.t")

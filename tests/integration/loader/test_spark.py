"""Runs read tables written by Spark, and Spark reads and changes tables written by runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.csv.columnfacts import ColumnFacts
from tests.integration.loader.foreign import Foreign
from tests.integration.loader.stagedin import planned, staged_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.loader.staging import Bench
    from tests.integration.spark_session import SparkSession

pytestmark = [pytest.mark.store, pytest.mark.long]

A, B = "out.c-main.a", "out.c-main.b"
AWKWARD = [["1", 'q"\n,'], ["2", ""], ["3", "\r\n"], ["4", "\ufeffž \t"], ["05", "NULL"], ["6", "\\N"]]
MERGE_ON_READ = (
    "'format-version' = '2', 'write.delete.mode' = 'merge-on-read', 'write.update.mode' = 'merge-on-read', "
    "'write.merge.mode' = 'merge-on-read'"
)


@dataclass
class Tables:
    """A Storage, and Spark connected to its catalog."""

    bench: Bench
    spark: SparkSession

    def name(self, table: str) -> str:
        return self.spark.name(self.bench.space, table)

    def rows(self, table: str, columns: str = "id, v") -> list[tuple[Any, ...]]:
        return self.spark.execute(f"SELECT {columns} FROM {self.name(table)} ORDER BY ALL")  # noqa: S608 - made here

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement. `{a}` and `{b}` stand for the tables, `{at_a}` for the first one in procedure calls."""
        names = {"a": self.name(A), "b": self.name(B), "at_a": self.name(A).partition(".")[2]}
        return self.spark.execute(statement.format(**names))

    def load(self, table: str, rows: list[list[str]], columns: tuple[str, ...] = ("id", "v"), **more: Any) -> str:
        run = self.bench.new_run()
        self.bench.load(run, self.bench.table(run, table, columns, rows, **more))
        return run


@pytest.fixture
def tables(bench: Bench, spark: SparkSession) -> Tables:
    return Tables(bench, spark)


def test_a_run_reads_a_table_that_spark_made_and_changed(tables: Tables, tmp_path: Path) -> None:
    tables.execute(f"CREATE NAMESPACE {tables.name(A).rpartition('.')[0]}")
    tables.execute(
        "CREATE TABLE {a} (id BIGINT, name STRING, price DECIMAL(10,2), day DATE, seen TIMESTAMP, ok BOOLEAN) "
        f"USING iceberg TBLPROPERTIES ({MERGE_ON_READ})"
    )
    tables.execute(
        "INSERT INTO {a} VALUES (1, 'one', 1.50, DATE'2026-01-31', TIMESTAMP'2026-01-31 12:30:00Z', true), "
        "(2, 'two, \"2\"', 2.00, NULL, NULL, false), (3, '', NULL, NULL, NULL, NULL), (4, 'four', 4, NULL, NULL, true)"
    )
    tables.execute(
        "MERGE INTO {a} t USING (SELECT 2L id, 'second' name UNION ALL SELECT 5L, 'five') s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET name = s.name "
        "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)"
    )
    tables.execute("DELETE FROM {a} WHERE id = 4")
    deletes = tables.execute("SELECT sum(record_count) FROM {a}.delete_files")
    assert deletes == [(2,)], "Spark has written position deletes, not new files"
    header, *rows = staged_in(planned(tables.bench, A), tmp_path / "data", A).splitlines()
    assert header == "id,name,price,day,seen,ok"
    assert sorted(rows) == [
        "1,one,1.50,2026-01-31,2026-01-31 12:30:00+00,true",
        "2,second,2.00,,,false",
        "3,,,,,",
        "5,five,,,,",
    ]


def test_spark_reads_what_runs_wrote_byte_for_byte(tables: Tables) -> None:
    before = datetime.now(UTC)
    tables.load(A, AWKWARD, key=["id"])
    tables.load(A, [["2", "new"], ["7", "x"]], key=["id"], incremental=True)
    wanted = [(key, "new" if key == "2" else value) for key, value in [*AWKWARD, ["7", "x"]]]
    assert tables.rows(A) == sorted(wanted)
    assert tables.execute("SELECT count(*) FROM {a} WHERE v = ''") == [(0,)]
    stamps = tables.execute("SELECT DISTINCT unix_micros(_timestamp) FROM {a} ORDER BY 1")
    assert len(stamps) == 2, "one for each load"
    assert all(abs(stamp / 1e6 - before.timestamp()) < 600 for (stamp,) in stamps)


def test_spark_sees_the_types_of_a_typed_table(tables: Tables) -> None:
    facts = (
        ColumnFacts("i", type="INTEGER"),
        ColumnFacts("n", type="NUMERIC", length="12,3"),
        ColumnFacts("d", type="DATE"),
        ColumnFacts("t", type="TIMESTAMP"),
        ColumnFacts("f", type="FLOAT"),
        ColumnFacts("b", type="BOOLEAN"),
    )
    run, rows = tables.bench.new_run(), [["-7", "1.5", "2026-01-31", "2026-01-31 12:30:00", "0.5", "true"], [""] * 6]
    columns = [fact.name for fact in facts]
    table = tables.bench.table(run, A, columns, rows, schema=facts)
    tables.bench.load(run, table, typed=True)
    described = {row[0]: row[1] for row in tables.execute("DESCRIBE {a}") if row[0] in {*columns, "_timestamp"}}
    assert described == {
        "i": "bigint", "n": "decimal(12,3)", "d": "date", "t": "timestamp_ntz", "f": "double", "b": "boolean",
        "_timestamp": "timestamp",
    }  # fmt: skip
    found = tables.execute("SELECT i, n, d, t, f, b FROM {a} ORDER BY i NULLS LAST")
    assert found == [(-7, "1.500", "2026-01-31", "2026-01-31 12:30:00", 0.5, True), (None,) * 6]


def test_one_commit_of_a_run_is_the_same_for_duckdb_pyiceberg_and_spark(tables: Tables) -> None:
    run, bench = tables.bench.new_run(), tables.bench
    rows = [["1", "x"], ["2", ""], ["3", 'a,"b"']]
    bench.load(run, bench.table(run, A, ["id", "v"], rows, key=["id"]), bench.table(run, B, ["id", "v"], rows[:1]))
    duck, expected = Foreign(bench.space), {A: [tuple(row) for row in rows], B: [tuple(rows[0])]}
    for table, wanted in expected.items():
        assert sorted(duck.rows(table)) == wanted
        assert tables.rows(table) == wanted
        assert sorted(bench.rows(table) or []) == wanted
    said = tables.execute("SELECT summary['componentrun.run'], summary['componentrun.attempt'] FROM {a}.snapshots")
    assert said == [(run, "1")]


def test_loads_go_on_behind_whatever_spark_did_to_a_table(tables: Tables, tmp_path: Path) -> None:
    for number in range(12):
        tables.load(A, [[str(number), "x"], ["same", str(number)]], key=["id"], incremental=True)
    tables.execute(
        "MERGE INTO {a} t USING (SELECT '1' id, 'spark' v UNION ALL SELECT 'new', 'spark') s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v)"
    )
    wanted = {str(number): "x" for number in range(12)} | {"same": "11", "1": "spark", "new": "spark"}
    for statement in (
        "CALL lake.system.rewrite_data_files(table => '{at_a}', options => map('rewrite-all', 'true'))",
        "CALL lake.system.rewrite_position_delete_files(table => '{at_a}', options => map('rewrite-all', 'true'))",
        "CALL lake.system.expire_snapshots(table => '{at_a}', older_than => TIMESTAMP'2099-01-01', retain_last => 1)",
        "CALL lake.system.remove_orphan_files(table => '{at_a}', prefix_listing => true)",
    ):
        tables.execute(statement)
        key = f"k{len(wanted)}"
        tables.load(A, [["same", key], [key, "y"]], key=["id"], incremental=True)
        wanted |= {"same": key, key: "y"}
        assert dict(tables.bench.rows(A) or []) == wanted
    assert dict(tables.rows(A)) == wanted
    text = staged_in(planned(tables.bench, A), tmp_path / "data", A)
    assert sorted(text.splitlines()[1:]) == sorted(f"{key},{value}" for key, value in wanted.items())

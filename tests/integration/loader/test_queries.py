"""SQL over tables of the real catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from componentrun.errors import ComponentRunError, UserError
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.reading.querying import open_query
from componentrun.storage.store.keys import TableId
from componentrun.wire.agents import Where
from tests.integration.loader.staging import Bench
from tests.unit.loader.revealing import REVEALING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store

A, B = "in.c-main.Foo", "out.c-main.bar"


@pytest.fixture
def bench(lake_space: LakeSpace, tmp_path: Path) -> Bench:
    made = Bench(lake_space, tmp_path)
    run = made.new_run()
    made.load(
        run,
        made.table(run, A, ["id", "v"], [["1", "x"], ["2", ""], ["3", 'q"\n,']], key=["id"]),
        made.table(run, B, ["id", "day"], [["1", "mon"], ["2", "tue"]]),
    )
    return made


def rows(bench: Bench, query: str, limit: int | None = None) -> list[tuple[str | None, ...]]:
    with open_query(bench.catalog, query) as answer:
        return answer.rows(limit)


def test_tables_are_joined_by_their_ids(bench: Bench) -> None:
    found = rows(bench, 'select id, v, day from "in.c-main.Foo" join "out.c-main.bar" using (id) order by id')
    assert found == [("1", "x", "mon"), ("2", "", "tue")]


def test_columns_have_types_and_there_is_a_timestamp(bench: Bench) -> None:
    with open_query(bench.catalog, 'select * from "in.c-main.Foo" a join "out.c-main.bar" b using (id)') as answer:
        assert answer.columns == (
            ("id", "VARCHAR"),
            ("v", "VARCHAR"),
            ("_timestamp", "TIMESTAMP WITH TIME ZONE"),
            ("day", "VARCHAR"),
            ("_timestamp_1", "TIMESTAMP WITH TIME ZONE"),
        )


def test_rows_that_were_replaced_or_deleted_are_not_there_and_added_columns_are(bench: Bench) -> None:
    second = bench.new_run()
    bench.load(
        second,
        bench.table(second, A, ["id", "v", "new"], [["1", "y", "n"]], incremental=True),
        bench.table(second, B, ["id", "day"], [["3", "wed"]], incremental=True, delete=Where("day", "eq", ("mon",))),
    )
    assert rows(bench, 'select id, v, new from "in.c-main.Foo" order by id') == [
        ("1", "y", "n"),
        ("2", "", None),
        ("3", 'q"\n,', None),
    ]
    assert rows(bench, 'select id from "out.c-main.bar" order by id') == [("2",), ("3",)]
    assert rows(bench, 'select count(distinct _timestamp) from "in.c-main.Foo"') == [("2",)]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_an_answer_is_saved(bench: Bench, form: str) -> None:
    with open_query(
        bench.catalog, 'select id, v, 1.50::decimal(30, 2) as d from "in.c-main.Foo" order by id -- all;'
    ) as answer:
        path, count = answer.save(form, 2)
        reader = f"read_{form}('{path}')" if form != "csv" else f"read_csv('{path}', all_varchar = true)"
        found = duckdb.sql(f"FROM {reader}").project("id, v, d::VARCHAR").fetchall()
        empty = None if form == "csv" else ""
    assert (count, found) == (2, [("1", "x", "1.50"), ("2", empty, "1.50")])


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            'select * from "in.c-main.Fo"',
            "there is no table `in.c-main.Fo` in Storage `main`; did you mean `in.c-main.Foo`",
        ),
        ('select nope from "in.c-main.Foo"', 'Referenced column "nope" not found'),
        ("select * from read_csv('/etc/passwd')", "`read_csv()` can't be used here"),
        ("select * from 'https://example.com/a.parquet'", "is not a table id"),
        ("select 1 from read_parquet('https://example.com/a.parquet')", "`read_parquet()` can't be used here"),
        ("select error('no')", "no"),
    ],
)
def test_what_can_t_be_answered_is_told(bench: Bench, query: str, told: str) -> None:
    with pytest.raises(ComponentRunError) as caught:
        rows(bench, query)
    assert told in caught.value.message
    assert "X-Amz" not in caught.value.message


@pytest.mark.parametrize("query", REVEALING)
def test_no_signed_url_is_in_reach_of_a_query(bench: Bench, query: str) -> None:
    with pytest.raises(UserError):
        rows(bench, query)


def test_neither_the_keys_nor_the_signatures_are_in_what_a_query_may_read(bench: Bench) -> None:
    seen = rows(bench, 'from information_schema.tables, information_schema.columns, (summarize "in.c-main.Foo")')
    seen += rows(bench, "from (show tables) t, (describe) d")
    assert seen
    secret = bench.settings.secret_key or ""
    assert secret
    assert not [row for row in seen if secret in str(row) or "X-Amz" in str(row)]


def test_a_file_that_is_gone_is_told_without_its_signature(bench: Bench) -> None:
    table = bench.catalog.find(to_iceberg(bench.catalog.prefix, TableId.parse(A)))
    scan = bench.scan(A)
    assert table is not None
    assert scan is not None
    with open_query(bench.catalog, 'select max(v) from "in.c-main.Foo"') as answer:
        table.io.delete(scan.files[0].path)
        with pytest.raises(ComponentRunError) as caught:
            answer.rows(None)
    assert ("can't be read" in caught.value.message, "X-Amz" in caught.value.message) == (True, False)

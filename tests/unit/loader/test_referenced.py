"""Which tables a query names."""

from __future__ import annotations

import duckdb
import pytest

from componentrun.errors import UserError
from componentrun.loader.reading import allowed
from componentrun.loader.reading.allowed import REFUSED_FUNCTIONS, TABLE_FUNCTIONS
from componentrun.loader.reading.referenced import referenced_tables
from tests.unit.loader.revealing import REVEALING


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ('select * from "in.c-main.foo" f join "out.c-main.bar" using (id)', ("in.c-main.foo", "out.c-main.bar")),
        ('select (select max(id) from "out.c-main.bar") from "in.c-main.foo"', ("in.c-main.foo", "out.c-main.bar")),
        ('with x as (from "in.c-main.foo") select * from X, x as y', ("in.c-main.foo",)),
        ('from "in.c-main.foo" where id in (from "in.c-main.foo"); -- once', ("in.c-main.foo",)),
        ('describe "in.c-main.foo"', ("in.c-main.foo",)),
        ('summarize "in.c-main.foo"', ("in.c-main.foo",)),
        ('from (pivot "in.c-main.foo" on day in (1, 2) using sum(n))', ("in.c-main.foo",)),
        ("select * from information_schema.tables", ()),
        ("select * from range(3), unnest([1]) where coalesce(1, 2) = len('a')", ()),
        ("select 1", ()),
        ("values (1)", ()),
    ],
)
def test_ids_are_found_wherever_a_query_reads_a_table(query: str, tables: tuple[str, ...]) -> None:
    assert sorted(referenced_tables(query)) == sorted(tables)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("selec 1", 'syntax error at or near "selec"'),
        ("select * from in.c-main.foo", "table ids stand in double quotes"),
        ("select 1; select 2", "found 2 statements; expected one query"),
        ("", "found 0 statements; expected one query"),
        ('insert into "in.c-main.foo" values (1)', "Nothing can be changed"),
        ("copy \"in.c-main.foo\" to '/tmp/x'", "Nothing can be changed"),
        ("attach '/tmp/x.db'", "Nothing can be changed"),
        ("set lock_configuration = false", "Nothing can be changed"),
        ("from foo", "`foo` is not a table id"),
        ("from '/etc/passwd'", "`/etc/passwd` is not a table id"),
        ('from "in"."c-main"."foo"', 'has to stand in one pair of double quotes: `"in.c-main.foo"`'),
        ('from "in.c-main.foo", "in.c-main.Foo"', "differ only in case"),
    ],
)
def test_what_is_no_query_of_tables_is_refused(query: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        referenced_tables(query)
    assert told in caught.value.message


@pytest.mark.parametrize("query", REVEALING)
def test_a_query_can_not_ask_duckdb_about_itself_or_run_other_sql(query: str) -> None:
    with pytest.raises(UserError):
        referenced_tables(query)


def test_every_function_of_the_installed_release_that_reads_something_is_refused() -> None:
    with duckdb.connect() as connection:
        macros = connection.sql(
            "select distinct lower(function_name) from duckdb_functions() where function_type = 'macro' and "
            "regexp_matches(macro_definition, '(duckdb|pragma|sqlite)_\\w+\\(|query', 'i')"
        ).fetchall()
        views = connection.sql(
            "select distinct schema_name, view_name from duckdb_views() where internal and schema_name != "
            "'information_schema'"
        ).fetchall()
    revealing = {name for (name,) in macros} - {"current_query", "format_type", "get_block_size"}
    assert revealing
    assert revealing <= REFUSED_FUNCTIONS
    assert not {name for _, name in views if not allowed._INTERNAL.fullmatch(name)}


def test_what_a_query_may_use_is_there() -> None:
    with duckdb.connect() as connection:
        there = {name for (name,) in connection.sql("select distinct function_name from duckdb_functions()").fetchall()}
    assert there >= TABLE_FUNCTIONS

"""DuckDBs that small loads share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from componentrun.loader.loading.databases import Databases

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def databases(tmp_path: Path) -> Databases:
    return Databases(str(tmp_path), 4)


def test_the_next_load_has_the_same_one_and_finds_nothing_of_the_load_before(databases: Databases) -> None:
    with databases.one() as connection:
        connection.execute("SET GLOBAL default_null_order = 'nulls_first'")  # of the database
        connection.execute("CREATE TEMP TABLE gone AS SELECT 1")
        connection.execute("SET VARIABLE row_bytes = 1")
    with databases.one() as connection:
        (order,) = connection.execute("SELECT current_setting('default_null_order')").fetchone()
        assert order.lower() == "nulls_first", "it is the same one"
        assert connection.execute("SELECT getvariable('row_bytes')").fetchone() == (None,)
        with pytest.raises(duckdb.CatalogException):
            connection.execute("FROM gone")


def test_two_loads_at_a_time_have_one_each(databases: Databases) -> None:
    with databases.one() as first, databases.one() as second:
        first.execute("SET GLOBAL default_null_order = 'nulls_first'")
        (order,) = second.execute("SELECT current_setting('default_null_order')").fetchone()
        assert order.lower() == "nulls_last"


def test_one_in_which_something_failed_is_not_kept(databases: Databases) -> None:
    def failing() -> None:
        with databases.one() as connection:
            connection.execute("SET GLOBAL default_null_order = 'nulls_first'")
            connection.execute("no statement")

    with pytest.raises(duckdb.ParserException):
        failing()
    with databases.one() as connection:
        (order,) = connection.execute("SELECT current_setting('default_null_order')").fetchone()
        assert order.lower() == "nulls_last"

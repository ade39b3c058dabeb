"""`table query` and `table sql-setup`."""

from __future__ import annotations

import builtins
import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from componentrun.cli.errors import EnvironmentFault
from componentrun.client.storage.objects import open_storage
from componentrun.process.kubernetes.resources import STORAGES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World

CATALOG = {"uri": "https://catalog.test", "warehouse": "s3://lake/"}


@pytest.fixture
def filled(world: World) -> World:
    world.tables.content["in.c-main.foo"] = b"id,name\n1,a\n2,\n3,c\n"
    return world


def test_a_query_shows_names_types_and_rows(filled: World) -> None:
    done = filled.run("table", "query", 'select id, name from "in.c-main.foo" order by id')
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "    id   name",
        "bigint   varchar",
        "     1   a",
        "     2   NULL",
        "     3   c",
    ]


def test_a_query_shows_no_more_than_its_limit_and_says_so(filled: World) -> None:
    done = filled.run("table", "query", 'from "in.c-main.foo"', "--limit", "2")
    assert (len(done.stdout.splitlines()), "only the first 2 rows are shown" in done.stderr) == (4, True)
    done = filled.run("table", "query", "from range(101)")
    assert (len(done.stdout.splitlines()), "only the first 100 rows are shown" in done.stderr) == (102, True)


def test_a_query_is_read_from_stdin(filled: World) -> None:
    done = filled.run("table", "query", "-", "-o", "csv", text="select 1 as one\n")
    assert done.stdout == "one\n1\n"


def test_a_query_writes_for_programs(filled: World) -> None:
    query = 'select id, name from "in.c-main.foo" order by id'
    assert json.loads(filled.run("table", "query", query, "-o", "json", "--limit", "2").stdout) == [
        {"id": 1, "name": "a"},
        {"id": 2, "name": None},
    ]
    assert filled.run("table", "query", query, "-o", "csv").stdout == "id,name\n1,a\n2,\n3,c\n"


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.parquet"])
def test_a_query_writes_a_file_by_its_ending(filled: World, tmp_path: Path, name: str) -> None:
    done = filled.run("table", "query", 'from "in.c-main.foo" order by id', "--file", str(tmp_path / name))
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"{name}` has 3 rows" in done.stderr
    assert duckdb.sql(f"FROM '{tmp_path / name}'").project("id").fetchall() == [(1,), (2,), (3,)]


def test_a_file_of_another_ending_needs_a_format(filled: World, tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    refused = filled.run("table", "query", "select 1", "--file", str(target))
    assert (refused.exit_code, target.exists(), filled.asked) == (1, False, [])
    assert "Choose a format by `-o csv|json|parquet`" in refused.stderr
    assert filled.run("table", "query", "select 1", "--file", str(target), "-o", "csv").exit_code == 0


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("selec 1", 'Parser Error: syntax error at or near "selec"'),
        ('select nope from "in.c-main.foo"', 'Referenced column "nope" not found'),
        ('drop table "in.c-main.foo"', "Nothing can be changed"),
        ("select 'x'::int", "Could not convert string 'x' to INT32"),
    ],
)
def test_what_is_wrong_with_a_query_is_told_without_a_traceback(filled: World, query: str, told: str) -> None:
    done = filled.run("table", "query", query)
    assert (done.exit_code, told in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_columns_that_can_t_be_read_are_told(filled: World) -> None:
    filled.tables.left_out = ["`in.c-main.foo`: column `tags` of type list<string>"]
    done = filled.run("table", "query", "select 1")
    assert "left out, as it can't be read here: `in.c-main.foo`: column `tags` of type list<string>" in done.stderr


@pytest.mark.parametrize("engine", ["duckdb", "spark", "trino", "pyiceberg"])
def test_sql_setup_names_the_table_and_holds_no_credential(world: World, engine: str) -> None:
    done = world.run("table", "sql-setup", "out.c-main.my-table", "--engine", engine)
    assert done.exit_code == 0, done.stderr
    assert "out_c_main.my_x2d_table" in done.stdout
    assert "https://catalog.test" in done.stdout
    assert "our-" not in done.stdout
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "CATALOG_CLIENT_ID", "CATALOG_CLIENT_SECRET"):
        assert name in done.stdout


def test_sql_setup_names_the_table_of_events(world: World) -> None:
    assert "lake.componentrun.events" in world.run("table", "sql-setup", "events").stdout


def test_sql_setup_of_what_is_no_table_id_is_refused(world: World) -> None:
    done = world.run("table", "sql-setup", "nonsense")
    assert (done.exit_code, "`nonsense` is not a table id" in done.stderr) == (1, True)


def test_the_catalog_can_have_another_address_outside_the_cluster(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.cluster.add(STORAGES, "lake", {"bucket": "tables", "catalog": CATALOG})
    raw = world.cluster.get(STORAGES, "lake")
    monkeypatch.setenv("COMPONENTRUN_CATALOG_URI", "http://localhost:9011")
    settings = open_storage(world.cluster, raw, None).catalog_access()
    assert settings.catalog is not None
    assert settings.catalog.uri == "http://localhost:9011"
    assert settings.catalog.oauth2_server_uri == "http://localhost:9011/v1/oauth/tokens"


def test_what_is_not_installed_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.cluster.add(STORAGES, "lake", {"bucket": "tables", "catalog": CATALOG})
    store = open_storage(world.cluster, world.cluster.get(STORAGES, "lake"), None)
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "componentrun.client.storage.catalogtables":
            raise ModuleNotFoundError("No module named 'pyiceberg'", name="pyiceberg")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EnvironmentFault) as caught:
        _ = store.tables
    assert caught.value.advice == "Install it: `pip install 'componentrun[loader]'`."

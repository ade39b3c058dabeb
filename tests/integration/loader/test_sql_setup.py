"""The output of `table sql-setup` attaches the real catalog. It runs unchanged except for parts that need a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING

import duckdb
import pytest

from componentrun.cli.storage.sqlsetup import setup_of
from componentrun.client.storage.store import Engine
from tests.integration.loader.eventruns import EventBench
from tests.integration.loader.staging import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.cluster.build.spark import Spark
    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store

TABLE = "out.c-main.my-table"


@pytest.fixture
def bench(lake_space: LakeSpace, tmp_path: Path) -> Bench:
    made = Bench(lake_space, tmp_path)
    run = made.new_run()
    made.load(run, made.table(run, TABLE, ["id", "v"], [["1", "x"], ["2", ""]]))
    return made


def environment(bench: Bench) -> dict[str, str]:
    """Values of the variables in the output."""
    return {
        "AWS_ACCESS_KEY_ID": bench.settings.access_key or "",
        "AWS_SECRET_ACCESS_KEY": bench.settings.secret_key or "",
        "CATALOG_CLIENT_ID": bench.space.catalog.client_id,
        "CATALOG_CLIENT_SECRET": bench.space.catalog.client_secret,
    }


@pytest.fixture
def events(lake_space: LakeSpace, tmp_path: Path) -> EventBench:
    made = EventBench(lake_space, tmp_path)
    made.run(1, "a", "b", params={"row": 7})
    made.run(2, "c")
    made.turn()
    return made


def test_duckdb_reads_the_table(bench: Bench) -> None:
    with attached(bench, TABLE) as (connection, example):
        found = connection.sql(example)
        assert found.columns == ["id", "v", "_timestamp"]
        assert found.project("id, v").fetchall() == [("1", "x"), ("2", "")]


def test_duckdb_reads_the_table_of_events(events: EventBench) -> None:
    with attached(events, "events") as (connection, example):
        found = connection.sql(example.replace("LIMIT 10", "ORDER BY time"))
        assert found.project("message, params, namespace, seq").fetchall() == [
            ("c", None, "team", 1),
            ("a", '{"row":7}', "team", 1),
            ("b", '{"row":7}', "team", 2),
        ]
        assert dict(zip(found.columns, map(str, found.types), strict=True))["time"] == "TIMESTAMP WITH TIME ZONE"


@contextmanager
def attached(bench: Bench, table: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """A connection to the catalog, and the query of the example."""
    text = setup_of(bench.settings, Engine.DUCKDB, table)
    installing, *statements = [line for line in text.splitlines() if not line.startswith("--")]
    assert installing.startswith("INSTALL httpfs; LOAD httpfs;")
    path = f"extensions/v{duckdb.__version__}/{{}}.duckdb_extension"
    with duckdb.connect() as connection:
        for extension in ("httpfs", "avro", "iceberg"):
            connection.execute(f"LOAD '{files(f'duckdb_extension_{extension}')}/{path.format(extension)}'")
        # DuckDB's shell has this function, but its library does not.
        values = " ".join(f"WHEN '{name}' THEN '{value}'" for name, value in environment(bench).items())
        connection.execute(f"CREATE MACRO getenv(name) AS CASE name {values} END")
        for statement in statements[:-1]:
            connection.execute(statement)
        yield connection, statements[-1]


def test_pyiceberg_reads_the_table(bench: Bench, tmp_path: Path) -> None:
    assert 'id: [["1","2"]]' in by_pyiceberg(bench, TABLE, tmp_path)


def test_pyiceberg_reads_the_table_of_events(events: EventBench, tmp_path: Path) -> None:
    assert "time: timestamp[us, tz=UTC]" in by_pyiceberg(events, "events", tmp_path)


def by_pyiceberg(bench: Bench, table: str, tmp_path: Path) -> str:
    """What the example prints."""
    script = tmp_path / "setup.py"
    script.write_text(setup_of(bench.settings, Engine.PYICEBERG, table))
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | environment(bench),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_spark_reads_the_table(bench: Bench, tmp_path: Path, spark_files: Spark) -> None:
    rows = sorted(line.split("\t")[:2] for line in by_spark(bench, TABLE, tmp_path, spark_files))
    assert rows == [["1", "x"], ["2", ""]]


def test_spark_reads_the_table_of_events(events: EventBench, tmp_path: Path, spark_files: Spark) -> None:
    rows = sorted(line.split("\t") for line in by_spark(events, "events", tmp_path, spark_files))
    assert sorted((row[10], row[11]) for row in rows) == [("a", '{"row":7}'), ("b", '{"row":7}'), ("c", "NULL")]


def by_spark(bench: Bench, table: str, tmp_path: Path, found: Spark) -> list[str]:
    """The lines that the example prints."""
    text = setup_of(bench.settings, Engine.SPARK, table)
    jars = ",".join(map(str, found.jars))
    # Packages come from Maven. Replace them with the same packages on this machine.
    script, replaced = re.subn(r"--packages \S+", f"--jars {jars}", text)
    assert replaced == 1
    path = f"{found.python.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        env=found.environment() | environment(bench) | {"PATH": path, "AWS_REGION": ""},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()

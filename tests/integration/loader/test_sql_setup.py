"""What `table sql-setup` prints attaches the real catalog: executed as it stands, but for what needs a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING

import duckdb
import pytest

from componentrun.cli.storage.sqlsetup import setup_of
from componentrun.cli.storage.store import Engine
from tests.integration.loader.staging import Bench

if TYPE_CHECKING:
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
    """The variables that the lines name."""
    return {
        "AWS_ACCESS_KEY_ID": bench.settings.access_key or "",
        "AWS_SECRET_ACCESS_KEY": bench.settings.secret_key or "",
        "CATALOG_CLIENT_ID": bench.space.catalog.client_id,
        "CATALOG_CLIENT_SECRET": bench.space.catalog.client_secret,
    }


def test_duckdb_reads_the_table(bench: Bench) -> None:
    text = setup_of(bench.settings, Engine.DUCKDB, TABLE)
    installing, *statements = [line for line in text.splitlines() if not line.startswith("--")]
    assert installing.startswith("INSTALL httpfs; LOAD httpfs;")
    path = f"extensions/v{duckdb.__version__}/{{}}.duckdb_extension"
    with duckdb.connect() as connection:
        for extension in ("httpfs", "avro", "iceberg"):
            connection.execute(f"LOAD '{files(f'duckdb_extension_{extension}')}/{path.format(extension)}'")
        # DuckDB's own shell has this function, its library has not.
        values = " ".join(f"WHEN '{name}' THEN '{value}'" for name, value in environment(bench).items())
        connection.execute(f"CREATE MACRO getenv(name) AS CASE name {values} END")
        for statement in statements[:-1]:
            connection.execute(statement)
        found = connection.sql(statements[-1])
        assert found.columns == ["id", "v", "_timestamp"]
        assert found.project("id, v").fetchall() == [("1", "x"), ("2", "")]


def test_pyiceberg_reads_the_table(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "setup.py"
    script.write_text(setup_of(bench.settings, Engine.PYICEBERG, TABLE))
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | environment(bench),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert 'id: [["1","2"]]' in done.stdout


def test_spark_reads_the_table(bench: Bench, tmp_path: Path, spark_files: Spark) -> None:
    found = spark_files
    text = setup_of(bench.settings, Engine.SPARK, TABLE)
    jars = ",".join(map(str, found.jars))
    # Packages come from Maven: the same ones are here already.
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
    rows = sorted(line.split("\t")[:2] for line in done.stdout.splitlines())
    assert rows == [["1", "x"], ["2", ""]]

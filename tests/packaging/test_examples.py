"""The examples, run as plain programs on a data folder: no cluster, no container. Expected results come from SQL."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml

from componentrun.api.component import Component
from componentrun.api.componentrun import ComponentRun
from componentrun.core.builds.conventions import choose_recipe
from dev.demo import data, manifests
from dev.images import IMAGES

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = manifests.EXAMPLES
PYTHON = [sys.executable, str(EXAMPLES / "delays-python" / "src" / "main.py")]
SHELL = [str(EXAMPLES / "shell" / "src" / "main.sh")]


@dataclass(frozen=True)
class DataFolder:
    """A data folder as a component finds it."""

    path: Path

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"KBC_DATADIR": f"{self.path}/"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def put(self, name: str, text: str) -> None:
        (self.path / "in" / "tables" / name).write_text(text)

    def configure(self, parameters: dict[str, Any]) -> None:
        (self.path / "config.json").write_text(json.dumps({"parameters": parameters}))

    def output(self, name: str) -> list[dict[str, str]]:
        with (self.path / "out" / "tables" / name).open(newline="") as stream:
            return list(csv.DictReader(stream))


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    for name in ("in/tables", "in/files", "out/tables", "out/files"):
        (tmp_path / name).mkdir(parents=True)
    made = DataFolder(tmp_path)
    made.configure({})
    return made


@pytest.fixture
def flights(folder: DataFolder) -> DataFolder:
    """With the real tables."""
    for table in data.tables():
        shutil.copy(table.file, folder.path / "in" / "tables" / table.file.name)
    return folder


def query(sql: str, folder: DataFolder) -> list[tuple[Any, ...]]:
    """What DuckDB finds; the input tables are views."""
    with duckdb.connect() as database:
        for path in (folder.path / "in" / "tables").glob("*.csv"):
            source = f"read_csv('{path}', nullstr='NA')"
            database.execute(f"create view {path.stem} as select * from {source}")  # noqa: S608 - names of our own files
        return list(database.execute(sql).fetchall())


class TestDelays:
    def test_it_finds_the_mean_delay_of_each_carrier(self, flights: DataFolder) -> None:
        done = flights.run(PYTHON)
        assert done.returncode == 0, done.stderr
        wanted = query(
            "select carrier, name, count(*), avg(dep_delay), avg(arr_delay)"
            " from flights join airlines using (carrier) group by all order by carrier",
            flights,
        )
        found = [list(row.values()) for row in flights.output("delays.csv")]
        assert [row[:3] for row in found] == [[carrier, name, str(count)] for carrier, name, count, *_ in wanted]
        for row, (*_, departure, arrival) in zip(found, wanted, strict=True):
            assert float(row[3]) == pytest.approx(departure, abs=0.0051)
            assert float(row[4]) == pytest.approx(arrival, abs=0.0051)
        assert len(found) == 16

    def test_a_wrong_parameter_is_the_users_error(self, flights: DataFolder) -> None:
        flights.configure({"decimals": 99})
        done = flights.run(PYTHON)
        assert done.returncode == 1
        assert "'decimals' must be a whole number from 0 to 6, not 99" in done.stdout + done.stderr

    def test_a_missing_table_is_the_users_error(self, folder: DataFolder) -> None:
        done = folder.run(PYTHON)
        assert done.returncode == 1
        assert "Input table airlines.csv is missing" in done.stdout + done.stderr


class TestOrigins:
    def test_it_counts_flights_and_cancellations_of_each_origin(self, flights: DataFolder) -> None:
        done = flights.run(SHELL)
        assert done.returncode == 0, done.stderr
        wanted = query(
            "select origin, count(*), count(*) filter (dep_time is null) from flights group by all order by origin",
            flights,
        )
        found = [tuple(row.values()) for row in flights.output("origins.csv")]
        assert found == [(origin, str(count), str(cancelled)) for origin, count, cancelled in wanted]

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ('origin,dep_time\nEWR,1\n"JFK",2\n', "line 3 of flights.csv has a quoted field"),
            ("origin,dep_time\nEWR,1,2\n", "line 2 of flights.csv has 3 fields, the header has 2"),
            ("place,dep_time\nEWR,1\n", "there is no column `origin`"),
        ],
    )
    def test_it_refuses_what_it_would_count_wrong(self, folder: DataFolder, table: str, message: str) -> None:
        folder.put("flights.csv", table)
        done = folder.run(SHELL)
        assert done.returncode == 1
        assert message in done.stderr

    def test_line_ends_of_windows_are_no_part_of_a_value(self, folder: DataFolder) -> None:
        folder.put("flights.csv", "dep_time,origin\r\n1,EWR\r\nNA,EWR\r\n")
        assert folder.run(SHELL).returncode == 0
        assert folder.output("origins.csv") == [{"origin": "EWR", "flights": "2", "cancelled": "1"}]


class TestMonths:
    """The example that is built from a repository, so it has no image."""

    FOLDER = EXAMPLES / "build-python"
    PROGRAM = (sys.executable, str(FOLDER / "main.py"))

    def test_it_counts_the_flights_of_each_month(self, flights: DataFolder) -> None:
        done = flights.run([*self.PROGRAM])
        assert done.returncode == 0, done.stderr
        wanted = query("select month, count(*) from flights group by all order by month", flights)
        assert [tuple(row.values()) for row in flights.output("months.csv")] == [
            (str(month), str(count)) for month, count in wanted
        ]

    @pytest.mark.parametrize(("table", "message"), [(None, "flights.csv is missing"), ("a\n1\n", "no column `month`")])
    def test_what_is_missing_is_the_users_error(self, folder: DataFolder, table: str | None, message: str) -> None:
        if table is not None:
            folder.put("flights.csv", table)
        done = folder.run([*self.PROGRAM])
        assert done.returncode == 1
        assert message in done.stderr

    def test_its_manifests_are_valid(self) -> None:
        component = yaml.safe_load((self.FOLDER / "deploy/component.yaml").read_text())
        run = yaml.safe_load((self.FOLDER / "deploy/run.yaml").read_text())
        spec = Component.model_validate(component).to_dict()["spec"]
        (built,) = spec["channels"]
        assert built["build"]["source"] == component["spec"]["channels"][0]["build"]["source"]
        assert run["spec"]["component"] == component["metadata"]["name"]

    def test_it_is_built_by_the_convention_of_its_language(self) -> None:
        files = {path.relative_to(self.FOLDER).as_posix() for path in self.FOLDER.rglob("*") if path.is_file()}
        recipe = choose_recipe(files, "/code")
        assert (recipe.language, recipe.entrypoint) == ("Python", ("python3", "-u", "/code/main.py"))


@pytest.mark.parametrize("example", sorted(path.parent.name for path in EXAMPLES.glob("*/Dockerfile")))
class TestEveryExample:
    def test_it_has_all_that_a_reader_needs(self, example: str) -> None:
        for name in ("README.md", "Dockerfile", "component.yaml", "run.yaml", "src"):
            assert (EXAMPLES / example / name).exists(), name
        assert f"example-{example}" in IMAGES

    def test_its_manifests_are_valid(self, example: str) -> None:
        component = yaml.safe_load((EXAMPLES / example / "component.yaml").read_text())
        run = yaml.safe_load((EXAMPLES / example / "run.yaml").read_text())
        spec = Component.model_validate(component).to_dict()["spec"]
        assert spec | component["spec"] == spec
        name = component["metadata"]["name"]
        run["metadata"]["name"] = name
        assert ComponentRun.model_validate(run).spec.component == name
        assert component["spec"]["tag"] != "latest"

    def test_its_image_runs_as_an_ordinary_user(self, example: str) -> None:
        assert "USER 1000:1000" in (EXAMPLES / example / "Dockerfile").read_text()

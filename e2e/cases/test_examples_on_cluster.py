"""The examples as a reader would run them: images, manifests and real flights; results are checked with SQL."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml

from dev.demo import data, manifests
from dev.images import ensure
from e2e import tenant as tenants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

DELAYS = """
    select carrier, name, count(*), avg(dep_delay), avg(arr_delay)
    from flights join airlines using (carrier) group by all order by carrier
"""
ORIGINS = "select origin, count(*), count(*) filter (dep_time is null) from flights group by all order by origin"
RAIN = """
    select flights.month, count(*) filter (precip = 0), avg(dep_delay) filter (precip = 0),
        count(*) filter (precip > 0), avg(dep_delay) filter (precip > 0)
    from flights join weather using (origin, time_hour) where dep_delay is not null group by all order by 1
"""


@pytest.fixture(scope="module")
def filled(connection: Connection) -> Iterator[Tenant]:
    """A tenant with the demo's tables."""
    tenant = tenants.create(connection, "examples")
    for table in data.tables():
        result = tenant.cli("table", "put", str(table.file), table.id)
        assert result.returncode == 0, result.stderr
    yield tenant
    tenant.delete()


def offer(tenant: Tenant, example: str) -> Path:
    """Create the example's Component from its manifest, with the image of its folder, and return the folder."""
    folder = manifests.EXAMPLES / example
    image, _, tag = ensure(tenant.connection, [f"example-{example}"])[f"example-{example}"].rpartition(":")
    component = yaml.safe_load((folder / "component.yaml").read_text())
    # Requests of whole processors would not fit on a node that has fewer processors than parallel tests.
    resources = component["spec"].get("resources", {}) | {"requests": {"cpu": "100m"}}
    spec = component["spec"] | {"image": image, "tag": tag, "resources": resources}
    tenant.apply("Component", component["metadata"]["name"], spec)
    return folder


@pytest.mark.parametrize(
    ("example", "table", "sql"),
    [
        ("delays-python", "out.c-nyc.delays", DELAYS),
        ("shell", "out.c-nyc.origins", ORIGINS),
        ("r", "out.c-nyc.rain", RAIN),
    ],
)
def test_it_answers_its_question(filled: Tenant, example: str, table: str, sql: str) -> None:
    folder = offer(filled, example)

    result = filled.cli("submit", "--file", str(folder / "run.yaml"), "--wait")

    assert result.returncode == 0, result.stdout + result.stderr
    answers = list(csv.reader(io.StringIO(filled.table(table) or "")))[1:]
    expected_rows = expected(sql)
    assert len(answers) == len(expected_rows)
    for row, answer in zip(answers, expected_rows, strict=True):
        for text, value in zip(row, answer, strict=True):
            assert text == value if isinstance(value, str) else float(text) == pytest.approx(value, abs=0.0051)


def expected(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        for table in data.tables():
            source = f"read_csv('{table.file}', nullstr='NA')"
            database.execute(f"create view {table.file.stem} as select * from {source}")  # noqa: S608 - our own files
        return list(database.execute(sql).fetchall())


DAILY = """
    select origin, make_date(year, month, day)::text as day, count(*), avg((temp - 32) / 1.8),
        coalesce(sum(precip), 0) * 25.4
    from weather where make_date(year, month, day) in (
        select distinct make_date(year, month, day) from weather order by all limit {days}
    ) group by all order by all
"""
KEY = "a-key-of-the-platform"


@pytest.fixture(scope="module")
def weather(filled: Tenant) -> dict[str, Any]:
    """The spec of the example's run."""
    return spec_of(offer(filled, "weather-python"))


@pytest.fixture(scope="module")
def twenty_days(filled: Tenant, weather: dict[str, Any]) -> list[dict[str, Any]]:
    """Final statuses of two runs of ten days each."""
    return [ended(filled, f"weather-{number}", weather, parameters={"days": 10}) for number in (1, 2)]


def test_each_run_goes_on_where_the_last_one_got_to(filled: Tenant, twenty_days: list[dict[str, Any]]) -> None:
    assert [status["phase"] for status in twenty_days] == ["Succeeded"] * 2, twenty_days
    stored = rows(filled, "out.c-nyc.daily")
    expected_rows = expected(DAILY.format(days=20))
    assert len(expected_rows) == 60
    assert [row[:3] for row in stored] == [[origin, day, str(hours)] for origin, day, hours, *_ in expected_rows]
    for row, (*_, temperature, rain) in zip(stored, expected_rows, strict=True):
        assert float(row[3]) == pytest.approx(temperature, abs=0.0051)
        assert float(row[4]) == pytest.approx(rain, abs=0.0051)
    assert json.loads(filled.cli("state", "get", "weather", "new-york").stdout) == {"through": expected_rows[-1][1]}


def test_what_it_says_of_its_table_is_known(filled: Tenant, twenty_days: list[dict[str, Any]], tmp_path: Path) -> None:
    assert twenty_days
    show = "import shutil; shutil.copy('/data/in/tables/daily.csv.manifest', '/data/artifacts/out/current/')"
    tables = [{"source": "out.c-nyc.daily", "destination": "daily.csv"}]
    name = filled.run(ensure(filled.connection, ["test-components"])["test-components"],
                      command=["python3", "-c", show], input={"tables": tables})  # fmt: skip
    assert filled.wait(name)["status"]["phase"] == "Succeeded"
    assert filled.cli("artifacts", name, "--to", str(tmp_path)).returncode == 0
    manifest = json.loads((tmp_path / "artifacts/out/current/daily.csv.manifest").read_text())
    assert manifest["primary_key"] == ["origin", "day"]
    metadata = {column: {item["key"]: item["value"] for item in items} for column, items in
             manifest["column_metadata"].items()}  # fmt: skip
    types = {column: items["KBC.datatype.basetype"] for column, items in metadata.items()}
    assert types == {
        "origin": "STRING", "day": "DATE", "hours": "INTEGER", "temperature": "NUMERIC", "rain": "NUMERIC",
    }  # fmt: skip
    assert [metadata[column]["KBC.datatype.length"] for column in ("temperature", "rain")] == ["6,2", "8,2"]
    assert metadata["origin"]["KBC.description"] == "Airport"


def test_a_user_error_stores_what_is_always_written_and_nothing_else(
    filled: Tenant, weather: dict[str, Any], twenty_days: list[dict[str, Any]]
) -> None:
    assert twenty_days
    old_rows = rows(filled, "out.c-nyc.daily")
    status = ended(filled, "weather-wrong", weather, parameters={"days": 0})
    assert (status["phase"], status["reason"], status["exitCode"]) == ("Failed", "UserError", 1), status
    assert "Parameter 'days' must be a whole number from 1 to 366, not 0." in status["message"]
    assert rows(filled, "out.c-nyc.daily") == old_rows
    assert ["weather-wrong", "failed"] in [[run, outcome] for run, _, outcome in rows(filled, "out.c-nyc.journal")]


def test_a_defect_keeps_its_traceback_for_the_developer_and_the_state_stays(
    filled: Tenant, weather: dict[str, Any], twenty_days: list[dict[str, Any]]
) -> None:
    assert twenty_days
    filled.put_table("in.c-nyc.broken", "origin,year,month,day,temp,precip\nJFK,2014,1,1,warm,0\n")
    source = {"tables": [{"source": "in.c-nyc.broken", "destination": "weather.csv"}]}
    state = filled.cli("state", "get", "weather", "new-york").stdout
    status = ended(filled, "weather-broken", weather | {"input": source})
    assert (status["phase"], status["reason"], status["exitCode"]) == ("Failed", "ApplicationError", 2), status
    assert "could not convert string to float: 'warm'" in filled.last_words("weather-broken")
    assert "warm" not in status["message"]
    assert filled.cli("state", "get", "weather", "new-york").stdout == state


def test_an_action_answers_and_writes_nothing(filled: Tenant, weather: dict[str, Any]) -> None:
    status = ended(filled, "weather-action", weather | {"action": "airports"})
    assert (status["phase"], status.get("outputTables", [])) == ("Succeeded", []), status
    filled.wait("weather-action", delivered)
    messages = [event.message for event in filled.events("weather-action") if event.source.startswith("component")]
    airports = [{"value": airport, "label": airport} for airport in ("EWR", "JFK", "LGA")]
    assert airports in [json.loads(line) for line in messages if line.startswith("[")]


def test_files_are_signed_with_a_secret_that_nobody_sees(
    filled: Tenant, twenty_days: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert twenty_days
    filled.secret("signing", {"key": KEY})
    sign = spec_of(offer(filled, "sign-python"))
    status = ended(filled, "sign", sign)
    assert (status["phase"], status["result"]) == ("Succeeded", "Success"), status
    entries = json.loads(filled.cli("file", "ls", "--tag", "weather-report", "-o", "json").stdout)
    reports = {file["id"]: file for file in entries}
    assert sorted(file["name"] for file in reports.values()) == [
        "weather-2013-01-10.json", "weather-2013-01-20.json",
    ]  # fmt: skip
    signatures = rows(filled, "out.c-nyc.signatures")
    assert {row[0] for row in signatures} == set(reports)
    for id_, name, size, algorithm, signature in signatures:
        content = fetched(filled, id_, tmp_path)
        assert (name, int(size), algorithm) == (reports[id_]["name"], len(content), "sha256")
        assert signature == hmac.new(KEY.encode(), content, hashlib.sha256).hexdigest()
        assert fetched(filled, f"{name}.sig", tmp_path).decode() == signature + "\n"
    filled.wait("sign", delivered)
    assert KEY not in json.dumps(filled.get("sign")) + " ".join(event.message for event in filled.events("sign"))

    missing = ended(filled, "sign-nothing", sign, parameters={"tag": "no-such"})
    assert (missing["reason"], missing["exitCode"]) == ("UserError", 1), missing
    assert "No file has the tag 'no-such'" in missing["message"]


def delivered(run: dict[str, Any]) -> bool:
    return bool(run["status"].get("events", {}).get("delivered"))


def spec_of(folder: Path) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((folder / "run.yaml").read_text())["spec"]
    return spec


def ended(tenant: Tenant, name: str, spec: dict[str, Any], parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    """Final status of a run with this spec, with its parameters replaced if `parameters` are given."""
    configuration = dict(spec["configuration"])
    old_parameters = json.loads(configuration["parametersText"])
    configuration["parametersText"] = json.dumps(old_parameters | (parameters or {}))
    tenant.apply("ComponentRun", name, spec | {"configuration": configuration})
    status: dict[str, Any] = tenant.wait(name)["status"]
    return status


def rows(tenant: Tenant, table: str) -> list[list[str]]:
    """The rows of a table without its header, sorted."""
    return sorted(list(csv.reader(io.StringIO(tenant.table(table) or "")))[1:])


def fetched(tenant: Tenant, file: str, folder: Path) -> bytes:
    """Content of a file in the Storage."""
    target = folder / file
    result = tenant.cli("file", "get", file, "-o", str(target))
    assert result.returncode == 0, result.stderr
    return target.read_bytes()

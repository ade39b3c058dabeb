"""The examples, as a reader would run them: their images, their manifests, the real flights, results checked by SQL."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml

from e2e import tenant as tenants
from e2e.demo import data, manifests
from e2e.images import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.cluster.connection import Connection
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
        done = tenant.cli("table", "put", str(table.file), table.id)
        assert done.returncode == 0, done.stderr
    yield tenant
    tenant.delete()


@pytest.mark.parametrize(
    ("example", "table", "sql"),
    [
        ("delays-python", "out.c-nyc.delays", DELAYS),
        ("shell", "out.c-nyc.origins", ORIGINS),
        ("r", "out.c-nyc.rain", RAIN),
    ],
)
def test_it_answers_its_question(filled: Tenant, example: str, table: str, sql: str) -> None:
    folder = manifests.EXAMPLES / example
    image, _, tag = ensure(filled.connection, [f"example-{example}"])[f"example-{example}"].rpartition(":")
    component = yaml.safe_load((folder / "component.yaml").read_text())
    filled.apply("Component", component["metadata"]["name"], component["spec"] | {"image": image, "tag": tag})

    done = filled.cli("submit", "--file", str(folder / "run.yaml"), "--wait")

    assert done.returncode == 0, done.stdout + done.stderr
    found = list(csv.reader(io.StringIO(filled.table(table) or "")))[1:]
    wanted = expected(sql)
    assert len(found) == len(wanted)
    for row, answer in zip(found, wanted, strict=True):
        for text, value in zip(row, answer, strict=True):
            assert text == value if isinstance(value, str) else float(text) == pytest.approx(value, abs=0.0051)


def expected(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        for table in data.tables():
            source = f"read_csv('{table.file}', nullstr='NA')"
            database.execute(f"create view {table.file.stem} as select * from {source}")  # noqa: S608 - our own files
        return list(database.execute(sql).fetchall())

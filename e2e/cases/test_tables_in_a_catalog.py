"""Tables of a Storage with an Iceberg catalog: published by the loader, read by the next run, and by other engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e import tenant as tenants
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.cluster.connection import Connection
    from e2e.tenant import Tenant

TABLE = 'id,text\n1,plain\n2,"a ""quoted"" value"\n3,"two\nlines"\n4,Ünïcödé\n5,\n'
BYTES = len(TABLE.encode()) - len("id,text\n")


@pytest.fixture
def lake(connection: Connection) -> Iterator[Tenant]:
    """A tenant whose tables are in the cluster's catalog."""
    made = tenants.create(connection, "lake", lake=True)
    yield made
    made.delete()


def write(lake: Tenant, components: str, text: str, destination: str, **mapping: object) -> dict[str, object]:
    """Have a run write a table; its status."""
    program = f"open('/data/out/tables/t.csv', 'w', newline='').write({text!r})"
    output = {"tables": [{"source": "t.csv", "destination": destination, **mapping}]}
    name = lake.run(components, command=["python3", "-c", program], output=output, resources=SMALL)
    return dict(lake.wait(name)["status"])


def test_a_table_is_written_by_a_run_and_read_by_the_next(lake: Tenant, components: str) -> None:
    status = write(lake, components, TABLE, "in.c-main.words")
    assert (status["phase"], status["reason"]) == ("Succeeded", "Succeeded"), status
    assert status["outputTables"] == [{"table": "in.c-main.words", "rows": 5, "bytes": BYTES}]
    name = lake.run(
        components, "copy",
        input={"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
        output={"tables": [{"source": "words.csv", "destination": "out.c-main.words"}]},
    )  # fmt: skip
    status = lake.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Succeeded", "Succeeded"), status
    assert status["inputTables"][0]["rows"] == 5
    assert status["outputTables"] == [{"table": "out.c-main.words", "rows": 5, "bytes": BYTES}]


def test_a_load_that_does_not_fit_fails_with_a_sentence(lake: Tenant, components: str) -> None:
    write(lake, components, "id,text\n1,a\n", "out.c-main.t")
    status = write(lake, components, "id\n2\n", "out.c-main.t")
    assert (status["phase"], status["reason"]) == ("Failed", "OutputInvalid"), status
    assert "lacks the column `text`" in str(status["message"])


def test_a_run_writes_only_to_buckets_that_it_names(lake: Tenant, components: str) -> None:
    program = (
        "import json; open('/data/out/tables/t.csv', 'w').write('id\\n1\\n'); "
        "json.dump({'destination': 'in.c-others.t'}, open('/data/out/tables/t.csv.manifest', 'w'))"
    )
    output = {"defaultBucket": "out.c-main"}
    name = lake.run(components, command=["python3", "-c", program], output=output, resources=SMALL)
    status = lake.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "OutputInvalid"), status
    assert "in.c-others.t" in status["message"]
    assert "`out.c-main`" in status["message"]

"""keboola-component, the library most components use, between stage-in and stage-out. It knows nothing of us."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest
from keboola.component import CommonInterface
from keboola.component.dao import BaseType, ColumnDefinition

from componentrun.exchange import OutputTable, TableRead

if TYPE_CHECKING:
    from tests.integration.agent.conftest import Place

pytestmark = pytest.mark.store


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBC_DATA_TYPE_SUPPORT", "hints")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("legacy", [True, False], ids=["old manifest", "new manifest"])
@pytest.mark.usefixtures("quiet")
async def test_a_component_written_with_it_reads_and_writes(place: Place, legacy: bool) -> None:
    part = await place.slice("1.csv", b"1,alice\n2,bob\n")
    manifest = {"id": "in.c-main.people", "columns": ["id", "name"], "primary_key": ["id"], "metadata": []}
    table = TableRead("in.c-main.people", "in/tables/people.csv", ("id", "name"), (part,), manifest, 2)
    config = {"parameters": {"greeting": "hi"}, "storage": {}, "image_parameters": {}, "action": "run"}
    grant = await place.grant_in((table,), {"#token": "s3cret"}, config=config, state={"n": 1})
    assert place.run("stage-in", grant).code == 0

    ci = CommonInterface(data_folder_path=str(place.data))
    assert ci.configuration.parameters == {"greeting": "hi", "#token": "s3cret"}
    assert ci.get_state_file() == {"n": 1}
    (people,) = ci.get_input_tables_definitions()
    assert (people.name, people.column_names, people.primary_key) == ("people.csv", ["id", "name"], ["id"])
    with open(people.full_path, encoding="utf-8", newline="") as file:  # noqa: ASYNC230, PTH123 - as a component does
        rows = list(csv.DictReader(file))

    whole = ci.create_out_table_definition(
        "greetings.csv", primary_key=["id"], incremental=True, destination="out.c-m.g"
    )
    with open(whole.full_path, "w", encoding="utf-8", newline="") as file:  # noqa: ASYNC230, PTH123 - likewise
        writer = csv.DictWriter(file, ["id", "text"])
        writer.writeheader()
        writer.writerows({"id": row["id"], "text": f'hi, "{row["name"]}"\n'} for row in rows)
    ci.write_manifest(whole, legacy_manifest=True if legacy else None)

    schema = {
        "id": ColumnDefinition(data_types=BaseType.integer(), primary_key=True, nullable=False),
        "n": ColumnDefinition(data_types=BaseType.string()),
    }
    sliced = ci.create_out_table_definition("sliced.csv", is_sliced=True, schema=schema)
    place.write("out/tables/sliced.csv/one", "1,x\n")
    place.write("out/tables/sliced.csv/two", "2,y\n")
    ci.write_manifest(sliced, legacy_manifest=legacy)
    ci.write_state_file({"n": 2})

    ended = place.run("stage-out", await place.grant_out(OutputTable("sliced.csv", "out.c-m.s")))
    assert ended.code == 0, ended.text
    result = await place.result()
    assert result.state == {"n": 2}
    found = {item.destination: item for item in result.tables}
    assert set(found) == {"out.c-m.g", "out.c-m.s"}
    greetings, slices = found["out.c-m.g"], found["out.c-m.s"]
    assert (greetings.columns, greetings.primary_key, greetings.incremental) == (("id", "text"), ("id",), True)
    assert greetings.rows == 2
    assert await place.content("out.c-m.g") == b'1,"hi, ""alice""\n"\r\n2,"hi, ""bob""\n"\r\n'
    assert (slices.columns, slices.primary_key, slices.rows) == (("id", "n"), ("id",), 2)

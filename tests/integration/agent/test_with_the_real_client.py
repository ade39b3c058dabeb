"""keboola-component, the most common library of components, unmodified between stage-in and stage-out."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from keboola.component import CommonInterface
from keboola.component.dao import BaseType, ColumnDefinition, DataType, TableMetadata

from componentrun.csv.columnfacts import ColumnFacts
from componentrun.storage.access.inputmanifest import scan_manifest
from componentrun.wire.agents import OutputTable, Where
from componentrun.wire.loader import ScanColumn, TableScan

if TYPE_CHECKING:
    from tests.integration.agent.place import Place

pytestmark = pytest.mark.store


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBC_DATA_TYPE_SUPPORT", "hints")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("legacy", [True, False], ids=["old manifest", "new manifest"])
@pytest.mark.usefixtures("quiet")
async def test_a_component_written_with_it_reads_and_writes(place: Place, legacy: bool) -> None:
    manifest = {"id": "in.c-main.people", "columns": ["id", "name"], "primary_key": ["id"], "metadata": []}
    table = await place.table("people", ("id", "name"), [["1", "alice"], ["2", "bob"]], manifest=manifest)
    config = {"parameters": {"greeting": "hi"}, "storage": {}, "image_parameters": {}, "action": "run"}
    grant = await place.grant_in([table], {"#token": "s3cret"}, config=config, state={"n": 1})
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


TABLE = TableScan(
    table="in.c-main.people",
    snapshot="1",
    columns=(ScanColumn("id", 1, "long"), ScanColumn("born", 2, "string")),
    timestamp_id=None,
    files=(),
    deletes=(),
    created="2026-02-03T04:05:06+00:00",
    last_change="2026-02-03T04:05:06+00:00",
    timestamp=0,
    uuid="u",
    primary_key=("id",),
    described=(
        ColumnFacts("id", nullable=False, description="who", metadata={"k": "v"}),
        ColumnFacts("born", "DATE", "10"),
    ),
    metadata={"KBC.description": "all of them"},
    location="s3://lake/in.c-main.people",
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("support", ["none", "hints", "authoritative"])
async def test_it_reads_the_types_of_input_tables_in_both_forms(
    place: Place, monkeypatch: pytest.MonkeyPatch, support: str
) -> None:
    monkeypatch.setenv("KBC_STACKID", "componentrun")
    monkeypatch.setenv("KBC_DATA_TYPE_SUPPORT", support)
    manifest = scan_manifest(TABLE, ("id", "born"), support)
    table = await place.table("people", ("id", "born"), [["1", "2000-01-02"]], manifest=manifest)
    assert place.run("stage-in", await place.grant_in([table])).code == 0
    assert ("schema" in manifest) == (support != "none")

    (found,) = CommonInterface(data_folder_path=str(place.data)).get_input_tables_definitions()
    assert (found.id, found.name, found.column_names) == ("in.c-main.people", "people", ["id", "born"])
    assert found.primary_key == ["id"]
    assert found.uri == manifest["uri"]
    assert found.created == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert {name: column.data_types["base"].dtype for name, column in found.schema.items()} == {
        "id": "INTEGER",
        "born": "DATE",
    }
    assert not found.schema["id"].nullable
    assert found.schema["born"].nullable
    assert found.table_metadata.table_metadata["KBC.description"] == "all of them"
    if support != "none":
        assert found.schema["id"].description == "who"
        assert found.schema["id"].metadata == {"k": "v"}
        assert found.schema["born"].data_types["base"].length == "10"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_it_finds_the_slices_of_tables_that_are_folders(place: Place) -> None:
    manifest = {"id": "in.c-main.t", "columns": ["a", "b"], "primary_key": [], "metadata": []}
    some = await place.table("some", ("a", "b"), [["1", "x"]], [["2", "y"]], manifest=manifest, sliced=True)
    none = await place.table("none", ("a", "b"), manifest=manifest, sliced=True)
    ended = place.run("stage-in", await place.grant_in([some, none]))
    assert ended.code == 0, ended.text
    assert [item["bytes"] for item in ended.lines[-1]["tables"]] == [8, 0]
    folders = [place.data / f"in/tables/{name}.csv" for name in ("some", "none")]
    assert [[file.read_bytes() for file in folder.iterdir()] for folder in folders] == [[b"1,x\n2,y\n"], []]
    found = CommonInterface(data_folder_path=str(place.data)).get_input_tables_definitions()
    assert {(item.name, item.is_sliced, tuple(item.column_names)) for item in found} == {
        ("some.csv", True, ("a", "b")),
        ("none.csv", True, ("a", "b")),
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("support", ["none", "hints"])
async def test_what_it_writes_about_a_table_arrives(
    place: Place, monkeypatch: pytest.MonkeyPatch, support: str
) -> None:
    """With the variables that the platform sets, and every option of the library."""
    monkeypatch.setenv("KBC_STACKID", "componentrun")
    monkeypatch.setenv("KBC_PROJECT_FEATURE_GATES", "queuev2")
    monkeypatch.setenv("KBC_DATA_TYPE_SUPPORT", support)
    assert place.run("stage-in", await place.grant_in()).code == 0
    ci = CommonInterface(data_folder_path=str(place.data))
    told = TableMetadata()
    told.add_table_metadata("k", "v")
    told.add_column_data_type("id", "INTEGER", source_data_type="BIGINT", nullable=False, length="20")
    schema = {
        "id": ColumnDefinition(data_types=BaseType.integer(length="20"), primary_key=True, nullable=False),
        "born": ColumnDefinition(BaseType.date(default="1970-01-01"), description="when", metadata={"m": "1"}),
    }
    schema["id"].add_datatype("snowflake", DataType("NUMBER", "38,0"))
    table = ci.create_out_table_definition(
        "people.csv",
        destination="out.c-m.people",
        schema=schema,
        incremental=True,
        table_metadata=told,
        description="all of them",
        delimiter="\t",
        enclosure="'",
        write_always=True,
        delete_where={"column": "id", "operator": "ne", "values": ["7"]},
    )
    # With a schema, the file has no header line by default.
    assert table.has_header is False
    place.write("out/tables/people.csv", "1\t'2000-01-02'\n2\t'it''s, \"x\"'\n")
    ci.write_manifest(table)

    written = json.loads((place.data / "out/tables/people.csv.manifest").read_text())
    assert ("schema" in written) == (support == "hints")
    ended = place.run("stage-out", await place.grant_out())
    assert ended.code == 0, ended.text
    (found,) = (await place.result()).tables
    assert (found.destination, found.columns, found.primary_key) == ("out.c-m.people", ("id", "born"), ("id",))
    assert (found.incremental, found.write_always, found.rows) == (True, True, 2)
    assert found.delete_where == Where("id", "ne", ("7",))
    assert found.metadata == {"k": "v", "KBC.description": "all of them"}
    assert await place.content("out.c-m.people") == b'1,"2000-01-02"\n2,"it\'s, ""x"""\n'
    facts = {item.name: item for item in found.schema}
    assert (facts["id"].type, facts["id"].length) == ("INTEGER", "20")
    if support == "none":
        # In the old format, the library writes only what was given as metadata.
        assert (facts["id"].nullable, facts["id"].metadata) == (False, {"KBC.datatype.type": "BIGINT"})
    else:
        assert facts["id"].backends == {"snowflake": {"type": "NUMBER", "length": "38,0"}}
        assert (facts["born"].type, facts["born"].default) == ("DATE", "1970-01-01")
        assert (facts["born"].description, facts["born"].metadata) == ("when", {"m": "1"})

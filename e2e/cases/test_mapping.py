"""Mapping on the real cluster: columns, conditions, keys, deletions, and state between runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from e2e.tenant import Tenant

PEOPLE = 'id,name,city\n1,Ada,London\n2,"Bo ""B""",Paris\n3,Cy,London\n'


def copy(tenant: Tenant, components: str, **source: Any) -> dict[str, Any]:
    name = tenant.run(
        components, "copy",
        input={"tables": [{"source": "in.c-main.people", "destination": "people.csv", **source}]},
        output={"tables": [{"source": "people.csv", "destination": "out.c-main.people"}]},
    )  # fmt: skip
    return tenant.wait(name)["status"]  # type: ignore[no-any-return]  # JSON of the API server


def test_columns_and_conditions_are_applied_before_the_component_sees_the_table(
    tenant: Tenant, components: str
) -> None:
    tenant.put_table("in.c-main.people", PEOPLE)
    where = {"column": "city", "operator": "eq", "values": ["London"]}
    status = copy(tenant, components, columns=["name", "id"], where=where, limit=1)
    assert status["phase"] == "Succeeded", status
    table = tenant.table("out.c-main.people")
    assert table is not None
    assert table.splitlines()[0].replace('"', "") == "name,id"
    assert len(table.splitlines()) == 2


def test_a_column_that_is_not_there_is_named(tenant: Tenant, components: str) -> None:
    tenant.put_table("in.c-main.people", PEOPLE)
    status = copy(tenant, components, columns=["id", "age"])
    assert status["phase"] == "Failed", status
    assert "age" in status["message"]


def test_with_a_primary_key_the_last_row_wins(tenant: Tenant, components: str) -> None:
    mapping = {"source": "result.csv", "destination": "out.c-main.result", "primaryKey": ["id"], "incremental": True}
    for rows in ("3", "2"):
        status = tenant.wait(tenant.run(components, "rows", rows, output={"tables": [mapping]}))["status"]
        assert status["phase"] == "Succeeded", status
    table = tenant.table("out.c-main.result")
    assert table is not None
    assert sorted(line.split(",")[0] for line in table.splitlines()[1:]) == ["1", "2", "3"]


def test_adaptive_delivers_each_row_to_one_successful_run(tenant: Tenant, components: str) -> None:
    def read(command: str = "copy", *, phase: str = "Succeeded") -> None:
        name = tenant.run(
            components, *command.split(),
            configuration={"id": "reader"},
            input={"tables": [{"source": "out.c-main.grows", "destination": "new.csv", "changedSince": "adaptive"}]},
            output={"tables": [{"source": "new.csv", "destination": "out.c-main.all", "incremental": True}]},
        )  # fmt: skip
        assert tenant.wait(name)["status"]["phase"] == phase

    def grow() -> None:
        mapping = {"source": "result.csv", "destination": "out.c-main.grows", "incremental": True}
        name = tenant.run(components, "rows", "2", output={"tables": [mapping]})
        assert tenant.wait(name)["status"]["phase"] == "Succeeded"

    grow()
    read()
    grow()
    read("exit 1", phase="Failed")
    grow()
    read()
    read()
    delivered_rows, loaded_rows = tenant.table("out.c-main.all"), tenant.table("out.c-main.grows")
    assert delivered_rows is not None
    assert loaded_rows is not None
    assert len(loaded_rows.splitlines()) == 7
    assert sorted(delivered_rows.splitlines()) == sorted(loaded_rows.splitlines())
    result = tenant.cli("state", "get", "test-components", "reader", "--inputs")
    assert json.loads(result.stdout)["out.c-main.grows"]["timestamp"], result.stderr


COUNT = (
    "import json, pathlib; state = json.loads(pathlib.Path('/data/in/state.json').read_text());"
    " pathlib.Path('/data/out/state.json').write_text(json.dumps({'runs': state.get('runs', 0) + 1}))"
)


def test_a_configuration_remembers_its_state_but_not_of_a_run_that_failed(tenant: Tenant, components: str) -> None:
    configuration = {"id": "daily"}
    for program, phase in ((COUNT, "Succeeded"), (COUNT, "Succeeded"), (f"{COUNT}; raise SystemExit(2)", "Failed")):
        name = tenant.run(components, command=["python3", "-c", program], configuration=configuration)
        assert tenant.wait(name)["status"]["phase"] == phase
    result = tenant.cli("state", "get", "test-components", "daily")
    assert json.loads(result.stdout) == {"runs": 2}, result.stderr


SLICES = (
    "import csv, json, pathlib; tables = pathlib.Path('/data/in/tables');"
    " columns = json.loads((tables / 'people.csv.manifest').read_text())['columns'];"
    " slices = sorted((tables / 'people.csv').iterdir());"
    " rows = [row for part in slices for row in csv.reader(part.open(newline=''))];"
    " out = pathlib.Path('/data/out/tables/people.csv').open('w');"
    " csv.writer(out, lineterminator='\\n').writerows([columns, *rows])"
)


def test_a_table_may_come_as_a_folder_of_slices(tenant: Tenant, components: str) -> None:
    tenant.put_table("in.c-main.people", PEOPLE)
    name = tenant.run(
        components, command=["python3", "-c", SLICES],
        input={"tables": [{"source": "in.c-main.people", "destination": "people.csv", "sliced": True}]},
        output={"tables": [{"source": "people.csv", "destination": "out.c-main.people"}]},
    )  # fmt: skip
    status = tenant.wait(name)["status"]
    assert status["phase"] == "Succeeded", status
    assert tenant.table("out.c-main.people") == PEOPLE


def test_what_stands_below_a_secret_key_of_the_state_is_never_seen(tenant: Tenant, components: str) -> None:
    token = "renewed-token-4711"
    keep = f"import json; json.dump({{'#refresh': '{token}', 'runs': 1}}, open('/data/out/state.json', 'w'))"
    show = "print(open('/data/in/state.json').read()); raise SystemExit(1)"
    first = tenant.run(components, command=["python3", "-c", keep], configuration={"id": "renews"})
    assert tenant.wait(first)["status"]["phase"] == "Succeeded"
    second = tenant.run(components, command=["python3", "-c", show], configuration={"id": "renews"})
    tenant.wait(second, lambda run: bool((run.get("status", {}).get("events") or {}).get("delivered")))
    output = "".join(event.message for event in tenant.events(second) if event.source == "component")
    assert '"#refresh": "[redacted]"' in output
    assert token not in str(tenant.get(second)) + str(tenant.events(second))

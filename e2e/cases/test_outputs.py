"""Outputs on the real cluster: CSV dialects, types, files kept with the run, a forwarded token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.tenant import Tenant

WRITE = """
import json, pathlib
data = pathlib.Path("/data")
(data / "out/tables/people.csv").write_text("id;name\\n1;'it''s, \\"x\\"'\\n2;b\\n")
(data / "out/result.json").write_text(json.dumps({"message": "2 people"}))
(data / "out/usage.json").write_text(json.dumps([{"metric": "calls", "value": 3}]))
(data / "artifacts/out/current/report.txt").write_text("all well")
"""
MAPPING: dict[str, Any] = {
    "source": "people.csv",
    "destination": "out.c-main.people",
    "delimiter": ";",
    "enclosure": "'",
    "schema": [{"name": "id", "type": "INTEGER", "primaryKey": True}, {"name": "name", "type": "STRING"}],
}
READ = """
import os, pathlib, shutil
shutil.copy("/data/in/tables/people.csv.manifest", "/data/artifacts/out/current/manifest.json")
print(os.environ["KBC_DATA_TYPE_SUPPORT"])
"""


def python(program: str) -> dict[str, Any]:
    return {"command": ["python3", "-c", program]}


def run_of(tenant: Tenant, component: str, **spec: Any) -> str:
    """Create a run of a Component, with the same name as the Component."""
    tenant.apply("ComponentRun", component, {"component": component, "resources": SMALL, "timeout": "2m", **spec})
    return component


def delivered(run: dict[str, Any]) -> bool:
    return bool(run.get("status", {}).get("events", {}).get("delivered"))


def fetched(tenant: Tenant, name: str, folder: Path) -> Path:
    result = tenant.cli("artifacts", name, "--to", str(folder))
    assert result.returncode == 0, result.stderr
    return folder / "artifacts/out/current"


def test_another_dialect_with_types_and_what_is_kept_beside_it(tenant: Tenant, components: str, tmp_path: Path) -> None:
    missing = {"source": "gone.csv", "destination": "out.c-main.gone", "optional": True}
    name = tenant.run(components, **python(WRITE), output={"tables": [MAPPING, missing]})
    status = tenant.wait(name)["status"]
    assert (status["phase"], status["result"], status["resultMessage"]) == ("Succeeded", "Success", "2 people"), status
    table = tenant.table("out.c-main.people")
    assert table is not None
    assert sorted(table.splitlines()[1:]) == sorted(['1,"it\'s, ""x"""', "2,b"])
    assert (fetched(tenant, name, tmp_path) / "report.txt").read_text() == "all well"
    assert json.loads((tmp_path / "out/usage.json").read_text()) == [{"metric": "calls", "value": 3}]

    image, _, tag = components.rpartition(":")
    for support in ("none", "hints"):
        tenant.apply(
            "Component", f"reader-{support}", {"image": image, "tag": tag, **python(READ), "dataTypeSupport": support}
        )
        tables = [{"source": "out.c-main.people"}]
        reader = run_of(tenant, f"reader-{support}", input={"tables": tables})
        reader_status = tenant.wait(reader)["status"]
        assert reader_status["phase"] == "Succeeded", reader_status
        manifest = json.loads((fetched(tenant, reader, tmp_path / support) / "manifest.json").read_text())
        if support == "none":
            assert manifest["column_metadata"]["id"] == [{"key": "KBC.datatype.basetype", "value": "INTEGER"}]
        else:
            assert [(item["data_type"]["base"]["type"], item["primary_key"]) for item in manifest["schema"]] == [
                ("INTEGER", True),
                ("STRING", False),
            ]


TOKEN = "storage-token-8472635"
SHOW = "import os; print('token', os.environ.get('KBC_TOKEN')); print('url', os.environ.get('KBC_URL'))"


def test_a_token_reaches_the_component_alone_and_is_never_seen(tenant: Tenant, components: str) -> None:
    tenant.secret("storage-token", {"value": TOKEN})
    image, _, tag = components.rpartition(":")
    forward = {"url": "https://storage.example.com", "tokenSecretRef": {"name": "storage-token", "key": "value"}}
    for name, more in (("with", {"forwardToken": forward}), ("without", {})):
        tenant.apply("Component", name, {"image": image, "tag": tag, **python(SHOW), **more})

    run = run_of(tenant, "with")
    result = tenant.wait(run, delivered)
    assert result["status"]["phase"] == "Succeeded", result["status"]
    messages = [event.message for event in tenant.events(run) if event.source.partition("/")[0] == "component"]
    assert "token [redacted]" in messages
    assert "url https://storage.example.com" in messages
    assert TOKEN not in json.dumps(result) + " ".join(event.message for event in tenant.events(run))
    bare = run_of(tenant, "without")
    assert tenant.wait(bare, delivered)["status"]["phase"] == "Succeeded"
    messages = [event.message for event in tenant.events(bare) if event.source.partition("/")[0] == "component"]
    assert messages == ["token None", "url None"]

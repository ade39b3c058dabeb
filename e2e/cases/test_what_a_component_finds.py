"""A component's view from inside a real pod: environment, user, config.json, data folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.tenant import Tenant

LOOK = """
import json, os, pathlib
data = pathlib.Path("/data")
status = pathlib.Path("/proc/self/status").read_text()
found = {
    "environment": {k: v for k, v in os.environ.items() if k.startswith(("KBC_", "COMPONENTRUN_"))},
    "of_kubernetes": {k: v for k, v in os.environ.items() if k.startswith("KUBERNETES_")},
    "user": [os.getuid(), os.getgid()],
    "capabilities": [line.split()[1] for line in status.splitlines() if line.startswith(("CapPrm", "CapEff"))],
    "config": json.loads((data / "config.json").read_text()),
    "files": sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()),
    "folders": sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_dir()),
    "state": json.loads((data / "in/state.json").read_text()),
    "manifest": json.loads((data / "in/tables/words.csv.manifest").read_text()),
}
(data / "artifacts/out/current/found.json").write_text(json.dumps(found))
"""
CONFIGURATION = {
    "id": "77",
    "version": "3",
    "row": "r1",
    "branch": "dev",
    "parameters": {"a": 1},
    "imageParameters": {"b": 2},
    "secrets": [{"path": "#password", "secretKeyRef": {"name": "login", "key": "password"}}],
}


def look(tenant: Tenant, components: str, folder: Path) -> dict[str, Any]:
    """Findings that the component reports."""
    tenant.secret("login", {"password": "a-password"})
    tenant.put_table("in.c-main.words", "id,text\n1,a\n")
    image, _, tag = components.rpartition(":")
    tenant.apply("Component", "looker", {"image": image, "tag": tag, "command": ["python3", "-c", LOOK]})
    spec = {
        "component": "looker", "resources": SMALL, "timeout": "2m", "configuration": CONFIGURATION, "action": "look",
        "input": {"tables": [{"source": "in.c-main.words"}]},
    }  # fmt: skip
    tenant.apply("ComponentRun", "looks", spec)
    status = tenant.wait("looks")["status"]
    assert status["phase"] == "Succeeded", status
    result = tenant.cli("artifacts", "looks", "--to", str(folder))
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads((folder / "artifacts/out/current/found.json").read_text())
    return document


def test_it_is_what_the_contract_says_and_nothing_else(tenant: Tenant, components: str, tmp_path: Path) -> None:
    findings = look(tenant, components, tmp_path)
    values = {
        "DATADIR": "/data/",
        "RUNID": "looks",
        "PROJECTID": tenant.namespace,
        "STACKID": "componentrun",
        "CONFIGID": "77",
        "CONFIGVERSION": "3",
        "CONFIGROWID": "r1",
        "BRANCHID": "dev",
        "COMPONENTID": "looker",
        "STAGING_FILE_PROVIDER": "aws",
        "COMPONENT_RUN_MODE": "run",
        "DATA_TYPE_SUPPORT": "none",
        "PROJECT_FEATURE_GATES": "queuev2",
    }
    assert findings["environment"] == {
        prefix + name: value for prefix in ("KBC_", "COMPONENTRUN_") for name, value in values.items()
    }
    assert set(findings["of_kubernetes"].values()) <= {""}
    assert findings["user"][0] == 1000
    assert {int(capability, 16) for capability in findings["capabilities"]} == {0}
    assert findings["config"] == {
        "parameters": {"a": 1, "#password": "a-password"},
        "storage": {
            "input": {"tables": [{"source": "in.c-main.words", "destination": "words.csv"}], "files": []},
            "output": {"tables": [], "files": []},
        },
        "image_parameters": {"b": 2},
        "authorization": {},
        "action": "look",
    }
    assert findings["files"] == ["config.json", "in/state.json", "in/tables/words.csv", "in/tables/words.csv.manifest"]
    assert {"in/tables", "in/files", "out/tables", "out/files", "artifacts/out/current", "artifacts/out/shared"} <= set(
        findings["folders"]
    )
    assert findings["state"] == {}
    keys = {"id", "uri", "name", "primary_key", "columns", "created", "last_change_date", "metadata"}
    assert keys <= set(findings["manifest"])
    assert (findings["manifest"]["id"], findings["manifest"]["columns"]) == ("in.c-main.words", ["id", "text"])

"""An input with keys to resolve that is larger than stage-in's memory does not get stage-in killed."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from componentrun.api.common import API_VERSION
from dev.images import ensure
from dev.install import IMAGES, install, uninstall
from e2e import tenant as tenants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

MEMORY = 256 * 2**20
ROWS = 800_000
LOOK = """
import csv
with open("/data/in/tables/many.csv", newline="") as file:
    rows = csv.reader(file)
    next(rows)
    count, total, fifth = 0, 0, None
    for id, value in rows:
        count, total = count + 1, total + int(id)
        fifth = value if id == "5" else fifth
open("/data/out/tables/seen.csv", "w").write(f"count,total,fifth\\n{count},{total},{fifth}\\n")
"""


@pytest.fixture(scope="module")
def operator() -> str:
    """Name of the operator and of its namespace."""
    return f"narrow-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="module")
def narrow(connection: Connection, operator: str) -> Iterator[Tenant]:
    """Tenant of an operator whose agents have little memory."""
    tenant = tenants.create(connection)
    values = {
        "operatorName": operator,
        "fullnameOverride": operator,
        "namespaces": [tenant.namespace],
        "agents": {"resources": {"limits": {"memory": str(MEMORY)}}},
        "crds": {"install": False},
        "rbac": {"aggregate": False},
        "admissionPolicy": {"enabled": False},
        "collector": {"enabled": False},
    }
    install(connection, ensure(connection, IMAGES), values, namespace=operator)
    yield tenant
    uninstall(connection, namespace=operator)
    tenant.delete()


def test_a_table_with_a_key_on_every_row_comes_whole(
    narrow: Tenant, operator: str, components: str, tmp_path: Path
) -> None:
    path = tmp_path / "many.csv"
    with path.open("w") as file:
        file.write("id,value\n")
        file.writelines(f"{row},{uuid.UUID(int=row * 7919)} {'x' * 400}\n" for row in range(ROWS))
    assert path.stat().st_size > 1.3 * MEMORY
    put(narrow, path, "--primary-key", "id")
    path.write_text("id,value\n5,new\n")
    put(narrow, path, "--primary-key", "id", "--incremental")

    spec = {
        "image": components, "command": ["python3", "-c", LOOK], "timeout": "2m",
        "resources": {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "100m"}},
        "input": {"tables": [{"source": "in.c-main.many"}]},
        "output": {"tables": [{"source": "seen.csv", "destination": "out.c-main.seen"}]},
    }  # fmt: skip
    metadata = {"name": "many", "labels": {"componentrun.dev/operator": operator}}
    body = {"apiVersion": API_VERSION, "kind": "ComponentRun", "metadata": metadata, "spec": spec}
    narrow.kubectl("create", "--filename=-", stdin=json.dumps(body))
    status = narrow.wait("many", timeout=600)["status"]
    assert status["phase"] == "Succeeded", status
    assert narrow.table("out.c-main.seen") == f"count,total,fifth\n{ROWS},{ROWS * (ROWS - 1) // 2},new\n"


def put(tenant: Tenant, path: Path, *options: str) -> None:
    result = tenant.cli("table", "put", str(path), "in.c-main.many", *options, timeout=600)
    assert result.returncode == 0, result.stderr

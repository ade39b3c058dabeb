"""Publishing rejects invalid output with a clear message, and other engines can read what a run wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.tenant import Tenant

TABLE = "out.c-main.words"
QUERY = 'select id, text from "out.c-main.words" order by id'


def write(tenant: Tenant, components: str, text: str, destination: str) -> dict[str, object]:
    """Let a run write a table, and return the run's status."""
    program = f"open('/data/out/tables/t.csv', 'w', newline='').write({text!r})"
    output = {"tables": [{"source": "t.csv", "destination": destination}]}
    name = tenant.run(components, command=["python3", "-c", program], output=output, resources=SMALL)
    return dict(tenant.wait(name)["status"])


def test_duckdb_and_pyiceberg_read_what_a_run_wrote(tenant: Tenant, components: str, tmp_path: Path) -> None:
    status = write(tenant, components, "id,text\n1,one\n2,\n", TABLE)
    assert status["phase"] == "Succeeded", status
    answer = tenant.cli("table", "query", QUERY, "-o", "json")
    assert json.loads(answer.stdout) == [{"id": "1", "text": "one"}, {"id": "2", "text": ""}], answer.stderr
    script = tmp_path / "setup.py"
    script.write_text(tenant.cli("table", "sql-setup", TABLE, "--engine", "pyiceberg").stdout)
    lake = tenant.connection.lake
    keys = {
        "AWS_ACCESS_KEY_ID": lake.access_key,
        "AWS_SECRET_ACCESS_KEY": lake.secret_key,
        "CATALOG_CLIENT_ID": lake.catalog_client_id,
        "CATALOG_CLIENT_SECRET": lake.catalog_client_secret,
    }
    process = subprocess.run(
        [sys.executable, str(script)], env=os.environ | keys, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert 'text: [["one",""]]' in process.stdout, process.stderr


def test_a_load_that_does_not_fit_fails_with_a_sentence(tenant: Tenant, components: str) -> None:
    write(tenant, components, "id,text\n1,a\n", TABLE)
    status = write(tenant, components, "id\n2\n", TABLE)
    assert (status["phase"], status["reason"]) == ("Failed", "OutputInvalid"), status
    assert "lacks the column `text`" in str(status["message"])


def test_a_run_writes_only_to_buckets_that_it_names(tenant: Tenant, components: str) -> None:
    program = (
        "import json; open('/data/out/tables/t.csv', 'w').write('id\\n1\\n'); "
        "json.dump({'destination': 'in.c-others.t'}, open('/data/out/tables/t.csv.manifest', 'w'))"
    )
    output = {"defaultBucket": "out.c-main"}
    name = tenant.run(components, command=["python3", "-c", program], output=output, resources=SMALL)
    status = tenant.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "OutputInvalid"), status
    assert "in.c-others.t" in status["message"]
    assert "`out.c-main`" in status["message"]

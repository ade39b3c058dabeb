"""The command line as a user types it, against the real cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dev.install import NAMESPACE

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.tenant import Tenant

FLAGS = ["--cpu", "200m", "--memory", "128Mi", "--timeout", "2m"]


@pytest.mark.parametrize(("program", "code"), [("true", 0), ("exit1", 1), ("exit2", 2)])
def test_submit_and_wait_exits_as_the_run_did(tenant: Tenant, components: str, program: str, code: int) -> None:
    result = tenant.cli("submit", "--image", components, *FLAGS, "--wait", "--", f"/component/{program}")
    assert result.returncode == code, result.stderr + result.stdout


def test_follow_shows_phases_and_lines_as_they_come(tenant: Tenant, components: str) -> None:
    result = tenant.cli("submit", "--image", components, *FLAGS, "--follow", "--", "/component/chatty", "5")
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    for words in ("line 1 of 5", "line 5 of 5", "Running", "Succeeded"):
        assert words in output


def test_a_table_survives_put_head_and_get(tenant: Tenant, tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_bytes('\ufeffid,text\r\n1,"a\r\nb"\r\n2,c'.encode())
    assert tenant.cli("table", "put", str(path), "in.c-main.words").returncode == 0
    tables = json.loads(tenant.cli("table", "ls", "-o", "json").stdout)
    assert "in.c-main.words" in json.dumps(tables)
    assert "2,c" in tenant.cli("table", "get", "in.c-main.words", "-o", "-").stdout
    assert "id" in tenant.cli("table", "head", "in.c-main.words").stdout


def test_get_list_events_and_doctor_tell_what_is_there(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "exit1")
    tenant.wait(name)
    tenant.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False))
    output = tenant.cli("get", name).stdout
    assert "UserError" in output
    assert "price" in output
    assert name in tenant.cli("list").stdout
    assert json.loads(tenant.cli("get", name, "-o", "json").stdout)["metadata"]["name"] == name
    assert "price" in tenant.cli("events", name).stdout
    # Other tests install and remove their own operators, whose health this test does not check.
    checks = json.loads(tenant.cli("doctor", "-o", "json").stdout)
    own_checks = [
        check
        for check in checks
        if check["what"] not in {"operator", "collector", "loader", "node-logs"} or f"`{NAMESPACE}/" in check["message"]
    ]
    assert {"operator", "collector"} <= {check["what"] for check in own_checks}, checks
    assert [check for check in own_checks if check["state"] == "fail"] == []


def test_what_is_not_there_is_named_with_a_hint(tenant: Tenant) -> None:
    for arguments, words in (
        (("get", "no-such-run"), "no-such-run"),
        (("table", "get", "in.c-main.none"), "in.c-main.none"),
    ):
        result = tenant.cli(*arguments)
        assert result.returncode != 0
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_cancel(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "sleep-for", "300")
    tenant.wait(name, lambda run: (run.get("status") or {}).get("phase") == "Running")
    result = tenant.cli("cancel", name, "--wait")
    assert tenant.get(name)["status"]["phase"] == "Cancelled", result.stderr

"""Files on the real cluster: one run writes files, and others find exactly these by tag, pattern, id and name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.tenant import Tenant

WRITE = """
import json, pathlib
out = pathlib.Path("/data/out/files")
(out / "report 1.pdf").write_bytes(bytes(range(256)) * 1000)
(out / "empty.txt").touch()
(out / "empty.txt.manifest").write_text(json.dumps({"tags": ["told by the component"], "is_permanent": True}))
"""
READ = """
import csv, hashlib, json, pathlib
folder = pathlib.Path("/data/in/files")
with open("/data/out/tables/seen.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["name", "id", "bytes", "tags", "sha"])
    for path in sorted(folder.glob("*.manifest")):
        told = json.loads(path.read_text())
        content = path.with_name(path.name.removesuffix(".manifest"))
        assert content.name == f"{told['id']}_{told['name']}", content
        data = content.read_bytes()
        assert len(data) == told["size_bytes"]
        sha = hashlib.sha256(data).hexdigest()[:8]
        rows.writerow([told["name"], told["id"], len(data), "|".join(told["tags"]), sha])
"""
SEEN = {"tables": [{"source": "seen.csv", "destination": "out.c-main.seen"}]}


def python(tenant: Tenant, components: str, program: str, **spec: Any) -> dict[str, Any]:
    name = tenant.run(components, command=["python3", "-c", program], **spec)
    return tenant.wait(name)["status"]  # type: ignore[no-any-return]  # JSON of the API server


def seen(tenant: Tenant, components: str, *files: dict[str, Any]) -> list[str]:
    """Names of the files that a run with these file inputs receives."""
    status = python(tenant, components, READ, input={"files": list(files)}, output=SEEN)
    assert status["phase"] == "Succeeded", status
    assert status.get("inputFiles", {"count": 0})["count"] == len(status.get("inputFiles", {}).get("files", []))
    table = tenant.table("out.c-main.seen")
    assert table is not None
    return sorted(line.split(",")[0] for line in table.splitlines()[1:])


def test_what_one_run_writes_another_finds_by_tag_pattern_id_and_name(tenant: Tenant, components: str) -> None:
    mapping = {"files": [{"source": "*.pdf", "tags": ["daily", "pdf"]}, {"source": "none", "optional": True}]}
    status = python(tenant, components, WRITE, output=mapping, configuration={"id": "writer"})
    assert status["phase"] == "Succeeded", status
    outputs = {file["name"]: file for file in status["outputFiles"]["files"]}
    assert (status["outputFiles"]["count"], status["outputFiles"]["bytes"]) == (2, 256_000)
    assert set(outputs) == {"report 1.pdf", "empty.txt"}

    files = seen(tenant, components, {"tags": ["configurationId: writer"]}, {"name": "report 1.pdf"})
    assert files == ["empty.txt", "report 1.pdf"]
    assert seen(tenant, components, {"tags": ["pdf", "daily"]}, {"glob": "none*"}) == ["report 1.pdf"]
    matches = seen(tenant, components, {"id": outputs["empty.txt"]["id"]}, {"glob": "report*", "tags": ["pdf"]})
    assert matches == ["empty.txt", "report 1.pdf"]

    info = json.loads(tenant.cli("file", "info", "empty.txt", "-o", "json").stdout)
    assert (info["expires"], "told by the component" in info["tags"]) == (None, True)
    entries = json.loads(tenant.cli("file", "ls", "--tag", "daily", "-o", "json").stdout)
    assert [file["name"] for file in entries] == ["report 1.pdf"]


def test_a_file_from_this_machine_goes_in_and_a_missing_one_is_named(
    tenant: Tenant, components: str, tmp_path: Path
) -> None:
    path = tmp_path / "köln.bin"
    path.write_bytes(b"\x00\xff" * 1000)
    result = tenant.cli("file", "put", str(path), "--tag", "mine")
    assert result.returncode == 0, result.stderr
    assert seen(tenant, components, {"id": result.stdout.strip()}) == ["köln.bin"]
    copy = tmp_path / "copy"
    assert tenant.cli("file", "get", "köln.bin", "-o", str(copy)).returncode == 0
    assert copy.read_bytes() == path.read_bytes()
    assert tenant.cli("file", "rm", "köln.bin", "--yes").returncode == 0
    status = python(tenant, components, READ, input={"files": [{"name": "köln.bin"}]}, output=SEEN)
    assert (status["phase"], status["reason"]) == ("Failed", "InputNotFound"), status
    assert "there is no file with name `köln.bin`" in status["message"]


LINKS = """
import os
os.symlink("/run/componentrun/grant/grant.json", "/data/out/files/grant.json")
"""


def test_a_link_fails_the_run_and_nothing_is_stored(tenant: Tenant, components: str) -> None:
    status = python(tenant, components, WRITE + LINKS)
    assert (status["phase"], status["reason"]) == ("Failed", "OutputInvalid"), status
    assert "out/files/grant.json: found a symbolic link" in status["message"]
    assert json.loads(tenant.cli("file", "ls", "-o", "json").stdout) == []


def test_a_file_that_was_promised_and_not_written_fails_the_run_and_so_stores_no_other(
    tenant: Tenant, components: str
) -> None:
    status = python(tenant, components, WRITE, output={"files": [{"source": "other.pdf"}]})
    assert (status["phase"], status["reason"]) == ("Failed", "OutputMissing"), status
    assert json.loads(tenant.cli("file", "ls", "-o", "json").stdout) == []


def test_a_component_that_fails_leaves_no_files(tenant: Tenant, components: str) -> None:
    output = {"tables": [{"source": "log.csv", "destination": "out.c-main.log", "writeAlways": True}]}
    log = "pathlib.Path('/data/out/tables/log.csv').write_text('a\\n1\\n'); raise SystemExit(1)"
    status = python(tenant, components, WRITE + log, output=output)
    assert (status["phase"], status["reason"]) == ("Failed", "UserError"), status
    assert tenant.table("out.c-main.log") is not None
    assert json.loads(tenant.cli("file", "ls", "-o", "json").stdout) == []

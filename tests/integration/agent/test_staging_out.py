"""stage-out against real stores."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from componentrun.agent.stageout import upload
from componentrun.agent.stageout.main import stage_out
from componentrun.wire.agents import STAGE_OUT_COMMAND, OutputTable, to_json
from componentrun.wire.grants import GRANT_FILE
from tests.integration.agent.place import ROOT

if TYPE_CHECKING:
    from componentrun.wire.grants import GrantOut
    from tests.integration.agent.place import Place

pytestmark = pytest.mark.store


def mapped(source: str, destination: str, **more: object) -> OutputTable:
    return OutputTable(source, destination, **more)  # type: ignore[arg-type]  # of any type


async def test_a_mapped_file_becomes_headerless_slices_and_a_result(place: Place) -> None:
    place.write("out/tables/bar.csv", 'id,name\n1,a\n2,"b, ""c"""\n3,last without newline')
    place.write("out/state.json", '{"last": 3}')
    grant = await place.grant_out(mapped("bar.csv", "out.c-main.bar", primary_key=("id",), incremental=True))
    ended = place.run("stage-out", grant)
    assert ended.code == 0, ended.text
    result = await place.result()
    assert result.ok
    assert result.state == {"last": 3}
    (table,) = result.tables
    assert (table.destination, table.columns, table.primary_key) == ("out.c-main.bar", ("id", "name"), ("id",))
    assert (table.incremental, table.rows) == (True, 3)
    (part,) = table.slices
    assert part.key == f"{place.prefix}out.c-main/bar/0000.csv"
    content = await place.content("out.c-main.bar")
    assert content == b'1,a\n2,"b, ""c"""\n3,last without newline\n'
    assert (part.size, part.rows) == (len(content), 3)
    assert part.etag.strip('"') == hashlib.md5(content).hexdigest()  # noqa: S324 - S3 defines the ETag as MD5
    assert ended.term["ok"] is True
    assert (ended.term["tables"], ended.term["state"], ended.term["rows"]) == ([], None, 3)
    assert "X-Amz" not in ended.text
    assert "signature" not in ended.text.lower()


async def test_a_large_file_goes_up_in_slices_cut_at_row_borders(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_SMALLEST_SLICE_BYTES", 300_000)
    monkeypatch.setattr(upload, "LARGE_BYTES", 100_000)
    rows = "".join(f'{i},"two\nlines, {i}"\n' for i in range(150_000))
    place.write("out/tables/big.csv", "id,text\n" + rows)
    result = stage_out(await place.grant_out(mapped("big.csv", "out.c-main.big")), str(place.data))
    assert result.ok, result.message
    (table,) = result.tables
    assert 8 <= len(table.slices) <= 13
    assert table.rows == 150_000
    assert await place.content("out.c-main.big") == rows.encode()
    assert [part.key[-8:] for part in table.slices] == [f"{i:04d}.csv" for i in range(len(table.slices))]


async def test_a_folder_of_slices_is_one_table(place: Place) -> None:
    place.write("out/tables/s.csv/part2", "3,c\n")
    place.write("out/tables/s.csv/part1", "1,a\n2,b")
    place.write("out/tables/s.csv/part3", "")
    place.write("out/tables/s.csv.manifest", json.dumps({"columns": ["id", "name"], "primary_key": ["id"]}))
    ended = place.run("stage-out", await place.grant_out(bucket="out.c-main"))
    assert ended.code == 0, ended.text
    (table,) = (await place.result()).tables
    assert (table.destination, table.columns, table.rows) == ("out.c-main.s", ("id", "name"), 3)
    assert await place.content("out.c-main.s") == b"1,a\n2,b\n3,c\n"


async def test_empty_tables_have_no_slices(place: Place) -> None:
    place.write("out/tables/header.csv", "a,b\n")
    place.write("out/tables/nothing.csv", "")
    place.write("out/tables/nothing.csv.manifest", '{"columns": ["a", "b"]}')
    (place.data / "out/tables/folder.csv").mkdir()
    place.write("out/tables/folder.csv.manifest", '{"schema": [{"name": "a", "primary_key": true}]}')
    ended = place.run("stage-out", await place.grant_out(bucket="out.c-main"))
    assert ended.code == 0, ended.text
    found = {table.source: (table.columns, table.slices, table.rows) for table in (await place.result()).tables}
    assert found == {
        "header.csv": (("a", "b"), (), 0),
        "nothing.csv": (("a", "b"), (), 0),
        "folder.csv": (("a",), (), 0),
    }


@pytest.mark.parametrize(
    ("files", "reason", "message"),
    [
        ({"bar.csv": "a,b\n1\n"}, "OutputInvalid", "out/tables/bar.csv, line 2: found 1 field, expected 2 (`a`, `b`)"),
        ({"bar.csv": ""}, "OutputInvalid", "out/tables/bar.csv: the file is empty"),
        ({"bar.csv": "a,a\n"}, "OutputInvalid", "out/tables/bar.csv, line 1: column `a` is there twice"),
        ({"bar.csv": b"a\n\xff\n"}, "OutputInvalid", "out/tables/bar.csv, line 2, column `a`: byte 0xff is not UTF-8"),
        ({"bar.csv": "b\n"}, "OutputInvalid", "out/tables/bar.csv, line 1: the primary key column `a` is missing"),
        ({"other.csv": "a\n"}, "OutputMissing", "out/tables/bar.csv: not there, but the output mapping stores it"),
        ({"bar.csv": "a\n", "x.csv.manifest": "{}"}, "OutputInvalid", "out/tables/x.csv.manifest: there is no file"),
        (
            {"bar.csv": "a\n", "bar.csv.manifest": "{"},
            "OutputInvalid",
            "out/tables/bar.csv.manifest: it is not valid JSON",
        ),
        (
            {"bar.csv": "a\n", "../state.json": '{"at": NaN}'},
            "OutputInvalid",
            "out/state.json: it is not valid JSON (it holds `NaN`, which JSON does not know; expected a number, `null`",
        ),
        ({"bar.csv": "a\n", "../state.json": "[1]"}, "OutputInvalid", "out/state.json: found a JSON list"),
        (
            {"bar.csv": "a\n", "../state.json": r'{"a": "\ud800"}'},
            "OutputInvalid",
            "out/state.json: it holds half of a surrogate pair",
        ),
    ],
)
async def test_what_a_user_can_mend_is_named_and_nothing_is_claimed(
    place: Place, files: dict[str, str | bytes], reason: str, message: str
) -> None:
    for name, content in files.items():
        place.write(f"out/tables/{name}", content)
    ended = place.run("stage-out", await place.grant_out(mapped("bar.csv", "out.c-main.bar", primary_key=("a",))))
    assert (ended.code, ended.term["ok"], ended.term["reason"]) == (1, False, reason)
    assert ended.term["message"].startswith(message)
    assert any(line["level"] == "error" and line["message"].startswith(message) for line in ended.lines)
    assert (await place.result()).message == ended.term["message"]


async def test_a_malformed_large_table_is_found_by_the_process_beside_the_upload(place: Place) -> None:
    place.write("out/tables/bar.csv", "a,b\n" + "1,2\n" * 200_000 + "3\n")
    ended = place.run("stage-out", await place.grant_out(mapped("bar.csv", "out.c-main.bar")))
    assert ended.code == 1
    assert ended.term["message"] == "out/tables/bar.csv, line 200002: found 1 field, expected 2 (`a`, `b`)"
    assert (await place.result()).tables == ()


async def test_one_bad_table_does_not_take_the_others_along(place: Place) -> None:
    place.write("out/tables/bad.csv", "a,b\n1\n")
    place.write("out/tables/log.csv", "a,b\n1,2\n")
    outputs = (mapped("bad.csv", "out.c-main.bad"), mapped("log.csv", "out.c-main.log", write_always=True))
    ended = place.run("stage-out", await place.grant_out(*outputs))
    assert ended.code == 1
    result = await place.result()
    assert (result.ok, result.always, ended.term["always"]) == (False, 1, 1)
    assert [(table.destination, table.write_always) for table in result.tables] == [("out.c-main.log", True)]


async def test_a_link_in_out_is_refused_while_the_rest_is_stored(place: Place) -> None:
    place.write("out/tables/good.csv", "a\n1\n")
    (place.data / "out/tables/trap.csv").symlink_to(place.folder / "grant" / GRANT_FILE)
    ended = place.run("stage-out", await place.grant_out(bucket="out.c-main"))
    assert (ended.code, ended.term["reason"]) == (1, "OutputInvalid")
    assert ended.term["message"].startswith("out/tables/trap.csv: found a symbolic link, expected a regular file")
    assert [table.source for table in (await place.result()).tables] == ["good.csv"]


async def test_a_name_that_is_no_text_is_spelled_out(place: Place) -> None:
    large = b"a\n" + b"1\n" * 200_000
    for name, content in ((b"\xff.csv", b"a\n1\n"), (b"\xfe.csv", large), (b"\xfd.csv", large + b"1,2\n")):
        file = os.fsdecode(os.fsencode(place.data / "out/tables") + b"/" + name)
        place.write(file, content)
        place.write(file + ".manifest", json.dumps({"destination": f"out.c-main.t{name[0]}"}))
    ended = place.run("stage-out", await place.grant_out())
    assert ended.term["message"] == "out/tables/\\xfd.csv, line 200002: found 2 fields, expected 1 (`a`)"
    assert [table.source for table in (await place.result()).tables] == ["\\xfe.csv", "\\xff.csv"]


async def test_what_nothing_places_is_named_in_a_warning(place: Place) -> None:
    place.write("out/tables/stray.csv", "a\n")
    ended = place.run("stage-out", await place.grant_out())
    assert ended.code == 0
    assert ended.term["warnings"][0].startswith("out/tables/stray.csv was not stored")
    assert any(line["level"] == "warn" for line in ended.lines)


async def test_more_than_the_run_may_store_is_not_uploaded(place: Place) -> None:
    place.write("out/tables/bar.csv", "a\n" + "1\n" * 1000)
    ended = place.run("stage-out", await place.grant_out(mapped("bar.csv", "out.c-main.bar"), max_bytes=1000))
    assert ended.code == 1
    assert "hold 2002 bytes; the run may store 1000" in ended.term["message"]


async def test_a_grant_for_another_place_is_refused(place: Place) -> None:
    place.write("out/tables/bar.csv", "a\n1\n")
    grant = await place.grant_out(mapped("bar.csv", "out.c-main.bar"))
    object.__setattr__(grant.post, "key_prefix", f"{place.settings.prefix}/data/another-1/")
    ended = place.run("stage-out", grant)
    assert (ended.code, ended.term["reason"]) == (2, "StorageAccessDenied")


async def test_without_any_output_it_is_well(place: Place) -> None:
    ended = place.run("stage-out", await place.grant_out())
    assert ended.code == 0, ended.text
    assert (await place.result()).tables == ()


@pytest.mark.parametrize(
    ("path", "text", "empty"),
    [
        ("out/usage.json", "[]", True),
        ("out/state.json", "{}", False),
        ("out/tables/bar.csv", "a\n1\n", False),
        ("out/files/note.txt", "", False),
        ("out/tables/nobody-maps-it.csv", "a\n1\n", False),
    ],
    ids=["usage", "state", "table", "file", "warning"],
)
async def test_the_operator_hears_whether_there_is_anything_to_publish_or_to_warn_of(
    place: Place, path: str, text: str, empty: bool
) -> None:
    place.write(path, text)
    ended = place.run("stage-out", await place.grant_out(mapped("bar.csv", "out.c-main.bar", optional=True)))
    assert ended.code == 0, ended.text
    assert ended.term["empty"] is empty
    assert (await place.result()).empty is empty


async def test_many_small_tables(place: Place) -> None:
    for i in range(200):
        place.write(f"out/tables/t{i}.csv", f"a\n{i}\n")
    ended = place.run("stage-out", await place.grant_out(bucket="out.c-main"))
    assert ended.code == 0, ended.text
    assert ended.term["rows"] == 200
    assert len((await place.result()).tables) == 200
    assert await place.content("out.c-main.t17") == b"17\n"


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def wait_and_become(place: Place, grant: GrantOut) -> int:
    """Run the sidecar's own command, send SIGTERM twice, and return its exit code."""
    mount = place.folder / "grant"
    mount.mkdir()
    (mount / GRANT_FILE).write_text(to_json(grant))
    options = f"--data {place.data} --grant {mount} --termination-log {place.folder / 'term'}"
    *shell, script = STAGE_OUT_COMMAND
    script = script.replace("stage-out'", f"stage-out {options}'").replace("python3", sys.executable)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    process = subprocess.Popen([*shell, script], env=environment, start_new_session=True)
    try:
        while not children(process.pid):  # its trap is set when its sleep has started
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.03)
        process.send_signal(signal.SIGTERM)
        return process.wait(120)
    finally:
        os.killpg(process.pid, signal.SIGKILL)


async def test_the_sidecars_command_waits_for_sigterm_and_bears_a_second_one(place: Place) -> None:
    place.write("out/tables/bar.csv", "a\n1\n")
    grant = await place.grant_out(mapped("bar.csv", "out.c-main.bar"))
    assert await asyncio.to_thread(wait_and_become, place, grant) == 0
    assert (await place.result()).ok
    assert json.loads((place.folder / "term").read_text())["ok"] is True


async def test_all_that_is_wrong_is_named(place: Place) -> None:
    place.write("out/tables/a.csv", "a,b\n1\n")
    place.write("out/tables/b.csv", "a,a\n")
    place.write("out/tables/c.csv", "a\n1\n")
    ended = place.run("stage-out", await place.grant_out(bucket="out.c-main"))
    assert ended.code == 1
    assert ended.term["message"] == (
        "out/tables/a.csv, line 2: found 1 field, expected 2 (`a`, `b`). "
        "Also: out/tables/b.csv, line 1: column `a` is there twice; expected every name once."
    )

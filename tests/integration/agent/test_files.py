"""Files through the agents, against real stores: input by id, output with tags, arbitrary content."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from keboola.component import CommonInterface

from componentrun.agent.stageout import fileupload
from componentrun.agent.stageout.main import stage_out
from componentrun.storage.access.fileinput import file_read
from componentrun.storage.files.lookup import FileQuery, find_files
from componentrun.storage.files.publish import check_files, publish_files
from componentrun.storage.files.records import read_content
from componentrun.wire.agents import OutputFile, StageOutPlan
from componentrun.wire.grants import GrantOut

if TYPE_CHECKING:
    from componentrun.storage.files.record import FileRecord
    from tests.integration.agent.place import Place

pytestmark = pytest.mark.store

HOUR = timedelta(hours=1)


async def grant(place: Place, *lines: OutputFile, max_bytes: int | None = None) -> GrantOut:
    plan = StageOutPlan("ns/run", (), None, max_bytes, files=lines, file_tags=("runId: r",))
    return GrantOut(await place.url("out", plan), place.policy(), place.settings.ca_bundle)


async def published(place: Place) -> dict[str, FileRecord]:
    """Publish stage-out's files, and return them by name."""
    run, _, attempt = place.attempt.rpartition("-")
    files = (await place.result()).files
    records = await check_files(place.store, run, int(attempt), files, datetime.now(UTC))
    await publish_files(place.store, run, int(attempt), records)
    return {record.name: record for record in await find_files(place.store, FileQuery())}


async def content(place: Place, record: FileRecord) -> bytes:
    return b"".join([chunk async for chunk in read_content(place.store, record)])


async def test_files_go_out_with_their_tags_and_come_in_under_their_ids(place: Place) -> None:
    files = {
        "résumé 1.tar.gz": os.urandom(300_000),
        "empty": b"",
        "no newline.txt": b'"quotes,\r\nand nothing is parsed',
    }
    for name, data in files.items():
        place.write(f"out/files/{name}", data)
    place.write("out/files/empty.manifest", json.dumps({"tags": ["m"], "is_permanent": True}))
    ended = place.run("stage-out", await grant(place, OutputFile("*.gz", ("packed",))))
    assert ended.code == 0, ended.text
    assert ended.term["files"] == []
    assert ended.lines[-1]["message"].startswith("Output uploaded: 3 files, 293.")
    records = await published(place)
    assert {name: (record.tags, record.permanent) for name, record in records.items()} == {
        "résumé 1.tar.gz": (("packed", "runId: r"), False),
        "empty": (("m", "runId: r"), True),
        "no newline.txt": (("runId: r",), False),
    }
    reads = tuple(file_read(record, place.signer, HOUR) for record in records.values())
    ended = place.run("stage-in", await place.grant_in((), files=reads))
    assert ended.code == 0, ended.text
    assert (ended.term["files"], ended.term["size"]) == (3, sum(map(len, files.values())))
    for name, record in records.items():
        path = place.data / "in/files" / f"{record.id}_{name}"
        assert path.read_bytes() == files[name]
        assert json.loads(path.with_name(path.name + ".manifest").read_text())["tags"] == list(record.tags)


async def test_a_large_file_goes_up_in_parts_and_comes_back_whole(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileupload, "_PART_BYTES", 6 * 2**20)
    data = os.urandom(20 * 2**20 + 1)
    place.write("out/files/big.bin", data)
    result = stage_out(await grant(place), str(place.data))
    assert result.ok, result.message
    (file,) = result.files
    assert [part.size for part in file.parts] == [6 * 2**20] * 3 + [2 * 2**20 + 1]
    assert file.parts[0].key == f"{place.prefix}files/00000-00000"
    record = (await published(place))["big.bin"]
    assert await content(place, record) == data
    ended = place.run("stage-in", await place.grant_in((), files=(file_read(record, place.signer, HOUR),)))
    assert ended.code == 0, ended.text
    assert (place.data / "in/files" / f"{record.id}_big.bin").read_bytes() == data


@pytest.mark.parametrize(
    ("made", "lines", "reason", "message"),
    [
        ("file", (OutputFile("missing.pdf"),), "OutputMissing", "out/files/missing.pdf: not there"),
        ("file", (OutputFile("*.pdf"),), "OutputMissing", "out/files/*.pdf: not there"),
        ("orphan", (), "OutputInvalid", "out/files/gone.manifest: there is no file"),
        ("link", (), "OutputInvalid", "out/files/link: found a symbolic link"),
        ("pipe", (), "OutputInvalid", "out/files/pipe: found a named pipe"),
        ("folder", (), "OutputInvalid", "out/files/folder: found a folder"),
        ("folder of links", (), "OutputInvalid", "out/files: found a symbolic link"),
        ("linked manifest", (), "OutputInvalid", "out/files/a.manifest: found a symbolic link"),
        ("table", (), "OutputInvalid", "out/tables/bad.csv, line 2"),
    ],
)
async def test_what_a_user_can_mend_is_named_and_no_file_is_stored(
    place: Place, made: str, lines: tuple[OutputFile, ...], reason: str, message: str
) -> None:
    out = place.write("out/files/a", b"a").parent
    secret = place.write("secret", "hush")
    if made == "orphan":
        place.write("out/files/gone.manifest", "{}")
    elif made == "link":
        (out / "link").symlink_to(secret)
    elif made == "pipe":
        os.mkfifo(out / "pipe")
    elif made == "folder":
        place.write("out/files/folder/part", b"x")
    elif made == "folder of links":
        out.rename(place.data / "elsewhere")
        out.symlink_to(place.data / "elsewhere")
    elif made == "linked manifest":
        (out / "a.manifest").symlink_to(secret)
    elif made == "table":
        place.write("out/tables/bad.csv", "a,b\n1\n")
        place.write("out/tables/bad.csv.manifest", json.dumps({"destination": "out.c-main.bad"}))
    ended = place.run("stage-out", await grant(place, *lines))
    assert (ended.code, ended.term["reason"]) == (1, reason), ended.text
    assert ended.term["message"].startswith(message)
    assert (await place.result()).files == ()
    assert [info.key async for info in place.store.objects(f"{place.prefix}files/")] == []


async def test_an_unreadable_file_is_named_and_the_result_is_stored(place: Place) -> None:
    place.write("out/files/a", b"a")
    place.write("out/files/big", b"b" * 100)
    ended = place.run("stage-out", await grant(place, max_bytes=50))
    assert (ended.code, ended.term["reason"]) == (1, "OutputInvalid")
    assert ended.term["message"].startswith("out/tables and out/files hold 101 bytes; the run may store 50")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_component_written_with_the_library_reads_and_writes_files(place: Place) -> None:
    (place.data / "out/files").mkdir(parents=True)
    for folder in ("in/tables", "in/files", "out/tables"):
        (place.data / folder).mkdir(parents=True)
    place.write("config.json", json.dumps({"parameters": {}, "storage": {}, "action": "run"}))
    writer = CommonInterface(data_folder_path=str(place.data))
    made = writer.create_out_file_definition("my report.v1.pdf", tags=["daily", "pdf"], is_permanent=True)
    place.write("out/files/my report.v1.pdf", b"%PDF-1.7")
    writer.write_manifest(made)
    plain = writer.create_out_file_definition("plain.txt")
    place.write("out/files/plain.txt", b"plain")
    writer.write_manifest(plain)
    ended = place.run("stage-out", await grant(place))
    assert ended.code == 0, ended.text
    records = await published(place)
    assert (records["my report.v1.pdf"].permanent, records["plain.txt"].permanent) == (True, False)

    config = {
        "parameters": {},
        "action": "run",
        "storage": {
            "input": {"tables": [], "files": [{"tags": ["daily"], "limit": 100}]},
            "output": {"tables": [], "files": [{"source": "*.pdf", "tags": ["x"], "is_permanent": True}]},
        },
    }
    reads = tuple(file_read(record, place.signer, HOUR) for record in records.values())
    assert place.run("stage-in", await place.grant_in((), files=reads, config=config)).code == 0
    reader = CommonInterface(data_folder_path=str(place.data))
    (daily,) = reader.get_input_files_definitions(tags=["daily"])
    record = records["my report.v1.pdf"]
    assert (daily.name, daily.id, daily.size_bytes, daily.is_permanent) == ("my report.v1.pdf", record.id, 8, True)
    assert daily.user_tags == ["daily", "pdf"]
    assert daily.created is not None
    assert abs(daily.created - record.created) < timedelta(seconds=1)
    with open(daily.full_path, "rb") as file:  # noqa: ASYNC230, PTH123 - as a component does
        assert file.read() == b"%PDF-1.7"
    assert set(reader.get_input_file_definitions_grouped_by_name()) == {"my report.v1.pdf", "plain.txt"}
    assert [item.tags for item in reader.configuration.files_input_mapping] == [["daily"]]
    assert [item.is_permanent for item in reader.configuration.files_output_mapping] == [True]

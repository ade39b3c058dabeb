"""stage-in against a real store."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from componentrun.agent.folder import Folder
from componentrun.agent.stagein import download
from componentrun.agent.stagein.main import stage_in
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import CsvRead, FileRead, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.agent.place import Place

pytestmark = pytest.mark.store


async def test_a_table_becomes_one_file_with_header_manifest_and_configuration(place: Place) -> None:
    table = await place.table("foo", ("id", 'the "name"'), [["1", "a"], ["2", "b"]], [["3", "c\n"]])
    config = {"parameters": {"db": {"host": "h"}, "keys": [{"n": 1}]}, "action": "run"}
    secrets = {"db.#password": "hunter2", "keys.0.#token": "žluťoučký"}
    ended = place.run("stage-in", await place.grant_in([table], secrets, config=config, state={"last": 7}))
    assert ended.code == 0, ended.text
    assert (place.data / "in/tables/foo.csv").read_bytes() == b'id,"the ""name"""\n1,a\n2,b\n3,"c\n"\n'
    assert json.loads((place.data / "in/tables/foo.csv.manifest").read_text()) == {"id": "in.c-main.foo"}
    assert json.loads((place.data / "config.json").read_text()) == {
        "parameters": {"db": {"host": "h", "#password": "hunter2"}, "keys": [{"n": 1, "#token": "žluťoučký"}]},
        "action": "run",
    }
    assert stat.S_IMODE((place.data / "config.json").stat().st_mode) == 0o600
    assert json.loads((place.data / "in/state.json").read_text()) == {"last": 7}
    for folder in ("in/files", "out/tables", "out/files", "artifacts/out/current"):
        assert (place.data / folder).is_dir()
    assert ended.term["ok"] is True
    assert (ended.term["tables"], ended.term["rows"]) == (1, 3)
    assert "hunter2" not in ended.text
    assert "X-Amz" not in ended.text


async def test_an_object_is_delivered_byte_for_byte_and_an_empty_table_is_a_header(place: Place) -> None:
    whole = CsvRead("x.csv", "in/tables/x.csv", await place.object("x.csv", b"a,b\r\n1,2"))
    hollow = CsvRead("h.csv", "in/tables/h.csv", await place.object("h.csv", b""))
    empty = await place.table("e", ("a", "b"))
    ended = place.run("stage-in", await place.grant_in([empty], objects=(whole, hollow)))
    assert ended.code == 0, ended.text
    assert (place.data / "in/tables/x.csv").read_bytes() == b"a,b\r\n1,2"
    assert (place.data / "in/tables/e.csv").read_bytes() == b"a,b\n"
    assert (place.data / "in/tables/h.csv").read_bytes() == b""
    assert sorted(path.name for path in (place.data / "in/tables").iterdir()) == [
        "e.csv",
        "e.csv.manifest",
        "h.csv",
        "x.csv",
    ]
    assert (ended.term["tables"], ended.term["rows"], ended.term["size"]) == (3, 0, 8 + 4)
    assert ended.lines[-1]["tables"] == [
        {"table": "in.c-main.e", "rows": 0, "bytes": 4},
        {"table": "x.csv", "bytes": 8},
        {"table": "h.csv", "bytes": 0},
    ]


async def test_large_objects_come_in_ranges_and_are_the_same_byte_for_byte(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_RANGE_BYTES", 100_003)
    monkeypatch.setattr(download, "LARGE_BYTES", 50_000)
    monkeypatch.setattr(download, "_PREALLOCATE_BYTES", 1000)
    contents = [os.urandom(size) for size in (1_234_567, 1, 100_003, 200_006)]
    parts = tuple([await place.object(f"{i}.bin", content) for i, content in enumerate(contents)])
    place.data.mkdir()
    file = FileRead("big.bin", "in/files/1_big.bin", parts, {"id": 1})
    result = stage_in(await place.grant_in(files=(file,)), str(place.data))
    assert (place.data / "in/files/1_big.bin").read_bytes() == b"".join(contents)
    assert json.loads((place.data / "in/files/1_big.bin.manifest").read_text()) == {"id": 1}
    assert (result.size, result.files) == (sum(map(len, contents)), 1)


async def test_an_object_that_was_replaced_since_is_not_delivered(place: Place) -> None:
    file = await place.file("x.bin", b"1\n")
    await place.object("x.bin", b"2\n")
    ended = place.run("stage-in", await place.grant_in(files=(file,)))
    assert ended.code == 2
    assert ended.term["reason"] == "StageInFailed"
    assert "x.bin: the object was replaced after the run was planned (412" in ended.term["message"]


async def test_an_object_that_is_gone_is_named(place: Place) -> None:
    file = await place.file("x.bin", b"1\n")
    await place.store.delete([f"{place.settings.prefix}/input/x.bin"])
    ended = place.run("stage-in", await place.grant_in(files=(file,)))
    assert (ended.code, ended.term["reason"]) == (2, "InputNotFound")
    assert ended.term["message"].startswith("x.bin: the object is not in the store any more (404")


async def test_a_grant_that_is_not_signed_well_is_refused_without_being_shown(place: Place) -> None:
    grant = await place.grant_in()
    ended = place.run("stage-in", replace(grant, plan_url=grant.plan_url[:-4] + "0000"))
    assert (ended.code, ended.term["reason"]) == (2, "StorageAccessDenied")
    assert "Has the grant expired" in ended.term["message"]
    assert "X-Amz" not in ended.text


async def test_an_object_of_another_size_than_planned_is_an_error(place: Place) -> None:
    file = await place.file("x.bin", b"1\n2\n")
    wrong = replace(file, parts=(replace(file.parts[0], size=2),))
    ended = place.run("stage-in", await place.grant_in(files=(wrong,)))
    assert (ended.code, ended.term["reason"]) == (2, "StageInFailed")
    assert "4 bytes, expected 200 with 2" in ended.term["message"]


@pytest.mark.parametrize("kind", ["table", "object", "file"])
@pytest.mark.parametrize(
    "path", ["../x.csv", "in/tables/../../x.csv", "/etc/x.csv", "config.json", "in/tables//x.csv", "in/tables/"]
)
async def test_a_path_that_leaves_its_folder_is_refused(place: Place, path: str, kind: str) -> None:
    file = await place.file("x.csv", b"1\n")
    grant = {
        "table": await place.grant_in([await place.table("x", ("a",), path=path)]),
        "object": await place.grant_in(objects=(CsvRead("x", path, file.parts[0]),)),
        "file": await place.grant_in(files=(replace(file, path=path),)),
    }[kind]
    ended = place.run("stage-in", grant)
    assert (ended.code, ended.term["reason"]) == (1, "InputInvalid")
    assert not (place.data / "in").exists()


async def test_two_inputs_that_would_write_one_file_are_refused(place: Place) -> None:
    table = await place.table("x", ("a",))
    behind = CsvRead("y.csv", "in/tables/x.csv.manifest", await place.object("y.csv", b"a\n"))
    ended = place.run("stage-in", await place.grant_in([table], objects=(behind,)))
    assert (ended.code, ended.term["reason"]) == (1, "InputInvalid")
    assert ended.term["message"] == "y.csv: `in/tables/x.csv.manifest` is written by another input, too"


async def test_a_secret_without_a_place_is_the_users_error(place: Place) -> None:
    config = {"parameters": {"db": "text"}}
    ended = place.run("stage-in", await place.grant_in((), {"db.#password": "hunter2"}, config=config))
    assert (ended.code, ended.term["reason"]) == (1, "InvalidSpec")
    assert "`db` is a text" in ended.term["message"]
    assert "hunter2" not in ended.text


async def test_many_small_tables_are_all_there(place: Place) -> None:
    table = await place.table("x", ("a",), [["1"]] * 100)
    tables = [replace(table, source=f"t{i}", path=f"in/tables/t{i}.csv", manifest={"id": str(i)}) for i in range(200)]
    ended = place.run("stage-in", await place.grant_in(tables))
    assert ended.code == 0, ended.text
    assert len(list((place.data / "in/tables").iterdir())) == 400
    assert {path.stat().st_size for path in (place.data / "in/tables").glob("*.csv")} == {202}


@pytest.fixture
def tiny_disk(place: Place) -> Iterator[None]:
    """A data folder on a disk of 1 MiB."""
    place.data.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place.data)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount")
    yield
    subprocess.run(["umount", "--lazy", str(place.data)], check=True)


@pytest.mark.usefixtures("tiny_disk")
@pytest.mark.parametrize("known_before", [True, False])
async def test_a_full_disk_is_told_as_such(place: Place, known_before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not known_before:
        monkeypatch.setattr(Folder, "free_bytes", lambda _: 2**40)
    grant = await place.grant_in(files=(await place.file("x.bin", b"1\n" * 1_000_000),))
    with pytest.raises(UserError) as caught:
        stage_in(grant, str(place.data))
    assert caught.value.reason is Reason.DISK_FULL
    assert "Give the run (or its Component) a larger data folder" in caught.value.message
    assert ("the input has 2000000 bytes" in caught.value.message) == known_before


@pytest.mark.usefixtures("tiny_disk")
async def test_a_table_that_is_larger_than_the_disk_is_told_as_such(place: Place) -> None:
    table = await place.table("x", ("a",), [["the same"]] * 200_000)
    assert table.parquet.size < 2**18, "what travels has room"
    with pytest.raises(UserError, match="Give the run \\(or its Component\\) a larger data folder") as caught:
        stage_in(await place.grant_in([table]), str(place.data))
    assert caught.value.reason is Reason.DISK_FULL


async def test_it_may_run_twice_in_one_folder(place: Place) -> None:
    table = await place.table("x", ("a",), [["1"]])
    other = CsvRead("y.csv", "in/tables/y.csv", await place.object("y.csv", b"a\n1\n"))
    grant = await place.grant_in([table], objects=(other,))
    for name in ("x", "y"):
        place.write(f"in/tables/{name}.csv", "longer than what comes")
    assert place.run("stage-in", grant).code == 0
    for name in ("x", "y"):
        assert (place.data / f"in/tables/{name}.csv").read_bytes() == b"a\n1\n"


HEAVY = ("pyarrow", "pyiceberg", "pydantic", "obstore", "minio", "numpy", "pandas")


@pytest.mark.parametrize("tables", [0, 1])
async def test_nothing_heavy_is_loaded_but_duckdb_for_tables(place: Place, tables: int) -> None:
    plain = CsvRead("p.csv", "in/tables/p.csv", await place.object("p.csv", b"1,x\n"))
    table = await place.table("t", ("a",), [["1"]])
    files = (await place.file("f", b"x"),)
    grant = await place.grant_in([table] * tables, files=files, objects=(plain,))
    place.data.mkdir()
    code = (
        "import sys; from componentrun.agent.stagein.main import stage_in; "
        "from componentrun.wire.agents import from_json; "
        "from componentrun.wire.grants import GrantIn; "
        "stage_in(from_json(GrantIn, sys.argv[1]), sys.argv[2]); "
        "print([name for name in sys.argv[3:] if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, to_json(grant), str(place.data), *HEAVY, "duckdb", "shutil"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: ASYNC221 - no concurrent tasks
    assert done.stdout.splitlines()[-1] == str(["duckdb", "shutil"] * tables)

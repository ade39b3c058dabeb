"""stage-in against real stores."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from componentrun.agent import download
from componentrun.agent.folder import Folder
from componentrun.agent.stage_in import stage_in
from componentrun.errors import Reason, UserError
from componentrun.exchange import TableRead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.agent.conftest import Place

pytestmark = pytest.mark.store


async def test_a_table_of_slices_becomes_one_file_with_header_manifest_and_configuration(place: Place) -> None:
    slices = (await place.slice("1.csv", b"1,a\n2,b\n"), await place.slice("2.csv", b'3,"c\n"\n'))
    table = TableRead("in.c-main.foo", "in/tables/foo.csv", ("id", 'the "name"'), slices, {"id": "in.c-main.foo"}, 3)
    config = {"parameters": {"db": {"host": "h"}, "keys": [{"n": 1}]}, "action": "run"}
    secrets = {"db.#password": "hunter2", "keys.0.#token": "žluťoučký"}
    ended = place.run("stage-in", await place.grant_in((table,), secrets, config=config, state={"last": 7}))
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


async def test_an_object_brings_its_own_header_and_an_empty_table_has_nothing_else(place: Place) -> None:
    whole = TableRead("x.csv", "in/tables/x.csv", None, (await place.slice("x.csv", b"a,b\r\n1,2"),), None)
    empty = TableRead("in.c-main.e", "in/tables/e.csv", ("a", "b"), (), {"id": "e"}, 0)
    hollow = TableRead("h.csv", "in/tables/h.csv", None, (await place.slice("h.csv", b""),), None)
    ended = place.run("stage-in", await place.grant_in((whole, empty, hollow)))
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


async def test_large_objects_come_in_ranges_and_are_the_same_byte_for_byte(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_RANGE_BYTES", 100_003)
    monkeypatch.setattr(download, "LARGE_BYTES", 50_000)
    monkeypatch.setattr(download, "_PREALLOCATE_BYTES", 1000)
    contents = [os.urandom(size) for size in (1_234_567, 1, 100_003, 200_006)]
    slices = tuple([await place.slice(f"{i}.csv", content) for i, content in enumerate(contents)])
    place.data.mkdir()
    table = TableRead("in.c-main.big", "in/tables/big.csv", ("a",), slices, None)
    result = stage_in(await place.grant_in((table,)), str(place.data))
    assert (place.data / "in/tables/big.csv").read_bytes() == b"a\n" + b"".join(contents)
    assert result.size == 2 + sum(map(len, contents))


async def test_an_object_that_was_replaced_since_is_not_delivered(place: Place) -> None:
    part = await place.slice("x.csv", b"1\n")
    await place.slice("x.csv", b"2\n")
    ended = place.run("stage-in", await place.grant_in((TableRead("x.csv", "in/tables/x.csv", ("a",), (part,), None),)))
    assert ended.code == 2
    assert ended.term["reason"] == "StageInFailed"
    assert "x.csv: the object was replaced after the run was planned (412" in ended.term["message"]


async def test_an_object_that_is_gone_is_named(place: Place) -> None:
    part = await place.slice("x.csv", b"1\n")
    gone = replace(part, url=part.url)
    await place.store.delete([f"{place.settings.prefix}/input/x.csv"])
    table = TableRead("in.c-main.x", "in/tables/x.csv", ("a",), (gone,), None)
    ended = place.run("stage-in", await place.grant_in((table,)))
    assert (ended.code, ended.term["reason"]) == (2, "InputNotFound")
    assert ended.term["message"].startswith("in.c-main.x: the object is not in the store any more (404")


async def test_a_grant_that_is_not_signed_well_is_refused_without_being_shown(place: Place) -> None:
    grant = await place.grant_in(())
    ended = place.run("stage-in", replace(grant, plan_url=grant.plan_url[:-4] + "0000"))
    assert (ended.code, ended.term["reason"]) == (2, "StorageAccessDenied")
    assert "Has the grant expired" in ended.term["message"]
    assert "X-Amz" not in ended.text


async def test_an_object_of_another_size_than_planned_is_an_error(place: Place) -> None:
    part = replace(await place.slice("x.csv", b"1\n2\n"), size=2)
    ended = place.run("stage-in", await place.grant_in((TableRead("x", "in/tables/x.csv", ("a",), (part,), None),)))
    assert (ended.code, ended.term["reason"]) == (2, "StageInFailed")
    assert "4 bytes, expected 200 with 2" in ended.term["message"]


@pytest.mark.parametrize(
    "path", ["../x.csv", "in/tables/../../x.csv", "/etc/x.csv", "config.json", "in/tables//x.csv", "in/tables/"]
)
async def test_a_path_that_leaves_its_folder_is_refused(place: Place, path: str) -> None:
    part = await place.slice("x.csv", b"1\n")
    ended = place.run("stage-in", await place.grant_in((TableRead("x", path, ("a",), (part,), None),)))
    assert (ended.code, ended.term["reason"]) == (1, "InputInvalid")
    assert not (place.data / "in").exists()


async def test_a_secret_without_a_place_is_the_users_error(place: Place) -> None:
    config = {"parameters": {"db": "text"}}
    ended = place.run("stage-in", await place.grant_in((), {"db.#password": "hunter2"}, config=config))
    assert (ended.code, ended.term["reason"]) == (1, "InvalidSpec")
    assert "`db` is a text" in ended.term["message"]
    assert "hunter2" not in ended.text


async def test_many_small_tables_are_all_there(place: Place) -> None:
    part = await place.slice("x.csv", b"1\n" * 100)
    tables = tuple(TableRead(f"t{i}", f"in/tables/t{i}.csv", ("a",), (part,), {"id": str(i)}, 100) for i in range(200))
    ended = place.run("stage-in", await place.grant_in(tables))
    assert ended.code == 0, ended.text
    assert len(list((place.data / "in/tables").iterdir())) == 400
    assert {path.stat().st_size for path in (place.data / "in/tables").glob("*.csv")} == {202}


@pytest.fixture
def tiny_disk(place: Place) -> Iterator[None]:
    """A data folder with room for a MiB."""
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
    part = await place.slice("x.csv", b"1\n" * 1_000_000)
    grant = await place.grant_in((TableRead("x", "in/tables/x.csv", ("a",), (part,), None),))
    with pytest.raises(UserError) as caught:
        stage_in(grant, str(place.data))
    assert caught.value.reason is Reason.DISK_FULL
    assert "give the run (or its Component) a larger data folder" in caught.value.message
    assert ("the input has 2000002 bytes" in caught.value.message) == known_before


async def test_it_may_run_twice_in_one_folder(place: Place) -> None:
    part = await place.slice("x.csv", b"1\n")
    grant = await place.grant_in((TableRead("x", "in/tables/x.csv", ("a",), (part,), None),))
    place.write("in/tables/x.csv", "longer than what comes")
    assert place.run("stage-in", grant).code == 0
    assert (place.data / "in/tables/x.csv").read_bytes() == b"a\n1\n"

"""stage-in with something to apply, against real stores: a process of its own, real objects, the files it leaves."""

from __future__ import annotations

import dataclasses
import http.client
import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from keboola.component import CommonInterface

from componentrun.agent import mapping as agent_mapping
from componentrun.agent import pieces
from componentrun.agent.stage_in import stage_in
from componentrun.errors import Reason, UserError
from componentrun.exchange import Mapping, SliceRead, Step, TableRead, Where, to_json

if TYPE_CHECKING:
    from tests.integration.agent.conftest import Ended, Place

pytestmark = pytest.mark.store
AB = ("id", "name")


async def table(place: Place, name: str, mapping: Mapping, *contents: bytes, **more: Any) -> TableRead:
    slices = tuple([await place.slice(f"{name}-{i}.csv", content) for i, content in enumerate(contents)])
    columns = mapping.select or mapping.columns
    path = f"in/tables/{name}.csv"
    return TableRead(f"in.c-main.{name}", path, columns, slices, {"id": name}, mapping=mapping, **more)


async def brought(place: Place, *tables: TableRead) -> Ended:
    ended = place.run("stage-in", await place.grant_in(tables))
    left = {item.name for item in place.data.iterdir()}
    assert left <= {"artifacts", "config.json", "in", "out"}, "the slices are still there"
    return ended


def content(place: Place, name: str) -> bytes:
    return (place.data / f"in/tables/{name}.csv").read_bytes()


async def test_columns_rows_keys_deletions_and_added_columns(place: Place) -> None:
    history = Mapping(
        ("id", "name", "extra"),
        (Step(AB, 2), Step(None, 0, Where("name", "eq", ("gone",))), Step(("id", "name", "extra"), 1)),
        primary_key=("id",),
    )
    slices = (b'1,"a\r\nb"\r\n2,gone\r\n', b'3,"q""q"\n1,new\n', b"4,gone,x\n")
    whole = await table(place, "whole", history, *slices)
    some = Mapping(history.columns, history.steps, ("extra", "id"), ("id",), Where("id", "ge", ("3",), "number"), 5)
    part = await table(place, "part", some, *slices)
    plain = TableRead("in.c-main.p", "in/tables/p.csv", AB, (await place.slice("p.csv", b"1,x\r\n"),), None, 1)
    ended = await brought(place, whole, plain, part)
    assert ended.code == 0, ended.text
    assert content(place, "whole") == b'id,name,extra\n3,"q""q",\n1,new,\n4,gone,x\n'
    assert content(place, "part") == b"extra,id\n,3\nx,4\n"
    assert content(place, "p") == b"id,name\n1,x\r\n", "where nothing is applied, bytes pass as they are"
    assert json.loads((place.data / "in/tables/whole.csv.manifest").read_text()) == {"id": "whole"}
    assert (ended.term["tables"], ended.term["rows"]) == (3, 6)
    assert "X-Amz" not in ended.text


async def test_threads_that_bring_pieces_keep_their_connections(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    connected = set()
    connect = http.client.HTTPConnection.connect

    def seen(connection: http.client.HTTPConnection) -> None:
        connected.add(threading.current_thread())
        connect(connection)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", seen)
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 1)
    mapping = Mapping(AB, (Step(AB, 30),), ("name",))
    big = await table(place, "big", mapping, *(b"%d,x\n" % number for number in range(30)))
    grant = await place.grant_in((big,))
    place.data.mkdir(exist_ok=True)
    connected.clear()
    assert stage_in(grant, str(place.data)).rows == 30
    assert len(connected) <= 1 + pieces.AT_A_TIME, "one for the plan, a few for all pieces"


@pytest.mark.parametrize("select", ["b", "*b", "b*"])
async def test_an_object_is_mapped_by_the_header_it_brings(place: Place, select: str) -> None:
    mapping = Mapping(None, (Step(None, 1),), (select,), (), Where("a", "ne", ("1",)))
    part = await place.slice("x.csv", b'\xef\xbb\xbfa,b\r\n1,2\r\n3,"4\r\n"')
    ended = await brought(place, TableRead("files/x.csv", "in/tables/x.csv", None, (part,), None, mapping=mapping))
    assert ended.code == 0, ended.text
    assert content(place, "x") == b'b\n"4\r\n"\n'
    assert not (place.data / "in/tables/x.csv.manifest").exists()


@pytest.mark.parametrize(
    ("text", "select", "told"),
    [
        (b"a,b\n1\n", ("a",), "files/x.csv, line 2: found 1 field, expected 2"),
        (b"", ("a",), "the file is empty"),
        (b"a,b\n1,2\n", ("z",), "names the column `z`, which is not there; it has `a`, `b`"),
    ],
)
async def test_an_object_that_can_not_be_mapped_is_the_authors_to_mend(
    place: Place, text: bytes, select: tuple[str, ...], told: str
) -> None:
    part = await place.slice("x.csv", text)
    mapping = Mapping(None, (Step(None, 1),), select)
    ended = await brought(place, TableRead("files/x.csv", "in/tables/x.csv", None, (part,), None, mapping=mapping))
    assert (ended.code, ended.term["reason"]) == (1, Reason.INPUT_INVALID)
    assert told in ended.term["message"]


@pytest.mark.parametrize("key", [(), ("id",)], ids=["in pieces", "as a whole"])
async def test_many_tables_come_a_few_at_a_time(
    place: Place, monkeypatch: pytest.MonkeyPatch, key: tuple[str, ...]
) -> None:
    monkeypatch.setattr(agent_mapping, "_BATCH_BYTES", 40)
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 8)
    some = Mapping(AB, (Step(AB, 3),), primary_key=key, limit=5)
    every = Mapping(AB, (Step(AB, 3),), ("name", "id"), primary_key=key)
    slices = (b"1,a\n", b"2,b\n", b"3,c\n")
    tables = [await table(place, f"t{i}", every if i % 2 else some, *slices) for i in range(7)]
    place.data.mkdir()
    result = stage_in(await place.grant_in(tuple(tables)), str(place.data))
    assert result.rows == 21
    assert {content(place, f"t{i}") for i in range(0, 7, 2)} == {b"id,name\n1,a\n2,b\n3,c\n"}
    assert {content(place, f"t{i}") for i in range(1, 7, 2)} == {b"name,id\na,1\nb,2\nc,3\n"}


async def test_pieces_stand_in_the_order_of_the_rows(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 2000)
    rows = [f'{i},"line {i}\r\n""{"x" * (i % 50)}"""' for i in range(3000)]
    slices = [("".join(f"{row}\r\n" for row in rows[i : i + 40])).encode() for i in range(0, 3000, 40)]
    delete = Where("id", "eq", ("17", "2990"))
    history = (Step(AB, 50, skip=10), Step(None, 0, delete), Step(AB, len(slices) - 50))
    one = await table(place, "t", Mapping(AB, history, where=Where("id", "ge", ("5",), "number")), *slices)
    place.data.mkdir()
    assert stage_in(await place.grant_in((one,)), str(place.data)).rows == 2989
    wanted = [row for i, row in enumerate(rows) if i >= 10 and i != 17]
    assert content(place, "t").decode() == "id,name\n" + "".join(f"{row}\n" for row in wanted)


async def test_behind_a_limit_nothing_is_brought(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 1)
    good = await table(place, "t", Mapping(AB, (Step(AB, 3),), where=Where("id", "ne", ("1",)), limit=2),
                       b"1,a\n2,b\n", b"3,c\n4,d\n", b"5,e\n")  # fmt: skip
    gone = SliceRead(good.slices[2].url.replace("t-2.csv", "gone.csv"), 4, good.slices[2].etag)
    one = dataclasses.replace(good, slices=(*good.slices[:2], gone))
    place.data.mkdir()
    assert stage_in(await place.grant_in((one,)), str(place.data)).rows == 2
    assert content(place, "t") == b"id,name\n2,b\n3,c\n"


def folder(place: Place, name: str) -> dict[str, bytes]:
    return {item.name: item.read_bytes() for item in sorted((place.data / f"in/tables/{name}.csv").iterdir())}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_table_may_come_as_a_folder_of_slices(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 8)
    slices = (b'1,"a\r\nb"\r\n', b"2,b\n1,c\n", b"3,d\n")
    parts = tuple([await place.slice(f"p-{i}.csv", content) for i, content in enumerate(slices)])
    manifest = {"id": "in.c-main.t", "columns": list(AB), "primary_key": [], "metadata": []}
    plain = TableRead("in.c-main.p", "in/tables/plain.csv", AB, parts, manifest, 4, sliced=True)
    empty = TableRead("in.c-main.e", "in/tables/empty.csv", AB, (), manifest, 0, sliced=True)
    some = Mapping(AB, (Step(AB, 3),), ("name",), where=Where("id", "ne", ("2",)))
    keyed = Mapping(AB, (Step(AB, 3),), primary_key=("id",))
    none = Mapping(AB, (Step(AB, 3),), where=Where("id", "eq", ("9",)))
    tables = [
        dataclasses.replace(plain, path=f"in/tables/{name}.csv", mapping=mapping)
        for name, mapping in (("some", some), ("keyed", keyed), ("none", none))
    ]
    place.data.mkdir()
    assert stage_in(await place.grant_in((plain, empty, *tables)), str(place.data)).rows == 10
    assert folder(place, "plain") == {f"{i:05d}.csv": content for i, content in enumerate(slices)}, "byte for byte"
    assert b"".join(folder(place, "some").values()) == b'"a\r\nb"\nc\nd\n'
    assert folder(place, "keyed") == {"00000.csv": b"2,b\n1,c\n3,d\n"}
    assert folder(place, "none") == folder(place, "empty") == {}
    found = CommonInterface(data_folder_path=str(place.data)).get_input_tables_definitions()
    assert {(item.name, item.is_sliced, tuple(item.column_names)) for item in found} == {
        (f"{name}.csv", True, AB) for name in ("plain", "empty", "some", "keyed", "none")
    }


async def test_a_full_disk_is_known_before_anything_travels(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await table(place, "t", Mapping(AB, (Step(AB, 1),), limit=5), b"1,a\n" * 100)
    monkeypatch.setattr("componentrun.agent.folder.Folder.free_bytes", lambda _: 600)
    place.data.mkdir()
    with pytest.raises(UserError, match="has room for 600") as refusal:
        stage_in(await place.grant_in((one,)), str(place.data))
    assert refusal.value.reason is Reason.DISK_FULL


async def test_without_a_mapping_nothing_heavy_is_loaded(place: Place) -> None:
    plain = TableRead("in.c-main.p", "in/tables/p.csv", AB, (await place.slice("p.csv", b"1,x\n"),), None, 1)
    grant = await place.grant_in((plain,))
    place.data.mkdir()
    code = (
        "import sys; from componentrun.agent.stage_in import stage_in; "
        "from componentrun.exchange import GrantIn, from_json; "
        "stage_in(from_json(GrantIn, sys.argv[1]), sys.argv[2]); "
        "print([name for name in ('duckdb', 'pydantic', 'shutil', 'numpy') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, to_json(grant), str(place.data)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: ASYNC221 - nothing else waits
    assert done.stdout.splitlines()[-1] == "[]"

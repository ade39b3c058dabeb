"""Loading a file into a table and reading it back, without a pod."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.documents import MAX_DEPTH, parse_portable
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.exchange import StageOutResult, from_json, to_json
from componentrun.storage import upload
from componentrun.storage.commit import publish
from componentrun.storage.download import head_rows, read_csv
from componentrun.storage.failures import StaleError
from componentrun.storage.layout import TableId
from componentrun.storage.state import StateOwner, read_state, remove_state, write_state
from componentrun.storage.tables import need_table
from componentrun.storage.upload import upload_table
from tests.unit.storage.scenarios import KilledError, MortalStore, content, result, uploaded, versions

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.storage.connection import Store

FOO = TableId("in", "c-main", "foo")


async def load(store: Store, folder: Path, data: bytes, **more: bool | str | tuple[str, ...]) -> upload.Loaded:
    path = folder / "foo.csv"
    path.write_bytes(data)
    return await upload_table(store, path, FOO, **more)  # type: ignore[arg-type]  # of any type


async def whole(store: Store) -> bytes:
    return b"".join([chunk async for chunk in read_csv(store, FOO)])


@pytest.mark.parametrize(
    ("data", "stored", "rows"),
    [
        (b"a,b\n1,2\n3,4\n", b"a,b\n1,2\n3,4\n", 2),
        (b"a,b\n1,2", b"a,b\n1,2\n", 1),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", b"a,b\n1,2\r\n", 1),
        (b"a,b\n", b"a,b\n", 0),
        (b"a,b", b"a,b\n", 0),
        (b'"a ""x""",b\n"1\n2",","\n', b'"a ""x""",b\n"1\n2",","\n', 1),
    ],
)
async def test_a_file_becomes_a_table(store: Store, tmp_path: Path, data: bytes, stored: bytes, rows: int) -> None:
    loaded = await load(store, tmp_path, data, primary_key=())
    assert await whole(store) == stored
    assert (loaded.rows, loaded.pointer.rows, loaded.pointer.version) == (rows, rows, 1)


async def test_a_big_file_is_cut_at_row_borders(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "SLICE_BYTES", 1000)
    data = b"a,b\n" + b"".join(b'%d,"line\n%d"\n' % (number, number) for number in range(500))
    loaded = await load(store, tmp_path, data.rstrip(b"\n"))
    slices = (await need_table(store, FOO)).pointer.slices
    assert len(slices) == 8
    assert all(store_key.key.startswith(f"team/a/data/{loaded.run}-1/in.c-main/foo/") for store_key in slices)
    assert sum(part.rows for part in slices) == loaded.rows == 500
    assert await whole(store) == data


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"a,b\n1\n", "line 2: found 1 field, expected 2"),
        (b"a,a\n1,2\n", "twice"),
        (b"a,b\n1,\xff\n", "not UTF-8"),
        (b'a,b\n1,"2\n', "line 2"),
    ],
)
async def test_a_malformed_file_changes_nothing(store: Store, tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(UserError, match=r"foo\.csv") as refusal:
        await load(store, tmp_path, data)
    assert told in refusal.value.message
    assert await versions(store) == {}


async def test_a_file_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file") as refusal:
        await upload_table(store, tmp_path / "gone.csv", FOO)
    assert refusal.value.reason is Reason.INPUT_NOT_FOUND


async def test_a_file_that_becomes_shorter_while_it_is_read_changes_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "SLICE_BYTES", 400)
    store_slice = upload.store_slice

    async def truncating(*arguments: Any) -> Any:
        (tmp_path / "foo.csv").write_bytes(b"a,b\n1,2\n")
        return await store_slice(*arguments)

    monkeypatch.setattr(upload, "store_slice", truncating)
    with pytest.raises(UserError, match=r"foo\.csv: it became shorter while it was read") as refusal:
        await load(store, tmp_path, b"a,b\n" + b"1,2\n" * 1000)
    assert refusal.value.reason is Reason.OUTPUT_INVALID
    assert await versions(store) == {}


async def test_an_upload_that_died_is_repeated_under_its_uid_and_loads_once(store: Store, tmp_path: Path) -> None:
    await load(store, tmp_path, b"a\n0\n")
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await load(MortalStore(store, 3, after=True), tmp_path, b"a\n1\n", incremental=True, run="load-1")
    again = await load(store, tmp_path, b"a\n1\n", incremental=True, run="load-1")
    assert await whole(store) == b"a\n0\n1\n"
    assert (again.run, again.pointer.version) == ("load-1", 2)


async def test_earlier_rows_are_empty_in_columns_that_came_later(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, str(FOO), ["1", '"x\ny"', "3"])))
    wider = await uploaded(store, "r1", 1, str(FOO), ["4,5,6"], columns=("a", "b", "c"), incremental=True)
    await publish(store, "r1", 1, result(wider))
    assert await whole(store) == b'a,b,c\n1,,\n"x\ny",,\n3,,\n4,5,6\n'


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 99])
async def test_the_head_of_a_table_is_whole_rows(store: Store, rows: int) -> None:
    lines = ["1", '"x\ny"', "3"]
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, str(FOO), lines)))
    assert await head_rows(store, FOO, rows) == ("a\n" + "".join(f"{line}\n" for line in lines[:rows])).encode()


async def test_a_slice_that_was_replaced_is_never_read(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, str(FOO), ["1"])))
    await store.put((await need_table(store, FOO)).pointer.slices[0].key, b"9\n")
    with pytest.raises(StaleError):
        await content(store, str(FOO))


async def test_the_deepest_state_that_is_taken_from_a_component_is_read_again(store: Store) -> None:
    """What can be written and not be read would end every later run of the configuration."""
    text = '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH
    brought = from_json(StageOutResult, to_json(StageOutResult(ok=True, state=parse_portable(text)))).state
    assert brought is not None
    await write_state(store, StateOwner("ex", "12"), brought)
    assert await read_state(store, StateOwner("ex", "12")) == json.loads(text)


async def test_state_is_kept_for_each_configuration_row_and_branch(store: Store) -> None:
    owners = [StateOwner("ex", "12"), StateOwner("ex", "12", row="1"), StateOwner("ex", "12", branch="b")]
    for number, owner in enumerate(owners):
        assert await read_state(store, owner) == {}
        await write_state(store, owner, {"last": f"ä{number}"})
    assert [await read_state(store, owner) for owner in owners] == [{"last": f"ä{number}"} for number in range(3)]
    assert await read_state(store, StateOwner("ex", "13")) == {}
    assert await read_state(store, StateOwner("other", "12")) == {}
    assert (await remove_state(store, owners[0]), await remove_state(store, owners[0])) == (True, False)
    assert await read_state(store, owners[0]) == {}


@pytest.mark.parametrize("part", ["../x", "a/b", "..", "", "a\x00"])
async def test_a_state_never_lies_elsewhere(store: Store, part: str) -> None:
    for owner in (
        StateOwner(part, "1"),
        StateOwner("ex", part),
        StateOwner("ex", "1", part),
        StateOwner("ex", "1", None, part),
    ):
        with pytest.raises(PlatformError, match="can't be part of a key"):
            await write_state(store, owner, {})

"""A local file in slices, for a table that is loaded without a pod; and the state of configurations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import PlatformError, Reason, UserError
from componentrun.storage.access import upload
from componentrun.storage.access.upload import store_table
from componentrun.storage.state.state import StateOwner, read_state, remove_state, write_state
from componentrun.storage.store.keys import TableId
from componentrun.wire.agents import StageOutResult, from_json, to_json
from componentrun.wire.documents import MAX_DEPTH, parse_portable

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.storage.store.connection import Store
    from componentrun.wire.agents import TableWritten

FOO = TableId("in", "c-main", "foo")


async def loaded(store: Store, folder: Path, data: bytes) -> TableWritten:
    path = folder / "foo.csv"
    path.write_bytes(data)
    return await store_table(store, path, FOO, "load-1", primary_key=(), incremental=False)


async def whole(store: Store, written: TableWritten) -> bytes:
    """The rows that were stored."""
    return b"".join([(await store.get(part.key)).data for part in written.slices])


@pytest.mark.parametrize(
    ("data", "stored", "rows"),
    [
        (b"a,b\n1,2\n3,4\n", b"1,2\n3,4\n", 2),
        (b"a,b\n1,2", b"1,2\n", 1),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", b"1,2\r\n", 1),
        (b"a,b\n", b"", 0),
        (b"a,b", b"", 0),
        (b'"a ""x""",b\n"1\n2",","\n', b'"1\n2",","\n', 1),
    ],
)
async def test_the_rows_of_a_file_are_stored(
    store: Store, tmp_path: Path, data: bytes, stored: bytes, rows: int
) -> None:
    written = await loaded(store, tmp_path, data)
    assert (await whole(store, written), written.rows, written.size) == (stored, rows, len(stored))
    assert len(written.columns) == 2


async def test_a_big_file_is_cut_at_row_borders(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "SLICE_BYTES", 1000)
    data = b"".join(b'%d,"line\n%d"\n' % (number, number) for number in range(500))
    written = await loaded(store, tmp_path, b"a,b\n" + data.rstrip(b"\n"))
    assert len(written.slices) == 8
    assert all(part.key.startswith("team/a/data/load-1-1/in.c-main/foo/") for part in written.slices)
    assert sum(part.rows for part in written.slices) == written.rows == 500
    assert await whole(store, written) == data


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
async def test_a_malformed_file_is_refused_and_nothing_is_stored(
    store: Store, tmp_path: Path, data: bytes, told: str
) -> None:
    with pytest.raises(UserError, match=r"foo\.csv") as refusal:
        await loaded(store, tmp_path, data)
    assert told in refusal.value.message
    assert [info.key async for info in store.objects("team/a/")] == []


async def test_a_file_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file") as refusal:
        await store_table(store, tmp_path / "gone.csv", FOO, "load-1", primary_key=(), incremental=False)
    assert refusal.value.reason is Reason.INPUT_NOT_FOUND


async def test_a_file_that_becomes_shorter_while_it_is_read_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "SLICE_BYTES", 400)
    put = store.put

    async def truncating(key: str, data: bytes) -> str:
        (tmp_path / "foo.csv").write_bytes(b"a,b\n1,2\n")
        return await put(key, data)

    monkeypatch.setattr(store, "put", truncating)
    with pytest.raises(UserError, match=r"foo\.csv: it became shorter while it was read") as refusal:
        await loaded(store, tmp_path, b"a,b\n" + b"1,2\n" * 1000)
    assert refusal.value.reason is Reason.OUTPUT_INVALID


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

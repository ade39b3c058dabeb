"""Compressed slices between the agents and real stores: components see no difference."""

from __future__ import annotations

import base64
import gc
import random
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from componentrun.agent import packing
from componentrun.agent.stage_in import stage_in
from componentrun.agent.stage_out import stage_out
from componentrun.encoding import GZIP, NONE, ZSTD, Unpacker, pack, suffix
from componentrun.errors import Reason, TransientError
from componentrun.exchange import GrantOut, OutputTable, SliceRead, StageOutPlan, TableRead
from componentrun.storage.connection import quoted_etag
from tests.integration.agent.conftest import HOUR

if TYPE_CHECKING:
    from tests.integration.agent.conftest import Place

pytestmark = pytest.mark.store

ROWS = "".join(f'{i},"row ""{i}"",\nin two lines"\n' for i in range(20_000)).encode()


async def grant_out(place: Place, compression: str) -> GrantOut:
    plan = StageOutPlan("ns/run", (OutputTable("big.csv", "out.c-main.big"),), compression=compression)
    return GrantOut(await place.url("out", plan), place.policy(), place.settings.ca_bundle)


async def packed_slice(place: Place, name: str, rows: bytes, encoding: str) -> SliceRead:
    content = pack(rows, encoding)
    part = await place.slice(name, content)
    return replace(part, size=len(rows), encoding=encoding, stored=len(content))


@pytest.mark.parametrize("encoding", [GZIP, ZSTD])
@pytest.mark.parametrize("end", [b"", b"7,the last row lacks its newline"])
async def test_rows_go_up_compressed_and_come_down_as_they_were(
    place: Place, monkeypatch: pytest.MonkeyPatch, encoding: str, end: bytes
) -> None:
    monkeypatch.setattr("componentrun.agent.upload.PACKED_SLICE_BYTES", 200_000)
    place.write("out/tables/big.csv", b"id,text\n" + ROWS + end)
    result = stage_out(await grant_out(place, encoding), str(place.data))
    assert result.ok, result.message
    (table,) = result.tables
    whole = ROWS + end + (b"\n" if end else b"")
    assert (table.size, table.rows) == (len(whole), 20_000 + bool(end))
    assert len(table.slices) > 3
    for part in table.slices:
        assert (part.encoding, part.key.endswith(".csv" + suffix(encoding))) == (encoding, True)
        found = await place.store.head(part.key)
        assert found is not None
        assert found.size == part.stored
        assert found.size < part.size // 2

    reads = tuple(
        SliceRead(place.signer.sign_get(part.key, HOUR), part.size, quoted_etag(part.etag), part.encoding, part.stored)
        for part in table.slices
    )
    grant = await place.grant_in((TableRead("out.c-main.big", "in/tables/big.csv", ("id", "text"), reads, None),))
    assert stage_in(grant, str(place.data)).ok
    assert (place.data / "in/tables/big.csv").read_bytes() == b"id,text\n" + whole


async def test_what_unpacks_a_slice_is_gone_when_the_slice_is_there(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Unpacker]] = []

    def unpacker(encoding: str, size: int) -> Unpacker:
        one = Unpacker(encoding, size)
        made.append(weakref.ref(one))
        return one

    monkeypatch.setattr("componentrun.agent.download.Unpacker", unpacker)
    parts = tuple([await packed_slice(place, str(number), ROWS, ZSTD) for number in range(5)])
    table = TableRead("in.c-main.big", "in/tables/big.csv", ("id", "text"), parts, None)
    grant = await place.grant_in((table,))
    place.data.mkdir(exist_ok=True)
    gc.disable()
    try:
        assert stage_in(grant, str(place.data)).ok
        assert [one() for one in made] == [None] * len(parts)
    finally:
        gc.enable()


async def test_slices_stored_in_different_ways_are_one_table(place: Place) -> None:
    parts = (
        await packed_slice(place, "1", ROWS, ZSTD),
        await place.slice("2", b"2,plain\n"),
        await packed_slice(place, "3", b"3,a\n" * 1000, GZIP),
        await packed_slice(place, "4", b"4,b\n", ZSTD),
    )
    table = TableRead("in.c-main.big", "in/tables/big.csv", ("id", "text"), parts, None)
    ended = place.run("stage-in", await place.grant_in((table,)))
    assert ended.code == 0, ended.text
    content = (place.data / "in/tables/big.csv").read_bytes()
    assert content == b"id,text\n" + ROWS + b"2,plain\n" + b"3,a\n" * 1000 + b"4,b\n"


@pytest.mark.parametrize("encoding", [GZIP, ZSTD])
async def test_what_does_not_become_smaller_travels_as_it_is(
    place: Place, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(packing, "_BLOCK_BYTES", 10_000)
    noise = base64.encodebytes(random.Random(7).randbytes(100_000))  # noqa: S311 - the same each time
    place.write("out/tables/big.csv", b"text\n" + noise)
    result = stage_out(await grant_out(place, encoding), str(place.data))
    assert result.ok, result.message
    (part,) = result.tables[0].slices
    assert (part.encoding, part.stored, part.size) == (None, None, len(noise))
    assert await place.content("out.c-main.big") == noise


async def test_few_bytes_are_not_compressed(place: Place) -> None:
    place.write("out/tables/big.csv", "id\n" + "1\n" * 1000)
    result = stage_out(await grant_out(place, ZSTD), str(place.data))
    (part,) = result.tables[0].slices
    assert (part.encoding, part.stored, part.key[-9:]) == (None, None, "/0000.csv")


async def test_a_malformed_row_is_named_with_its_line_before_anything_is_published(place: Place) -> None:
    place.write("out/tables/big.csv", b"id,text\n" + ROWS + b"too,many,fields\n" + ROWS)
    result = stage_out(await grant_out(place, ZSTD), str(place.data))
    assert (result.ok, result.tables) == (False, ())
    assert "out/tables/big.csv, line 40002: found 3 fields, expected 2" in (result.message or "")


@pytest.mark.parametrize("encoding", [GZIP, ZSTD])
async def test_an_object_that_holds_more_than_was_recorded_writes_no_byte_more(place: Place, encoding: str) -> None:
    part = await packed_slice(place, "bomb", bytes(50_000_000), encoding)
    behind = await place.slice("behind", b"x\n")
    table = TableRead("in.c-main.big", "in/tables/big.csv", None, (replace(part, size=1_000), behind), None)
    place.data.mkdir()
    with pytest.raises(TransientError, match="it holds more than the 1000 bytes that were stored") as caught:
        stage_in(await place.grant_in((table,)), str(place.data))
    assert caught.value.reason is Reason.STAGE_IN_FAILED
    assert (place.data / "in/tables/big.csv").stat().st_size <= 1_002


async def test_damage_is_noticed(place: Place) -> None:
    content = bytearray(pack(ROWS, ZSTD))
    content[len(content) // 2] ^= 1
    part = await place.slice("damaged", bytes(content))
    part = replace(part, size=len(ROWS), encoding=ZSTD, stored=len(content))
    place.data.mkdir()
    with pytest.raises(TransientError, match="was it damaged"):
        stage_in(await place.grant_in((TableRead("t", "in/tables/t.csv", None, (part,), None),)), str(place.data))


async def test_nothing_asked_for_is_nothing_compressed(place: Place) -> None:
    place.write("out/tables/big.csv", b"id,text\n" + ROWS)
    result = stage_out(await grant_out(place, NONE), str(place.data))
    assert [part.encoding for part in result.tables[0].slices] == [None] * len(result.tables[0].slices)
    assert await place.content("out.c-main.big") == ROWS

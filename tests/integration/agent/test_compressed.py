"""Slices compressed by stage-out, against a real store: the stored slices contain the same rows."""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING

import pytest

from componentrun.agent.stageout import packing
from componentrun.agent.stageout.main import stage_out
from componentrun.wire.agents import OutputTable, StageOutPlan
from componentrun.wire.encoding import GZIP, NONE, ZSTD, Unpacker, suffix
from componentrun.wire.grants import GrantOut

if TYPE_CHECKING:
    from tests.integration.agent.place import Place

pytestmark = pytest.mark.store

ROWS = "".join(f'{i},"row ""{i}"",\nin two lines"\n' for i in range(20_000)).encode()


async def grant_out(place: Place, compression: str) -> GrantOut:
    plan = StageOutPlan("ns/run", (OutputTable("big.csv", "out.c-main.big"),), compression=compression)
    return GrantOut(await place.url("out", plan), place.policy(), place.settings.ca_bundle)


@pytest.mark.parametrize("encoding", [GZIP, ZSTD])
@pytest.mark.parametrize("end", [b"", b"7,the last row lacks its newline"])
async def test_rows_go_up_compressed(place: Place, monkeypatch: pytest.MonkeyPatch, encoding: str, end: bytes) -> None:
    monkeypatch.setattr("componentrun.agent.stageout.upload.PACKED_SLICE_BYTES", 200_000)
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

    held = b""
    for part in table.slices:
        unpacker = Unpacker(encoding, part.size)
        held += b"".join(unpacker.add((await place.store.get(part.key)).data))
        unpacker.finish()
    assert held == whole


@pytest.mark.parametrize("encoding", [GZIP, ZSTD])
async def test_what_does_not_become_smaller_travels_as_it_is(
    place: Place, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(packing, "_BLOCK_BYTES", 10_000)
    noise = base64.encodebytes(random.Random(7).randbytes(100_000))  # noqa: S311 - reproducible test data
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


async def test_nothing_asked_for_is_nothing_compressed(place: Place) -> None:
    place.write("out/tables/big.csv", b"id,text\n" + ROWS)
    result = stage_out(await grant_out(place, NONE), str(place.data))
    assert [part.encoding for part in result.tables[0].slices] == [None] * len(result.tables[0].slices)
    assert await place.content("out.c-main.big") == ROWS

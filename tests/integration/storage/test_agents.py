"""The agents with each of the stores, including the one with TLS: ranges of files, forms, certificates."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from componentrun.wire.agents import CsvRead, OutputTable
from tests.integration.agent.place import Place, opened
from tests.integration.emptying import delete_all_versions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from componentrun.storage.store.settings import StoreSettings

pytestmark = pytest.mark.store


@pytest.fixture
async def place(settings: StoreSettings, tmp_path: Path) -> AsyncIterator[Place]:
    async with opened(settings, tmp_path) as found:
        yield found
        await delete_all_versions(found.settings)


async def test_stage_in_brings_tables_objects_and_files(place: Place) -> None:
    noise = [[str(number), os.urandom(20).hex()] for number in range(60_000)]
    large = await place.table("large", ("id", "noise"), noise)
    assert large.parquet.size > 2**20, "it is read by ranges"
    small = await place.table("small", ("a",), [["1"]], [["2"]])
    file = await place.file("x.bin", os.urandom(100_000))
    text = CsvRead("x.csv", "in/tables/x.csv", await place.object("x.csv", b"a,b\r\n1,2"))
    ended = place.run("stage-in", await place.grant_in([large, small], files=(file,), objects=(text,)))
    assert ended.code == 0, ended.text
    wanted = "id,noise\n" + "".join(f"{number},{value}\n" for number, value in noise)
    assert (place.data / "in/tables/large.csv").read_text() == wanted
    assert (place.data / "in/tables/small.csv").read_bytes() == b"a\n1\n2\n"
    assert (place.data / "in/tables/x.csv").read_bytes() == b"a,b\r\n1,2"
    assert (place.data / "in/files/x.bin").stat().st_size == 100_000
    assert "X-Amz" not in ended.text


async def test_a_file_of_a_table_that_is_gone_is_named(place: Place) -> None:
    table = await place.table("t", ("a",), [["1"]])
    await place.store.delete([f"{place.settings.prefix}/input/t-data-0.parquet"])
    ended = place.run("stage-in", await place.grant_in([table]))
    assert (ended.code, ended.term["reason"]) == (2, "InputNotFound"), ended.text


async def test_stage_out_stores_what_was_written(place: Place) -> None:
    slices = ["".join(f"{number},{os.urandom(20).hex()}\n" for number in range(100_000)) for _ in range(2)]
    for number, rows in enumerate(slices):
        place.write(f"out/tables/t.csv/{number}", rows)
    place.write("out/tables/t.csv.manifest", '{"columns": ["id", "noise"]}')
    ended = place.run("stage-out", await place.grant_out(OutputTable("t.csv", "out.c-main.t")))
    assert ended.code == 0, ended.text
    assert await place.content("out.c-main.t") == "".join(slices).encode()
    (table,) = (await place.result()).tables
    assert len(table.slices) == 2


async def test_what_an_attempt_may_not_store_is_refused(place: Place) -> None:
    place.write("out/tables/t.csv", "a\n" + "x" * 5_000_000 + "\n")
    grant = await place.grant_out(OutputTable("t.csv", "out.c-main.t"))
    wrong = {**grant.post.fields, "x-amz-signature": "0" * 64}
    grant.post.fields.update(wrong)
    ended = place.run("stage-out", grant)
    assert (ended.code, ended.term["reason"]) == (2, "StorageAccessDenied"), ended.text

"""Compressed output tables against real stores."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from backports import zstd

if TYPE_CHECKING:
    from tests.integration.agent.place import Place

pytestmark = pytest.mark.store


async def test_compressed_tables_are_stored_and_a_bomb_ends_its_own_table(place: Place) -> None:
    place.write("out/tables/a.csv.gz", gzip.compress(b"id,n\n1,x\n2,y"))
    place.write("out/tables/b.csv/1", zstd.compress(b"1,x\n"))
    place.write("out/tables/b.csv/2", b"2,y\n")
    place.write("out/tables/b.csv.manifest", json.dumps({"columns": ["id", "n"]}))
    place.write("out/tables/c.csv", gzip.compress(bytes(40 * 2**20)))
    ended = place.run("stage-out", await place.grant_out(bucket="out.c-main", max_bytes=2**20))
    assert (ended.code, ended.term["reason"]) == (1, "OutputInvalid")
    assert ended.term["message"].startswith("out/tables/c.csv: it holds more than the ")
    result = await place.result()
    assert {table.destination: table.rows for table in result.tables} == {"out.c-main.a": 2, "out.c-main.b": 2}
    assert await place.content("out.c-main.a") == b"1,x\n2,y\n"
    assert await place.content("out.c-main.b") == b"1,x\n2,y\n"


async def test_what_looks_wrong_is_stored_with_a_warning(place: Place) -> None:
    place.write("out/tables/a.csv", "id;n\n1;x\n")
    place.write("out/tables/b.csv", "<!DOCTYPE html>\n<p>Bad gateway</p>\n")
    place.write("out/tables/c.csv/1", "n,id\nx,1\n")
    place.write("out/tables/c.csv/2", "n,id\ny,2\n")
    place.write("out/tables/c.csv.manifest", json.dumps({"columns": ["id", "n"]}))
    ended = place.run("stage-out", await place.grant_out(bucket="out.c-main"))
    assert ended.code == 0, ended.text
    semicolons, page, slices = (await place.result()).warnings
    assert "out/tables/a.csv, line 1: the table has the single column `id;n`, which holds a semicolon" in semicolons
    assert "out/tables/b.csv, line 1: it begins like a web page or XML: `<!DOCTYPE html>`" in page
    assert slices.startswith(
        "out/tables/c.csv/1, line 1: `n`, `id` was stored as a row, but it holds the names of the columns in another"
    )
    assert slices.endswith("The same applies to 1 more of its slices.")

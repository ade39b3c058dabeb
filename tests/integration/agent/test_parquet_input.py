"""stage-in converts Parquet files from signed URLs to CSV files: large and small tables, against a real store."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import Reason
from componentrun.wire.agents import TableRead, Where
from tests.unit.sql.icefiles import Files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from componentrun.wire.parquet import ParquetTable
    from tests.integration.agent.place import Ended, Place

pytestmark = pytest.mark.store
COLUMNS = (("id", 1, "VARCHAR"), ("hash", 2, "VARCHAR"), ("when", 3, "TIMESTAMP"))
SCHEMA = (("id", 1, "string"), ("hash", 2, "string"), ("at", 3, "timestamp"), ("later", 4, "string"))


def rows(first: int, end: int) -> list[list[str]]:
    moment = "2026-01-31 12:30:00.5"
    return [[str(number), hashlib.md5(str(number).encode()).hexdigest(), moment] for number in range(first, end)]  # noqa: S324 - incompressible test data


def delivered(found: Sequence[Sequence[str]]) -> str:
    return "id,hash,at,later\n" + "".join(f"{','.join(row)},\n" for row in found)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "written"
    folder.mkdir()
    return Files(folder)


def read(table: ParquetTable, name: str, **wish: Any) -> TableRead:
    names = tuple(column.name for column in table.columns)
    values = {"columns": names, "manifest": {"id": name}, **wish}
    return TableRead(f"in.c-main.{name}", f"in/tables/{name}.csv", parquet=table, **values)


async def brought(place: Place, *tables: TableRead) -> Ended:
    ended = place.run("stage-in", await place.grant_in(tables))
    left = {item.name for item in place.data.iterdir()}
    assert left <= {"artifacts", "config.json", "in", "out"}, "something else is still there"
    assert "X-Amz" not in ended.text
    return ended


async def test_small_and_large_files_with_deleted_rows(
    place: Place, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in the pod: no home folder, and only the store is reachable.
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    large = files.add(COLUMNS, rows(0, 60_000))
    files.add(COLUMNS, rows(60_000, 60_010))
    files.delete({large: {0, 59_999}})
    table = await place.stored(files.table(*SCHEMA), "t")
    assert table.files[0].size > 2**20, "it is read by ranges"
    some = read(table, "some", columns=("hash",), where=Where("id", "eq", ("60005",)))
    ended = await brought(place, read(table, "whole"), some, read(table, "first", limit=2))
    assert ended.code == 0, ended.text
    folder = place.data / "in/tables"
    wanted = [*rows(1, 59_999), *rows(60_000, 60_010)]
    assert (folder / "whole.csv").read_text() == delivered(wanted)
    assert (folder / "some.csv").read_text() == f"hash\n{rows(60_005, 60_006)[0][1]}\n"
    assert (folder / "first.csv").read_text() == delivered(rows(1, 3))
    assert ended.term["rows"] == 60_008 + 1 + 2
    assert ended.term["size"] == sum(item.stat().st_size for item in folder.glob("*.csv"))


@pytest.mark.parametrize("count", [10, 60_000], ids=["whole", "by ranges"])
async def test_what_is_gone_or_refused_is_told(place: Place, files: Files, count: int) -> None:
    files.add(COLUMNS, rows(0, count))
    table = await place.stored(files.table(*SCHEMA), "t")
    await place.store.delete([f"{place.settings.prefix}/input/t-data-0.parquet"])
    gone = await brought(place, read(table, "gone"))
    assert (gone.code, gone.term["reason"]) == (2, Reason.INPUT_NOT_FOUND), gone.text
    assert "in.c-main.gone, its file `s3://lake/t/data-0.parquet`: the object is not in the store" in gone.text
    url = table.files[0].url
    wrong = dataclasses.replace(table.files[0], url=f"{url[:-1]}{'0' if url[-1] != '0' else '1'}")
    refused = await brought(place, read(dataclasses.replace(table, files=(wrong,)), "refused"))
    assert (refused.code, refused.term["reason"]) == (2, Reason.STORAGE_ACCESS_DENIED), refused.text
    assert "Has the grant expired" in refused.text

"""Tables of a catalog, from signed URLs of Parquet files to files in the data folder."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.agent import transfer
from componentrun.agent.folder import Folder
from componentrun.agent.stagein import parquet
from componentrun.agent.stagein.parquet import bring_parquet
from componentrun.agent.transfer import Client, Patience
from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError, UserError
from componentrun.sql import query as tablequery
from componentrun.wire.agents import TableRead, Where
from tests.unit.agent.rangeserver import SIGNATURE, RangeServer
from tests.unit.sql.icefiles import Files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from componentrun.wire.parquet import ParquetTable

COLUMNS = (("id", 1, "VARCHAR"), ("name", 2, "VARCHAR"), ("wide", 3, "VARCHAR"))
TEXTS = (("id", 1, "string"), ("name", 2, "string"), ("wide", 3, "string"))
ROWS = [[f"{number:06d}", f"name {number}", f"{number * 7919 % 999983}" * 40] for number in range(20_000)]
MANIFEST = {"id": "in.c-main.t"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RangeServer]:
    folder = tmp_path / "store"
    folder.mkdir()
    with RangeServer(folder) as running:
        yield running


@pytest.fixture
def files(store: RangeServer) -> Files:
    return Files(store.folder)


@pytest.fixture
def by_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_WHOLE_BYTES", 0)


def signed(table: ParquetTable, store: RangeServer) -> ParquetTable:
    def of(files: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(dataclasses.replace(file, url=store.url(file.path.rpartition("/")[2])) for file in files)

    return dataclasses.replace(table, files=of(table.files), deletes=of(table.deletes))


def read(
    table: ParquetTable,
    name: str = "t",
    select: tuple[str, ...] | None = None,
    where: Where | None = None,
    limit: int | None = None,
    *,
    sliced: bool = False,
) -> TableRead:
    names = tuple(column.name for column in table.columns)
    path = f"in/tables/{name}.csv"
    return TableRead(f"in.c-main.{name}", path, select or names, table, MANIFEST, where, limit, sliced)


def bring(data: Path, *tables: TableRead, budget: float = 120.0) -> dict[str, int]:
    data.mkdir(exist_ok=True)
    with Folder(str(data)) as folder:
        folder.make("in/tables")
        try:
            with Client(None, Patience(budget=budget)) as client:
                return bring_parquet(client, folder, str(data), tables)
        finally:
            assert [item.name for item in data.iterdir()] == ["in"], "nothing else is left"


def lines(rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"{','.join(row)}\n" for row in rows)


def test_small_files_come_whole_and_many_tables_at_once(files: Files, store: RangeServer, tmp_path: Path) -> None:
    first = files.add(COLUMNS, ROWS[:5])
    files.add(COLUMNS, ROWS[5:9])
    files.delete({first: {1}})
    table = signed(files.table(*TEXTS), store)
    tables = [read(table, f"t{i}") for i in range(9)]
    tables += [read(table, "none", where=Where("id", "eq", ("x",))), read(table, "some", ("name",), limit=2)]
    rows = bring(tmp_path / "data", *tables)
    assert rows == {f"in/tables/t{i}.csv": 8 for i in range(9)} | {"in/tables/none.csv": 0, "in/tables/some.csv": 2}
    folder = tmp_path / "data/in/tables"
    assert (folder / "t3.csv").read_text() == "id,name,wide\n" + lines([*ROWS[:1], *ROWS[2:9]])
    assert json.loads((folder / "t3.csv.manifest").read_text()) == MANIFEST
    assert (folder / "none.csv").read_text() == "id,name,wide\n"
    assert (folder / "some.csv").read_text() == "name\nname 0\nname 2\n"
    assert {item.partition(" ")[2] for item in store.asked} == {"whole"}
    assert len(store.asked) == 11 * 3


@pytest.mark.usefixtures("by_ranges")
def test_only_the_columns_and_row_groups_that_are_needed_are_fetched(
    files: Files, store: RangeServer, tmp_path: Path
) -> None:
    files.add(COLUMNS, ROWS)
    table = signed(files.table(*TEXTS), store)
    assert bring(tmp_path / "all", read(table)) == {"in/tables/t.csv": 20_000}
    assert (tmp_path / "all/in/tables/t.csv").read_text() == "id,name,wide\n" + lines(ROWS)
    everything, store.sent = store.sent, 0
    assert everything < 1.1 * table.size, "nothing is fetched twice"
    where = Where("id", "eq", ("012345",))
    assert bring(tmp_path / "one", read(table, select=("name",), where=where)) == {"in/tables/t.csv": 1}
    assert (tmp_path / "one/in/tables/t.csv").read_text() == "name\nname 12345\n"
    one, store.sent = store.sent, 0
    bring(tmp_path / "column", read(table, select=("id",)))
    assert one < store.sent < everything / 3
    assert one < everything / 8


@pytest.mark.usefixtures("by_ranges")
def test_row_groups_that_are_older_are_not_fetched(files: Files, store: RangeServer, tmp_path: Path) -> None:
    files.add(COLUMNS, ROWS, stamps=[1_000 + number for number in range(20_000)])
    table = signed(files.table(*TEXTS, after=1_000 + 19_989), store)
    assert bring(tmp_path / "data", read(table)) == {"in/tables/t.csv": 10}
    assert (tmp_path / "data/in/tables/t.csv").read_text() == "id,name,wide\n" + lines(ROWS[-10:])
    assert store.sent < table.size / 4


def test_a_table_may_come_as_a_folder(files: Files, store: RangeServer, tmp_path: Path) -> None:
    files.add(COLUMNS, ROWS[:3])
    table = signed(files.table(*TEXTS), store)
    none = read(table, "none", where=Where("id", "eq", ("x",)), sliced=True)
    bring(tmp_path / "data", read(table, sliced=True), none)
    folder = tmp_path / "data/in/tables"
    assert (folder / "t.csv/00000.csv").read_text() == lines(ROWS[:3])
    assert list((folder / "none.csv").iterdir()) == []
    assert json.loads((folder / "none.csv.manifest").read_text()) == MANIFEST


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (403, Reason.STORAGE_ACCESS_DENIED, "Has the grant expired"),
        (404, Reason.INPUT_NOT_FOUND, "the object is not in the store any more"),
        (503, Reason.STORAGE_UNAVAILABLE, "the object store failed for 0 s"),
        (400, Reason.INTERNAL, "the object store answered 400"),
    ],
)
def test_what_the_store_refuses_is_told_without_the_url(
    files: Files,
    store: RangeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    whole: bool,
    status: int,
    reason: Reason,
    told: str,
) -> None:
    monkeypatch.setattr(parquet, "_WHOLE_BYTES", 2**20 if whole else 0)
    monkeypatch.setitem(parquet._RETRIES, "http_retries", 0)
    files.add(COLUMNS, ROWS[:5])
    store.always = status, b"<Error><Resource>secret</Resource></Error>"
    with pytest.raises(ComponentRunError) as refusal:
        bring(tmp_path / "data", read(signed(files.table(*TEXTS), store)), budget=0.0)
    message = str(refusal.value)
    assert (refusal.value.reason, told in message) == (reason, True), message
    assert message.startswith("in.c-main.t, its file `s3://lake/t/data-0.parquet`: ")
    assert SIGNATURE not in message
    assert "127.0.0.1" not in message


@pytest.mark.usefixtures("by_ranges")
def test_a_store_that_is_away_is_waited_for(
    files: Files, store: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_PAUSE", 0.0)
    monkeypatch.setattr(transfer, "_FIRST_PAUSE", 0.0)
    monkeypatch.setitem(parquet._RETRIES, "http_retries", 0)
    files.add(COLUMNS, ROWS)
    store.answers = [(503, b"")] * 3 + [None] * 3 + [(503, b"")] * 3
    store.broken = 2
    assert bring(tmp_path / "data", read(signed(files.table(*TEXTS), store))) == {"in/tables/t.csv": 20_000}
    assert (tmp_path / "data/in/tables/t.csv").read_text() == "id,name,wide\n" + lines(ROWS)
    assert store.answers == []
    assert store.broken == 0


@pytest.mark.usefixtures("by_ranges")
def test_connections_that_break_all_the_time_are_told(
    files: Files, store: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_PAUSE", 0.0)
    monkeypatch.setattr(Client, "send", lambda *_, **__: None)
    monkeypatch.setitem(parquet._RETRIES, "http_retries", 0)
    files.add(COLUMNS, ROWS[:5])
    store.always = 500, b""
    with pytest.raises(TransientError, match="connections to the object store broke in each of 5 tries") as error:
        bring(tmp_path / "data", read(signed(files.table(*TEXTS), store)))
    assert error.value.reason is Reason.STORAGE_UNAVAILABLE


@pytest.mark.parametrize("whole", [True, False])
def test_a_damaged_file_is_told_by_its_name(
    files: Files, store: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, whole: bool
) -> None:
    monkeypatch.setattr(parquet, "_WHOLE_BYTES", 2**20 if whole else 0)
    files.add(COLUMNS, ROWS[:5])
    file = store.folder / "data-0.parquet"
    file.write_bytes(os.urandom(file.stat().st_size))
    with pytest.raises(PlatformError, match=r"in\.c-main\.t: its files can't be read: ") as error:
        bring(tmp_path / "data", read(signed(files.table(*TEXTS), store)))
    assert error.value.reason is Reason.STAGE_IN_FAILED
    assert "'s3://lake/t/data-0.parquet'" in str(error.value)
    assert SIGNATURE not in str(error.value)
    assert "stage-in-" not in str(error.value)


def test_a_column_that_has_no_form_in_a_csv_file_is_refused_before_anything_travels(
    files: Files, store: RangeServer, tmp_path: Path
) -> None:
    files.add(COLUMNS, ROWS[:5])
    table = signed(files.table(*TEXTS, ("tags", 9, "list<string>")), store)
    with pytest.raises(UserError, match="`tags` is of type `list<string>`") as error:
        bring(tmp_path / "data", read(table))
    assert error.value.reason is Reason.INPUT_INVALID
    assert store.asked == []
    assert bring(tmp_path / "data", read(table, select=("id",))) == {"in/tables/t.csv": 5}


def test_memory_that_is_short_is_told(
    files: Files, store: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tablequery, "memory_for_queries", lambda _: 2**20)
    files.add(COLUMNS, ROWS, group=20_000)
    with pytest.raises(PlatformError, match="raise the memory limit of stage-in") as error:
        bring(tmp_path / "data", read(signed(files.table(*TEXTS), store)))
    assert error.value.reason is Reason.STAGE_IN_FAILED


def test_a_disk_that_is_full_is_told(
    files: Files, store: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.add(COLUMNS, ROWS[:5])
    target = tmp_path / "full"
    target.symlink_to("/dev/full")
    write = tablequery.write_rows
    monkeypatch.setattr(
        parquet, "write_rows", lambda at, mapping, rows, _, **more: write(at, mapping, rows, str(target), **more)
    )
    with pytest.raises(UserError, match="the data folder is full") as error:
        bring(tmp_path / "data", read(signed(files.table(*TEXTS), store)))
    assert error.value.reason is Reason.DISK_FULL

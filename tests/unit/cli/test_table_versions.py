"""`table`: info, history, restore: what is printed (a store in memory), and what is known of real pointers."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from obstore.store import MemoryStore

from componentrun.cli.objects import ObjectStore
from componentrun.cli.store import ColumnInfo, TableDetails, TableVersion
from componentrun.cli.tablefacts import details_of
from componentrun.errors import Reason, UserError
from componentrun.storage.compaction import DEFAULT_SEGMENTS
from componentrun.storage.connection import Store
from componentrun.storage.pointer import Commit, Slice, TableLoad, merge_load
from componentrun.storage.settings import StoreSettings
from tests.unit.cli.world import START

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World

FOO = "in.c-main.foo"
LOADED = TableVersion(2, START - timedelta(hours=3), "load", 1200, 34_000, "6f2a", 1, None)
RESTORED = TableVersion(3, START - timedelta(minutes=5), "restore of 1", 10, 250, "restore-1", 1, "jane")


def details(*, exact: bool = True, kept: tuple[int, ...] = (1, 2)) -> TableDetails:
    columns = (ColumnInfo("id", "INTEGER"), ColumnInfo("a longer name", None))
    return TableDetails(FOO, columns, ("id",), START - timedelta(days=3), RESTORED, exact, 2, 4, "not needed", kept)


def test_info_tells_all_that_is_known(world: World) -> None:
    world.store.known[FOO] = details()
    assert world.run("table", "info", FOO).stdout == (
        "Table:        in.c-main.foo\n"
        "Storage:      main\n"
        "Version:      3\n"
        "Created:      2026-11-21 08:00:00 UTC (3d ago)\n"
        "Last change:  2026-11-24 07:55:00 UTC (5m ago): restore of 1 by jane\n"
        "Primary key:  id\n"
        "Rows:         10\n"
        "Size:         250 B (250 bytes) in 4 slices\n"
        "Segments:     2, compaction not needed\n"
        "Earlier:      2 versions, the oldest is 1\n"
        "Columns:\n"
        "  id              INTEGER   key\n"
        "  a longer name   text\n"
    )


def test_info_says_where_a_reader_sees_fewer_rows(world: World) -> None:
    world.store.known[FOO] = details(exact=False, kept=())
    text = world.run("table", "info", FOO).stdout
    assert "10, as loaded: a reader sees one for each key, and none that was deleted\n" in text
    assert "no version is kept" in text


def test_info_for_programs(world: World) -> None:
    world.store.known[FOO] = details()
    found = json.loads(world.run("table", "info", FOO, "-o", "json").stdout)
    assert found["columns"] == [{"name": "id", "type": "INTEGER"}, {"name": "a longer name", "type": None}]
    assert (found["created"], found["kept"]) == ("2026-11-21T08:00:00+00:00", [1, 2])
    assert (found["current"]["what"], found["current"]["who"]) == ("restore of 1", "jane")


def test_info_of_what_is_not_there_is_told_with_a_hint(world: World) -> None:
    world.store.problem = UserError("there is no table `in.c-main.foo`", Reason.INPUT_NOT_FOUND)
    result = world.run("table", "info", FOO)
    assert result.exit_code == 1
    assert "hint: `componentrun table ls` shows the tables" in result.stderr


def test_history_has_a_line_for_each_version(world: World) -> None:
    world.store.versions[FOO] = [RESTORED, LOADED]
    assert world.run("table", "history", FOO).stdout == (
        "VERSION   TIME (UTC)            WHAT            ROWS      SIZE   BY\n"
        "      3   2026-11-24 07:55:00   restore of 1      10     250 B   jane\n"
        "      2   2026-11-24 05:00:00   load           1,200   34.0 kB   6f2a\n"
    )
    assert world.run("table", "history", FOO, "--limit", "1").stdout.count("\n") == 2


def test_history_for_programs(world: World) -> None:
    world.store.versions[FOO] = [RESTORED, LOADED]
    found = json.loads(world.run("table", "history", FOO, "-o", "json").stdout)
    assert found[1] == {
        "number": 2, "time": "2026-11-24T05:00:00+00:00", "what": "load", "rows": 1200, "bytes": 34_000,
        "run": "6f2a", "attempt": 1, "who": None,
    }  # fmt: skip


def test_restore_asks_first_and_tells_what_is_there_now(world: World, tmp_path: Path) -> None:
    (tmp_path / "foo.csv").write_bytes(b"id\n1\n")
    world.run("table", "put", str(tmp_path / "foo.csv"), FOO)
    refused = world.run("table", "restore", FOO, "--version", "7")
    assert (refused.exit_code, world.store.restored) == (1, 0)
    assert "will be what it was at version 7" in refused.stderr
    done = world.run("table", "restore", FOO, "--version", "7", "--yes")
    assert (done.exit_code, world.store.restored, world.store.by) == (0, 7, "jane")
    assert done.stderr == "`in.c-main.foo` is what it was at version 7: 1 row (2 B), now version 1\n"


def nothing(_done: int, _total: int | None) -> None:
    """No progress is shown."""


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    """A table with three versions: a load, an increment, a load with a key."""
    made = ObjectStore(Store(StoreSettings(bucket="bucket", endpoint="http://store.test"), MemoryStore()))
    file = tmp_path / "foo.csv"
    file.write_bytes(b"id,name\n1,a\n1,b\n")
    for more in ({}, {"incremental": True}, {"primary_key": ("id",)}):
        made.put(file, FOO, progress=nothing, **({"incremental": False, "primary_key": ()} | more))
    return made


def test_the_history_of_a_real_table(objects: ObjectStore) -> None:
    assert objects.remove(FOO, who="jane") == 3
    objects.restore(FOO, 2, who="joe")
    found = objects.history(FOO, 10)
    assert [(version.number, version.what, version.rows, version.who) for version in found] == [
        (5, "restore of 2", 4, "joe"),
        (4, "drop", 0, "jane"),
        (3, "load", 2, None),
        (2, "increment", 4, None),
        (1, "load", 2, None),
    ]
    assert [version.number for version in objects.history(FOO, 2)] == [5, 4]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a\n1\n\n2\n", [("1",), ("",), ("2",)]),
        (b"a\n" + b"x" * 200_000 + b"\n", [("x" * 200_000,)]),
    ],
)
def test_the_first_rows_of_a_real_table(
    objects: ObjectStore, tmp_path: Path, content: bytes, rows: list[tuple[str, ...]]
) -> None:
    (tmp_path / "bar.csv").write_bytes(content)
    objects.put(tmp_path / "bar.csv", "in.c-main.bar", incremental=False, primary_key=(), progress=nothing)
    assert list(objects.head("in.c-main.bar", 10).rows) == rows


def test_the_details_of_a_real_table(objects: ObjectStore) -> None:
    found = objects.details(FOO)
    assert (found.columns, found.primary_key) == ((ColumnInfo("id", None), ColumnInfo("name", None)), ("id",))
    assert (found.current.rows, found.exact, found.segments, found.slices, found.kept) == (2, False, 1, 1, (1, 2))
    assert found.compaction == "not needed"
    objects.restore(FOO, 2, who="joe")
    assert objects.details(FOO).exact


def test_many_segments_make_a_compaction_due(objects: ObjectStore, tmp_path: Path) -> None:
    for _ in range(DEFAULT_SEGMENTS):
        objects.put(tmp_path / "foo.csv", FOO, incremental=True, primary_key=(), progress=nothing)
    assert objects.details(FOO).compaction == "due"


def test_a_real_table_as_parquet_has_the_rows_that_readers_see(objects: ObjectStore, tmp_path: Path) -> None:
    assert objects.export(FOO, tmp_path / "foo.parquet", text=False) == 1


def test_a_table_that_was_dropped_tells_so(objects: ObjectStore) -> None:
    objects.remove(FOO, who="jane")
    with pytest.raises(UserError, match=r"was dropped at .* by jane"):
        objects.details(FOO)
    assert objects.remove(FOO, who="jane") is None
    assert objects.tables() == []


def test_a_column_more_makes_no_row_less() -> None:
    first = TableLoad(table=FOO, columns=("id",), slices=(Slice(key="k", size=2, rows=1, etag="e"),))
    more = TableLoad(
        table=FOO, columns=("id", "n"), incremental=True, slices=(Slice(key="l", size=4, rows=1, etag="e"),)
    )
    commit = Commit(run="r", attempt=1, time=START)
    widened = merge_load(merge_load(None, first, commit), more, commit)
    assert details_of(widened, []).exact
    keyed = merge_load(None, first.model_copy(update={"primary_key": ("id",)}), commit)
    assert not details_of(keyed, []).exact

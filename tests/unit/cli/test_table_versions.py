"""`table`: info, history, restore: what is printed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from componentrun.client.storage.tablestore import ColumnInfo, TableDetails, TableVersion
from componentrun.errors import Reason, UserError
from tests.unit.cli.world import START

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World

FOO = "in.c-main.foo"
LOADED = TableVersion(2, START - timedelta(hours=3), "load", 1200, 34_000, "6f2a", 1, None, "team/one", "7002")
RESTORED = TableVersion(
    3, START - timedelta(minutes=5), "restore of 1", 10, 250, "restore-1", 1, "jane", snapshot="7003"
)
APPENDED = TableVersion(4, START - timedelta(minutes=1), "append", None, 260, "", 0, None, "spark", "7004")
EMPTY = TableVersion(0, START - timedelta(days=3), "create", 0, 0, "", 0, None)


def details(current: TableVersion = RESTORED, *, delete_files: int = 0, kept: tuple[int, ...] = (1, 2)) -> TableDetails:
    columns = (ColumnInfo("id", "int"), ColumnInfo("a longer name", None))
    created = START - timedelta(days=3)
    return TableDetails(FOO, "in_c_main.foo", columns, ("id",), created, current, 4, delete_files, kept)


def test_info_tells_all_that_is_known(world: World) -> None:
    world.tables.known[FOO] = details()
    assert world.run("table", "info", FOO).stdout == (
        "Table:        in.c-main.foo\n"
        "Storage:      main\n"
        "Version:      3\n"
        "Created:      2026-11-21 08:00:00 UTC (3d ago)\n"
        "Last change:  2026-11-24 07:55:00 UTC (5m ago): restore of 1 by jane\n"
        "Primary key:  id\n"
        "In catalog:   in_c_main.foo, snapshot 7003\n"
        "Rows:         10\n"
        "Size:         250 B in 4 data files\n"
        "Earlier:      2 versions, the oldest is 1\n"
        "Columns:\n"
        "  id              int    key\n"
        "  a longer name   text\n"
    )


def test_info_says_what_is_not_known(world: World) -> None:
    world.tables.known[FOO] = details(APPENDED, delete_files=1)
    text = world.run("table", "info", FOO).stdout
    assert "Last change:  2026-11-24 07:59:00 UTC (60s ago): append by spark\n" in text
    assert "Rows:         -\nSize:         260 B in 4 data files and 1 delete file\n" in text


def test_info_of_a_table_into_which_nobody_put_anything(world: World) -> None:
    world.tables.known[FOO] = details(EMPTY, kept=())
    text = world.run("table", "info", FOO).stdout
    assert "create by unknown\n" in text
    assert "snapshot none\n" in text
    assert "no version is kept" in text


def test_info_for_programs(world: World) -> None:
    world.tables.known[FOO] = details()
    found = json.loads(world.run("table", "info", FOO, "-o", "json").stdout)
    assert found["columns"] == [{"name": "id", "type": "int"}, {"name": "a longer name", "type": None}]
    assert (found["created"], found["kept"]) == ("2026-11-21T08:00:00+00:00", [1, 2])
    assert (found["current"]["what"], found["current"]["who"]) == ("restore of 1", "jane")


def test_info_of_what_is_not_there_is_told_with_a_hint(world: World) -> None:
    world.tables.problem = UserError("there is no table `in.c-main.foo`", Reason.INPUT_NOT_FOUND)
    result = world.run("table", "info", FOO)
    assert result.exit_code == 1
    assert "hint: `componentrun table ls` lists the tables" in result.stderr


def test_history_has_a_line_for_each_version(world: World) -> None:
    world.tables.versions[FOO] = [RESTORED, LOADED]
    assert world.run("table", "history", FOO).stdout == (
        "VERSION   TIME (UTC)            WHAT            ROWS      SIZE   BY\n"
        "      3   2026-11-24 07:55:00   restore of 1      10     250 B   jane\n"
        "      2   2026-11-24 05:00:00   load           1,200   34.0 kB   team/one\n"
    )
    assert world.run("table", "history", FOO, "--limit", "1").stdout.count("\n") == 2


def test_history_for_programs(world: World) -> None:
    world.tables.versions[FOO] = [RESTORED, LOADED]
    found = json.loads(world.run("table", "history", FOO, "-o", "json").stdout)
    assert found[1] == {
        "number": 2, "time": "2026-11-24T05:00:00+00:00", "what": "load", "rows": 1200, "bytes": 34_000,
        "run": "6f2a", "attempt": 1, "who": None, "title": "team/one", "snapshot": "7002",
    }  # fmt: skip


def test_restore_asks_first_and_tells_what_is_there_now(world: World, tmp_path: Path) -> None:
    (tmp_path / "foo.csv").write_bytes(b"id\n1\n")
    world.run("table", "put", str(tmp_path / "foo.csv"), FOO)
    refused = world.run("table", "restore", FOO, "--version", "7")
    assert (refused.exit_code, world.tables.restored) == (1, 0)
    assert "will be what it was at version 7" in refused.stderr
    done = world.run("table", "restore", FOO, "--version", "7", "--yes")
    assert (done.exit_code, world.tables.restored, world.tables.by) == (0, 7, "jane")
    assert done.stderr == "`in.c-main.foo` is what it was at version 7: 1 row (2 B), now version 1\n"

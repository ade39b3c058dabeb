"""`componentrun table ...` on a Storage with a catalog: real store and catalog, in-memory cluster."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from typer.testing import CliRunner

from componentrun.cli.app import app
from componentrun.cli.session import Makers
from componentrun.loader.catalog.catalog import Catalog, ConflictError
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.loading.fencing import fence
from componentrun.loader.reading.restoring import restore_table
from componentrun.process.kubernetes.resources import SECRETS, STORAGES
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.keys import TableId
from componentrun.wire.agents import Where
from tests.integration.loader.eventruns import EventBench
from tests.integration.loader.staging import Bench
from tests.unit.cli.world import FakeCluster

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from typer.testing import Result

    from componentrun.loader.catalog.catalog import TableChange
    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store

TABLE = "in.c-main.foo"
TRICKY = 'id,"na,me",text\n1,"quo""ted","line\nbreak\r\nand more"\n2,ěščř 漢字 🙂,\n3,,  spaces  \n'


def secret(**values: str) -> dict[str, Any]:
    return {"data": {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}}


class Terminal:
    """A namespace whose default Storage is that of the bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.cluster = FakeCluster()
        settings, access = bench.settings, bench.space.catalog
        self.cluster.add(
            STORAGES,
            "main",
            {
                "bucket": settings.bucket,
                "prefix": settings.prefix,
                "endpoint": settings.endpoint,
                "region": settings.region,
                "credentials": {"secretName": "keys"},
                "catalog": {
                    "uri": access.uri,
                    "warehouse": access.warehouse,
                    "namespacePrefix": bench.space.namespace_prefix,
                    "credentials": {"secretName": "catalog"},
                },
                "default": True,
            },
        )
        keys = secret(accessKeyId=settings.access_key or "", secretAccessKey=settings.secret_key or "")
        self.cluster.add(SECRETS, "keys", {}, **keys)
        self.cluster.add(SECRETS, "catalog", {}, **secret(clientId=access.client_id, clientSecret=access.client_secret))

    def run(self, *arguments: str, text: str | None = None, command: str = "table") -> Result:
        """Run `componentrun table ...`, or another command."""
        makers = Makers(cluster=lambda *_: self.cluster)
        return CliRunner().invoke(app, [command, *arguments], obj=makers, input=text)

    def done(self, *arguments: str, text: str | None = None) -> Result:
        """Run `componentrun table ...`, which must succeed."""
        result = self.run(*arguments, text=text)
        assert result.exit_code == 0, result.output
        return result

    def json(self, *arguments: str) -> Any:
        return json.loads(self.done(*arguments, "-o", "json").stdout)


@pytest.fixture
def bench(lake_space: LakeSpace, tmp_path: Path) -> Bench:
    return Bench(lake_space, tmp_path)


@pytest.fixture
def terminal(bench: Bench) -> Terminal:
    return Terminal(bench)


def test_what_was_put_is_got_byte_for_byte_and_nothing_is_left_of_it(terminal: Terminal, tmp_path: Path) -> None:
    for table, content, rows in (("in.c-main.tricky", TRICKY, 3), ("in.c-main.empty", "only,a,header\n", 0)):
        source, target = tmp_path / "a.csv", tmp_path / "b.csv"
        source.write_bytes(content.encode())
        put = terminal.done("put", str(source), table)
        got = terminal.done("get", table, "-o", str(target))
        assert f"`{table}` has {rows} rows" in put.stderr
        assert f"b.csv` has {rows} rows" in got.stderr
        assert target.read_bytes() == source.read_bytes()
    # Ignore the notes that tell maintenance which tables have changed.
    assert [key for key in asyncio.run(keys(terminal.bench)) if "/table-notes/changed/" not in key] == []


async def keys(bench: Bench) -> list[str]:
    """Keys of all objects in the bucket."""
    store = open_store(bench.settings)
    return [item.key async for item in store.objects(f"{bench.settings.prefix}/")]


def test_tables_are_listed_looked_at_and_exported(terminal: Terminal, tmp_path: Path) -> None:
    for more in ([], ["--incremental"]):
        terminal.done("put", "-", TABLE, "--primary-key", "id", *more, text="id,n\n1,a\n2,b\n")
    (table,) = terminal.json("ls", "in.c-main")
    assert (table["id"], table["rows"], table["version"], table["columns"]) == (TABLE, 2, 2, ["id", "n"])
    assert terminal.json("ls", "in.c-other") == []
    assert terminal.done("head", TABLE, "-n", "1").stdout == "id   n\n1    a\n"
    target = tmp_path / "a.parquet"
    terminal.done("export", TABLE, str(target))
    assert duckdb.sql(f"FROM '{target}'").fetchall() == [("1", "a"), ("2", "b")]
    told = terminal.done("info", TABLE).stdout
    for line in ("Version:      2\n", "Primary key:  id\n", "Rows:         2\n", "in 2 data files and 1 delete file\n"):
        assert line in told
    assert f"{terminal.bench.space.namespace_prefix}in_c_main.foo, snapshot " in told


def test_the_history_tells_whose_loads_they_were(terminal: Terminal) -> None:
    bench, run = terminal.bench, terminal.bench.new_run()
    bench.load(run, bench.table(run, TABLE, ["id"], [["1"], ["2"]]))
    second = bench.new_run()
    gone = Where("id", "eq", ("1",))
    bench.load(second, bench.table(second, TABLE, ["id"], [["3"]], incremental=True, delete=gone))
    fence(bench.catalog, bench.fence_request(bench.new_run(), TABLE))
    terminal.done("restore", TABLE, "--version", "1", "--yes")
    found = terminal.json("history", TABLE)
    assert [(item["number"], item["what"], item["rows"]) for item in found] == [
        (4, "restore of 1", 2),
        (2, "increment", 2),
        (1, "load", 2),
    ]
    assert [(item["run"], item["title"], item["who"]) for item in found[1:]] == [
        (second, f"team/{second}", None),
        (run, f"team/{run}", None),
    ]
    assert found[0]["who"] == "jane"
    assert all(item["snapshot"] for item in found)
    lines = terminal.done("history", TABLE, "--limit", "2").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["VERSION", "4", "2"]


def test_a_restored_table_has_the_rows_columns_and_key_of_its_version(terminal: Terminal) -> None:
    bench = terminal.bench
    first, second, third = (bench.new_run() for _ in range(3))
    bench.load(first, bench.table(first, TABLE, ["id", "v"], [["1", "a"], ["2", ""], ["3", "c"]], key=["id"]))
    bench.load(second, bench.table(second, TABLE, ["id", "v"], [["1", "b"]], incremental=True))
    terminal.done("rm", TABLE, "--yes")
    bench.load(third, bench.table(third, TABLE, ["other", "v"], [["x", "y"]], key=["other"]))
    before = bench.scan(TABLE)
    assert before is not None
    terminal.done("restore", TABLE, "--version", "2", "--yes")
    after = bench.scan(TABLE)
    assert after is not None
    assert [column.name for column in after.columns] == ["id", "v"]
    assert after.primary_key == ("id",)
    assert after.timestamp > before.timestamp
    assert sorted(bench.rows(TABLE) or []) == [("1", "b"), ("2", ""), ("3", "c")]
    # For a reader who queries later changes, all rows are new.
    found = terminal.json("query", f'from "{TABLE}" where _timestamp > make_timestamptz({before.timestamp})')
    assert len(found) == 3


def test_a_dropped_table_is_not_there_until_it_is_restored(terminal: Terminal) -> None:
    bench, run = terminal.bench, terminal.bench.new_run()
    bench.load(run, bench.table(run, TABLE, ["id"], [["1"]]))
    removed = terminal.done("rm", TABLE, "--yes")
    assert f"`componentrun table restore {TABLE} --version 1` brings it back" in removed.stderr
    assert terminal.json("ls") == []
    assert bench.scan(TABLE) is None
    for command in (["get", TABLE], ["info", TABLE], ["head", TABLE], ["query", f'from "{TABLE}"']):
        refused = terminal.run(*command)
        assert (refused.exit_code, f"there is no table `{TABLE}`" in refused.stderr) == (1, True), refused.output
        assert " UTC by jane. `componentrun table restore in.c-main.foo --version 1` brings it back" in refused.stderr
    assert terminal.run("rm", TABLE, "--yes").exit_code == 1
    assert [item["what"] for item in terminal.json("history", TABLE)] == ["drop", "load"]
    # The same request is repeated late. The run was already loaded, so it must not restore the table.
    bench.load(run, bench.table(run, TABLE, ["id"], [["1"]]))
    assert bench.scan(TABLE) is None
    terminal.done("restore", TABLE, "--version", "1", "--yes")
    assert bench.rows(TABLE) == [("1",)]


def test_a_load_makes_a_dropped_table_anew(terminal: Terminal) -> None:
    bench, first, second = terminal.bench, terminal.bench.new_run(), terminal.bench.new_run()
    bench.load(first, bench.table(first, TABLE, ["id", "v"], [["1", "x"]], key=["id"]))
    before = bench.scan(TABLE)
    terminal.done("rm", TABLE, "--yes")
    bench.load(second, bench.table(second, TABLE, ["n"], [["2"]], incremental=True))
    after = bench.scan(TABLE)
    assert before is not None
    assert after is not None
    assert (bench.rows(TABLE), after.primary_key) == ([("2",)], ())
    assert after.timestamp > before.timestamp


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("get", "in.c-main.none"), "there is no table `in.c-main.none` in Storage `main`"),
        (("info", "in.c-main.none"), "there is no table `in.c-main.none` in Storage `main`"),
        (("history", "in.c-main.none"), "there is no table `in.c-main.none` in Storage `main`"),
        (("restore", "in.c-main.none", "--version", "1", "--yes"), "there is no table `in.c-main.none`"),
        (("get", "in.c-main.fo"), "did you mean `in.c-main.foo`?"),
        (
            ("restore", TABLE, "--version", "7", "--yes"),
            "has no version 7 that can be restored; these are kept: 1",
        ),
        (("restore", TABLE, "--version", "1", "--yes"), "version 1 is the current version of `in.c-main.foo`"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(terminal: Terminal, arguments: tuple[str, ...], told: str) -> None:
    terminal.done("put", "-", TABLE, text="id\n1\n")
    refused = terminal.run(*arguments)
    assert (refused.exit_code, told in refused.stderr, "Traceback" in refused.output) == (1, True, False), (
        refused.output
    )


def test_compact_says_how_many_files_became_how_many(terminal: Terminal) -> None:
    for _ in range(2):
        terminal.done("put", "-", TABLE, "--incremental", text="id\n1\n")
    assert "2 files" in terminal.run("compact", TABLE, "--dry-run").stderr
    told = terminal.run("compact", TABLE)
    assert (told.exit_code, "became 1" in told.stderr) == (0, True), told.output
    assert "needs no rewrite" in terminal.run("compact", TABLE).stderr


def test_a_restore_beside_a_load_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = bench.new_run(), bench.new_run()
    bench.load(first, bench.table(first, TABLE, ["id"], [["1"]]))
    bench.load(second, bench.table(second, TABLE, ["id"], [["2"]]))
    third, committed, conflicts = bench.new_run(), Catalog.commit, []

    def commit(catalog: Catalog, changes: Sequence[TableChange], **more: Any) -> None:
        if not conflicts:
            monkeypatch.setattr(Catalog, "commit", committed)
            bench.load(third, bench.table(third, TABLE, ["id"], [["3"]]))
        try:
            committed(catalog, changes, **more)
        except ConflictError as error:
            conflicts.append(error)
            raise

    monkeypatch.setattr(Catalog, "commit", commit)
    restore_table(bench.catalog, TableId.parse(TABLE), 1, who="jane")
    assert len(conflicts) == 1
    assert bench.rows(TABLE) == [("1",)]
    table = bench.catalog.find(to_iceberg(bench.catalog.prefix, TableId.parse(TABLE)))
    assert table is not None
    assert [snapshot.sequence_number for snapshot in table.metadata.snapshots] == [1, 2, 3, 4]


def test_events_of_past_days_are_asked_in_sql(lake_space: LakeSpace, tmp_path: Path) -> None:
    bench = EventBench(lake_space, tmp_path)
    terminal = Terminal(bench)
    query = "select component, count(*) as events from events group by 1"
    early = terminal.run("--sql", query, command="events")
    assert early.exit_code != 0
    assert "there is no table of events in Storage `main` yet" in early.stderr
    bench.run(2, "a", "b")
    bench.turn()
    done = terminal.run("--sql", query, "-o", "csv", command="events")
    assert (done.exit_code, done.stdout) == (0, "component,events\ncleaner,2\n")
    assert "`events` has the runs that ended before" in done.stderr
    assert terminal.run("--sql", query, "--since", "1h", "-o", "csv", command="events").stdout == "component,events\n"
    assert terminal.json("ls") == []

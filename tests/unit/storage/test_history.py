"""Versions of a table: kept before each change, listed, restored; dropping is one of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import Reason, UserError
from componentrun.storage.commit import publish, resume
from componentrun.storage.history import list_versions, read_history, read_version
from componentrun.storage.layout import TableId
from componentrun.storage.reading import Wish, plan_read
from componentrun.storage.restore import drop_table, restore_table
from componentrun.storage.tables import list_tables, need_table, read_table
from tests.unit.storage.scenarios import KilledError, MortalStore, content, result, uploaded

if TYPE_CHECKING:
    from componentrun.storage.connection import Store

FOO = "in.c-main.foo"
TABLE = TableId.parse(FOO)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def load(store: Store, run: str, rows: list[str], *, incremental: bool = False, now: datetime = NOW) -> None:
    await publish(store, run, 1, result(await uploaded(store, run, 1, FOO, rows, incremental=incremental)), now=now)


async def three(store: Store) -> None:
    """Version 1: 0; version 2: 0, 1; version 3: 2."""
    await load(store, "r0", ["0"])
    await load(store, "r1", ["1"], incremental=True)
    await load(store, "r2", ["2"])


async def numbers(store: Store) -> list[int]:
    return [kept.number for kept in await list_versions(store, TABLE)]


async def test_a_first_load_keeps_nothing_and_each_later_one_keeps_what_was_there(store: Store) -> None:
    await load(store, "r0", ["0"])
    assert await numbers(store) == []
    first = (await need_table(store, TABLE)).pointer
    await load(store, "r1", ["1"])
    assert await numbers(store) == [1]
    assert await read_version(store, TABLE, 1) == first
    assert await read_version(store, TABLE, 2) is None


async def test_the_history_says_newest_first_what_each_version_did(store: Store) -> None:
    await three(store)
    found = await read_history(store, TABLE)
    assert [(item.version, item.change, item.committed_by.run, item.rows) for item in found] == [
        (3, "load", "r2", 1),
        (2, "increment", "r1", 2),
        (1, "load", "r0", 1),
    ]
    assert [item.version for item in await read_history(store, TABLE, newest=2)] == [3, 2]
    with pytest.raises(UserError, match=r"there is no table `in\.c-main\.fooo`.*Did you mean `in\.c-main\.foo`"):
        await read_history(store, TableId.parse("in.c-main.fooo"))


async def test_a_table_is_listed_once_whatever_its_history(store: Store) -> None:
    await three(store)
    await store.put("team/a/tables/in.c-main/foo/notes.txt", b"x")
    await store.put("team/a/tables/strange bucket/foo/table.json", b"x")
    await store.put("team/a/tables/stray.json", b"x")
    assert [str(table) async for table in list_tables(store)] == [FOO]
    assert [str(table) async for table in list_tables(store, "in.c-main")] == [FOO]
    assert [str(table) async for table in list_tables(store, "in.c-mai")] == []


@pytest.mark.parametrize("after", [False, True])
async def test_killed_between_two_writes_a_commit_loses_no_version(store: Store, after: bool) -> None:
    await load(store, "r0", ["0"])
    table = await uploaded(store, "r1", 1, FOO, ["1"], incremental=True)
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 2, after=after), "r1", 1, result(table))  # journal, version, pointer, journal
    assert await content(store, FOO) == ["a", "0"]
    assert [item.version for item in await read_history(store, TABLE)] == [1]
    await resume(store, "r1")
    assert await content(store, FOO) == ["a", "0", "1"]
    assert await numbers(store) == [1]


async def test_the_time_of_a_version_is_that_of_the_last_try_to_replace_it(store: Store) -> None:
    await load(store, "r0", ["0"])
    table = await uploaded(store, "r1", 1, FOO, ["1"])
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 2, after=True), "r1", 1, result(table))
    (before,) = await list_versions(store, TABLE)
    await resume(store, "r1")
    (kept,) = await list_versions(store, TABLE)
    assert kept.replaced > before.replaced


async def test_a_restored_version_is_the_newest_one_and_nothing_is_lost(store: Store) -> None:
    await three(store)
    restored = await restore_table(store, TABLE, 2, who="jane", now=NOW + timedelta(hours=1))
    assert await content(store, FOO) == ["a", "0", "1"]
    assert (restored.version, restored.change, restored.restored, restored.committed_by.who) == (
        4,
        "restore",
        2,
        "jane",
    )
    assert restored == (await need_table(store, TABLE)).pointer
    assert await numbers(store) == [1, 2, 3]
    await restore_table(store, TABLE, 3)
    assert await content(store, FOO) == ["a", "2"]


async def test_all_rows_of_a_restored_version_are_new_to_who_asks_what_changed(store: Store) -> None:
    await three(store)
    later = NOW + timedelta(hours=1)
    await restore_table(store, TABLE, 2, now=later)
    pointer = (await need_table(store, TABLE)).pointer
    assert plan_read(pointer, Wish(changed_since=later)).rows == 2


async def test_a_run_that_was_published_before_a_restore_is_not_published_again(store: Store) -> None:
    await load(store, "r0", ["0"])
    table = result(await uploaded(store, "r1", 1, FOO, ["1"], incremental=True))
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 3, after=True), "r1", 1, table)  # dies before the journal is marked
    await restore_table(store, TABLE, 1)
    await resume(store, "r1")
    assert await content(store, FOO) == ["a", "0"]


async def test_a_dropped_table_is_gone_and_dropping_it_again_says_so(store: Store) -> None:
    await load(store, "r0", ["0"])
    assert await drop_table(store, TABLE)
    assert not await drop_table(store, TABLE)
    assert not await drop_table(store, TableId.parse("in.c-main.none"))
    assert await read_table(store, TABLE) is None


async def test_who_reads_a_dropped_table_is_told_who_dropped_it_and_how_to_bring_it_back(store: Store) -> None:
    await three(store)
    await drop_table(store, TABLE, who="jane", now=NOW)
    with pytest.raises(UserError, match=r"dropped at 2026-01-01 00:00:00 UTC by jane.*--version 3`") as refusal:
        await need_table(store, TABLE)
    assert refusal.value.reason is Reason.INPUT_NOT_FOUND


async def test_a_dropped_table_comes_back_as_it_was(store: Store) -> None:
    await three(store)
    await drop_table(store, TABLE)
    await restore_table(store, TABLE, 3)
    assert await content(store, FOO) == ["a", "2"]
    assert [item.change for item in await read_history(store, TABLE)] == [
        "restore", "drop", "load", "increment", "load",
    ]  # fmt: skip


@pytest.mark.parametrize("incremental", [False, True])
async def test_a_load_after_a_drop_makes_a_new_table_whose_versions_count_on(store: Store, incremental: bool) -> None:
    await three(store)
    await drop_table(store, TABLE)
    other = await uploaded(
        store, "r3", 1, FOO, ["x,y"], columns=("b", "c"), incremental=incremental, primary_key=("b",)
    )
    await publish(store, "r3", 1, result(other), now=NOW + timedelta(days=1))
    pointer = (await need_table(store, TABLE)).pointer
    assert (pointer.version, pointer.change, pointer.created) == (5, "load", NOW + timedelta(days=1))
    assert (pointer.column_names, pointer.primary_key, pointer.rows) == (("b", "c"), ("b",), 1)
    assert [item.version for item in await read_history(store, TABLE)] == [5, 4, 3, 2, 1]


async def test_a_run_that_was_published_before_a_drop_does_not_make_the_table_again(store: Store) -> None:
    table = result(await uploaded(store, "r0", 1, FOO, ["0"]))
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 2, after=True), "r0", 1, table)  # dies before the journal is marked
    await drop_table(store, TABLE)
    await resume(store, "r0")
    assert await read_table(store, TABLE) is None


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, "has no version 0 that can be restored: its last one is 5, and the versions 1, 3-4 are kept"),
        (2, "has no version 2 that can be restored"),
        (4, "version 4 of `in.c-main.foo` is that which dropped the table; the one before it, 3, has the rows"),
        (5, "version 5 of `in.c-main.foo` is the one in place"),
        (6, "has no version 6 that can be restored"),
    ],
)
async def test_a_version_that_can_not_be_restored_is_told_with_those_that_can(
    store: Store, number: int, told: str
) -> None:
    await three(store)
    await drop_table(store, TABLE)
    await load(store, "r4", ["4"])
    await store.delete([store.layout.version(TABLE, 2)])
    with pytest.raises(UserError, match=told):
        await restore_table(store, TABLE, number)
    assert await content(store, FOO) == ["a", "4"]


async def test_a_table_that_never_was_can_not_be_restored(store: Store) -> None:
    await load(store, "r0", ["0"])
    with pytest.raises(UserError, match=r"there is no table `in\.c-main\.fo` .*Did you mean `in\.c-main\.foo`"):
        await restore_table(store, TableId.parse("in.c-main.fo"), 1)


async def test_a_version_whose_slices_are_gone_or_changed_is_not_restored_and_they_are_named(store: Store) -> None:
    await load(store, "r0", [str(number) for number in range(10)])
    await load(store, "r1", ["new"])
    keys = [f"{store.layout.data('r0', 1)}{FOO}/{number:05d}.csv" for number in range(0, 10, 2)]
    await store.delete(keys[:1])
    await store.put(keys[1], b"3\n2\n")
    with pytest.raises(UserError, match="2 of its 5 slices are gone or were changed") as refusal:
        await restore_table(store, TABLE, 1)
    assert keys[0] in refusal.value.message
    assert await content(store, FOO) == ["a", "new"]
    assert await numbers(store) == [1]


async def test_restores_and_loads_at_the_same_time_come_in_one_order(store: Store) -> None:
    await three(store)
    parts = [result(await uploaded(store, f"x{i}", 1, FOO, [f"x{i}"], incremental=True)) for i in range(4)]
    await asyncio.gather(
        restore_table(store, TABLE, 1),
        *(publish(store, f"x{i}", 1, part) for i, part in enumerate(parts)),
        restore_table(store, TABLE, 2),
    )
    runs: dict[int, list[str]] = {}
    for item in (await read_history(store, TABLE))[::-1]:
        own = item.committed_by.run
        before = runs.get(item.version - 1, [])
        runs[item.version] = {
            "load": [own],
            "increment": [*before, own],
            "restore": runs.get(item.restored or 0, []),
        }[item.change]
        assert [segment.run for segment in item.segments] == runs[item.version]
    assert list(runs) == list(range(1, 10))

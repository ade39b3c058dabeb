"""Versions on a real store: restores and drops beside loads of others, deaths between two writes, listing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import UserError
from componentrun.storage.commit import publish, resume
from componentrun.storage.connection import open_store
from componentrun.storage.export import export_parquet
from componentrun.storage.history import list_versions, read_history
from componentrun.storage.layout import TableId
from componentrun.storage.restore import drop_table, restore_table
from componentrun.storage.tables import list_tables, need_table
from componentrun.storage.versions import Versions
from tests.unit.storage.scenarios import KilledError, MortalStore, content, result, uploaded

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.storage.connection import Store

pytestmark = pytest.mark.store

FOO = "in.c-main.foo"
TABLE = TableId.parse(FOO)


async def load(store: Store, run: str, rows: list[str], *, incremental: bool = False) -> None:
    await publish(store, run, 1, result(await uploaded(store, run, 1, FOO, rows, incremental=incremental)))


async def test_loads_restores_and_drops_at_once_come_in_one_order(store: Store) -> None:
    await load(store, "r0", ["r0"])
    await load(store, "r1", ["r1"])
    runs = [f"i{number}" for number in range(12)]
    tables = [await uploaded(store, run, 1, FOO, [run], incremental=True) for run in runs]
    operators = [store, open_store(store.settings)]
    await asyncio.gather(
        *(publish(operators[n % 2], run, 1, result(tables[n])) for n, run in enumerate(runs)),
        *(restore_table(operators[n % 2], TABLE, 1, who=f"person {n}") for n in range(4)),
        *(drop_table(operators[n % 2], TABLE) for n in range(2)),
    )
    history = (await read_history(store, TABLE))[::-1]
    assert [pointer.version for pointer in history] == list(range(1, len(history) + 1))
    rows: list[str] = []
    seen = []
    for pointer in history:
        run = pointer.committed_by.run
        rows = {"load": [run], "increment": [*rows, run], "restore": ["r0"], "drop": []}[pointer.change]
        assert [segment.run for segment in pointer.segments] == rows
        seen.append(pointer.committed_by.who if pointer.change == "restore" else run)
    # A second drop finds nothing where nobody came between.
    changed = [name for name in seen if not name.startswith("drop-")]
    assert sorted(changed) == sorted(["r0", "r1", *runs, *(f"person {n}" for n in range(4))])
    assert 1 <= len(seen) - len(changed) <= 2
    if not history[-1].dropped:
        assert await content(store, FOO) == ["a", *rows]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("killed_at", range(1, 5))
async def test_killed_at_any_write_a_load_loses_no_version(store: Store, killed_at: int, after: bool) -> None:
    await load(store, "r0", ["0"])
    table = result(await uploaded(store, "r1", 1, FOO, ["1"]))
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, killed_at, after=after), "r1", 1, table)
    reached = await content(store, FOO)
    assert [pointer.rows for pointer in await read_history(store, TABLE)] == ([1] if reached == ["a", "0"] else [1, 1])
    await resume(store, "r1") or await publish(store, "r1", 1, table)
    assert await content(store, FOO) == ["a", "1"]
    assert [version.number for version in await list_versions(store, TABLE)] == [1]
    await restore_table(store, TABLE, 1)
    assert await content(store, FOO) == ["a", "0"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("killed_at", [1, 2])
async def test_killed_at_any_write_a_restore_is_done_or_not(store: Store, killed_at: int, after: bool) -> None:
    await load(store, "r0", ["0"])
    await load(store, "r1", ["1"])
    with pytest.raises(KilledError):
        await restore_table(MortalStore(store, killed_at, after=after), TABLE, 1)
    done = killed_at == 2 and after
    assert await content(store, FOO) == ["a", "0" if done else "1"]
    assert [pointer.version for pointer in await read_history(store, TABLE)] == ([3, 2, 1] if done else [2, 1])


async def test_a_dropped_table_comes_back_with_its_bytes(store: Store, tmp_path: Path) -> None:
    rows = [f'{number},"a ""b"""' for number in range(5)]
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, rows, columns=("id", "text"))))
    await drop_table(store, TABLE, who="jane")
    with pytest.raises(UserError, match=r"dropped at .* by jane"):
        await need_table(store, TABLE)
    await restore_table(store, TABLE, 1)
    assert await content(store, FOO) == ["id,text", *rows]
    pointer = (await need_table(store, TABLE)).pointer
    assert await export_parquet(store, pointer, tmp_path / "foo.parquet") == 5


async def test_a_slice_that_is_gone_is_named_and_nothing_is_changed(store: Store) -> None:
    await load(store, "r0", ["0", "1", "2"])
    key = (await need_table(store, TABLE)).pointer.slices[1].key
    await load(store, "r1", ["new"])
    # In a bucket that keeps versions a plain deletion would only hide it.
    kept = Versions(store.settings)
    await kept.delete([version for version in await kept.below(key.rpartition("/")[0] + "/") if version.key == key])
    with pytest.raises(UserError, match="1 of its 2 slices are gone") as refusal:
        await restore_table(store, TABLE, 1)
    assert key in refusal.value.message
    assert await content(store, FOO) == ["a", "new"]


async def test_many_versions_do_not_make_a_table_appear_twice(store: Store) -> None:
    for number in range(12):
        await load(store, f"r{number}", [str(number)])
    assert [str(table) async for table in list_tables(store)] == [FOO]
    assert [version.number for version in await list_versions(store, TABLE)] == list(range(1, 12))
    assert [version.number for version in await list_versions(store, TABLE, after=9)] == [10, 11]

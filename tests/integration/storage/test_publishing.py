"""Publishing on a real store, where many runs and many operators meet over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from componentrun.storage.commit import FencedError, publish, read_journal, resume
from componentrun.storage.connection import open_store
from tests.unit.storage.scenarios import KilledError, MortalStore, content, result, uploaded, versions

if TYPE_CHECKING:
    from componentrun.storage.connection import Store

pytestmark = pytest.mark.store

FOO = "in.c-main.foo"
BAR = "out.c-main.bar"


async def test_incremental_loads_at_once_all_arrive(store: Store) -> None:
    runs = [f"r{number}" for number in range(24)]
    tables = [await uploaded(store, run, 1, FOO, [run, run, run], incremental=True) for run in runs]
    operators = [store, open_store(store.settings), open_store(store.settings)]
    await asyncio.gather(*(publish(operators[n % 3], run, 1, result(tables[n])) for n, run in enumerate(runs)))
    rows = await content(store, FOO)
    assert sorted(rows) == sorted(["a", *(run for run in runs for _ in range(3))])
    assert await versions(store) == {FOO: len(runs)}


async def test_full_loads_at_once_are_never_mixed(store: Store) -> None:
    runs = [f"r{number}" for number in range(12)]
    tables = {
        run: [await uploaded(store, run, 1, name, [run] * 5, columns=("a",)) for name in (FOO, BAR)] for run in runs
    }
    await asyncio.gather(*(publish(store, run, 1, result(*tables[run])) for run in runs))
    for table in (FOO, BAR):
        rows = await content(store, table)
        assert rows in [["a", *[run] * 5] for run in runs]
    assert await versions(store) == {FOO: len(runs), BAR: len(runs)}


async def test_a_reader_sees_one_version_or_another_while_it_changes(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["r0"] * 4)))
    done = asyncio.Event()
    seen = []

    async def read() -> None:
        while not done.is_set():
            seen.append(tuple(await content(store, FOO)))

    reader = asyncio.create_task(read())
    for number in range(1, 15):
        run = f"r{number}"
        await publish(store, run, 1, result(await uploaded(store, run, 1, FOO, [run] * 4)))
    done.set()
    await reader
    assert len(set(seen)) > 1
    assert set(seen) <= {("a", *[f"r{number}"] * 4) for number in range(15)}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("killed_at", range(1, 6))
async def test_killed_at_any_write_it_is_completed_once(store: Store, killed_at: int, after: bool) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0"])))
    tables = result(
        await uploaded(store, "r1", 1, FOO, ["1", "2", "3"], incremental=True),
        await uploaded(store, "r1", 1, BAR, ["1"], incremental=True),
    )
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, killed_at, after=after), "r1", 1, tables)
    decided = await read_journal(store, "r1") is not None
    await publish(store, "r2", 1, result(await uploaded(store, "r2", 1, FOO, ["9"], incremental=True)))
    await asyncio.gather(resume(store, "r1"), publish(store, "r1", 1, tables), publish(store, "r1", 1, tables))
    rows = await content(store, FOO)
    assert sorted(rows) == sorted(["a", "0", "9", "1", "2", "3"])
    assert await content(store, BAR) == ["a", "1"]
    assert await versions(store) == {FOO: 3, BAR: 1}
    assert decided or killed_at == 1


async def test_of_several_attempts_at_once_exactly_one_is_published(store: Store) -> None:
    tables = {number: result(await uploaded(store, "r1", number, FOO, [str(number)])) for number in range(1, 9)}
    ends = await asyncio.gather(
        *(publish(store, "r1", n, found) for n, found in tables.items()), return_exceptions=True
    )
    won = [number for number, end in zip(tables, ends, strict=True) if not isinstance(end, BaseException)]
    assert len(won) == 1
    assert sum(isinstance(end, FencedError) for end in ends) == len(tables) - 1
    assert await content(store, FOO) == ["a", str(won[0])]

"""Publishing under any interleaving of runs, deaths, recoveries and sweeps: every decided row is there, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.storage.commit import FencedError, publish, read_journal, resume
from componentrun.storage.sweep import MIN_KEEP, sweep
from tests.unit.storage.scenarios import KilledError, MortalStore, content, new_store, result, uploaded, versions

if TYPE_CHECKING:
    from componentrun.exchange import StageOutResult
    from componentrun.storage.connection import Store

TABLES = ("in.c-main.a", "in.c-main.b", "in.c-main.c")
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Step:
    """One operator's try to publish a run, which may be one that was tried before."""

    run: int
    attempt: int
    killed_at: int
    after: bool
    at_once: bool
    """Together with the step before it."""


STEPS = st.lists(
    st.builds(
        Step, st.integers(0, 5), st.integers(1, 2), st.integers(1, 9), st.booleans(), st.booleans()
    ),
    min_size=1,
    max_size=10,
)  # fmt: skip


def tables_of(run: int) -> list[str]:
    """Some runs write one table, some two or all."""
    return [name for number, name in enumerate(TABLES) if (run + 1) & (1 << number)] or [TABLES[0]]


async def take(store: Store, step: Step, found: StageOutResult) -> None:
    try:
        await publish(MortalStore(store, step.killed_at, after=step.after), f"r{step.run}", step.attempt, found)
    except (KilledError, BaseExceptionGroup):
        return
    except FencedError:
        return


@settings(max_examples=150, deadline=None)
@given(STEPS)
async def test_whatever_happens_decided_rows_are_there_once(steps: list[Step]) -> None:
    store = new_store()
    results = {
        (run, attempt): result(
            *[
                await uploaded(store, f"r{run}", attempt, table, [f"r{run}-{attempt}"], incremental=True)
                for table in tables_of(run)
            ]
        )
        for run in range(6)
        for attempt in (1, 2)
    }
    waiting: list[Step] = []
    for step in [*steps, None]:
        if step is not None and (step.at_once or not waiting):
            waiting.append(step)
            continue
        await asyncio.gather(*(take(store, item, results[item.run, item.attempt]) for item in waiting))
        waiting = [step] if step is not None else []
    await sweep(store, MIN_KEEP, now=START)
    decided = {run: journal for run in range(6) if (journal := await read_journal(store, f"r{run}")) is not None}
    for run in decided:
        await asyncio.gather(resume(store, f"r{run}"), resume(store, f"r{run}"))
    await sweep(store, MIN_KEEP, now=START + MIN_KEEP)
    there = await versions(store)
    for table in TABLES:
        expected = Counter(
            f"r{run}-{journal.commit.attempt}"
            for run, journal in decided.items()
            if any(load.table == table for load in journal.loads)
        )
        found = Counter((await content(store, table))[1:]) if table in there else Counter()
        assert found == expected
        assert there.get(table, 0) == len(expected)

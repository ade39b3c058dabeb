"""Any sequence of loads, increments, deletions, drops and restores: each version is what the table was at that time."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.exchange import Where
from componentrun.storage.commit import publish
from componentrun.storage.download import read_pointer_csv
from componentrun.storage.history import read_history
from componentrun.storage.layout import TableId
from componentrun.storage.restore import drop_table, restore_table
from componentrun.storage.tables import need_table, read_table
from tests.unit.mapping.model import ModelTable, decode
from tests.unit.storage.scenarios import KilledError, MortalStore, new_store, result, uploaded

if TYPE_CHECKING:
    from componentrun.storage.connection import Store

FOO = TableId.parse("in.c-main.foo")


@dataclass(frozen=True)
class Load:
    rows: tuple[tuple[str, str], ...]
    incremental: bool
    key: bool
    delete: tuple[str, ...]
    killed_at: int | None
    """Before or after which write the first operator dies; the second completes what it left."""


@dataclass(frozen=True)
class Drop:
    pass


@dataclass(frozen=True)
class Restore:
    back: int
    """Which of the earlier versions, from the newest one on."""


VALUES = st.sampled_from(["", "0", "1"])
LOADS = st.builds(
    Load,
    st.lists(st.tuples(VALUES, VALUES), max_size=4).map(tuple),
    st.booleans(),
    st.booleans(),
    st.lists(VALUES, max_size=1).map(tuple),
    st.none() | st.integers(1, 4),
)
STEPS = st.lists(st.one_of(LOADS, LOADS, st.builds(Drop), st.builds(Restore, st.integers(0, 5))), max_size=8)


async def take(store: Store, step: Load, run: str, key: tuple[str, ...]) -> None:
    rows = [",".join(row) for row in step.rows]
    table = await uploaded(
        store, run, 1, str(FOO), rows, columns=("a", "b"), incremental=step.incremental, primary_key=key
    )
    where = Where("b", "eq", step.delete) if step.delete else None
    found = result(dataclasses.replace(table, delete_where=where))
    if step.killed_at is not None:
        with contextlib.suppress(KilledError, BaseExceptionGroup):
            await publish(MortalStore(store, step.killed_at, after=step.killed_at % 2 == 0), run, 1, found)
    await publish(store, run, 1, found)


def after(model: ModelTable | None, step: Load, key: tuple[str, ...]) -> ModelTable:
    changed = copy.deepcopy(model) if model is not None else ModelTable()
    if model is not None and step.incremental and step.delete:
        changed.delete("b", "eq", step.delete)
    changed.load(("a", "b"), step.rows, incremental=step.incremental and model is not None, key=key)
    return changed


@settings(max_examples=100, deadline=None)
@given(STEPS)
async def test_every_version_is_what_the_table_was_then(steps: list[Any]) -> None:
    store = new_store()
    models: list[ModelTable | None] = []  # one for each version
    for number, step in enumerate([*steps, Drop(), Restore(0)]):
        now = models[-1] if models else None
        there = [version for version, model in enumerate(models[:-1], 1) if model is not None]
        if isinstance(step, Load):
            key = now.key if now is not None and step.incremental else ("a",) if step.key else ()
            await take(store, step, f"r{number}", key)
            models.append(after(now, step, key))
        elif isinstance(step, Drop):
            assert bool(await drop_table(store, FOO)) == (now is not None)
            models += [None] if now is not None else []
        elif there:
            version = there[-1 - step.back % len(there)]
            await restore_table(store, FOO, version)
            models.append(models[version - 1])
    history = (await read_history(store, FOO))[::-1] if models else []
    assert [pointer.version for pointer in history] == list(range(1, len(models) + 1))
    assert [pointer.dropped for pointer in history] == [model is None for model in models]
    for pointer, model in zip(history, models, strict=True):
        if model is not None:
            assert decode(b"".join([chunk async for chunk in read_pointer_csv(store, pointer)])) == model.content()
    assert (await read_table(store, FOO) is None) == (not models or models[-1] is None)
    if models and models[-1] is not None:
        assert (await need_table(store, FOO)).pointer == history[-1]

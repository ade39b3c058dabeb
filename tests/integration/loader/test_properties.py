"""Random loads with the real loader, store and catalog match a model in plain Python, for all readers."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from componentrun.wire.agents import Where
from tests.integration.loader.foreign import Foreign
from tests.integration.loader.staging import Bench

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store

NAMES = ("id", 'q"x', "select", "ž 1", "a.b")
AWKWARD = (
    "",
    "'",
    '"',
    '""',
    "\n",
    "\r",
    "\r\n",
    "a\r\nb",
    "\ufeff",
    "\ufeffx",
    " ",
    ",",
    "NULL",
    "\\N",
    "0",
    "00",
    "ž😀",
)
VALUES = st.one_of(
    st.sampled_from(("1", "2", "3")),
    st.sampled_from(AWKWARD),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3),
)
BIG = "é\n" * 2**18 + '"'


@dataclass(frozen=True)
class Load:
    """Content of one load of a run."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    incremental: bool
    key: tuple[str, ...] = ()
    insert: bool = False
    delete: tuple[str, str, tuple[str, ...]] | None = None
    slices: int = 1


@dataclass
class Model:
    """Model of a table: lists of rows."""

    columns: list[str] = field(default_factory=list)
    key: tuple[str, ...] = ()
    rows: list[dict[str, str]] = field(default_factory=list)

    def take(self, load: Load) -> None:
        if not load.incremental or not self.columns:
            self.rows = []
            self.columns = list(load.columns)
            self.key = load.key or self.key
        elif load.delete is not None:
            column, operator, values = load.delete
            self.rows = [row for row in self.rows if (row.get(column, "") in values) is (operator == "ne")]
        self.columns += [name for name in load.columns if name not in self.columns]
        for values_ in load.rows:
            row = dict(zip(load.columns, values_, strict=True))
            if self.key and not load.insert:
                self.rows = [other for other in self.rows if self.key_of(other) != self.key_of(row)]
            self.rows.append(row)

    def key_of(self, row: dict[str, str]) -> tuple[str, ...]:
        return tuple(row.get(name, "") for name in self.key)

    def told(self) -> list[tuple[str, ...]]:
        return [tuple(row.get(name, "") for name in self.columns) for row in self.rows]


@st.composite
def loads(draw: st.DrawFn, known: dict[str, Model], done: set[str]) -> Load:
    """One load that is valid for the table's current state."""
    table = draw(st.sampled_from(tuple(known)))
    model = known[table]
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    columns = draw(st.permutations(list(dict.fromkeys((*model.columns, *names)))))
    incremental = draw(st.booleans()) or table in done
    rows = draw(st.lists(st.tuples(*[VALUES] * len(columns)), max_size=6))
    key: tuple[str, ...] = ()
    if not incremental or not model.columns:
        key = tuple(draw(st.lists(st.sampled_from(columns), unique=True, max_size=2)))
        if any(name not in columns for name in model.key):
            key = key or (columns[0],)
    delete = draw(
        st.none()
        | st.tuples(st.sampled_from(columns), st.sampled_from(("eq", "ne")), st.lists(VALUES, min_size=1, max_size=2))
    )
    return Load(
        table, tuple(columns), tuple(rows), incremental, key, draw(st.booleans()),
        (delete[0], delete[1], tuple(delete[2])) if delete is not None else None, draw(st.sampled_from((1, 2, 3))),
    )  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
@pytest.mark.long
@given(st.data())
def test_tables_hold_what_the_model_says_for_every_reader(
    lake_space: LakeSpace, tmp_path: Path, data: st.DataObject
) -> None:
    bench = Bench(lake_space, tmp_path)
    bucket = f"out.c-{uuid.uuid4().hex[:8]}"
    models = {f"{bucket}.a": Model(), f"{bucket}.b": Model()}
    touched: set[str] = set()
    for _ in range(data.draw(st.integers(1, 4), label="runs")):
        run = bench.new_run()
        written, done = [], set[str]()
        for _ in range(data.draw(st.integers(1, 3), label="loads")):
            load = data.draw(loads(models, done))
            done.add(load.table)
            models[load.table].take(load)
            written.append(
                bench.table(
                    run,
                    load.table,
                    load.columns,
                    load.rows,
                    key=load.key,
                    incremental=load.incremental,
                    insert=load.insert,
                    slices=load.slices,
                    delete=Where(*load.delete) if load.delete is not None else None,
                )
            )
        bench.load(run, *written)
        touched |= done
    foreign = Foreign(lake_space)
    for table in touched:
        assert_same(bench, foreign, table, models[table])


def assert_same(bench: Bench, foreign: Foreign, table: str, model: Model) -> None:
    scan = bench.scan(table)
    assert scan is not None
    assert [column.name for column in scan.columns] == model.columns
    assert (scan.primary_key, scan.rows in {None, len(model.rows)}) == (model.key, True)
    assert plain(bench.rows(table)) == model.told()
    assert Counter(plain(foreign.rows(table))) == Counter(model.told())


def plain(rows: list[tuple[Any, ...]] | None) -> list[tuple[Any, ...]]:
    """Replace missing values, which belong to columns added later, with empty ones."""
    return [tuple("" if value is None else value for value in row) for row in rows or ()]


def test_a_value_of_a_mebibyte_and_a_column_of_empty_values_stay_as_they_are(bench: Bench) -> None:
    for number, (columns, rows) in enumerate(
        [(("v",), (("",), ("\ufeff",), ("",))), (("k", "v"), (("1", BIG), ("2", BIG[1:]))), (("v",), ())]
    ):
        table, run = f"out.c-main.t{number}", bench.new_run()
        bench.load(run, bench.table(run, table, columns, rows))
        model = Model(list(columns), (), [dict(zip(columns, row, strict=True)) for row in rows])
        assert_same(bench, Foreign(bench.space), table, model)

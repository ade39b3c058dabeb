"""Whatever is written, deleted and asked for: the CSV file holds what a plain Python model says."""

from __future__ import annotations

import csv
import io
import operator
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.sql import scan as parquetscan
from componentrun.wire.agents import Where
from tests.unit.sql.icefiles import Files, delivered

IDS = (1, 2, 3, 4)
VALUES = st.one_of(
    st.none(),
    st.sampled_from(["", "a", "b", "A", "1", "2", "10", "-1.5", '"', "a,b", "x\r\ny", "\n", " a", "\ufeff", "ž"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
)
WHERES = st.one_of(
    st.none(),
    st.builds(
        Where,
        st.sampled_from(["c1", "c2", "c4"]),
        st.sampled_from(["eq", "ne"]),
        st.lists(VALUES.filter(lambda value: value is not None), min_size=1, max_size=3).map(tuple),
    ),
    st.builds(
        Where,
        st.sampled_from(["c1", "c3"]),
        st.sampled_from(["gt", "ge", "lt", "le"]),
        st.sampled_from([("1",), ("1.5",), ("-2",), ("1e1",)]),
        st.just("number"),
    ),
)

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?", re.ASCII)


def meets(where: Where, value: str) -> bool:
    if where.operator in {"eq", "ne"}:
        return (value in where.values) == (where.operator == "eq")
    compare = getattr(operator, where.operator)
    return NUMBER.fullmatch(value) is not None and bool(compare(float(value), float(where.values[0])))


@st.composite
def data_files(draw: st.DrawFn) -> tuple[list[int], list[list[Any]], list[int | None], list[set[int]]]:
    """Field ids in the order of a file, its rows, their times, and what each file of deletes names of them."""
    ids = draw(st.permutations(IDS))[: draw(st.integers(1, 4))]
    rows = draw(st.lists(st.lists(VALUES, min_size=len(ids), max_size=len(ids)), max_size=12))
    stamps = draw(st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=len(rows), max_size=len(rows)))
    deletes = draw(st.lists(st.sets(st.integers(0, 14), max_size=6), max_size=2))
    return ids, rows, stamps, deletes


@pytest.mark.parametrize("block", [3, 2**20])
@given(
    written=st.lists(data_files(), max_size=3),
    select=st.one_of(st.none(), st.permutations(["c1", "c2", "c3", "c4"]).map(lambda names: tuple(names[:2]))),
    where=WHERES,
    limit=st.one_of(st.none(), st.integers(0, 8)),
    after=st.one_of(st.none(), st.integers(0, 5)),
)
@settings(max_examples=30, deadline=None)
def test_a_scan_delivers_what_the_model_says(
    block: int,
    written: list[tuple[list[int], list[list[Any]], list[int | None], list[set[int]]]],
    select: tuple[str, ...] | None,
    where: Where | None,
    limit: int | None,
    after: int | None,
) -> None:
    names = [f"c{number}" for number in IDS]
    wanted: list[tuple[str, ...]] = []
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(parquetscan, "_BLOCK_ROWS", block)
        files = Files(Path(folder))
        for ids, rows, stamps, deletes in written:
            columns = [(f"was {number} {len(files.data)}", number, "VARCHAR") for number in ids]
            path = files.add(columns, rows, stamps=stamps)
            for gone in deletes:
                files.delete({path: gone})
            for place, (row, stamp) in enumerate(zip(rows, stamps, strict=True)):
                there = {f"c{number}": value or "" for number, value in zip(ids, row, strict=True)}
                values = {name: there.get(name, "") for name in names}
                if any(place in gone for gone in deletes) or (after is not None and (stamp or 9) <= after):
                    continue
                if where is None or meets(where, values[where.column]):
                    wanted.append(tuple(values[name] for name in select or names))
        table = files.table(*((f"c{number}", number, "string") for number in IDS), after=after)
        found = delivered(table, Path(folder), select, where, limit)
    read = [tuple(row) for row in csv.reader(io.StringIO(found.decode(), newline=""))]
    assert read == wanted[: len(wanted) if limit is None else limit]

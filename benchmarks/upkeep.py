"""What maintenance asks of store and catalog in a round, counted, and what that makes with 100,000 tables.

In an hour, a round looks at each table that was changed, and at a 168th of all tables, as each is looked at once in
seven days. With T tables in N namespaces, C of them changed, and q requests for a table that needs nothing and is
looked through for lost files:

    requests = (T / 168) * q + C * c + N + a

c is what a changed table costs, N the lists of namespaces, a what a round costs where there are no tables.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import obstore
from requests.adapters import HTTPAdapter

from benchmarks.lake import lake_place
from benchmarks.seaweed import seaweed
from benchmarks.turns import figures
from componentrun.loader.maintenance.changes import note_changes
from componentrun.loader.maintenance.round import Round, RoundLimits
from dev.cluster.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.lab import Lab
    from benchmarks.lake import LakePlace
    from benchmarks.record import Figure
    from benchmarks.turns import Values

__all__ = ["requests"]

_TABLES: Final = 200
_NAMESPACES: Final = 10
_MANY: Final = 100_000
_MANY_NAMESPACES: Final = 1_000
_HOURS: Final = timedelta(days=7) / timedelta(hours=1)
_ROWS: Final = b"1,first\n2,second\n"
_STORE_CALLS: Final = ("get", "put", "head", "delete", "list", "list_with_delimiter")
_LATER: Final = 600.0
"""Seconds after which the notes of changed tables are read."""


def requests(lab: Lab, repeats: int) -> list[Figure]:
    """Rounds over 200 tables: of which nothing changed, and all of which changed."""
    values: Values = {}
    for _ in range(repeats):
        with seaweed() as own, lake_place(own.lake, goes=True) as place:
            for name, value in _measure(place, max(_NAMESPACES, round(_TABLES * lab.scale))).items():
                values.setdefault(f"tables.upkeep.{name}", []).append(value)
    return figures(values, "")


def _measure(place: LakePlace, count: int) -> dict[str, float]:
    empty = _round(place, 0)
    tables = [f"out.c-bench{number % _NAMESPACES}.small{number}" for number in range(count)]
    for table in tables:
        run = str(uuid.uuid4())
        place.load(run, [asyncio.run(place.stage(run, table, ("id", "name"), _ROWS, count=2))])
    quiet = _round(place, count)
    note_changes(place.settings, tables)
    both = _round(place, 2 * count)
    scanned = (quiet - empty - _NAMESPACES) / count
    changed = (both - quiet) / count
    return {
        "round": empty,
        "scanned": scanned,
        "changed": changed,
        "quiet": _MANY / _HOURS * scanned + _MANY_NAMESPACES + empty,
        "busy": _MANY / _HOURS * scanned + 1_000 * changed + _MANY_NAMESPACES + empty,
    }


def _round(place: LakePlace, tables: int) -> int:
    """Requests of a round, which must look at so many tables."""
    with _counted() as count:
        done = Round(place.catalog, RoundLimits(), place.scratch, clock=lambda: time.time() + _LATER).all_tables()
    assert done.tables == tables, done
    assert not done.failures, done
    say(f"      {tables} tables: {count}")
    return sum(count.values())


@contextmanager
def _counted() -> Iterator[dict[str, int]]:
    """Requests by what they are for, as long as the context is open."""
    count: dict[str, int] = {}

    def counting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            count[name] = count.get(name, 0) + 1
            return call(*arguments, **options)

        return counted

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(HTTPAdapter, "send", counting("catalog", HTTPAdapter.send)))
        for name in _STORE_CALLS:
            stack.enter_context(mock.patch.object(obstore, name, counting(name, getattr(obstore, name))))
        yield count

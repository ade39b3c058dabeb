"""Number of requests that maintenance sends to store and catalog, extrapolated to 100,000 tables.

Once an hour, a round checks each table that changed and 1/168 of all tables, so that each table is scanned for orphaned
files once in seven days. For T tables in N namespaces, C of them changed:

    requests = (T / 168) * q + C * c + N + a

q is the cost of an unchanged table that is scanned, c that of a changed table, N the lists of namespaces, and a the
cost of a round without tables.
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

from benchmarks.harness.interleave import figures
from benchmarks.harness.sandbox import open_sandbox
from benchmarks.harness.seaweedfs import private_seaweedfs
from componentrun.loader.maintenance.changes import note_changes
from componentrun.loader.maintenance.round import Round, RoundLimits
from dev.cluster.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.harness.interleave import Values
    from benchmarks.harness.sandbox import Sandbox
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure

__all__ = ["requests"]

_TABLES: Final = 200
_NAMESPACES: Final = 10
_MANY: Final = 100_000
_MANY_NAMESPACES: Final = 1_000
_HOURS: Final = timedelta(days=7) / timedelta(hours=1)
_ROWS: Final = b"1,first\n2,second\n"
_STORE_CALLS: Final = ("get", "put", "head", "delete", "list", "list_with_delimiter")
_LATER: Final = 600.0
"""Seconds in the future at which the round runs, so that it reads the notes of changed tables."""


def requests(testbed: Testbed, repeats: int) -> list[Figure]:
    """Two rounds over 200 tables: all unchanged, then all changed."""
    values: Values = {}
    for _ in range(repeats):
        with private_seaweedfs() as own, open_sandbox(own.lake, disposable=True) as sandbox:
            for name, value in _measure(sandbox, max(_NAMESPACES, round(_TABLES * testbed.scale))).items():
                values.setdefault(f"tables.maintenance.{name}", []).append(value)
    return figures(values, "")


def _measure(sandbox: Sandbox, count: int) -> dict[str, float]:
    empty, _ = _round(sandbox)
    tables = [f"out.c-bench{number % _NAMESPACES}.small{number}" for number in range(count)]
    for table in tables:
        run = str(uuid.uuid4())
        sandbox.load(run, [asyncio.run(sandbox.stage(run, table, ("id", "name"), _ROWS, count=2))])
    quiet, scans = _round(sandbox)
    assert scans == count, f"{scans} of {count} tables were scanned"
    scanned = (quiet - empty - _NAMESPACES) / count
    note_changes(sandbox.settings, tables)
    both, looks = _round(sandbox)
    # The second round scans fewer tables, because the number of tables is known by then.
    changed = (both - empty - _NAMESPACES - scanned * (looks - count)) / count
    return {
        "empty-round": empty,
        "unchanged-table": scanned,
        "changed-table": changed,
        "quiet-hour": _MANY / _HOURS * scanned + _MANY_NAMESPACES + empty,
        "busy-hour": _MANY / _HOURS * scanned + 1_000 * changed + _MANY_NAMESPACES + empty,
    }


def _round(sandbox: Sandbox) -> tuple[int, int]:
    """Number of requests of a round, and of tables that it checked."""
    with _counted() as count:
        done = Round(sandbox.catalog, RoundLimits(), sandbox.scratch, clock=lambda: time.time() + _LATER).all_tables()
    assert not done.failures, done
    say(f"      {done.tables} tables: {count}")
    return sum(count.values()), done.tables


@contextmanager
def _counted() -> Iterator[dict[str, int]]:
    """Requests by kind, counted while the context is open."""
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

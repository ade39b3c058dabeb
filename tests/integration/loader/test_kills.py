"""A loader is killed at each write of a load: the previous state is intact, and a second load publishes once.

Writes are the requests that change the catalog or the store. A kill at a read leaves the same state as a kill after the
write before it, which is covered.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import pytest

from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.wire.documents import to_json
from tests.integration.loader import killed
from tests.integration.loader.killer import Killer

if TYPE_CHECKING:
    from tests.integration.loader.gateway import Gateway
    from tests.integration.loader.staging import Bench

pytestmark = pytest.mark.store

MOST_WRITES = 40


class Reader:
    """Reads both tables continuously, and records their numbers of rows."""

    def __init__(self, bench: Bench, names: tuple[str, str]) -> None:
        self._bench, self._names, self._ended = bench, names, threading.Event()
        self.seen: set[tuple[int | None, ...]] = set()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._task = self._pool.submit(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._task.result()

    def _look(self) -> None:
        catalog = Catalog(self._bench.settings)
        while not self._ended.is_set():
            scans, missing = consistent_cut(catalog, self._names)
            self.seen.add((*(scan.rows for scan in scans), *(None for _ in missing)))


@pytest.mark.long
@pytest.mark.parametrize("behind", [False, True], ids=["before_a_write", "behind_a_write"])
@pytest.mark.parametrize("start", [0, 1], ids=["new_tables", "tables_that_are_there"])
def test_a_load_that_is_killed_anywhere_is_published_once_by_the_next(
    bench: Bench, far: Bench, catalog_gateway: Gateway, store_gateway: Gateway, *, start: int, behind: bool
) -> None:
    killer = Killer(catalog_gateway, store_gateway)
    for number in range(1, MOST_WRITES):
        names = (f"out.c-{number}.a", f"out.c-{number}.b")
        if start:
            publish(bench, names, "before")
        before = [("before",)] if start else None
        run, mark = bench.new_run(), str(number)
        tables = [bench.table(run, name, ["mark"], [[mark]], incremental=True) for name in names]
        with Reader(bench, names) as reader:
            is_killed = killer.run(killed.load_once, (to_json(far.request(run, *tables)),), number, behind=behind)
            found = rows(bench, names)
            assert found in ([before] * 2, [[*(before or ()), (mark,)]] * 2)
            bench.load(run, *tables)
        assert rows(bench, names) == [[*(before or ()), (mark,)]] * 2
        assert reader.seen <= {(start or None,) * 2, (start + 1,) * 2}, killer.reached
        if not is_killed:
            break
    assert number > 6


def publish(bench: Bench, names: tuple[str, str], mark: str) -> None:
    """Load one row into both tables."""
    run = bench.new_run()
    bench.load(run, *[bench.table(run, name, ["mark"], [[mark]]) for name in names])


def rows(bench: Bench, names: tuple[str, str]) -> list[list[tuple[Any, ...]] | None]:
    """Rows of both tables."""
    return [bench.rows(name) for name in names]

"""A loader is killed at every border of a load: the state before is untouched, and a second load publishes once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import pytest

from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.wire.documents import to_json
from tests.integration.loader import killed
from tests.integration.loader.gateway import CutError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

    from componentrun.wire.loader import LoadRequest
    from tests.integration.loader.gateway import Answer, Gateway, Seen
    from tests.integration.loader.staging import Bench

pytestmark = pytest.mark.store

A, B = "out.c-main.a", "out.c-main.b"
MOST_REQUESTS = 60


class Killer:
    """Kills a process at one of its requests, at either gateway: before it is passed on, or when it has been."""

    def __init__(self, catalog: Gateway, store: Gateway) -> None:
        self._lock = threading.Lock()
        self._gateways = (catalog, store)
        self._count, self._at, self._is_behind = 0, 0, False
        self._process: ForkServerProcess | None = None
        self.reached = ""

    def run(self, request: LoadRequest, at: int, *, behind: bool) -> bool:
        """Whether the process was killed; else it has ended by itself."""
        self._count, self._at, self._is_behind, self.reached = 0, at, behind, ""
        for gateway in self._gateways:
            gateway.before, gateway.after = self._before, self._after
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([killed.__name__])
        self._process = context.Process(target=killed.load_once, args=(to_json(request),))
        with self._lock:  # no request before it is known here
            self._process.start()
        self._process.join(60)
        for gateway in self._gateways:
            gateway.forget()
        assert self._process.exitcode == (-signal.SIGKILL if self.reached else 0)
        return bool(self.reached)

    def _before(self, seen: Seen) -> None:
        with self._lock:
            self._count += 1
            if self.reached:
                raise CutError
            if self._count != self._at:
                return
            self.reached = f"{seen.method} {seen.path}"
            if not self._is_behind:
                self._kill()

    def _after(self, seen: Seen, answer: Answer) -> Answer:
        with self._lock:
            if self._is_behind and self.reached == f"{seen.method} {seen.path}":
                self._kill()
        return answer

    def _kill(self) -> None:
        assert self._process is not None
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        raise CutError


class Reader:
    """Looks at both tables all the time; what it sees of them, as numbers of rows."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._ended = bench, threading.Event()
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
            scans, missing = consistent_cut(catalog, [A, B])
            self.seen.add((*(scan.rows for scan in scans), *(None for _ in missing)))


@pytest.mark.parametrize("behind", [False, True], ids=["before_a_request", "behind_a_request"])
@pytest.mark.parametrize("start", [0, 1], ids=["new_tables", "tables_that_are_there"])
def test_a_load_that_is_killed_anywhere_is_published_once_by_the_next(
    bench: Bench, far: Bench, catalog_gateway: Gateway, store_gateway: Gateway, *, start: int, behind: bool
) -> None:
    killer = Killer(catalog_gateway, store_gateway)
    for number in range(1, MOST_REQUESTS):
        if start:
            publish(bench, bench.new_run(), "before", incremental=False)
        before = [("before",)] if start else None
        run, mark = bench.new_run(), str(number)
        tables = [bench.table(run, name, ["mark"], [[mark]], incremental=True) for name in (A, B)]
        with Reader(bench) as reader:
            is_killed = killer.run(far.request(run, *tables), number, behind=behind)
            assert bench.rows(A) == bench.rows(B)
            assert bench.rows(A) in (before, [*(before or ()), (mark,)])
            bench.load(run, *tables)
        assert bench.rows(A) == bench.rows(B) == [*(before or ()), (mark,)]
        assert reader.seen <= {(start or None,) * 2, (start + 1,) * 2}, killer.reached
        if not is_killed:
            break
        if not start:
            bench.space.empty()
    assert number > 12


def publish(bench: Bench, run: str, mark: str, *, incremental: bool) -> None:
    """Load one row into both tables."""
    tables = [bench.table(run, name, ["mark"], [[mark]], incremental=incremental) for name in (A, B)]
    bench.load(run, *tables)

"""A few threads that process one stream of items. The first error stops them and is raised."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from componentrun.agent.transfer import Stop

__all__ = ["CONNECTIONS", "LARGE_AT_A_TIME", "LARGE_BYTES", "in_parallel"]

CONNECTIONS: Final = 8
LARGE_BYTES: Final = 4 * 2**20
LARGE_AT_A_TIME: Final = 4
"""Concurrent transfers of large objects; eight are faster for small objects only."""

Item = TypeVar("Item")


def in_parallel(items: Iterable[Item], work: Callable[[Item], object], threads: int, stop: Stop) -> None:
    """Call `work` for every item, in up to `threads` threads at a time.

    Args:
        items: taken one at a time, in order, by the next free thread; may be an iterator.
        work: called by several threads at the same time.
        threads: at least 1; with 1, the caller's own thread does the work.
        stop: set at the first error, so that work in progress ends early.

    Raises:
        BaseException: the first error of `work` or `items`, after all threads have ended.
    """
    source = iter(items)
    lock = threading.Lock()
    errors: list[BaseException] = []

    def run() -> None:
        while not stop.is_set():
            try:
                with lock:
                    item = next(source)
                work(item)
            except StopIteration:
                return
            except BaseException as error:  # noqa: BLE001 - raised below, in the caller's thread
                errors.append(error)
                stop.set()
                return

    if threads == 1:
        run()
    else:
        workers = [threading.Thread(target=run, name=f"transfer-{i}", daemon=True) for i in range(threads)]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join()
    if errors:
        raise errors[0]

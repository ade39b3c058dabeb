"""DuckDBs that are kept from one small load to the next: making one takes longer than all that a small load has it do.

A kept one is used by one load at a time, through a connection of its own: temporary tables and variables end with that.
One in which something failed is not kept.
"""

from __future__ import annotations

import tempfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from componentrun.sql.query import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.loader.loading.loads import TableLoad

__all__ = ["Databases", "is_small"]

_SMALL_BYTES: Final = 16 * 2**20


class Databases:
    """As many as there are small loads at a time. Safe to use from any thread."""

    def __init__(self, scratch: str, share: int) -> None:
        """Nothing is made yet.

        Args:
            scratch: a folder that stays, where they may spill.
            share: how many loads share the memory of the process.
        """
        self._scratch = scratch
        self._share = share
        self._lock = threading.Lock()
        self._idle: list[Any] = []

    @contextmanager
    def one(self) -> Iterator[Any]:
        """A connection to one that nobody else uses."""
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is None:
            kept = self._made()
        try:
            with kept.cursor() as connection:
                yield connection
        except BaseException:
            kept.close()
            raise
        with self._lock:
            self._idle.append(kept)

    def _made(self) -> Any:
        # Each spills into a folder of its own: two would overwrite each other's files.
        made = connect(tempfile.mkdtemp(prefix="kept-", dir=self._scratch), share=self._share)
        # Signed URLs differ each time, so what was read is never found again.
        made.execute("SET enable_external_file_cache = false")
        return made


def is_small(loads: Sequence[TableLoad]) -> bool:
    """Whether a kept one should serve: what a large load leaves of its memory goes with its own."""
    return sum(load.size for load in loads) <= _SMALL_BYTES

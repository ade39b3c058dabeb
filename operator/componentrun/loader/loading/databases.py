"""DuckDB databases that small loads reuse, because creating one takes longer than a small load's statements.

One load at a time uses a database, through its own connection, so that temporary tables and variables end with the
load. After an error, the database is closed and not reused.
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
    """A pool of databases, which grows to the number of concurrent small loads. Thread-safe."""

    def __init__(self, scratch: str, share: int) -> None:
        """Create an empty pool.

        Args:
            scratch: folder for spill files. It must exist as long as the pool.
            share: number of loads that share the memory of the process.
        """
        self._scratch = scratch
        self._share = share
        self._lock = threading.Lock()
        self._idle: list[Any] = []

    @contextmanager
    def one(self) -> Iterator[Any]:
        """A connection to a database that is not in use."""
        with self._lock:
            database = self._idle.pop() if self._idle else None
        if database is None:
            database = self._made()
        try:
            with database.cursor() as connection:
                yield connection
        except BaseException:
            database.close()
            raise
        with self._lock:
            self._idle.append(database)

    def _made(self) -> Any:
        # Each database has its own spill folder, because two would overwrite each other's files.
        database = connect(tempfile.mkdtemp(prefix="kept-", dir=self._scratch), share=self._share)
        # Signed URLs differ each time, so the cache would never be hit.
        database.execute("SET enable_external_file_cache = false")
        return database


def is_small(loads: Sequence[TableLoad]) -> bool:
    """Whether loads should reuse a database. A large load gets its own, so that its memory is freed afterwards."""
    return sum(load.size for load in loads) <= _SMALL_BYTES

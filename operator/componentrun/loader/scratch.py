"""Local disk space of one load. Each load has a fixed share, so that concurrent loads do not affect each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.loader.loading.loads import TableLoad

__all__ = ["Scratch", "too_large"]

_MIB: Final = 2**20
_LEAST_BYTES: Final = _MIB
"""Minimum spill size of DuckDB, because it treats an empty limit as no limit."""


class Scratch:
    """The folder of a load, and its size limit."""

    def __init__(self, folder: str, most: int | None) -> None:
        """`most` is the limit in bytes; None: the free space of the disk."""
        self.folder = Path(folder)
        self._most = most

    def need(self, loads: Sequence[TableLoad], table: str) -> None:
        """Check that loads fit: their CSV, and the same size again for the Parquet file that is written from it.

        Raises:
            PlatformError: (PublishFailed) they do not fit; the message says how much is needed, and what to change.
        """
        if self._most is None:
            return
        size = sum(load.size for load in loads)
        needed = self._used() + 2 * size
        if needed > self._most:
            raise too_large(table, f"needs {_mebibytes(needed)} there", self._most)

    def spill_bytes(self, loads: Sequence[TableLoad]) -> int | None:
        """Bytes that DuckDB may spill while it writes the Parquet file of these loads; None: no limit."""
        if self._most is None:
            return None
        size = sum(load.size for load in loads)
        return max(self._most - self._used() - size, _LEAST_BYTES)

    @property
    def most(self) -> int | None:
        """The limit in bytes; None: no limit."""
        return self._most

    def _used(self) -> int:
        return sum(file.lstat().st_size for file in self.folder.rglob("*") if not file.is_dir())


def too_large(table: str, amount: str, most: int) -> PlatformError:
    """The error for a load that needs more than its share of the disk."""
    return PlatformError(
        f"`{table}` can't be loaded: each load may use {_mebibytes(most)} of the loader's disk, and this one {amount}. "
        "Set `loader.scratchMiB` of the chart to more, or `loader.loads` to less; or have the run write less at a time",
        Reason.PUBLISH_FAILED,
    )


def _mebibytes(size: int) -> str:
    return f"{-(-size // _MIB)} MiB"

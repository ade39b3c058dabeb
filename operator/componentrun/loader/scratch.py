"""The local disk that one load may use: its share, so that no load takes the room of those beside it."""

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
"""DuckDB may always spill so much: an empty limit would be none."""


class Scratch:
    """A load's folder, and how much may be in it."""

    def __init__(self, folder: str, most: int | None) -> None:
        """`most` is in bytes; None: as much as the disk holds."""
        self.folder = Path(folder)
        self._most = most

    def need(self, loads: Sequence[TableLoad], table: str) -> None:
        """See that there is room for what loads bring: as CSV, and once more for the Parquet file that is made of it.

        Raises:
            PlatformError: (PublishFailed) there is not; the message says how much is needed, and what to change.
        """
        if self._most is None:
            return
        size = sum(load.size for load in loads)
        needed = self._used() + 2 * size
        if needed > self._most:
            raise too_large(table, f"needs {_mebibytes(needed)} there", self._most)

    def spill_bytes(self, loads: Sequence[TableLoad]) -> int | None:
        """How much a DuckDB may spill while it makes a Parquet file of these loads; None: any size."""
        if self._most is None:
            return None
        size = sum(load.size for load in loads)
        return max(self._most - self._used() - size, _LEAST_BYTES)

    @property
    def most(self) -> int | None:
        """Bytes; None: there is no limit."""
        return self._most

    def _used(self) -> int:
        return sum(file.lstat().st_size for file in self.folder.rglob("*") if not file.is_dir())


def too_large(table: str, found: str, most: int) -> PlatformError:
    """The error of a load for which its share is too small."""
    return PlatformError(
        f"`{table}` can't be loaded: each load may use {_mebibytes(most)} of the loader's disk, and this one {found}. "
        "Set `loader.scratchMiB` of the chart to more, or `loader.loads` to less; or have the run write less at a time",
        Reason.PUBLISH_FAILED,
    )


def _mebibytes(size: int) -> str:
    return f"{-(-size // _MIB)} MiB"

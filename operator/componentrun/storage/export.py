"""A table as a Parquet file, with the rows that a reader of the table sees."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from componentrun.errors import PlatformError, Reason, UserError
from componentrun.exchange import Mapping, Step
from componentrun.parquetsql import parquet_statement, same_names
from componentrun.storage.download import bring_steps
from componentrun.storage.reading import EVERYTHING, plan_read
from componentrun.tablequery import run_statements
from componentrun.tablesql import keep_statement, rows_of

if TYPE_CHECKING:
    from componentrun.storage.connection import Store
    from componentrun.storage.pointer import Pointer

__all__ = ["export_parquet"]


async def export_parquet(store: Store, pointer: Pointer, target: Path, *, text: bool = False) -> int:
    """Write a table to a Parquet file, and return the number of its rows.

    Slices go to a folder for temporary files first; the memory that is used does not grow with the table.

    Args:
        store: the Storage.
        pointer: of the table.
        target: the file; made anew.
        text: write all columns as text, whatever the table says of their types.

    Raises:
        UserError: (InputInvalid) the columns can't be those of a Parquet file, or a value is not of its column's type;
            (DiskFull) there is no room for the file or the slices.
        StaleError: a slice is not the one that the pointer names.
    """
    _check_names(pointer)
    reading = plan_read(pointer, EVERYTHING)
    mapping = reading.mapping or Mapping(reading.columns, (Step(reading.columns, len(reading.slices)),))
    with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
        files = await bring_steps(store, reading.slices, mapping, Path(folder))
        rows = rows_of(mapping, files)
        types = [(None, None) if text else (column.type, column.length) for column in pointer.columns]
        copy = parquet_statement(mapping, rows, str(target), types, pointer.bytes // max(1, pointer.rows))
        keep = keep_statement(mapping, rows)
        try:
            answers = await asyncio.to_thread(run_statements, [*([keep] if keep else []), copy], folder)
        except (UserError, PlatformError) as error:
            raise _explained(error, pointer, target, folder) from None
    return int(answers[-1][0][0])


def _check_names(pointer: Pointer) -> None:
    if same := same_names(pointer.column_names):
        raise UserError(
            f"`{pointer.id}` can't become Parquet: its columns `{same[0]}` and `{same[1]}` differ in upper and lower "
            "case only, which most readers take for the same; export it as `.csv`",
            Reason.INPUT_INVALID,
        )
    if any("\0" in name for name in pointer.column_names):
        raise UserError(
            f"`{pointer.id}` can't become Parquet: the name of a column holds a NUL character; export it as `.csv`",
            Reason.INPUT_INVALID,
        )


def _explained(error: UserError | PlatformError, pointer: Pointer, target: Path, folder: str) -> Exception:
    if error.reason is Reason.INPUT_INVALID:
        return UserError(
            f"`{pointer.id}` can't become Parquet: {error.message}; `--text` writes every column as text",
            Reason.INPUT_INVALID,
        )
    if error.reason is Reason.DISK_FULL:
        return UserError(
            f"no space is left in `{Path(folder).parent}`, where the table's slices go for the time being, or for "
            f"`{target}`; make room, or set TMPDIR to another folder",
            Reason.DISK_FULL,
        )
    return error

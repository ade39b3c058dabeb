"""Input tables in their place: as a file, or as a folder of slices, which a component may read side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.contract import MANIFEST_SUFFIX
from componentrun.exchange import TableRead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.agent.folder import Folder

__all__ = ["files_of", "prepare", "slice_path", "take"]


def slice_path(table: TableRead, number: int) -> str:
    """Where a slice goes; names sort as their numbers do."""
    return f"{table.path}/{number:05d}.csv"


def files_of(table: TableRead) -> Iterator[TableRead]:
    """The files that a table comes as: itself, or one for each of its slices."""
    if not table.sliced:
        yield table
        return
    for number, part in enumerate(table.slices):
        yield TableRead(table.source, slice_path(table, number), None, (part,), None)


def prepare(folder: Folder, table: TableRead) -> None:
    """The folder, which may stay empty, and the manifest, without which nobody knows the columns."""
    folder.make(table.path)
    folder.write_json(table.path + MANIFEST_SUFFIX, table.manifest or {"columns": list(table.columns or ())})


def take(folder: Folder, table: TableRead, file: str, rows: int) -> None:
    """Put what became of a table into its place, with its manifest.

    Args:
        folder: the data folder.
        table: the table.
        file: on the same volume; without a header line where the table is sliced.
        rows: how many it holds.

    Raises:
        ComponentRunError: see `Folder.create`.
    """
    if not table.sliced:
        folder.take(file, table.path)
        if table.manifest is not None:
            folder.write_json(table.path + MANIFEST_SUFFIX, table.manifest)
        return
    if rows:
        folder.take(file, slice_path(table, 0))
    prepare(folder, table)

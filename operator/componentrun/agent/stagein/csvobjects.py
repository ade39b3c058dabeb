"""Input tables that are plain CSV objects: DuckDB selects columns and rows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from componentrun.agent.stagein.download import download
from componentrun.agent.stagein.scratch import scratch_folder
from componentrun.csv.columnnames import chosen, missing
from componentrun.errors import Reason, UserError
from componentrun.sql.files import with_header_columns
from componentrun.sql.query import deliver
from componentrun.sql.tables import Mapping, Step
from componentrun.wire.agents import FileRead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.agent.folder import Folder
    from componentrun.agent.transfer import Client
    from componentrun.wire.agents import CsvRead

__all__ = ["bring_csv"]


def bring_csv(client: Client, folder: Folder, data: str, objects: Sequence[CsvRead]) -> dict[str, int]:
    """Write the selected part of each object to the data folder, and return the number of rows of each, by its path.

    Args:
        client: downloads the objects.
        folder: the data folder.
        data: path of the data folder.
        objects: objects for which `needs_query` is true.

    Raises:
        UserError: (InputInvalid) an object is not well-formed CSV, or lacks a requested column.
        ComponentRunError: see `download` and `deliver`.
    """
    with scratch_folder(data) as scratch:
        return {item.path: _bring(client, folder, scratch, item) for item in objects}


def _bring(client: Client, folder: Folder, scratch: str, item: CsvRead) -> int:
    original, selection = f"{scratch}/object.csv", f"{scratch}/made.csv"
    place = os.path.basename(scratch)  # noqa: PTH119 - pathlib costs ten milliseconds
    download(client, folder, [FileRead(item.source, f"{place}/object.csv", (item.object,), None)])
    try:
        columns = with_header_columns(original, item.source)
    except UserError as error:
        raise UserError(error.summary, Reason.INPUT_INVALID, advice=error.advice) from error
    mapping = Mapping(columns, (Step(columns),), _selected(item, columns), where=item.where, limit=item.limit)
    rows = deliver(mapping, [[original]], selection, scratch)
    os.unlink(original)  # noqa: PTH108 - likewise
    folder.take(selection, item.path)
    return rows


def _selected(item: CsvRead, columns: tuple[str, ...]) -> tuple[str, ...] | None:
    """Names of the columns to deliver; None for all of them."""
    select, unknown = (None, None) if item.select is None else chosen(item.select, columns)
    if unknown is None and item.where is not None and item.where.column not in columns:
        unknown = item.where.column
    if unknown is not None:
        raise UserError(
            f"{item.source}: the input mapping names the column `{unknown}`, which does not exist; "
            f"{missing(unknown, columns)}",
            Reason.INPUT_INVALID,
        )
    return select

"""Input tables that are plain CSV objects of which only some columns or rows are asked for: DuckDB makes the files."""

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
    """Bring what is asked for of each object, one after the other, and return the number of its rows by its path.

    Args:
        client: reads the objects.
        folder: the data folder.
        data: its path.
        objects: each of which `needs_query`.

    Raises:
        UserError: (InputInvalid) an object is no well-formed CSV, or lacks a column that is named.
        ComponentRunError: see `download` and `deliver`.
    """
    with scratch_folder(data) as scratch:
        return {item.path: _bring(client, folder, scratch, item) for item in objects}


def _bring(client: Client, folder: Folder, scratch: str, item: CsvRead) -> int:
    brought, made = f"{scratch}/object.csv", f"{scratch}/made.csv"
    place = os.path.basename(scratch)  # noqa: PTH119 - pathlib costs ten milliseconds
    download(client, folder, [FileRead(item.source, f"{place}/object.csv", (item.object,), None)])
    try:
        columns = with_header_columns(brought, item.source)
    except UserError as error:
        raise UserError(error.message, Reason.INPUT_INVALID) from error
    mapping = Mapping(columns, (Step(columns),), _selected(item, columns), where=item.where, limit=item.limit)
    rows = deliver(mapping, [[brought]], made, scratch)
    os.unlink(brought)  # noqa: PTH108 - likewise
    folder.take(made, item.path)
    return rows


def _selected(item: CsvRead, columns: tuple[str, ...]) -> tuple[str, ...] | None:
    """The columns to deliver by their names; None: all."""
    select, unknown = (None, None) if item.select is None else chosen(item.select, columns)
    if unknown is None and item.where is not None and item.where.column not in columns:
        unknown = item.where.column
    if unknown is not None:
        raise UserError(
            f"{item.source}: the input mapping names the column `{unknown}`, which is not there; "
            f"{missing(unknown, columns)}",
            Reason.INPUT_INVALID,
        )
    return select

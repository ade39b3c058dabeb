"""Input tables to which something is to be applied: from their slices, DuckDB makes the files.

Slices go to a folder of their own on the same volume, of which nothing is left when the component starts. Most tables
come in `pieces`. Where there is a primary key, or a plain object that brings its columns, all slices of the table have
to be there first; such tables are brought a batch at a time, so that slices need little room beside what they become.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final

from componentrun.agent.download import download, table_size
from componentrun.agent.pieces import AT_A_TIME, bring_pieces, comes_in_pieces, groups
from componentrun.agent.sliced import take
from componentrun.columnnames import chosen, missing
from componentrun.errors import Reason, UserError
from componentrun.exchange import Mapping, Step, TableRead
from componentrun.tablefiles import make_ready, with_header_columns
from componentrun.tablequery import deliver

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.agent.folder import Folder
    from componentrun.agent.transfer import Client

__all__ = ["bring_mapped", "scratch_bytes"]

_BATCH_BYTES: Final = 64 * 2**20


def bring_mapped(client: Client, folder: Folder, data: str, tables: Sequence[TableRead]) -> dict[str, int]:
    """Bring all tables, and return the number of rows of each, by its path.

    Args:
        client: reads the slices.
        folder: the data folder.
        data: its path.
        tables: all with a mapping.

    Raises:
        ComponentRunError: see `download` and `deliver`.
    """
    import shutil  # noqa: PLC0415 - most runs map nothing
    import tempfile  # noqa: PLC0415 - likewise

    pieces, whole = _divided(tables)
    # A name that nobody can know before: nothing of an earlier life of the pod is in the way.
    scratch = tempfile.mkdtemp(prefix=".stage-in-", dir=data)
    try:
        rows = bring_pieces(client, folder, scratch, pieces) if pieces else {}
        for batch in _batches(whole):
            rows |= _bring_batch(client, folder, scratch, batch)
        return rows
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def scratch_bytes(tables: Sequence[TableRead]) -> int:
    """Bytes that slices need beside what they become, at most."""
    pieces, whole = _divided(tables)
    largest = sorted(sum(part.size for part in group) for table in pieces for group in groups(table.slices))
    batches = max((sum(map(table_size, batch)) for batch in _batches(whole)), default=0)
    return max(sum(largest[-AT_A_TIME:]), batches)


def _divided(tables: Sequence[TableRead]) -> tuple[list[TableRead], list[TableRead]]:
    """Tables that come in pieces, and those that have to be there as a whole first."""
    pieces = [table for table in tables if comes_in_pieces(table)]
    return pieces, [table for table in tables if not comes_in_pieces(table)]


def _batches(tables: Sequence[TableRead]) -> Iterator[list[TableRead]]:
    batch: list[TableRead] = []
    size = 0
    for table in tables:
        if batch and size + table_size(table) > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(table)
        size += table_size(table)
    if batch:
        yield batch


def _bring_batch(client: Client, folder: Folder, scratch: str, batch: Sequence[TableRead]) -> dict[str, int]:
    place = os.path.basename(scratch)  # noqa: PTH119 - pathlib costs ten milliseconds
    parts = [_parts(table, f"{place}/{number}") for number, table in enumerate(batch)]
    download(client, folder, [part for steps in parts for step in steps for part in step])
    rows = {}
    for number, table in enumerate(batch):
        files = [[f"{scratch}/{part.path.removeprefix(f'{place}/')}" for part in step] for step in parts[number]]
        target = f"{scratch}/{number}.csv"
        count = deliver(_ready(table, files), files, target, scratch, header=not table.sliced)
        _remove(files)
        take(folder, table, target, count)
        rows[table.path] = count
    return rows


def _parts(table: TableRead, place: str) -> list[list[TableRead]]:
    """What to bring for each step: files of whole slices."""
    left = list(table.slices)
    steps = table.mapping.steps if table.mapping is not None else ()
    found = []
    for number, step in enumerate(steps):
        own, left = left[: step.slices], left[step.slices :]
        found.append(
            [
                TableRead(table.source, f"{place}-{number}-{i}.part", None, tuple(group), None)
                for i, group in enumerate(groups(own))
            ]
        )
    return found


def _ready(table: TableRead, files: Sequence[Sequence[str]]) -> Mapping:
    """The mapping with all columns known; the files then hold nothing but rows that end with LF."""
    mapping = table.mapping or Mapping(table.columns, ())
    if mapping.columns is None:
        columns = _columns_of_object(table, files[0][0])
        select = _selected(table.source, mapping, columns)
        steps = tuple(Step(columns, step.slices, step.delete) for step in mapping.steps)
        return dataclasses.replace(mapping, columns=columns, steps=steps, select=select)
    for step in files:
        for file in step:
            make_ready(file)
    return mapping


def _columns_of_object(table: TableRead, file: str) -> tuple[str, ...]:
    try:
        return with_header_columns(file, table.source)
    except UserError as error:
        raise UserError(error.message, Reason.INPUT_INVALID) from error


def _selected(source: str, mapping: Mapping, columns: tuple[str, ...]) -> tuple[str, ...] | None:
    """The columns to deliver by their names; None: all."""
    select, unknown = (None, None) if mapping.select is None else chosen(mapping.select, columns)
    if unknown is None and mapping.where is not None and mapping.where.column not in columns:
        unknown = mapping.where.column
    if unknown is not None:
        raise UserError(
            f"{source}: the input mapping names the column `{unknown}`, which is not there; "
            f"{missing(unknown, columns)}",
            Reason.INPUT_INVALID,
        )
    return select


def _remove(files: Sequence[Sequence[str]]) -> None:
    for step in files:
        for file in step:
            os.unlink(file)  # noqa: PTH108 - pathlib costs ten milliseconds

"""Input tables to which something is to be applied: from their slices, DuckDB makes the files.

Slices go to a folder of their own on the same volume. Tables are brought a batch at a time, so that the slices need
little room beside what they become. Nothing of this is left when the component starts.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final

from componentrun.agent.download import download, table_size
from componentrun.contract import MANIFEST_SUFFIX
from componentrun.errors import Reason, UserError
from componentrun.exchange import Mapping, Step, TableRead
from componentrun.tablequery import deliver, with_header_columns, without_carriage_returns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.agent.folder import Folder
    from componentrun.agent.transfer import Client
    from componentrun.exchange import SliceRead

__all__ = ["bring_mapped", "largest_batch"]

_BATCH_BYTES: Final = 64 * 2**20
_FILE_BYTES: Final = 16 * 2**20
"""Small slices go into one file up to here: opening one takes DuckDB longer than reading it."""


def bring_mapped(client: Client, folder: Folder, data: str, tables: Sequence[TableRead]) -> int:
    """Bring all tables, and return the number of their rows.

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

    # A name that nobody can know before: nothing of an earlier life of the pod is in the way.
    scratch = tempfile.mkdtemp(prefix=".stage-in-", dir=data)
    try:
        return sum(_bring_batch(client, folder, scratch, batch) for batch in _batches(tables))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def largest_batch(tables: Sequence[TableRead]) -> int:
    """Bytes that the slices of one batch need, at most."""
    return max((sum(map(table_size, batch)) for batch in _batches(tables)), default=0)


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


def _bring_batch(client: Client, folder: Folder, scratch: str, batch: Sequence[TableRead]) -> int:
    place = os.path.basename(scratch)  # noqa: PTH119 - pathlib costs ten milliseconds
    parts = [_parts(table, f"{place}/{number}") for number, table in enumerate(batch)]
    download(client, folder, [part for steps in parts for step in steps for part in step])
    rows = 0
    for number, table in enumerate(batch):
        files = [[f"{scratch}/{part.path.removeprefix(f'{place}/')}" for part in step] for step in parts[number]]
        target = f"{scratch}/{number}.csv"
        rows += deliver(_ready(table, files), files, target, scratch)
        folder.take(target, table.path)
        _remove(files)
        if table.manifest is not None:
            folder.write_json(table.path + MANIFEST_SUFFIX, table.manifest)
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
                for i, group in enumerate(_groups(own))
            ]
        )
    return found


def _groups(slices: Sequence[SliceRead]) -> Iterator[list[SliceRead]]:
    group: list[SliceRead] = []
    size = 0
    for part in slices:
        if group and size + part.size > _FILE_BYTES:
            yield group
            group, size = [], 0
        group.append(part)
        size += part.size
    if group:
        yield group


def _ready(table: TableRead, files: Sequence[Sequence[str]]) -> Mapping:
    """The mapping with all columns known; the files then hold nothing but rows that end with LF."""
    mapping = table.mapping or Mapping(table.columns, ())
    if mapping.columns is None:
        columns = _columns_of_object(table, files[0][0])
        _check_names(table.source, mapping, columns)
        steps = tuple(Step(columns, step.slices, step.delete) for step in mapping.steps)
        return dataclasses.replace(mapping, columns=columns, steps=steps)
    for step in files:
        for file in step:
            without_carriage_returns(file)
    return mapping


def _columns_of_object(table: TableRead, file: str) -> tuple[str, ...]:
    try:
        return with_header_columns(file, table.source)
    except UserError as error:
        raise UserError(error.message, Reason.INPUT_INVALID) from error


def _check_names(source: str, mapping: Mapping, columns: tuple[str, ...]) -> None:
    wanted = [*(mapping.select or ()), *([mapping.where.column] if mapping.where is not None else [])]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise UserError(
            f"{source}: the input mapping names the column `{missing[0]}`, which is not there; it has "
            f"{', '.join(f'`{name}`' for name in columns[:20])}",
            Reason.INPUT_INVALID,
        )


def _remove(files: Sequence[Sequence[str]]) -> None:
    for step in files:
        for file in step:
            os.unlink(file)  # noqa: PTH108 - pathlib costs ten milliseconds

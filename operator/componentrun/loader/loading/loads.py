"""The loads of a run, and whether they fit their tables. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from componentrun.csv.columnfacts import BASE_TYPES
from componentrun.csv.columnnames import listed, resembling
from componentrun.errors import PlatformError, Reason, UserError, together
from componentrun.loader.loading.columns import Column, type_conflict
from componentrun.storage.store.keys import TableId, check_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from componentrun.wire.agents import SliceWritten, TableWritten, Where

__all__ = ["Existing", "TableLoad", "by_table", "check_load", "loads_of"]

_ENCODINGS = {None, "gzip", "zstd"}
_OPERATORS = {"eq", "ne"}


@dataclass(frozen=True, slots=True)
class TableLoad:
    """One file of a run that is loaded into a table."""

    table: str
    """Table id."""
    source: str
    """File that the component wrote, for messages."""
    columns: tuple[str, ...]
    primary_key: tuple[str, ...] = ()
    """Empty: an incremental load keeps the table's primary key."""
    incremental: bool = False
    slices: tuple[SliceWritten, ...] = ()
    """Objects with headerless CSV, without empty ones."""
    delete_where: Where | None = None
    """Rows to delete from the table before the new rows are added. Ignored if the load replaces all rows."""
    described: tuple[Column, ...] = ()
    """Columns that the load describes."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Metadata that the load states for the table as a whole."""
    insert: bool = False
    """Whether the rows are added without replacing rows that have the same primary key."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(part.rows for part in self.slices)

    @property
    def size(self) -> int:
        """Size of the CSV in bytes, decompressed."""
        return sum(part.size for part in self.slices)


@dataclass(frozen=True, slots=True)
class Existing:
    """Columns and primary key of an existing table that a load must fit."""

    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]


def loads_of(tables: Iterable[TableWritten], own_prefix: str) -> tuple[TableLoad, ...]:
    """The loads requested by an attempt's result.

    Raises:
        UserError: (OutputInvalid) destinations are not table ids, or files would replace others; lists all errors.
        PlatformError: (PublishFailed) a slice is outside `own_prefix`, or has an unknown encoding.
    """
    loads: list[TableLoad] = []
    errors: list[UserError] = []
    for output in tables:
        try:
            loads.append(_load(output, own_prefix))
        except UserError as error:
            errors.append(error)
    errors += [
        UserError(
            f"`{group[0].source}` and `{load.source}` both become `{table}`, where the latter would replace "
            f"the former; give `{load.source}` another destination, or make it incremental",
            Reason.OUTPUT_INVALID,
        )
        for table, group in by_table(loads).items()
        for load in group[1:]
        if not load.incremental
    ]
    if errors:
        raise together(errors)
    return tuple(loads)


def by_table(loads: Iterable[TableLoad]) -> dict[str, list[TableLoad]]:
    """The loads of each table, in order."""
    grouped: dict[str, list[TableLoad]] = {}
    for load in loads:
        grouped.setdefault(load.table, []).append(load)
    return grouped


def check_load(existing: Existing | None, load: TableLoad) -> None:
    """Check that a load fits its table.

    Columns may be in any order. Columns may be added, but not removed or renamed; an incremental load appends new
    columns to the existing ones. A primary key consists of columns, and an incremental load can't change it.

    Args:
        existing: the table; None: it does not exist.
        load: the load.

    Raises:
        UserError: (OutputInvalid) the load does not fit; the message names table, file, columns, and what to do.
    """
    subject = f"{load.table}: `{load.source}`" if load.source else load.table
    _check_names(subject, load)
    if load.delete_where is not None and load.delete_where.column not in load.columns:
        raise UserError(
            f"{subject} deletes rows by the column `{load.delete_where.column}`, which is not among its columns "
            f"{listed(load.columns)}",
            Reason.OUTPUT_INVALID,
        )
    if existing is None:
        return
    columns = frozenset(load.columns)
    missing = [column.name for column in existing.columns if column.name not in columns]
    if missing:
        raise UserError(
            f"{subject} lacks {_columns(missing)} of the table; found {listed(load.columns)}"
            f"{resembling(missing[0], load.columns)}. Columns may be added, not removed or renamed: write the missing "
            "ones (empty where there is no value), or delete the table first",
            Reason.OUTPUT_INVALID,
        )
    if not load.incremental:
        return
    if (conflict := type_conflict(existing.columns, load.described)) is not None:
        raise UserError(
            f"{subject} {conflict}; leave the type out, or load the table in full once", Reason.OUTPUT_INVALID
        )
    if load.primary_key and set(load.primary_key) != set(existing.primary_key):
        raise UserError(
            f"{subject} has the primary key {listed(load.primary_key)}, the table has {listed(existing.primary_key)}; "
            "an incremental load can't change it: leave it out, or load the table in full once",
            Reason.OUTPUT_INVALID,
        )


def _load(output: TableWritten, own_prefix: str) -> TableLoad:
    for part in output.slices:
        check_own(part.key, own_prefix, f"`{output.destination}`")
        if part.encoding not in _ENCODINGS:
            raise PlatformError(
                f"`{part.key}` is stored as `{part.encoding}`; expected gzip, zstd or neither. Nothing was published",
                Reason.PUBLISH_FAILED,
            )
    try:
        table = TableId.parse(output.destination)
    except UserError as error:
        raise UserError(f"`{output.source}`: {error.message}", Reason.OUTPUT_INVALID) from None
    if output.delete_where is not None and output.delete_where.operator not in _OPERATORS:
        raise UserError(
            f"`{output.source}` deletes rows with the operator `{output.delete_where.operator}`; expected eq or ne",
            Reason.OUTPUT_INVALID,
        )
    return TableLoad(
        table=str(table),
        source=output.source,
        columns=output.columns,
        primary_key=output.primary_key,
        incremental=output.incremental,
        slices=tuple(part for part in output.slices if part.size),
        delete_where=output.delete_where,
        described=_described(output),
        metadata=output.metadata,
        insert=output.insert,
    )


def _described(output: TableWritten) -> tuple[Column, ...]:
    try:
        return tuple(Column.of(facts) for facts in output.schema)
    except ValueError:
        # stage-out has checked the types, but may be of a release that knows other types.
        raise UserError(
            f"`{output.source}` has a column with a type that this release does not know; expected one of "
            f"{', '.join(BASE_TYPES)}",
            Reason.OUTPUT_INVALID,
        ) from None


def _check_names(subject: str, load: TableLoad) -> None:
    if not load.columns or "" in load.columns:
        raise UserError(
            f"{subject} has {'a column without a' if load.columns else 'no column'} name", Reason.OUTPUT_INVALID
        )
    duplicates = sorted(name for name, times in Counter(load.columns).items() if times > 1)
    if duplicates:
        raise UserError(f"{subject} has {_columns(duplicates)} more than once", Reason.OUTPUT_INVALID)
    unknown = [name for name in load.primary_key if name not in load.columns]
    if unknown:
        raise UserError(
            f"{subject} has {_columns(unknown)} in its primary key, but not among its columns {listed(load.columns)}"
            f"{resembling(unknown[0], load.columns)}",
            Reason.OUTPUT_INVALID,
        )


def _columns(names: Sequence[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {listed(names)}"

"""What a run brings for a table, and whether it fits the table. Pure."""

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
    """What one run brings for one table."""

    table: str
    """Table id."""
    source: str
    """File that the component wrote; for messages."""
    columns: tuple[str, ...]
    primary_key: tuple[str, ...] = ()
    """Empty: an incremental load keeps the table's."""
    incremental: bool = False
    slices: tuple[SliceWritten, ...] = ()
    """Objects of headerless CSV; none is empty."""
    delete_where: Where | None = None
    """Rows of the table that go before these come; without effect where the load replaces them all."""
    described: tuple[Column, ...] = ()
    """Columns of which the load says something."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What the load says of the table as a whole."""
    insert: bool = False
    """Whether its rows replace none that agree in the primary key."""

    @property
    def rows(self) -> int:
        """Rows of data."""
        return sum(part.rows for part in self.slices)

    @property
    def size(self) -> int:
        """Bytes of CSV."""
        return sum(part.size for part in self.slices)


@dataclass(frozen=True, slots=True)
class Existing:
    """A table that a load must fit."""

    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]


def loads_of(tables: Iterable[TableWritten], own_prefix: str) -> tuple[TableLoad, ...]:
    """The loads that an attempt's result asks for.

    Raises:
        UserError: (OutputInvalid) destinations are no table ids, or files would replace others; names all of them.
        PlatformError: (PublishFailed) a slice lies outside `own_prefix`, or is stored in a way that nobody can read.
    """
    loads: list[TableLoad] = []
    errors: list[UserError] = []
    for written in tables:
        try:
            loads.append(_load(written, own_prefix))
        except UserError as error:
            errors.append(error)
    errors += [
        UserError(
            f"`{several[0].source}` and `{load.source}` both become `{table}`, where the latter would replace "
            f"the former; give `{load.source}` another destination, or make it incremental",
            Reason.OUTPUT_INVALID,
        )
        for table, several in by_table(loads).items()
        for load in several[1:]
        if not load.incremental
    ]
    if errors:
        raise together(errors)
    return tuple(loads)


def by_table(loads: Iterable[TableLoad]) -> dict[str, list[TableLoad]]:
    """The loads of each table, in their order."""
    grouped: dict[str, list[TableLoad]] = {}
    for load in loads:
        grouped.setdefault(load.table, []).append(load)
    return grouped


def check_load(there: Existing | None, load: TableLoad) -> None:
    """Whether a load fits its table.

    Columns may stand in any order and be added (they come behind the existing ones, where the load is incremental),
    never removed or renamed; a primary key consists of columns, and an incremental load can't change it.

    Args:
        there: the table; None: there is none.
        load: what comes.

    Raises:
        UserError: (OutputInvalid) it doesn't; the message names table, file, columns, and what to do.
    """
    told = f"{load.table}: `{load.source}`" if load.source else load.table
    _check_names(told, load)
    if load.delete_where is not None and load.delete_where.column not in load.columns:
        raise UserError(
            f"{told} deletes rows by the column `{load.delete_where.column}`, which is not among its columns "
            f"{listed(load.columns)}",
            Reason.OUTPUT_INVALID,
        )
    if there is None:
        return
    brought = frozenset(load.columns)
    missing = [column.name for column in there.columns if column.name not in brought]
    if missing:
        raise UserError(
            f"{told} lacks {_columns(missing)} of the table; found {listed(load.columns)}"
            f"{resembling(missing[0], load.columns)}. Columns may be added, not removed or renamed: write the missing "
            "ones (empty where there is no value), or delete the table first",
            Reason.OUTPUT_INVALID,
        )
    if not load.incremental:
        return
    if (conflict := type_conflict(there.columns, load.described)) is not None:
        raise UserError(f"{told} {conflict}; leave the type out, or load the table in full once", Reason.OUTPUT_INVALID)
    if load.primary_key and set(load.primary_key) != set(there.primary_key):
        raise UserError(
            f"{told} has the primary key {listed(load.primary_key)}, the table has {listed(there.primary_key)}; "
            "an incremental load can't change it: leave it out, or load the table in full once",
            Reason.OUTPUT_INVALID,
        )


def _load(written: TableWritten, own_prefix: str) -> TableLoad:
    for part in written.slices:
        check_own(part.key, own_prefix, f"`{written.destination}`")
        if part.encoding not in _ENCODINGS:
            raise PlatformError(
                f"`{part.key}` is stored as `{part.encoding}`; expected gzip, zstd or neither. Nothing was published",
                Reason.PUBLISH_FAILED,
            )
    try:
        table = TableId.parse(written.destination)
    except UserError as error:
        raise UserError(f"`{written.source}`: {error.message}", Reason.OUTPUT_INVALID) from None
    if written.delete_where is not None and written.delete_where.operator not in _OPERATORS:
        raise UserError(
            f"`{written.source}` deletes rows with the operator `{written.delete_where.operator}`; expected eq or ne",
            Reason.OUTPUT_INVALID,
        )
    return TableLoad(
        table=str(table),
        source=written.source,
        columns=written.columns,
        primary_key=written.primary_key,
        incremental=written.incremental,
        slices=tuple(part for part in written.slices if part.size),
        delete_where=written.delete_where,
        described=_described(written),
        metadata=written.metadata,
        insert=written.insert,
    )


def _described(written: TableWritten) -> tuple[Column, ...]:
    try:
        return tuple(Column.of(facts) for facts in written.schema)
    except ValueError:
        # Stage-out has checked them; another release may know other types.
        raise UserError(
            f"`{written.source}` says of a column what this release does not know; expected one of "
            f"{', '.join(BASE_TYPES)}",
            Reason.OUTPUT_INVALID,
        ) from None


def _check_names(told: str, load: TableLoad) -> None:
    if not load.columns or "" in load.columns:
        raise UserError(
            f"{told} has {'a column without a' if load.columns else 'no column'} name", Reason.OUTPUT_INVALID
        )
    repeated = sorted(name for name, times in Counter(load.columns).items() if times > 1)
    if repeated:
        raise UserError(f"{told} has {_columns(repeated)} more than once", Reason.OUTPUT_INVALID)
    strange = [name for name in load.primary_key if name not in load.columns]
    if strange:
        raise UserError(
            f"{told} has {_columns(strange)} in its primary key, but not among its columns {listed(load.columns)}"
            f"{resembling(strange[0], load.columns)}",
            Reason.OUTPUT_INVALID,
        )


def _columns(names: Sequence[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {listed(names)}"

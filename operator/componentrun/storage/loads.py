"""From what stage-out says it uploaded to the loads that change tables. Pure: the store is not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.columnfacts import BASE_TYPES
from componentrun.errors import Reason, UserError, together
from componentrun.storage.columns import Column
from componentrun.storage.layout import TableId, check_own
from componentrun.storage.pointer import Condition, TableLoad
from componentrun.storage.slices import recorded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.exchange import TableWritten

__all__ = ["by_table", "loads_of"]


def loads_of(tables: Iterable[TableWritten], own_prefix: str, *, write_always_only: bool) -> tuple[TableLoad, ...]:
    """The loads that an attempt's result asks for.

    Raises:
        UserError: (OutputInvalid) destinations are no table ids, or files would replace others; names all of them.
        PlatformError: (PublishFailed) a slice lies outside `own_prefix`.
    """
    loads: list[TableLoad] = []
    errors: list[UserError] = []
    for written in tables:
        if written.write_always or not write_always_only:
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


def _load(written: TableWritten, own_prefix: str) -> TableLoad:
    for part in written.slices:
        check_own(part.key, own_prefix, f"`{written.destination}`")
    try:
        table = TableId.parse(written.destination)
    except UserError as error:
        raise UserError(f"`{written.source}`: {error.message}", Reason.OUTPUT_INVALID) from None
    return TableLoad(
        table=str(table),
        source=written.source,
        columns=written.columns,
        primary_key=written.primary_key,
        incremental=written.incremental,
        slices=tuple(recorded(part) for part in written.slices if part.size),
        delete_where=_condition(written),
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


def _condition(written: TableWritten) -> Condition | None:
    where = written.delete_where
    if where is None:
        return None
    try:
        return Condition.model_validate({"column": where.column, "operator": where.operator, "values": where.values})
    except ValueError:
        raise UserError(
            f"`{written.source}` deletes rows with the operator `{where.operator}`; expected eq or ne",
            Reason.OUTPUT_INVALID,
        ) from None


def by_table(loads: Iterable[TableLoad]) -> dict[str, list[TableLoad]]:
    """The loads of each table, in their order."""
    grouped: dict[str, list[TableLoad]] = {}
    for load in loads:
        grouped.setdefault(load.table, []).append(load)
    return grouped

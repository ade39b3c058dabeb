"""What a run's input and output mapping ask for: checked, and in the forms that the agents and the component read."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from componentrun.api.changedsince import ADAPTIVE, changed_since
from componentrun.contract import MAX_COLUMN_PATTERNS
from componentrun.core.request.parameters import check_depth
from componentrun.csv.columnfacts import ColumnFacts
from componentrun.csv.columnnames import is_pattern
from componentrun.errors import Reason, UserError
from componentrun.sql.tables import ORDERED, check_where
from componentrun.wire.agents import OutputTable, Where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.componentrun import ComponentRunSpec
    from componentrun.api.tables import ColumnSchema, DeleteWhere, InputTable, OutputTableMapping
    from componentrun.core.request.requested import EffectiveInput

__all__ = [
    "check_configuration",
    "check_input",
    "input_entry",
    "output_entry",
    "output_of",
    "reads_adaptively",
    "where_of_input",
]

_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def check_input(table: InputTable, path: str) -> None:
    """Refuse a mapping that can't be applied to any table.

    Raises:
        UserError: (InvalidSpec) naming the field.
    """
    _check_choice(table.columns or (), f"{path}.columns")
    where_of_input(table, path)
    if table.sliced and table.source is None:
        raise UserError(
            f"{path}.sliced: an object is one file with a header line, and comes as such; leave it out",
            Reason.INVALID_SPEC,
        )
    if table.changed_since is None:
        return
    if table.source is None:
        raise UserError(
            f"{path}.changedSince: of an object it is not known when its rows came; leave it out", Reason.INVALID_SPEC
        )
    if table.changed_since == ADAPTIVE:
        return
    try:
        changed_since(table.changed_since, _ANY_TIME)
    except ValueError as error:
        raise UserError(f"{path}.changedSince: {error}", Reason.INVALID_SPEC) from error


def _check_choice(columns: Sequence[str], path: str) -> None:
    if len(set(columns)) < len(columns):
        twice = next(name for name, count in Counter(columns).items() if count > 1)
        raise UserError(f"{path}: `{twice}` is there twice: name each once", Reason.INVALID_SPEC)
    patterns = sum(map(is_pattern, columns))
    if patterns > MAX_COLUMN_PATTERNS:
        raise UserError(
            f"{path}: found {patterns} names with `*`, expected at most {MAX_COLUMN_PATTERNS}; leave `columns` out to "
            "get all columns",
            Reason.INVALID_SPEC,
        )


def reads_adaptively(spec: ComponentRunSpec) -> bool:
    """Whether the run asks what came since its configuration's last one."""
    return any(table.changed_since == ADAPTIVE for table in spec.input.tables)


def check_configuration(spec: ComponentRunSpec) -> None:
    """Refuse image parameters that are nested too deep, and to look for what came since the last run of nobody.

    Raises:
        UserError: (InvalidSpec) naming the field.
    """
    check_depth(spec.configuration.image_parameters, "imageParameters")
    if spec.configuration.id is not None:
        return
    for i, table in enumerate(spec.input.tables):
        if table.changed_since == ADAPTIVE:
            raise UserError(
                f"spec.input.tables[{i}].changedSince: `{ADAPTIVE}` delivers what came since the configuration's last "
                "successful run, and this run names no configuration: give `spec.configuration.id`, or a time",
                Reason.INVALID_SPEC,
            )


def where_of_input(table: InputTable, path: str) -> Where | None:
    """The condition on the rows to deliver. Raises as `check_input` does."""
    found = table.where
    if found is None:
        return None
    kind = found.type or ("number" if found.operator in ORDERED else "text")
    return _checked(Where(found.column, found.operator, found.values, kind), f"{path}.where")


def _where_of_output(delete: DeleteWhere | None, path: str) -> Where | None:
    """The condition on the rows to delete. Raises as `check_input` does."""
    if delete is None:
        return None
    return _checked(Where(delete.column, delete.operator, delete.values), f"{path}.deleteWhere")


def _checked(where: Where, path: str) -> Where:
    try:
        check_where(where)
    except ValueError as error:
        raise UserError(f"{path}: {error}", Reason.INVALID_SPEC) from error
    return where


def input_entry(table: EffectiveInput) -> dict[str, Any]:
    """One input table as config.json tells it."""
    entry: dict[str, Any] = {"source": table.table or table.object, "destination": table.destination}
    if table.columns is not None:
        entry["columns"] = list(table.columns)
    if table.where is not None:
        entry |= {
            "where_column": table.where.column,
            "where_operator": table.where.operator,
            "where_values": list(table.where.values),
        }
        if table.where.operator in ORDERED:
            entry["where_type"] = table.where.type
    if table.changed_since is not None:
        entry["changed_since"] = table.changed_since
    if table.limit is not None:
        entry["limit"] = table.limit
    if table.sliced:
        entry["sliced"] = True
    return entry


def output_entry(table: OutputTableMapping) -> dict[str, Any]:
    """One output table as config.json tells it."""
    entry: dict[str, Any] = {"source": table.source, "destination": table.destination}
    if table.incremental is not None:
        entry["incremental"] = table.incremental
    if table.primary_key is not None:
        entry["primary_key"] = list(table.primary_key)
    if table.delete_where is not None:
        entry |= {
            "delete_where_column": table.delete_where.column,
            "delete_where_operator": table.delete_where.operator,
            "delete_where_values": list(table.delete_where.values),
        }
    if table.write_always:
        entry["write_always"] = True
    if table.optional:
        entry["optional"] = True
    for name in ("delimiter", "enclosure"):
        if (sign := getattr(table, name)) is not None:
            entry[name] = sign
    if table.columns is not None:
        entry["columns"] = list(table.columns)
    if table.schema_ is not None:
        entry["schema"] = [_facts(column).schema_entry(primary_key=column.primary_key) for column in table.schema_]
    return entry


def output_of(table: OutputTableMapping, path: str) -> OutputTable:
    """One output table for stage-out.

    Raises:
        UserError: (InvalidSpec) naming the field.
    """
    return OutputTable(
        source=table.source,
        destination=table.destination,
        incremental=table.incremental,
        primary_key=_primary_key(table, path),
        write_always=table.write_always,
        delete_where=_where_of_output(table.delete_where, path),
        delimiter=table.delimiter,
        enclosure=table.enclosure,
        columns=_columns(table, path),
        schema=None if table.schema_ is None else tuple(_facts(column) for column in table.schema_),
        optional=table.optional,
    )


def _facts(column: ColumnSchema) -> ColumnFacts:
    return ColumnFacts(
        column.name, column.type, column.length, column.default, column.nullable, column.description or None
    )


def _columns(table: OutputTableMapping, path: str) -> tuple[str, ...] | None:
    """The columns that are given for a file without a header line."""
    if table.delimiter is not None and table.delimiter == table.enclosure:
        raise UserError(f"{path}.enclosure: it is the delimiter, too: give another", Reason.INVALID_SPEC)
    described = None if table.schema_ is None else tuple(column.name for column in table.schema_)
    for name, columns in (("columns", table.columns), ("schema", described)):
        twice = next((column for column, count in Counter(columns or ()).items() if count > 1), None)
        if twice is not None:
            raise UserError(f"{path}.{name}: `{twice}` is there twice: name each once", Reason.INVALID_SPEC)
    if table.columns is not None and described is not None and set(table.columns) != set(described):
        strange = sorted(set(table.columns) ^ set(described))
        raise UserError(
            f"{path}.schema: `{strange[0]}` is not both in `columns` and in `schema`: name the same columns in both",
            Reason.INVALID_SPEC,
        )
    return table.columns


def _primary_key(table: OutputTableMapping, path: str) -> tuple[str, ...] | None:
    """The key that the mapping gives, in one way or the other."""
    flagged = tuple(column.name for column in table.schema_ or () if column.primary_key)
    if table.primary_key is not None and flagged and set(flagged) != set(table.primary_key):
        raise UserError(
            f"{path}.primaryKey: found {', '.join(table.primary_key) or 'none'}, but its schema says "
            f"{', '.join(flagged)}: say it once",
            Reason.INVALID_SPEC,
        )
    return flagged or None if table.primary_key is None else table.primary_key

"""Table mappings of a run: validation, and conversion to the forms that the agents and the component read."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from componentrun.api.mapping.changedsince import ADAPTIVE, changed_since
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
    from componentrun.api.mapping.tables import ColumnSchema, DeleteWhere, InputTable, OutputTableMapping
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
        UserError: (InvalidSpec) the mapping is invalid; the message names the field.
    """
    _check_choice(table.columns or (), f"{path}.columns")
    where_of_input(table, path)
    if table.sliced and table.source is None:
        raise UserError(
            f"{path}.sliced: an object is delivered as one file with its header line",
            Reason.INVALID_SPEC,
            advice="Remove it.",
        )
    if table.changed_since is None:
        return
    if table.source is None:
        raise UserError(
            f"{path}.changedSince: it is not known when the rows of an object were added",
            Reason.INVALID_SPEC,
            advice="Remove it.",
        )
    if table.changed_since == ADAPTIVE:
        return
    try:
        changed_since(table.changed_since, _ANY_TIME)
    except ValueError as error:
        raise UserError(f"{path}.changedSince: {error}", Reason.INVALID_SPEC) from error


def _check_choice(columns: Sequence[str], path: str) -> None:
    if len(set(columns)) < len(columns):
        duplicate = next(name for name, count in Counter(columns).items() if count > 1)
        raise UserError(f"{path}: `{duplicate}` appears twice", Reason.INVALID_SPEC, advice="Name each column once.")
    patterns = sum(map(is_pattern, columns))
    if patterns > MAX_COLUMN_PATTERNS:
        raise UserError(
            f"{path}: found {patterns} names with `*`, expected at most {MAX_COLUMN_PATTERNS}",
            Reason.INVALID_SPEC,
            advice="Remove `columns` to get all columns.",
        )


def reads_adaptively(spec: ComponentRunSpec) -> bool:
    """Whether the run reads only rows that were added since the last run of its configuration."""
    return any(table.changed_since == ADAPTIVE for table in spec.input.tables)


def check_configuration(spec: ComponentRunSpec) -> None:
    """Refuse image parameters that are nested too deeply, and `adaptive` without a configuration.

    Raises:
        UserError: (InvalidSpec) the configuration is invalid; the message names the field.
    """
    check_depth(spec.configuration.image_parameters, "spec.configuration.imageParameters")
    if spec.configuration.id is not None:
        return
    for i, table in enumerate(spec.input.tables):
        if table.changed_since == ADAPTIVE:
            raise UserError(
                f"spec.input.tables[{i}].changedSince: `{ADAPTIVE}` delivers rows added since the configuration's last "
                "successful run, and this run names no configuration",
                Reason.INVALID_SPEC,
                advice="Set `spec.configuration.id`, or give a time.",
            )


def where_of_input(table: InputTable, path: str) -> Where | None:
    """The condition for the rows to deliver. Raises as `check_input` does."""
    condition = table.where
    if condition is None:
        return None
    kind = condition.type or ("number" if condition.operator in ORDERED else "text")
    return _checked(Where(condition.column, condition.operator, condition.values, kind), f"{path}.where")


def _where_of_output(delete: DeleteWhere | None, path: str) -> Where | None:
    """The condition for the rows to delete. Raises as `check_input` does."""
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
    """An entry of the input tables in config.json."""
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
    """An entry of the output tables in config.json."""
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
    """An output table for stage-out.

    Raises:
        UserError: (InvalidSpec) the mapping is invalid; the message names the field.
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
    """The columns of a file without a header line, as given in the mapping."""
    if table.delimiter is not None and table.delimiter == table.enclosure:
        raise UserError(
            f"{path}.enclosure: it is the same as the delimiter", Reason.INVALID_SPEC, advice="Use another character."
        )
    schema_columns = None if table.schema_ is None else tuple(column.name for column in table.schema_)
    for name, columns in (("columns", table.columns), ("schema", schema_columns)):
        duplicate = next((column for column, count in Counter(columns or ()).items() if count > 1), None)
        if duplicate is not None:
            raise UserError(
                f"{path}.{name}: `{duplicate}` appears twice", Reason.INVALID_SPEC, advice="Name each column once."
            )
    if table.columns is not None and schema_columns is not None and set(table.columns) != set(schema_columns):
        differences = sorted(set(table.columns) ^ set(schema_columns))
        raise UserError(
            f"{path}.schema: `{differences[0]}` is in only one of `columns` and `schema`",
            Reason.INVALID_SPEC,
            advice="Name the same columns in both.",
        )
    return table.columns


def _primary_key(table: OutputTableMapping, path: str) -> tuple[str, ...] | None:
    """The primary key of the mapping, from `primaryKey` or from its schema."""
    flagged = tuple(column.name for column in table.schema_ or () if column.primary_key)
    if table.primary_key is not None and flagged and set(flagged) != set(table.primary_key):
        raise UserError(
            f"{path}.primaryKey: found {', '.join(table.primary_key) or 'none'}, but its schema says "
            f"{', '.join(flagged)}",
            Reason.INVALID_SPEC,
            advice="Give the primary key in one of the two places.",
        )
    return flagged or None if table.primary_key is None else table.primary_key

"""A table's state as read from its Iceberg metadata, and its schema and properties after a load. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IcebergType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
    TimestamptzType,
)

from componentrun.csv.columnnames import listed
from componentrun.errors import PlatformError, Reason, TransientError, UserError
from componentrun.loader.catalog import properties
from componentrun.loader.loading.columns import Column, merged_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyiceberg.table.metadata import TableMetadata

    from componentrun.loader.loading.loads import TableLoad

__all__ = ["NextTable", "TableState", "check_is_not_dropped", "iceberg_type", "next_table", "read_state"]

_DROP_SECONDS: Final = 600
"""Longer than maintenance takes to drop a table, plus a margin for clock skew."""
_MAX_PRECISION: Final = 38
_DEFAULT_DECIMAL: Final = (38, 9)


@dataclass(frozen=True, slots=True)
class TableState:
    """State of an existing table."""

    schema: Schema
    last_id: int
    """The largest field id that the table has ever used."""
    columns: tuple[Column, ...]
    """The columns in order, with their stored descriptions. Without `_timestamp`."""
    primary_key: tuple[str, ...]
    metadata: dict[str, str]
    timestamp: int
    """The largest `_timestamp` of a load, in microseconds since 1970."""
    is_loaded: bool
    """Whether readers find the table. If false, the table awaits its first load or was dropped."""
    created: str
    """Time of the first load, ISO 8601."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, without `_timestamp`."""
        return tuple(column.name for column in self.columns)


def read_state(table: TableMetadata, where: str) -> TableState:
    """Read the state of a table from its metadata.

    Args:
        table: the metadata.
        where: name of the table, for messages.

    Raises:
        PlatformError: (PublishFailed) a property of ComponentRun can't be parsed.
    """
    table_properties = table.properties
    schema = table.schema()
    names = [field.name for field in schema.fields if field.name != properties.TIMESTAMP_COLUMN]
    by_name = {column.name: column for column in _columns(table_properties, where)}
    return TableState(
        schema=schema,
        last_id=table.last_column_id,
        columns=tuple(by_name.get(name, Column(name=name)) for name in names),
        primary_key=tuple(
            name for name in _json(table_properties, properties.PRIMARY_KEY, list, where) if name in names
        ),
        metadata={
            str(key): str(value) for key, value in _json(table_properties, properties.METADATA, dict, where).items()
        },
        timestamp=int(table_properties.get(properties.TIMESTAMP) or 0),
        is_loaded=table_properties.get(properties.STATE) not in properties.ABSENT,
        created=table_properties.get(properties.CREATED, ""),
    )


def check_is_not_dropped(table_properties: Mapping[str, str], where: str, now: float) -> None:
    """Refuse to write a table that maintenance is about to drop.

    Args:
        table_properties: properties of the table.
        where: name of the table, for messages.
        now: seconds since 1970.

    Raises:
        TransientError: (PublishFailed) maintenance began to drop the table less than ten minutes ago.
    """
    start = int(table_properties.get(properties.DROPPING) or 0) / 1000
    if now - start < _DROP_SECONDS:
        raise TransientError(
            f"{where} was not used for long, and maintenance is just dropping it. It can be loaded in some minutes",
            Reason.PUBLISH_FAILED,
        )


@dataclass(frozen=True, slots=True)
class NextTable:
    """Schema and properties of a table after a run's loads."""

    schema: Schema
    """Columns that are kept keep their field ids."""
    properties: dict[str, str]
    columns: tuple[str, ...]
    """Names of the columns, without `_timestamp`."""
    primary_key: tuple[str, ...]
    replaces: bool
    """Whether the first load replaces all rows."""
    timestamp: int
    """`_timestamp` of the loaded rows, in microseconds since 1970."""


def next_table(state: TableState | None, loads: Sequence[TableLoad], *, typed: bool, now: int) -> NextTable:
    """Schema and properties of a table after some loads.

    Args:
        state: state of the table; None: the table does not exist or was never loaded.
        loads: loads that passed `loads.check_load`; only the first one may replace the table's rows.
        typed: whether new columns get their declared types; if not, they are strings.
        now: microseconds since 1970.

    Raises:
        UserError: (OutputInvalid) a column name is not allowed, or the loads declare different primary keys.
    """
    first = loads[0]
    existing = state if state is not None and state.is_loaded else None
    replaces = existing is None or not first.incremental
    columns: tuple[Column, ...] = existing.columns if existing is not None else ()
    metadata = dict(existing.metadata) if existing is not None else {}
    names = tuple(column.name for column in columns) if not replaces else ()
    key = existing.primary_key if existing is not None else ()
    for load in loads:
        names = tuple(dict.fromkeys((*names, *load.columns)))
        columns = merged_columns(names, columns, load.described, full=not load.incremental)
        metadata |= load.metadata
    first_key = tuple(dict.fromkeys(first.primary_key))
    key = first_key if replaces and first_key else key
    _check_keys(loads, key, is_new=replaces)
    _check_names(first.table, names)
    _check_timestamp(first.table, state)
    # A dropped table counts as well: its incremental readers request rows later than the last timestamp that they read.
    timestamp = max(now, state.timestamp + 1 if state is not None else 0)
    table_properties = {
        properties.PRIMARY_KEY: _text([name for name in key if name in names]),
        properties.COLUMNS: _text([_said(column) for column in columns if _said(column).keys() > {"name"}]),
        properties.METADATA: _text(metadata),
        properties.TIMESTAMP: str(timestamp),
        properties.STATE: properties.LOADED,
    }
    return NextTable(
        schema=_schema(state, columns, typed=typed, is_new=replaces),
        properties=table_properties,
        columns=names,
        primary_key=tuple(name for name in key if name in names),
        replaces=replaces,
        timestamp=timestamp,
    )


def iceberg_type(column: Column) -> IcebergType:
    """The Iceberg type of a typed column.

    NUMERIC without a length, or with an invalid one, is a decimal(38,9).
    """
    if column.type == "NUMERIC":
        return _decimal(column.length)
    simple: dict[str, IcebergType] = {
        "INTEGER": LongType(),
        "FLOAT": DoubleType(),
        "BOOLEAN": BooleanType(),
        "DATE": DateType(),
        "TIMESTAMP": TimestampType(),
    }
    return simple.get(column.type or "STRING", StringType())


def _decimal(length: str | None) -> DecimalType:
    parts = [part.strip() for part in (length or "").split(",")]
    if not parts[0].isdecimal() or not all(part.isdecimal() for part in parts[1:]):
        return DecimalType(*_DEFAULT_DECIMAL)
    precision, scale = int(parts[0]), int(parts[1]) if len(parts) > 1 else 0
    fits = 1 <= precision <= _MAX_PRECISION and scale <= precision
    return DecimalType(precision, scale) if fits else DecimalType(*_DEFAULT_DECIMAL)


def _schema(state: TableState | None, columns: Sequence[Column], *, typed: bool, is_new: bool) -> Schema:
    """The Iceberg schema of some columns, followed by `_timestamp`.

    An existing column keeps its field id, so that readers find its earlier values. If its type changes, it gets a new
    field id.
    """
    by_name = {field.name: field for field in state.schema.fields} if state is not None else {}
    last = state.last_id if state is not None else 0
    fields = []
    for column in columns:
        kind = iceberg_type(column) if typed else StringType()
        field = by_name.get(column.name)
        if field is not None and not is_new:
            kind = field.field_type
        if field is not None and field.field_type == kind:
            number = field.field_id
        else:
            last = number = last + 1
        doc = column.description or (field.doc if field is not None else None)
        fields.append(NestedField(number, column.name, kind, required=False, doc=doc))
    stamp = by_name.get(properties.TIMESTAMP_COLUMN)
    number = stamp.field_id if stamp is not None else last + 1
    doc = stamp.doc if stamp is not None else None
    fields.append(NestedField(number, properties.TIMESTAMP_COLUMN, TimestamptzType(), required=False, doc=doc))
    return Schema(*fields)


def _check_keys(loads: Sequence[TableLoad], key: Sequence[str], *, is_new: bool) -> None:
    """Refuse loads of one new table that declare different primary keys.

    For a table whose rows are kept, `loads.check_load` has already checked the keys.
    """
    for load in loads[1:] if is_new else ():
        if load.primary_key and set(load.primary_key) != set(key):
            declaration = f"has {listed(key)}" if key else "has none"
            raise UserError(
                f"`{load.table}`: `{load.source}` has the primary key {listed(load.primary_key)}, and "
                f"`{loads[0].source}`, which comes before it, {declaration}; expected the same for both",
                Reason.OUTPUT_INVALID,
            )


def _check_timestamp(table: str, state: TableState | None) -> None:
    """Refuse a table of another program that uses the column name `_timestamp` for another purpose."""
    for field in state.schema.fields if state is not None else ():
        if field.name.lower() == properties.TIMESTAMP_COLUMN and not _is_stamp(field):
            raise UserError(
                f"`{table}` has a column `{field.name}` of the type {field.field_type}. ComponentRun reserves this "
                "name for the time at which a row was loaded",
                Reason.OUTPUT_INVALID,
                advice="Rename the column, or load into another table.",
            )


def _is_stamp(field: NestedField) -> bool:
    return field.name == properties.TIMESTAMP_COLUMN and isinstance(field.field_type, TimestamptzType)


def _check_names(table: str, names: Sequence[str]) -> None:
    spellings: dict[str, str] = {}
    for name in names:
        if name.lower() == properties.TIMESTAMP_COLUMN:
            raise UserError(
                f"`{table}` gets a column `{name}`. ComponentRun reserves this name for the time at which a row was "
                "loaded",
                Reason.OUTPUT_INVALID,
                advice="Give the column another name.",
            )
        spelling = spellings.setdefault(name.lower(), name)
        if spelling != name:
            raise UserError(
                f"`{table}` gets the columns `{spelling}` and `{name}`, which differ only in case: some engines "
                "treat them as the same column",
                Reason.OUTPUT_INVALID,
                advice="Rename one of them.",
            )


def _columns(table_properties: Mapping[str, str], where: str) -> list[Column]:
    try:
        return [Column.model_validate(item) for item in _json(table_properties, properties.COLUMNS, list, where)]
    except ValueError:
        raise _unreadable(where, properties.COLUMNS) from None


def _json(table_properties: Mapping[str, str], name: str, kind: type[Any], where: str) -> Any:
    if name not in table_properties:
        return kind()
    try:
        value = json.loads(table_properties[name])
    except ValueError:
        raise _unreadable(where, name) from None
    if not isinstance(value, kind):
        raise _unreadable(where, name)
    return value


def _unreadable(where: str, name: str) -> PlatformError:
    return PlatformError(
        f"the property `{name}` of {where} is not what ComponentRun writes there; remove the property, or correct it",
        Reason.PUBLISH_FAILED,
    )


def _said(column: Column) -> dict[str, Any]:
    return column.model_dump(exclude_none=True)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

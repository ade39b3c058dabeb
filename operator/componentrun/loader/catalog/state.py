"""A table as its metadata tells of it, in our own words; and what a load makes of its schema and properties. Pure."""

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
    from pyiceberg.table.snapshots import Snapshot

    from componentrun.loader.loading.loads import TableLoad

__all__ = ["NextTable", "TableState", "check_is_not_dropped", "iceberg_type", "next_table", "read_state", "run_of"]

_DROP_SECONDS: Final = 600
"""Longer than maintenance takes to drop a table, by more than clocks differ."""
_MAX_PRECISION: Final = 38
_DEFAULT_DECIMAL: Final = (38, 9)


@dataclass(frozen=True, slots=True)
class TableState:
    """A table that is there."""

    schema: Schema
    last_id: int
    """The largest field id that was ever used in it."""
    columns: tuple[Column, ...]
    """Without `_timestamp`, in their order, with what is known of them."""
    primary_key: tuple[str, ...]
    metadata: dict[str, str]
    timestamp: int
    """The largest `_timestamp` of a load, in microseconds since 1970."""
    is_loaded: bool
    """Whether readers find it; else it is there for a load that is still to come, or was dropped."""
    created: str
    """ISO 8601."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns."""
        return tuple(column.name for column in self.columns)


def read_state(table: TableMetadata, where: str) -> TableState:
    """What the metadata of a table say.

    Args:
        table: the metadata.
        where: the table, for messages.

    Raises:
        PlatformError: (PublishFailed) a property of ours can't be read.
    """
    said = table.properties
    schema = table.schema()
    names = [field.name for field in schema.fields if field.name != properties.TIMESTAMP_COLUMN]
    known = {column.name: column for column in _columns(said, where)}
    return TableState(
        schema=schema,
        last_id=table.last_column_id,
        columns=tuple(known.get(name, Column(name=name)) for name in names),
        primary_key=tuple(name for name in _json(said, properties.PRIMARY_KEY, list, where) if name in names),
        metadata={str(key): str(value) for key, value in _json(said, properties.METADATA, dict, where).items()},
        timestamp=int(said.get(properties.TIMESTAMP) or 0),
        is_loaded=said.get(properties.STATE) not in properties.ABSENT,
        created=said.get(properties.CREATED, ""),
    )


def check_is_not_dropped(said: Mapping[str, str], where: str, now: float) -> None:
    """Refuse to write a table that maintenance is about to drop.

    Args:
        said: its properties.
        where: the table, for messages.
        now: seconds since 1970.

    Raises:
        TransientError: (PublishFailed) it may be gone at any moment; in some minutes it is gone, or is not dropped.
    """
    begun = int(said.get(properties.DROPPING) or 0) / 1000
    if now - begun < _DROP_SECONDS:
        raise TransientError(
            f"{where} was not used for long, and maintenance is just dropping it. It can be loaded in some minutes",
            Reason.PUBLISH_FAILED,
        )


def run_of(snapshot: Snapshot, run: str) -> int | None:
    """The attempt of a run whose load a snapshot holds; None: it is not this run's."""
    summary = snapshot.summary
    if summary is None or summary[properties.RUN] != run:
        return None
    return int(summary[properties.ATTEMPT] or 0)


@dataclass(frozen=True, slots=True)
class NextTable:
    """What a table's schema and properties are once a run's loads are in it."""

    schema: Schema
    """Field ids of columns that stay are those that they had."""
    properties: dict[str, str]
    columns: tuple[str, ...]
    """Without `_timestamp`."""
    primary_key: tuple[str, ...]
    replaces: bool
    """Whether the first load replaces all rows."""
    timestamp: int
    """`_timestamp` of the rows that come, in microseconds since 1970."""


def next_table(state: TableState | None, loads: Sequence[TableLoad], *, typed: bool, now: int) -> NextTable:
    """What becomes of a table.

    Args:
        state: the table; None: there is none, or it was never loaded.
        loads: that fit it (`loads.check_load`); only the first one may replace its rows.
        typed: whether new columns get the types that were said of them.
        now: microseconds since 1970.

    Raises:
        UserError: (OutputInvalid) a column has a name that can't be, or loads say different primary keys.
    """
    first = loads[0]
    there = state if state is not None and state.is_loaded else None
    replaces = there is None or not first.incremental
    columns: tuple[Column, ...] = there.columns if there is not None else ()
    metadata = dict(there.metadata) if there is not None else {}
    names = tuple(column.name for column in columns) if not replaces else ()
    key = there.primary_key if there is not None else ()
    for load in loads:
        names = tuple(dict.fromkeys((*names, *load.columns)))
        columns = merged_columns(names, columns, load.described, full=not load.incremental)
        metadata |= load.metadata
    said_first = tuple(dict.fromkeys(first.primary_key))
    key = said_first if replaces and said_first else key
    _check_keys(loads, key, is_new=replaces)
    _check_names(first.table, names)
    _check_timestamp(first.table, state)
    # Also that of a table that was dropped: who has read it asks for what came later.
    timestamp = max(now, state.timestamp + 1 if state is not None else 0)
    said = {
        properties.PRIMARY_KEY: _text([name for name in key if name in names]),
        properties.COLUMNS: _text([_said(column) for column in columns if _said(column).keys() > {"name"}]),
        properties.METADATA: _text(metadata),
        properties.TIMESTAMP: str(timestamp),
        properties.STATE: properties.LOADED,
    }
    return NextTable(
        schema=_schema(state, columns, typed=typed, anew=replaces),
        properties=said,
        columns=names,
        primary_key=tuple(name for name in key if name in names),
        replaces=replaces,
        timestamp=timestamp,
    )


def iceberg_type(column: Column) -> IcebergType:
    """The type of a typed column.

    NUMERIC without a length, or with one that is none, is a decimal(38,9).
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


def _schema(state: TableState | None, columns: Sequence[Column], *, typed: bool, anew: bool) -> Schema:
    """The columns as Iceberg has them, `_timestamp` behind the others.

    A column that was there keeps its field id, so its earlier values are found; with another type it is another one.
    """
    known = {field.name: field for field in state.schema.fields} if state is not None else {}
    last = state.last_id if state is not None else 0
    fields = []
    for column in columns:
        kind = iceberg_type(column) if typed else StringType()
        field = known.get(column.name)
        if field is not None and not anew:
            kind = field.field_type
        if field is not None and field.field_type == kind:
            number = field.field_id
        else:
            last = number = last + 1
        doc = column.description or (field.doc if field is not None else None)
        fields.append(NestedField(number, column.name, kind, required=False, doc=doc))
    stamp = known.get(properties.TIMESTAMP_COLUMN)
    number = stamp.field_id if stamp is not None else last + 1
    doc = stamp.doc if stamp is not None else None
    fields.append(NestedField(number, properties.TIMESTAMP_COLUMN, TimestamptzType(), required=False, doc=doc))
    return Schema(*fields)


def _check_keys(loads: Sequence[TableLoad], key: Sequence[str], *, is_new: bool) -> None:
    """Several loads that are one table must agree; against a table that stays they were checked before."""
    for load in loads[1:] if is_new else ():
        if load.primary_key and set(load.primary_key) != set(key):
            before = f"makes it {listed(key)}" if key else "says none"
            raise UserError(
                f"`{load.table}`: `{load.source}` has the primary key {listed(load.primary_key)}, and "
                f"`{loads[0].source}`, which comes before it, {before}; give both the same",
                Reason.OUTPUT_INVALID,
            )


def _check_timestamp(table: str, state: TableState | None) -> None:
    """A table of somebody else may have such a column for something else."""
    for field in state.schema.fields if state is not None else ():
        if field.name.lower() == properties.TIMESTAMP_COLUMN and not _is_stamp(field):
            raise UserError(
                f"`{table}` has a column `{field.name}` of the type {field.field_type}. That name is Storage's own, "
                "for when a row was loaded. Rename the column, or load into another table",
                Reason.OUTPUT_INVALID,
            )


def _is_stamp(field: NestedField) -> bool:
    return field.name == properties.TIMESTAMP_COLUMN and isinstance(field.field_type, TimestamptzType)


def _check_names(table: str, names: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() == properties.TIMESTAMP_COLUMN:
            raise UserError(
                f"`{table}` gets a column `{name}`, which is Storage's own: every table has it, and it says when a row "
                "was loaded. Give the column another name",
                Reason.OUTPUT_INVALID,
            )
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise UserError(
                f"`{table}` gets the columns `{other}` and `{name}`, which differ only in case: engines that read the "
                "table take them for one. Rename one of them",
                Reason.OUTPUT_INVALID,
            )


def _columns(said: Mapping[str, str], where: str) -> list[Column]:
    try:
        return [Column.model_validate(item) for item in _json(said, properties.COLUMNS, list, where)]
    except ValueError:
        raise _unreadable(where, properties.COLUMNS) from None


def _json(said: Mapping[str, str], name: str, kind: type[Any], where: str) -> Any:
    if name not in said:
        return kind()
    try:
        value = json.loads(said[name])
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

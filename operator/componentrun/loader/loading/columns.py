"""Descriptions of a table's columns, and how a load changes them. Pure.

Type, length, default and nullability describe values. A full load replaces them, and removes those that it does not
state. An incremental load adds to existing values, so it must not state another type. Descriptions and metadata
describe meaning, so the latest stated one is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from componentrun.csv.columnfacts import BaseType, ColumnFacts
from componentrun.storage.store.document import StorageModel

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Column", "merged_columns", "type_conflict"]


class Column(StorageModel):
    """A column of a table, as described by the loads. Default values are text, whatever the type."""

    name: str
    type: BaseType | None = None
    """None: no load has stated it."""
    length: str | None = None
    default: str | None = None
    nullable: bool | None = None
    description: str | None = None
    metadata: dict[str, str] | None = None
    backends: dict[str, dict[str, str]] | None = None
    """Types in particular databases, passed on unchanged."""

    @classmethod
    def of(cls, facts: ColumnFacts) -> Self:
        """Create a column from an agent's description."""
        values = {name: getattr(facts, name) for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in values.items() if value not in ({}, None)})

    @property
    def facts(self) -> ColumnFacts:
        """The description in the form that agents use."""
        values = dict(self)
        return ColumnFacts(**values | {"metadata": self.metadata or {}, "backends": self.backends or {}})


def type_conflict(columns: Sequence[Column], described: Sequence[Column]) -> str | None:
    """How an incremental load contradicts the table's column types, as the end of a message; None: it does not."""
    types = {column.name: column.type for column in columns}
    for column in described:
        type_ = types.get(column.name)
        if column.type is not None and type_ is not None and column.type != type_:
            return f"says that the column `{column.name}` is {column.type}, the table says {type_}"
    return None


def merged_columns(
    names: Sequence[str], columns: Sequence[Column], described: Sequence[Column], *, full: bool
) -> tuple[Column, ...]:
    """The columns of a table after a load.

    Args:
        names: names of all columns after the load, in order.
        columns: columns of the table before the load.
        described: columns that the load describes.
        full: whether the load replaces all rows.
    """
    existing = {column.name: column for column in columns}
    declared = {column.name: column for column in described}
    if columns and not full:
        # In existing rows, a new column is empty.
        required = {name: item for name, item in declared.items() if name not in existing and item.nullable is False}
        declared |= {name: item.model_copy(update={"nullable": True}) for name, item in required.items()}
    return tuple(_merged(Column(name=name), existing.get(name), declared.get(name), full=full) for name in names)


def _merged(new: Column, existing: Column | None, declared: Column | None, *, full: bool) -> Column:
    if existing is None:
        return declared or new
    if declared is None:
        return _meaning(new, existing) if full else existing
    values = declared if full else _values(existing, declared)
    texts = {
        "description": declared.description or existing.description,
        "metadata": {**(existing.metadata or {}), **(declared.metadata or {})} or None,
    }
    return values.model_copy(update=texts)


def _meaning(new: Column, existing: Column) -> Column:
    """The parts of a column's description that are kept when all its values are replaced."""
    return new.model_copy(update={"description": existing.description, "metadata": existing.metadata})


def _values(existing: Column, declared: Column) -> Column:
    """A description that is true for existing and for new values."""
    update: dict[str, Any] = {
        "type": existing.type or declared.type,
        "length": _longer(existing.length, declared.length),
        "default": declared.default if declared.default is not None else existing.default,
        "nullable": _either(existing.nullable, declared.nullable),
        "backends": {**(declared.backends or {}), **(existing.backends or {})} or None,
    }
    return existing.model_copy(update=update)


def _longer(first: str | None, second: str | None) -> str | None:
    """A length that is large enough for both; None if that is unknown."""
    if first is None or second is None or first == second:
        return first or second
    return max(first, second, key=int) if first.isdecimal() and second.isdecimal() else None


def _either(first: bool | None, second: bool | None) -> bool | None:  # noqa: FBT001 - two of the same kind
    return first if second is None else second if first is None else first or second

"""The columns of a table, and what a load makes of what is known of them. Pure.

Type, length, default and nullability tell of values: a full load brings its own, and where it says nothing, nothing is
known any more. An incremental load adds to values that stay, so it may not say another type. Descriptions and metadata
tell of meaning: the last word on each stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from componentrun.csv.columnfacts import BaseType, ColumnFacts
from componentrun.storage.store.document import StorageModel

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Column", "merged_columns", "type_conflict"]


class Column(StorageModel):
    """One column of a table, and what its writers said of it. Values are text, whatever the type says."""

    name: str
    type: BaseType | None = None
    """None: nobody said."""
    length: str | None = None
    default: str | None = None
    nullable: bool | None = None
    description: str | None = None
    metadata: dict[str, str] | None = None
    backends: dict[str, dict[str, str]] | None = None
    """Types in particular databases, passed on as they came."""

    @classmethod
    def of(cls, facts: ColumnFacts) -> Self:
        """The column that an agent tells of."""
        told = {name: getattr(facts, name) for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in told.items() if value not in ({}, None)})

    @property
    def facts(self) -> ColumnFacts:
        """The same for the agents."""
        told = dict(self)
        return ColumnFacts(**told | {"metadata": self.metadata or {}, "backends": self.backends or {}})


def type_conflict(columns: Sequence[Column], described: Sequence[Column]) -> str | None:
    """What an incremental load says of a type that the table has otherwise; None: they agree."""
    known = {column.name: column.type for column in columns}
    for column in described:
        type_ = known.get(column.name)
        if column.type is not None and type_ is not None and column.type != type_:
            return f"says that the column `{column.name}` is {column.type}, the table says {type_}"
    return None


def merged_columns(
    names: Sequence[str], columns: Sequence[Column], described: Sequence[Column], *, full: bool
) -> tuple[Column, ...]:
    """The columns of a table after a load.

    Args:
        names: all of them, in their order.
        columns: those of the table before.
        described: what the load says.
        full: whether the load replaces all rows.
    """
    before = {column.name: column for column in columns}
    said = {column.name: column for column in described}
    if columns and not full:
        # In the rows that are there already, a column that comes now is empty.
        added = {name: item for name, item in said.items() if name not in before and item.nullable is False}
        said |= {name: item.model_copy(update={"nullable": True}) for name, item in added.items()}
    return tuple(_merged(Column(name=name), before.get(name), said.get(name), full=full) for name in names)


def _merged(new: Column, before: Column | None, said: Column | None, *, full: bool) -> Column:
    if before is None:
        return said or new
    if said is None:
        return _meaning(new, before) if full else before
    values = said if full else _values(before, said)
    meaning = {
        "description": said.description or before.description,
        "metadata": {**(before.metadata or {}), **(said.metadata or {})} or None,
    }
    return values.model_copy(update=meaning)


def _meaning(new: Column, before: Column) -> Column:
    """What stays of a column when all its values are replaced."""
    return new.model_copy(update={"description": before.description, "metadata": before.metadata})


def _values(before: Column, said: Column) -> Column:
    """What holds for the values that are there and for those that come."""
    update: dict[str, Any] = {
        "type": before.type or said.type,
        "length": _longer(before.length, said.length),
        "default": said.default if said.default is not None else before.default,
        "nullable": _either(before.nullable, said.nullable),
        "backends": {**(said.backends or {}), **(before.backends or {})} or None,
    }
    return before.model_copy(update=update)


def _longer(one: str | None, other: str | None) -> str | None:
    """A length that holds both; None where that is not known."""
    if one is None or other is None or one == other:
        return one or other
    return max(one, other, key=int) if one.isdecimal() and other.isdecimal() else None


def _either(one: bool | None, other: bool | None) -> bool | None:  # noqa: FBT001 - two of the same kind
    return one if other is None else other if one is None else one or other

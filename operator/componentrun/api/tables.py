"""Tables of a run: which go in and what is applied to them, what becomes of those that come out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from componentrun.api.changedsince import CHANGED_SINCE
from componentrun.api.common import ApiModel
from componentrun.contract import MAX_COLUMNS
from componentrun.csv.columnfacts import BaseType

__all__ = ["ColumnSchema", "DeleteWhere", "InputTable", "OutputTableMapping", "Where"]

TableIdText = Annotated[str, Field(pattern=r"^(in|out)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$", max_length=200)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]*$", max_length=200)]
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
ConditionValue = Annotated[str, Field(max_length=1024)]
ChangedSince = Annotated[str, Field(pattern=CHANGED_SINCE.pattern, min_length=2, max_length=40)]
_SIGN = r"^[\x01-\x09\x0b\x0c\x0e-\x7f]$"


class Where(ApiModel):
    """A condition on the values of one column."""

    column: ColumnName
    """Column to look at."""
    operator: Literal["eq", "ne", "gt", "ge", "lt", "le"] = "eq"
    """`eq` one of the values, `ne` none of them; `gt`, `ge`, `lt`, `le` compare with the only value."""
    values: Annotated[tuple[ConditionValue, ...], Field(min_length=1, max_length=100)]
    """Values to compare with, as text; exactly one for `gt`, `ge`, `lt` and `le`."""
    type: Literal["text", "number", "timestamp"] | None = None
    """As what values are compared: `text` for `eq` and `ne`; for the others `number`, or `timestamp`."""


class DeleteWhere(ApiModel):
    """Rows of a table to delete, by the values of one column."""

    column: ColumnName
    """Column to look at."""
    operator: Literal["eq", "ne"] = "eq"
    """`eq` one of the values, `ne` none of them."""
    values: Annotated[tuple[ConditionValue, ...], Field(min_length=1, max_length=100)]
    """Values to compare with, as text."""


class InputTable(ApiModel):
    """One table for the component to read."""

    source: TableIdText | None = None
    """Table in Storage, e.g. `in.c-main.foo`."""
    object: Annotated[str, Field(pattern=r"^[^/\s][^\s]*$", max_length=512)] | None = None
    """Instead of a table: key of a CSV object with a header line, below the Storage's prefix."""
    destination: FileName | None = None
    """File name below /data/in/tables; the table's (or object's) own name with `.csv` where not given."""
    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=MAX_COLUMNS)] | None = None
    """Columns to deliver, in this order. `*` matches any characters: `price_*` selects all columns that begin with
    `price_`, unless a column is named exactly `price_*`. Defaults to all columns."""
    where: Where | None = None
    """Rows to deliver; all where not given."""
    changed_since: ChangedSince | None = None
    """Only rows that were loaded since then: a time (`2026-01-31T00:00:00Z`), how long ago (`36h`, `-2 days`), or
    `adaptive`: since the last successful run of this configuration looked. Its first run gets everything."""
    limit: Annotated[int, Field(ge=1, le=9_007_199_254_740_991)] | None = None
    """At most so many rows, the first ones; all where not given."""
    sliced: bool = False
    """Deliver the table as a folder of files without header lines, for a component that reads several at a time; the
    manifest tells the columns. Belongs to `source`."""


class ColumnSchema(ApiModel):
    """What is known of one column of an output table. Values are text, whatever the type says."""

    name: ColumnName
    """Its name."""
    type: BaseType | None = None
    """Base type."""
    length: Annotated[str, Field(max_length=64)] | None = None
    """Length as the type has it, e.g. `255` or `38,9`."""
    default: Annotated[str, Field(max_length=1024)] | None = None
    """Default value."""
    nullable: bool | None = None
    """Whether a value may be missing (which is an empty one)."""
    primary_key: bool = False
    """Whether it is part of the primary key."""
    description: Annotated[str, Field(max_length=4096)] | None = None
    """What it is."""


class OutputTableMapping(ApiModel):
    """One table for the component to write."""

    source: FileName
    """File (or folder of slices) below /data/out/tables, e.g. `bar.csv`."""
    destination: TableIdText
    """Table in Storage, e.g. `out.c-main.bar`."""
    incremental: bool | None = None
    """Add the rows instead of replacing the table; the file's manifest decides where not given."""
    primary_key: Annotated[tuple[ColumnName, ...], Field(max_length=64)] | None = None
    """A later row replaces an earlier one that agrees in these columns. The file's manifest decides where not given; an
    empty list says that there is none."""
    delete_where: DeleteWhere | None = None
    """Rows of the table to delete before these are added; for incremental loads."""
    write_always: bool = False
    """Publish the table even if the component fails."""
    optional: bool = False
    """Whether the component may leave it out."""
    delimiter: Annotated[str, Field(pattern=_SIGN, max_length=1)] | None = None
    """What separates the fields of the file: one ASCII character. The file's manifest decides where not given, else it
    is a comma."""
    enclosure: Annotated[str, Field(pattern=f"{_SIGN}|^$", max_length=1)] | None = None
    """What the fields of the file are enclosed in: one ASCII character, or nothing where empty. The file's manifest
    decides where not given, else it is a double quote."""
    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=MAX_COLUMNS)] | None = None
    """Columns of a file (or of slices) without a header line; the file's manifest or its header say where not given."""
    schema_: Annotated[tuple[ColumnSchema, ...], Field(min_length=1, max_length=MAX_COLUMNS)] | None = Field(
        None, alias="schema"
    )
    """All columns, with what is known of them; the file's manifest says where not given."""

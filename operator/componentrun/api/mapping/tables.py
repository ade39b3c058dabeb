"""Table mappings of a run: which tables it reads and how, and which it publishes and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from componentrun.api.common import ApiModel
from componentrun.api.mapping.changedsince import CHANGED_SINCE
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
    """Name of the column."""
    operator: Literal["eq", "ne", "gt", "ge", "lt", "le"] = "eq"
    """Comparison: `eq` matches any of the values, `ne` none of them; `gt`, `ge`, `lt` and `le` compare with the single
    value."""
    values: Annotated[tuple[ConditionValue, ...], Field(min_length=1, max_length=100)]
    """Values to compare with, as text. Exactly one for `gt`, `ge`, `lt` and `le`."""
    type: Literal["text", "number", "timestamp"] | None = None
    """How values are compared. `text` for `eq` and `ne`; `number` or `timestamp` for the others, which default to
    `number`."""


class DeleteWhere(ApiModel):
    """Rows of a table to delete, by the values of one column."""

    column: ColumnName
    """Name of the column."""
    operator: Literal["eq", "ne"] = "eq"
    """Comparison: `eq` matches any of the values, `ne` none of them."""
    values: Annotated[tuple[ConditionValue, ...], Field(min_length=1, max_length=100)]
    """Values to compare with, as text."""


class InputTable(ApiModel):
    """One table, or CSV object, that the component reads."""

    source: TableIdText | None = None
    """Id of the table, e.g. `in.c-main.foo`. Exactly one of `source` and `object` must be set."""
    object: Annotated[str, Field(pattern=r"^[^/\s][^\s]*$", max_length=512)] | None = None
    """Key of a CSV object with a header line, below the Storage's prefix."""
    destination: FileName | None = None
    """File name below /data/in/tables. Defaults to the name of the table or object, with `.csv`."""
    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=MAX_COLUMNS)] | None = None
    """Columns to deliver, in this order. `*` matches any characters: `price_*` selects all columns that begin with
    `price_`, unless a column is named exactly `price_*`. Defaults to all columns."""
    where: Where | None = None
    """Filter for the rows to deliver. Defaults to all rows."""
    changed_since: ChangedSince | None = None
    """Deliver only rows that were loaded after this time: a time (`2026-01-31T00:00:00Z`), an age (`36h`, `-2 days`),
    or `adaptive`: since the last successful run of this configuration; its first run gets all rows. Defaults to all
    rows."""
    limit: Annotated[int, Field(ge=1, le=9_007_199_254_740_991)] | None = None
    """Maximum number of rows to deliver. Defaults to all rows."""
    sliced: bool = False
    """Whether the table is delivered as a folder of files without header lines, for components that read several files
    in parallel. The manifest lists the columns. Only with `source`."""


class ColumnSchema(ApiModel):
    """One column of an output table. Values are text, unless `dataTypeSupport` is `authoritative`."""

    name: ColumnName
    """Name of the column."""
    type: BaseType | None = None
    """Base type of the column."""
    length: Annotated[str, Field(max_length=64)] | None = None
    """Length, or precision and scale, of the type, e.g. `255` or `38,9`."""
    default: Annotated[str, Field(max_length=1024)] | None = None
    """Default value of the column."""
    nullable: bool | None = None
    """Whether values may be missing. An empty value counts as missing."""
    primary_key: bool = False
    """Whether the column is part of the primary key."""
    description: Annotated[str, Field(max_length=4096)] | None = None
    """Description of the column."""


class OutputTableMapping(ApiModel):
    """One table that the component writes."""

    source: FileName
    """File, or folder of slices, below /data/out/tables, e.g. `bar.csv`."""
    destination: TableIdText
    """Id of the table, e.g. `out.c-main.bar`."""
    incremental: bool | None = None
    """Whether rows are added to the table instead of replacing it. Defaults to the file's manifest, or false."""
    primary_key: Annotated[tuple[ColumnName, ...], Field(max_length=64)] | None = None
    """Columns of the primary key: a new row replaces an existing row with the same values in these columns. An empty
    list means no primary key. Defaults to the file's manifest, or none."""
    delete_where: DeleteWhere | None = None
    """Rows of the table to delete before the new rows are added. For incremental loads."""
    write_always: bool = False
    """Whether the table is published even if the component fails."""
    optional: bool = False
    """Whether a missing file is allowed."""
    delimiter: Annotated[str, Field(pattern=_SIGN, max_length=1)] | None = None
    """Field delimiter of the file: one ASCII character. Defaults to the file's manifest, or a comma."""
    enclosure: Annotated[str, Field(pattern=f"{_SIGN}|^$", max_length=1)] | None = None
    """Character that encloses fields: one ASCII character, or empty for none. Defaults to the file's manifest, or a
    double quote."""
    columns: Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=MAX_COLUMNS)] | None = None
    """Column names of a file or of slices without a header line. Defaults to the file's manifest, or its header
    line."""
    schema_: Annotated[tuple[ColumnSchema, ...], Field(min_length=1, max_length=MAX_COLUMNS)] | None = Field(
        None, alias="schema"
    )
    """Description of all columns. Defaults to the file's manifest."""

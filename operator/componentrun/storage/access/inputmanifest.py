"""What a component reads about an input table: `<file>.manifest`, in the form that it understands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from componentrun.contract import DEFAULT_TYPE_SUPPORT, MANIFEST_TIME
from componentrun.csv.columnfacts import DESCRIPTION_KEY, ColumnFacts, metadata_list
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from componentrun.wire.loader import TableScan

__all__ = ["AUTHORITATIVE", "scan_manifest"]

AUTHORITATIVE: Final = "authoritative"
"""What a component says of itself whose types can be relied on."""
_BASE_TYPES: Final = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "INTEGER",
    "float": "FLOAT",
    "double": "FLOAT",
    "decimal": "NUMERIC",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP",
    "timestamp_ns": "TIMESTAMP",
}
"""For Iceberg's types, but for text."""


def scan_manifest(scan: TableScan, columns: tuple[str, ...], type_support: str) -> dict[str, Any]:
    """The manifest of a table.

    `columns` and `primary_key` stand in both forms; what is known of columns is `column_metadata` in the old one and
    `schema` in the new one. Of a column of which nobody said anything, the type that it has in the catalog is known.

    Args:
        scan: the table.
        columns: those that are delivered.
        type_support: what the component knows of types; `none`: the old form.
    """
    described = {facts.name: facts for facts in scan.described}
    facts = {
        column.name: _with_type(described.get(column.name, ColumnFacts(column.name)), column.type)
        for column in scan.columns
    }
    # Without all its columns the rows that are delivered need not differ in it.
    key = list(scan.primary_key) if set(scan.primary_key) <= set(columns) else []
    manifest = {
        "id": scan.table,
        "uri": scan.location,
        "name": TableId.parse(scan.table).table,
        "primary_key": key,
        "columns": list(columns),
        "created": _time(scan.created),
        "last_change_date": _time(scan.last_change),
        "last_import_date": _time(scan.last_change),
        "metadata": metadata_list(scan.metadata),
    }
    if type_support == DEFAULT_TYPE_SUPPORT:
        # Every column, as components have always found it: they look it up without asking whether it is there.
        return manifest | {"column_metadata": {name: facts[name].metadata_entries() for name in columns}}
    description = scan.metadata.get(DESCRIPTION_KEY)
    return (
        manifest
        | {"schema": [facts[name].schema_entry(primary_key=name in key) for name in columns]}
        | ({"description": description} if description else {})
    )


def _time(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime(MANIFEST_TIME)


def _with_type(facts: ColumnFacts, iceberg: str) -> ColumnFacts:
    """The facts with the type of the column itself, where it is no text and nobody said another one."""
    name, _, size = iceberg.rstrip(")").partition("(")
    if facts.type is not None or name not in _BASE_TYPES:
        return facts
    return replace(facts, type=_BASE_TYPES[name], length=size.replace(" ", "") or None)

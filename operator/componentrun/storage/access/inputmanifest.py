"""The manifest of an input table (`<file>.manifest`), in the form that the component understands."""

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
"""The `dataTypeSupport` of components whose types are enforced."""
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
"""Base types of Iceberg's types, except text."""


def scan_manifest(scan: TableScan, columns: tuple[str, ...], type_support: str) -> dict[str, Any]:
    """Return the manifest of a table.

    `columns` and `primary_key` are part of both forms. Facts about columns are `column_metadata` in the old form and
    `schema` in the new one. A column without declared facts has its type in the catalog.

    Args:
        scan: the table.
        columns: the delivered columns.
        type_support: the component's `dataTypeSupport`; `none` selects the old form.
    """
    by_name = {facts.name: facts for facts in scan.described}
    facts = {
        column.name: _with_type(by_name.get(column.name, ColumnFacts(column.name)), column.type)
        for column in scan.columns
    }
    # Without all columns of the key, delivered rows may have equal values in the remaining ones.
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
        # All columns are listed, because components look them up without checking whether they exist.
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
    """Add the column's type in the catalog to the facts, unless it is text or another type is declared."""
    name, _, size = iceberg.rstrip(")").partition("(")
    if facts.type is not None or name not in _BASE_TYPES:
        return facts
    return replace(facts, type=_BASE_TYPES[name], length=size.replace(" ", "") or None)

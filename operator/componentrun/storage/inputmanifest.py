"""What a component reads about an input table: `<file>.manifest`, in the form that it understands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from componentrun.columnfacts import DESCRIPTION_KEY, ColumnFacts, metadata_list
from componentrun.contract import DEFAULT_TYPE_SUPPORT, MANIFEST_TIME
from componentrun.storage.layout import TableId

if TYPE_CHECKING:
    from componentrun.storage.connection import Store
    from componentrun.storage.pointer import Pointer
    from componentrun.wire.loader import TableScan

__all__ = ["AUTHORITATIVE", "input_manifest", "scan_manifest"]

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


def input_manifest(pointer: Pointer, store: Store, columns: tuple[str, ...], type_support: str) -> dict[str, Any]:
    """The manifest of a table.

    `columns` and `primary_key` stand in both forms; what is known of columns is `column_metadata` in the old one and
    `schema` in the new one.

    Args:
        pointer: the table.
        store: where it is.
        columns: those that are delivered.
        type_support: what the component knows of types; `none`: the old form.
    """
    about = _About(
        id=pointer.id,
        uri=f"s3://{store.settings.bucket}/{store.layout.pointer(TableId.parse(pointer.id))}",
        primary_key=pointer.primary_key,
        created=pointer.created,
        changed=pointer.last_change,
        metadata=pointer.metadata,
        facts={column.name: column.facts for column in pointer.columns},
    )
    return _manifest(about, columns, type_support)


def scan_manifest(scan: TableScan, columns: tuple[str, ...], type_support: str) -> dict[str, Any]:
    """The manifest of a table in a catalog; likewise.

    Of a column of which nobody said anything, the type that it has in the catalog is known.
    """
    described = {facts.name: facts for facts in scan.described}
    about = _About(
        id=scan.table,
        uri=scan.location,
        primary_key=scan.primary_key,
        created=datetime.fromisoformat(scan.created).astimezone(UTC),
        changed=datetime.fromisoformat(scan.last_change).astimezone(UTC),
        metadata=scan.metadata,
        facts={
            column.name: _with_type(described.get(column.name, ColumnFacts(column.name)), column.type)
            for column in scan.columns
        },
    )
    return _manifest(about, columns, type_support)


@dataclass(frozen=True, slots=True)
class _About:
    """What is said of a table."""

    id: str
    uri: str
    primary_key: tuple[str, ...]
    created: datetime
    changed: datetime
    metadata: dict[str, str]
    facts: dict[str, ColumnFacts]


def _manifest(about: _About, columns: tuple[str, ...], type_support: str) -> dict[str, Any]:
    # Without all its columns the rows that are delivered need not differ in it.
    key = list(about.primary_key) if set(about.primary_key) <= set(columns) else []
    manifest = {
        "id": about.id,
        "uri": about.uri,
        "name": TableId.parse(about.id).table,
        "primary_key": key,
        "columns": list(columns),
        "created": about.created.strftime(MANIFEST_TIME),
        "last_change_date": about.changed.strftime(MANIFEST_TIME),
        "last_import_date": about.changed.strftime(MANIFEST_TIME),
        "metadata": metadata_list(about.metadata),
    }
    if type_support == DEFAULT_TYPE_SUPPORT:
        # Every column, as components have always found it: they look it up without asking whether it is there.
        return manifest | {"column_metadata": {name: about.facts[name].metadata_entries() for name in columns}}
    description = about.metadata.get(DESCRIPTION_KEY)
    return (
        manifest
        | {"schema": [about.facts[name].schema_entry(primary_key=name in key) for name in columns]}
        | ({"description": description} if description else {})
    )


def _with_type(facts: ColumnFacts, iceberg: str) -> ColumnFacts:
    """The facts with the type of the column itself, where it is no text and nobody said another one."""
    name, _, size = iceberg.rstrip(")").partition("(")
    if facts.type is not None or name not in _BASE_TYPES:
        return facts
    return replace(facts, type=_BASE_TYPES[name], length=size.replace(" ", "") or None)

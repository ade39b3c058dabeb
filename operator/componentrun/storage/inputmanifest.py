"""What a component reads about an input table: `<file>.manifest`, in the form that it understands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.columnfacts import DESCRIPTION_KEY, metadata_list
from componentrun.contract import DEFAULT_TYPE_SUPPORT, MANIFEST_TIME
from componentrun.storage.layout import TableId

if TYPE_CHECKING:
    from componentrun.storage.connection import Store
    from componentrun.storage.pointer import Pointer

__all__ = ["AUTHORITATIVE", "input_manifest"]

AUTHORITATIVE: Final = "authoritative"
"""What a component says of itself whose types can be relied on."""


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
    table = TableId.parse(pointer.id)
    # Without all its columns the rows that are delivered need not differ in it.
    key = list(pointer.primary_key) if set(pointer.primary_key) <= set(columns) else []
    manifest = {
        "id": pointer.id,
        "uri": f"s3://{store.settings.bucket}/{store.layout.pointer(table)}",
        "name": table.table,
        "primary_key": key,
        "columns": list(columns),
        "created": pointer.created.strftime(MANIFEST_TIME),
        "last_change_date": pointer.last_change.strftime(MANIFEST_TIME),
        "last_import_date": pointer.last_change.strftime(MANIFEST_TIME),
        "metadata": metadata_list(pointer.metadata),
    }
    facts = {column.name: column.facts for column in pointer.columns}
    if type_support == DEFAULT_TYPE_SUPPORT:
        # Every column, as components have always found it: they look it up without asking whether it is there.
        return manifest | {"column_metadata": {name: facts[name].metadata_entries() for name in columns}}
    description = pointer.metadata.get(DESCRIPTION_KEY)
    return (
        manifest
        | {"schema": [facts[name].schema_entry(primary_key=name in key) for name in columns]}
        | ({"description": description} if description else {})
    )

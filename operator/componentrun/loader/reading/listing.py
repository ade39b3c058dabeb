"""List the tables in the catalog of a Storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from componentrun.core.request.similar import similar_names
from componentrun.errors import Reason, UserError
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.names import bucket_of, from_iceberg, namespace_of, to_iceberg
from componentrun.loader.catalog.state import read_state
from componentrun.loader.reading.versions import versions_of
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.table import Table

    from componentrun.loader.catalog.catalog import Catalog

__all__ = ["list_names", "list_tables", "need_table", "no_such_table"]

_AT_A_TIME: Final = 8
_SUGGESTED: Final = 3
_LOOKED_UP: Final = 12


def list_names(catalog: Catalog, bucket: str | None = None) -> list[TableId]:
    """Ids of all tables, or of those of one bucket, including dropped tables and tables without a load.

    Tables whose names do not map to an id belong to other programs and are omitted.
    """
    if bucket is not None:
        namespaces = [namespace_of(catalog.prefix, bucket)]
    else:
        namespaces = [name for name in catalog.namespaces() if bucket_of(catalog.prefix, name) is not None]
    tables = [from_iceberg(catalog.prefix, space, name) for space in namespaces for name in catalog.tables(space)]
    return sorted((table for table in tables if table is not None), key=str)


def list_tables(catalog: Catalog, bucket: str | None = None) -> list[tuple[TableId, Table]]:
    """All tables that can be read, or those of one bucket."""
    return _readable(catalog, list_names(catalog, bucket))


def need_table(catalog: Catalog, table: TableId) -> Table:
    """Load a table that can be read.

    Raises:
        UserError: (InputNotFound) the table does not exist.
    """
    readable = _readable(catalog, [table])
    if not readable:
        raise no_such_table(catalog, str(table))
    return readable[0][1]


def no_such_table(catalog: Catalog, name: str) -> UserError:
    """The error for a table that does not exist.

    If the table was dropped, the message says how to restore it. Otherwise it suggests tables with similar names.
    """
    dropped = catalog.find(to_iceberg(catalog.prefix, TableId.parse(name)))
    if dropped is not None and dropped.properties.get(properties.STATE) == properties.DROPPED:
        more = _how_dropped(dropped, name)
    else:
        similar = _similar(catalog, name)
        more = f"; did you mean {' or '.join(f'`{candidate}`' for candidate in similar)}?" if similar else ""
    return UserError(f"there is no table `{name}` in {catalog.settings.title}{more}", Reason.INPUT_NOT_FOUND)


def _how_dropped(table: Table, name: str) -> str:
    """How a table was dropped and can be restored; empty if another program has changed it since."""
    versions = list(versions_of(table.metadata))
    if not versions or not versions[0].is_drop:
        return ""
    sentence = f"; it was deleted at {versions[0].time:%Y-%m-%d %H:%M:%S} UTC by {versions[0].who}"
    last = next((version.number for version in versions if not version.is_drop), None)
    if last is None:
        return f"{sentence}, and no version of it is kept any more"
    return f"{sentence}. `componentrun table restore {name} --version {last}` brings it back until that version expires"


def _similar(catalog: Catalog, name: str) -> list[str]:
    names = [str(table) for table in list_names(catalog)]
    similar = similar_names(name, [candidate for candidate in names if candidate != name], _LOOKED_UP)
    readable = [str(table) for table, _ in _readable(catalog, map(TableId.parse, similar))]
    return [candidate for candidate in similar if candidate in readable][:_SUGGESTED]


def _readable(catalog: Catalog, tables: Iterable[TableId]) -> list[tuple[TableId, Table]]:
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        pairs = pool.map(lambda table: (table, catalog.find(to_iceberg(catalog.prefix, table))), tables)
        return [
            (table, item)
            for table, item in pairs
            if item is not None and read_state(item.metadata, f"`{table}`").is_loaded
        ]

"""The scan over all tables of a catalog, spread over days: a few tables in each round, in the order of their names.

The position of the scan is stored in the Storage's bucket. The number of tables in a round depends on the time since
the last round, so the interval between rounds does not matter.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import obstore

from componentrun.loader.catalog.names import IcebergName, bucket_of
from componentrun.storage.store.backend import make_backend
from componentrun.storage.store.errors import STORE_EXCEPTIONS, MissingError, translate
from componentrun.storage.store.keys import Layout
from componentrun.storage.store.settings import StoreTimeouts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.loader.catalog.catalog import Catalog
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["SCAN_PERIOD", "ScanPosition", "read_position", "share_of", "tables_behind", "write_position"]

log = logging.getLogger(__name__)

SCAN_PERIOD: Final = timedelta(days=7)
"""Time in which each table is examined once."""
_LEAST: Final = 100
"""Minimum number of tables in a round."""
_FIRST: Final = 1000
"""Number of tables in a round until the first scan has counted them."""


@dataclass(frozen=True, slots=True)
class ScanPosition:
    """Position of the scan."""

    namespace: str = ""
    table: str = ""
    """The table that was examined last."""
    at: float = 0.0
    """Time of the last round, in seconds since 1970."""
    seen: int = 0
    """Number of tables examined since the scan started with the first one."""
    total: int = 0
    """Number of tables in the previous scan; 0: there was none yet."""


def share_of(position: ScanPosition, now: float) -> int:
    """Number of tables to examine in a round.

    Args:
        position: position of the scan.
        now: seconds since 1970.
    """
    if not position.total:
        return _FIRST
    passed = min(max(now - position.at, 0.0), SCAN_PERIOD.total_seconds())
    return max(_LEAST, -int(-max(position.total, position.seen) * passed // SCAN_PERIOD.total_seconds()))


def tables_behind(catalog: Catalog, position: ScanPosition) -> Iterator[IcebergName]:
    """The tables of a Storage after a position. The tables of a namespace are listed when the iteration reaches it."""
    for namespace in sorted(catalog.namespaces()):
        if namespace < position.namespace or bucket_of(catalog.prefix, namespace) is None:
            continue
        for table in sorted(catalog.tables(namespace)):
            if (namespace, table) > (position.namespace, position.table):
                yield IcebergName(namespace, table)


def read_position(settings: StoreSettings) -> ScanPosition:
    """Read the position of the scan. If it is missing or invalid, the scan starts with the first table.

    Raises:
        ComponentRunError: the store refused a request or does not respond.
    """
    key = Layout(settings.prefix).table_scan()
    try:
        document: Any = json.loads(bytes(obstore.get(make_backend(settings, StoreTimeouts()), key).bytes()))
        return ScanPosition(**document)
    except (json.JSONDecodeError, TypeError):
        log.warning("%s can't be read; all tables are looked at from the first one", settings.where(key))
    except STORE_EXCEPTIONS as error:
        told = translate(error, settings, "read", key)
        if not isinstance(told, MissingError):
            raise told from error
    return ScanPosition()


def write_position(settings: StoreSettings, position: ScanPosition) -> None:
    """Store the position of the scan.

    Raises:
        ComponentRunError: the store refused a request or does not respond.
    """
    key = Layout(settings.prefix).table_scan()
    try:
        obstore.put(make_backend(settings, StoreTimeouts()), key, json.dumps(asdict(position)).encode())
    except STORE_EXCEPTIONS as error:
        raise translate(error, settings, "write", key) from error

"""The scan over all tables of a catalog, spread over days: a few in each round, in the order of their names.

How far it has come is an object in the Storage's bucket. A round looks at the share of the tables that is due for the
time since the last round, so it does not matter how often rounds are.
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
"""Each table is looked at once in it."""
_LEAST: Final = 100
"""Tables of a round."""
_FIRST: Final = 1000
"""Likewise, while nobody knows how many there are."""


@dataclass(frozen=True, slots=True)
class ScanPosition:
    """How far the scan has come."""

    namespace: str = ""
    table: str = ""
    """The last one that was looked at."""
    at: float = 0.0
    """When, in seconds since 1970."""
    seen: int = 0
    """Tables since the scan began with the first one."""
    total: int = 0
    """Tables that the scan before saw; 0: there was none yet."""


def share_of(position: ScanPosition, now: float) -> int:
    """How many tables a round looks at.

    Args:
        position: how far the scan has come.
        now: seconds since 1970.
    """
    if not position.total:
        return _FIRST
    passed = min(max(now - position.at, 0.0), SCAN_PERIOD.total_seconds())
    return max(_LEAST, -int(-max(position.total, position.seen) * passed // SCAN_PERIOD.total_seconds()))


def tables_behind(catalog: Catalog, position: ScanPosition) -> Iterator[IcebergName]:
    """The tables of a Storage from a position to the last one. Namespaces are listed as they are come to."""
    for namespace in sorted(catalog.namespaces()):
        if namespace < position.namespace or bucket_of(catalog.prefix, namespace) is None:
            continue
        for table in sorted(catalog.tables(namespace)):
            if (namespace, table) > (position.namespace, position.table):
                yield IcebergName(namespace, table)


def read_position(settings: StoreSettings) -> ScanPosition:
    """How far the scan has come; the beginning where that is not known.

    Raises:
        ComponentRunError: the store refused or is away.
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
    """Note how far the scan has come.

    Raises:
        ComponentRunError: the store refused or is away.
    """
    key = Layout(settings.prefix).table_scan()
    try:
        obstore.put(make_backend(settings, StoreTimeouts()), key, json.dumps(asdict(position)).encode())
    except STORE_EXCEPTIONS as error:
        raise translate(error, settings, "write", key) from error

"""Notes about changed tables: empty objects that loaders write to the Storage's bucket, one for each table.

Catalogs can't list changed tables, and examining all tables costs a request for each of them. Therefore a loader that
has committed a change writes an object named after the table. Maintenance lists these objects, deletes them, and then
examines the tables.

After writing the note of a table, a loader does not write it again for 60 seconds, and maintenance does not read a note
before it is older than that. So a change without its own note is committed before the table is examined. The notes are
best effort: changes that they miss (by a loader that was killed after its commit, or by other engines) are found by the
scan over all tables (`scan`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import obstore

from componentrun.errors import ComponentRunError, UserError
from componentrun.loader.maintenance.objects import TableObjects
from componentrun.storage.store.backend import make_backend
from componentrun.storage.store.errors import STORE_EXCEPTIONS, translate
from componentrun.storage.store.keys import Layout, TableId
from componentrun.storage.store.settings import StoreTimeouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from obstore.store import S3Store

    from componentrun.storage.store.settings import StoreSettings

__all__ = ["ChangeNotes", "changed_tables", "note_changes"]

log = logging.getLogger(__name__)

_AGAIN_AFTER: Final = timedelta(seconds=60)
_READ_AFTER: Final = timedelta(seconds=180)
"""Longer than `_AGAIN_AFTER`, with a margin for clock skew."""
_MOST_KNOWN: Final = 10_000
_QUICK: Final = StoreTimeouts(connect=2, response=5, request=10)
"""Short timeouts, because the response to a load waits for the notes."""


class ChangeNotes:
    """Writes notes, and remembers which it has written. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds, as `time.monotonic` does."""
        self._clock = clock
        self._lock = threading.Lock()
        self._written: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def changed(self, settings: StoreSettings, tables: Iterable[str]) -> None:
        """Note that tables were changed. Best effort: failures are logged, and the scan finds the tables later."""
        now = self._clock()
        place = f"{settings.base_url}/{settings.bucket}", settings.prefix
        with self._lock:
            due = [
                table
                for table in tables
                if now - self._written.get((*place, table), -_AGAIN_AFTER.total_seconds())
                >= _AGAIN_AFTER.total_seconds()
            ]
        try:
            note_changes(settings, due)
        except ComponentRunError as error:
            log.info("maintenance is not told of changed tables: %s", error.message)
            return
        with self._lock:
            for table in due:
                self._written[*place, table] = now
                self._written.move_to_end((*place, table))
            while len(self._written) > _MOST_KNOWN:
                self._written.popitem(last=False)


def note_changes(settings: StoreSettings, tables: Iterable[str]) -> None:
    """Write the notes of tables.

    Raises:
        ComponentRunError: the store refused a request or does not respond.
    """
    layout, backend = Layout(settings.prefix), _client(settings)
    for table in tables:
        key = layout.changed_table(TableId.parse(table))
        try:
            obstore.put(backend, key, b"")
        except STORE_EXCEPTIONS as error:
            raise translate(error, settings, "write", key) from error


@lru_cache(maxsize=64)
def _client(settings: StoreSettings) -> S3Store:
    """A cached client: creating one takes ten milliseconds, during which a load waits."""
    return make_backend(settings, _QUICK)


def changed_tables(settings: StoreSettings, clock: Callable[[], float] = time.time) -> Iterator[list[TableId]]:
    """The tables with notes, page by page. The notes of a page are deleted before the page is returned.

    Args:
        settings: settings of the Storage.
        clock: returns seconds since 1970.

    Raises:
        ComponentRunError: the store refused a request or does not respond.
    """
    prefix = Layout(settings.prefix).changed_tables()
    objects = TableObjects(settings)
    newest = datetime.fromtimestamp(clock(), UTC) - _READ_AFTER
    for page in objects.list_below(f"s3://{settings.bucket}/{prefix}"):
        ready = [item.location for item in page if item.changed < newest]
        found = [_table_of(location.rpartition("/")[2]) for location in ready]
        objects.delete(ready)
        if ready:
            yield [table for table in found if table is not None]


def _table_of(text: str) -> TableId | None:
    try:
        return TableId.parse(text)
    except UserError:
        return None

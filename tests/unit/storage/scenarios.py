"""What the tests of publishing share: attempts with real slices, and a store that dies after its n-th write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obstore.store import MemoryStore

from componentrun.exchange import SliceWritten, StageOutResult, TableWritten
from componentrun.storage.connection import Store
from componentrun.storage.download import read_csv
from componentrun.storage.layout import TableId
from componentrun.storage.settings import StoreSettings
from componentrun.storage.tables import list_tables, need_table

if TYPE_CHECKING:
    from collections.abc import Sequence


def new_store() -> Store:
    """One in memory."""
    return Store(StoreSettings(bucket="bucket", endpoint="http://store.test"), MemoryStore())


class KilledError(BaseException):
    """The operator died. No `except Exception` may hide it."""


class MortalStore(Store):
    """A store whose user is killed at its n-th write: just before it, or just after it took effect."""

    def __init__(self, store: Store, writes: int, *, after: bool) -> None:
        super().__init__(store.settings, store._backend)
        self.left = writes
        self._after = after

    async def _put(self, operation: str, key: str, data: bytes, *, mode: Any) -> str:
        self.left -= 1
        last = self.left == 0
        if self.left < 0 or (last and not self._after):
            raise KilledError(key)
        etag = await super()._put(operation, key, data, mode=mode)
        if last:
            raise KilledError(key)
        return etag


async def uploaded(
    store: Store,
    run: str,
    attempt: int,
    destination: str,
    rows: Sequence[str],
    *,
    columns: tuple[str, ...] = ("a",),
    incremental: bool = False,
    write_always: bool = False,
    primary_key: tuple[str, ...] = (),
) -> TableWritten:
    """One output table as stage-out leaves it: a slice for every two rows."""
    slices = []
    for number in range(0, len(rows), 2):
        part = "".join(f"{row}\n" for row in rows[number : number + 2]).encode()
        key = f"{store.layout.data(run, attempt)}{destination}/{number:05d}.csv"
        slices.append(SliceWritten(key, len(part), len(rows[number : number + 2]), await store.put(key, part)))
    return TableWritten(
        source=f"{destination.rpartition('.')[2]}.csv",
        destination=destination,
        columns=columns,
        primary_key=primary_key,
        incremental=incremental,
        write_always=write_always,
        slices=tuple(slices),
        rows=len(rows),
        size=sum(part.size for part in slices),
    )


def result(*tables: TableWritten) -> StageOutResult:
    return StageOutResult(ok=True, tables=tables)


async def content(store: Store, table: str) -> list[str]:
    """The rows of a table, header first."""
    return b"".join([chunk async for chunk in read_csv(store, TableId.parse(table))]).decode().splitlines()


async def versions(store: Store) -> dict[str, int]:
    """Every table with its version."""
    return {str(table): (await need_table(store, table)).pointer.version async for table in list_tables(store)}

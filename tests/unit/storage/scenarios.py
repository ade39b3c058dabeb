"""What tests of storage share: what an attempt uploads, and a store that dies after its n-th write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.storage.store.connection import Store

if TYPE_CHECKING:
    from collections.abc import Sequence


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


async def uploaded(store: Store, run: str, attempt: int, destination: str, rows: Sequence[str]) -> None:
    """An output table as stage-out leaves it: a slice for every two rows."""
    for number in range(0, len(rows), 2):
        part = "".join(f"{row}\n" for row in rows[number : number + 2]).encode()
        await store.put(f"{store.layout.data(run, attempt)}{destination}/{number:05d}.csv", part)

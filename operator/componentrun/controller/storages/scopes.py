"""Probes what a store supports, once for all runs that wait for it, and keeps the result.

A run that starts before the probe has ended waits for it. The result is stored in the Storage's status, where other
operators, and this one after a restart, find it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from componentrun.core.storages.scope import known_scope
from componentrun.storage.access.scope import find_scope
from componentrun.storage.store.errors import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from componentrun.api.storage import Storage
    from componentrun.controller.storages.stores import OpenStorage
    from componentrun.core.storages.scope import Scope
    from componentrun.storage.access.grants import Signer
    from componentrun.storage.store.connection import Store

__all__ = ["Scopes"]

_ASK_SECONDS: Final = 30.0
"""Timeout in seconds for the probe of a store, which sends about twelve requests."""


class Scopes:
    """Probes stores, each at most once at a time."""

    def __init__(
        self, clock: Callable[[], datetime], find: Callable[[Store, Signer], Awaitable[Scope]] = find_scope
    ) -> None:
        """`find` probes a store; tests replace it."""
        self._clock = clock
        self._find = find
        self._known: dict[tuple[str, int], Scope] = {}
        self._asking: dict[tuple[str, int], asyncio.Task[Scope]] = {}

    async def of(self, opened: OpenStorage) -> Scope:
        """The known scope of a store. Probes the store if it is unknown.

        Raises:
            PlatformError: the keys, the bucket or the endpoint are wrong.
            TransientError: the store does not respond in time.
        """
        key = _key(opened.storage)
        known = self._known.get(key) or known_scope(opened.storage, self._clock())
        if known is not None:
            self._known[key] = known
            return known
        return await self.ask(opened)

    async def ask(self, opened: OpenStorage) -> Scope:
        """Probe the store now. Concurrent callers share one probe and its result. Raises the errors of `of`."""
        key = _key(opened.storage)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._find_in_time(opened))
            asking.add_done_callback(lambda task: self._asked(key, task))
        # Cancelling one caller must not cancel the probe for the others.
        self._known[key] = found = await asyncio.shield(asking)
        return found

    def _asked(self, key: tuple[str, int], task: asyncio.Task[Scope]) -> None:
        """Forget the finished probe. Retrieves its error, in case no caller waits for it any more."""
        self._asking.pop(key)
        if not task.cancelled():
            task.exception()

    async def _find_in_time(self, opened: OpenStorage) -> Scope:
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                return await self._find(opened.store, opened.signer)
        except TimeoutError:
            where = opened.store.settings.where()
            told = f"the capabilities of the store were not determined within {_ASK_SECONDS:.0f} s"
            raise NoAnswerError(f"{told}, at {where}", told) from None

    def fresh(self, storage: Storage) -> Scope | None:
        """The scope found for this spec, even if the status does not contain it yet."""
        return self._known.get(_key(storage))

    def forget(self, uid: str, *, but: int | None = None) -> None:
        """Drop what is known of a Storage that was deleted or whose generation has changed."""
        for key in [key for key in self._known if key[0] == uid and key[1] != but]:
            self._known.pop(key, None)


def _key(storage: Storage) -> tuple[str, int]:
    return storage.metadata.uid, storage.metadata.generation

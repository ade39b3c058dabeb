"""Opens the stores of the Storage objects that runs use."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from componentrun.process.kubernetes.resources import STORAGES
from componentrun.process.kubernetes.storages import read_store_settings
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.resource import choose, parse

if TYPE_CHECKING:
    from componentrun.api.storage import Storage
    from componentrun.collector.forward.subscription import Subscription
    from componentrun.process.kubernetes.client import Kube
    from componentrun.storage.store.connection import Store, StoreObserver

__all__ = ["StoreListener", "Stores"]

_KEPT_SECONDS: Final = 300
"""How long an open store is used before its credentials are read again."""
_TRIED_SECONDS: Final = 5
"""Minimum time between two reads of the credentials of a failing store, as all its runs fail at the same time."""


@dataclass(slots=True)
class _Kept:
    store: Store
    opened: float
    looked: float
    """When its Storage object was read last."""
    what: tuple[str, int]
    """Uid and generation of the Storage object."""


class StoreListener(Protocol):
    """Is notified of opened stores, and forwards their events."""

    async def configure(self, storage: Storage, store: Store) -> None:
        """Take in a Storage that was opened, or opened again after a change."""

    def subscriptions(self, namespace: str, storage: str) -> tuple[Subscription, ...]:
        """Receivers of the events of a Storage."""


class Stores:
    """Open stores, shared by the runs of a namespace."""

    def __init__(
        self, kube: Kube, observer: StoreObserver | None = None, forwarder: StoreListener | None = None
    ) -> None:
        """Read Storages and their Secrets with this client.

        Args:
            kube: the client.
            observer: is notified of every request to a store.
            forwarder: is notified of every store that is opened.
        """
        self._kube, self._observer, self._forwarder = kube, observer, forwarder
        self._open: dict[tuple[str, str | None], _Kept] = {}
        self._locks: dict[tuple[str, str | None], asyncio.Lock] = {}

    async def get(self, namespace: str, name: str | None, since: float = 0.0) -> Store:
        """The store of this Storage; None: of the namespace's default one.

        Args:
            namespace: of the Storage.
            name: of the Storage.
            since: by `time.monotonic`: when it was asked for. What was changed before that holds: another default one,
                an edited Storage, another one of its name.

        Raises:
            UserError: (StorageNotFound) there is no such Storage; its Secret is missing or has not the expected keys.
            KubeError: the API server did not give them.
        """
        # A collector that starts requests the same store for all of its runs at once.
        async with self._locks.setdefault((namespace, name), asyncio.Lock()):
            kept, now = self._open.get((namespace, name)), time.monotonic()
            young = kept is not None and now - kept.opened < _KEPT_SECONDS
            if kept is not None and young and kept.looked >= since:
                return kept.store
            storage = await self._find(namespace, name)
            what = storage.metadata.uid, storage.metadata.generation
            if kept is not None and young and kept.what == what:
                kept.looked = now
                return kept.store
            store = open_store(await read_store_settings(self._kube, storage), observer=self._observer)
            if self._forwarder is not None:
                await self._forwarder.configure(storage, store)
            # Namespaces are deleted, and each client takes about 100 KiB.
            self._open = {
                key: kept for key, kept in self._open.items() if time.monotonic() - kept.opened < _KEPT_SECONDS
            }
            # Runs that requested the default Storage request it by name from then on.
            opened = _Kept(store, time.monotonic(), now, what)
            self._open[namespace, name] = self._open[namespace, storage.metadata.name] = opened
            return store

    def subscriptions(self, namespace: str, store: Store) -> tuple[Subscription, ...]:
        """Receivers of the events that are written to an open store."""
        return () if self._forwarder is None else self._forwarder.subscriptions(namespace, store.settings.name)

    def forget(self, namespace: str, name: str | None) -> None:
        """Read the Storage and its credentials again on next use, as the store failed; at most every five seconds."""
        kept = self._open.get((namespace, name))
        if kept is not None and time.monotonic() - kept.opened > _TRIED_SECONDS:
            for key in [key for key, other in self._open.items() if other is kept]:
                del self._open[key]

    async def _find(self, namespace: str, name: str | None) -> Storage:
        there = [parse(raw) async for page in self._kube.pages(STORAGES, namespace) for raw in page.items]
        return choose(there, name, namespace)

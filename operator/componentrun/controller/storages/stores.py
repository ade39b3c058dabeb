"""Opens the Storage of a run: a client and a signer for its store.

A Storage's Secret is read for each run, at most once a second, so that a changed key is used by the next run. Clients
are kept, because creating one costs more than a request.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.process.kubernetes.storages import read_settings
from componentrun.storage.access.grants import Signer
from componentrun.storage.store.connection import Store, open_store

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.storage import Storage
    from componentrun.controller.storages.references import References
    from componentrun.process.kubernetes.client import Kube
    from componentrun.storage.store.connection import StoreObserver
    from componentrun.storage.store.settings import StoreSettings, StoreTimeouts

__all__ = ["OpenStorage", "Stores"]

_MOST_CLIENTS: Final = 64
_FRESH_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class OpenStorage:
    """A Storage with a client and a signer."""

    storage: Storage
    store: Store
    signer: Signer
    by_session: bool = False
    """Whether stage-out gets temporary keys, because the store does not enforce signed forms."""


class Stores:
    """Opens Storages."""

    def __init__(
        self,
        kube: Kube,
        references: References,
        observer: StoreObserver | None = None,
        timeouts: StoreTimeouts | None = None,
    ) -> None:
        """`observer` is called for every request to a store; `timeouts` apply to all clients."""
        self._kube = kube
        self._references = references
        self._observer = observer
        self._timeouts = timeouts
        self._read: dict[tuple[str, int], tuple[float, StoreSettings]] = {}
        self._reading: dict[tuple[str, int], asyncio.Task[StoreSettings]] = {}
        self._clients: OrderedDict[StoreSettings, tuple[Store, Signer]] = OrderedDict()

    async def open(
        self, namespace: str, wanted: str | None, *, anew: bool = False, as_of: datetime | None = None
    ) -> OpenStorage:
        """The Storage of this name, or the namespace's default one.

        Args:
            namespace: namespace of the run.
            wanted: name of the Storage; None: the default one.
            anew: see `References.storage`.
            as_of: likewise.

        Raises:
            UserError: the Storage does not exist, or its Secret is missing or incomplete.
            KubeError: the API server refused or is unavailable.
        """
        storage = await self._references.storage(namespace, wanted, anew=anew, as_of=as_of)
        store, signer = self._client(await self._settings(storage))
        return OpenStorage(storage, store, signer)

    async def _settings(self, storage: Storage) -> StoreSettings:
        """Settings of its store. Reads the Secret at most once a second, because many runs may start at once.

        Concurrent callers share one read.
        """
        key, now = (storage.metadata.uid, storage.metadata.generation), time.monotonic()
        self._read = {known: value for known, value in self._read.items() if now - value[0] <= _FRESH_SECONDS}
        if key in self._read:
            return self._read[key][1]
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(read_settings(self._kube, storage))
            reading.add_done_callback(lambda _: self._reading.pop(key))
        # Cancelling one caller must not cancel the read for the others.
        settings = await asyncio.shield(reading)
        self._read[key] = (now, settings)
        return settings

    def _client(self, settings: StoreSettings) -> tuple[Store, Signer]:
        client = self._clients.get(settings)
        if client is None:
            store = open_store(settings, observer=self._observer, timeouts=self._timeouts)
            client = (store, Signer(settings, self._timeouts))
            self._clients[settings] = client
            if len(self._clients) > _MOST_CLIENTS:
                self._clients.popitem(last=False)
        self._clients.move_to_end(settings)
        return client

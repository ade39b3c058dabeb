"""From a run to its Storage: which one it means, and a client and a signer for it.

Storages come from the cache (the API server is asked where it has none that fits); their Secrets are read anew each
time, so a changed key holds for the next run. Clients are kept, as making one costs more than a request.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.storage import Storage
from componentrun.controller.kube import SECRETS, STORAGES, Kube
from componentrun.controller.kubeerrors import NotFoundError
from componentrun.errors import UserError
from componentrun.storage.connection import Store, open_store
from componentrun.storage.grants import Signer
from componentrun.storage.resource import choose, settings_of

if TYPE_CHECKING:
    from componentrun.controller.caches import ObjectCache
    from componentrun.storage.connection import StoreObserver
    from componentrun.storage.settings import StoreSettings

__all__ = ["OpenStorage", "Stores", "find_secret"]

_MOST_CLIENTS: Final = 64


@dataclass(frozen=True, slots=True)
class OpenStorage:
    """A Storage that can be worked with."""

    storage: Storage
    store: Store
    signer: Signer


class Stores:
    """Opens Storages."""

    def __init__(self, kube: Kube, storages: ObjectCache, observer: StoreObserver | None = None) -> None:
        """The observer is told about every request to a store."""
        self._kube = kube
        self._storages = storages
        self._observer = observer
        self._clients: OrderedDict[StoreSettings, tuple[Store, Signer]] = OrderedDict()

    async def open(self, namespace: str, wanted: str | None) -> OpenStorage:
        """The Storage of this name, or the namespace's default one.

        Raises:
            UserError: there is none that fits, or its Secret is missing or incomplete.
            KubeError: the API server refused or is away.
        """
        storage = await self._choose(namespace, wanted)
        credentials = storage.spec.credentials
        secret = None if credentials is None else await find_secret(self._kube, namespace, credentials.secret_name)
        store, signer = self._client(settings_of(storage, secret))
        return OpenStorage(storage, store, signer)

    async def _choose(self, namespace: str, wanted: str | None) -> Storage:
        try:
            return choose(self._known(namespace), wanted, namespace)
        except UserError:
            # The run may have been created together with its Storage, and its event came first.
            async for page in self._kube.pages(STORAGES, namespace):
                for item in page.items:
                    self._storages.seen(item)
            return choose(self._known(namespace), wanted, namespace)

    def _known(self, namespace: str) -> list[Storage]:
        return [Storage.model_validate_json(document) for document in self._storages.of_namespace(namespace)]

    def _client(self, settings: StoreSettings) -> tuple[Store, Signer]:
        client = self._clients.get(settings)
        if client is None:
            client = (open_store(settings, observer=self._observer), Signer(settings))
            self._clients[settings] = client
            if len(self._clients) > _MOST_CLIENTS:
                self._clients.popitem(last=False)
        self._clients.move_to_end(settings)
        return client


async def find_secret(kube: Kube, namespace: str, name: str) -> dict[str, Any] | None:
    """A Secret; None where there is none."""
    try:
        return await kube.get(SECRETS, namespace, name)
    except NotFoundError:
        return None

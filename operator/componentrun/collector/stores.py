"""From the Storage object that a run uses to an open store."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.storage import Storage
from componentrun.collector.kube import SECRETS, STORAGES, NotFoundError
from componentrun.errors import PlatformError, Reason
from componentrun.storage.connection import StoreSettings, open_store

if TYPE_CHECKING:
    from componentrun.collector.kube import Kube
    from componentrun.storage.connection import Store

__all__ = ["NoStorageError", "Stores"]

_KEPT_SECONDS: Final = 300
"""How long an open store is used before its Storage and keys are read again."""
_TRIED_SECONDS: Final = 5
"""How long one that fails is tried before they are read again: all runs that use it fail at the same time."""


class NoStorageError(PlatformError):
    """There is no Storage that the run's events could be written to."""


class Stores:
    """Open stores, shared by the runs of a namespace."""

    def __init__(self, kube: Kube) -> None:
        """Read Storages and their Secrets with this client."""
        self._kube = kube
        self._open: dict[tuple[str, str | None], tuple[float, Store]] = {}
        self._locks: dict[tuple[str, str | None], asyncio.Lock] = {}

    async def get(self, namespace: str, name: str | None) -> Store:
        """The store of this Storage; None: of the namespace's default one.

        Raises:
            NoStorageError: there is no such Storage.
            PlatformError: its Secret is missing or has not the expected keys.
            KubeError: the API server did not give them.
        """
        # One at a time: a collector that starts asks for the same store for all of its runs at once.
        async with self._locks.setdefault((namespace, name), asyncio.Lock()):
            kept = self._open.get((namespace, name))
            if kept is not None and time.monotonic() - kept[0] < _KEPT_SECONDS:
                return kept[1]
            storage = await self._find(namespace, name)
            store = open_store(await self._settings(namespace, storage))
            self._open[namespace, name] = (time.monotonic(), store)
            return store

    def forget(self, namespace: str, name: str | None) -> None:
        """Read Storage and keys again the next time: what was used did not work. Not more often than makes sense."""
        kept = self._open.get((namespace, name))
        if kept is not None and time.monotonic() - kept[0] > _TRIED_SECONDS:
            del self._open[namespace, name]

    async def _find(self, namespace: str, name: str | None) -> Storage:
        if name is not None:
            try:
                return _storage(await self._kube.get(STORAGES, namespace, name))
            except NotFoundError as error:
                raise NoStorageError(
                    f"there is no Storage `{name}` in namespace `{namespace}`", Reason.STORAGE_NOT_FOUND
                ) from error
        async for items, _ in self._kube.pages(STORAGES, namespace):
            for raw in items:
                if (raw.get("spec") or {}).get("default"):
                    return _storage(raw)
        raise NoStorageError(f"namespace `{namespace}` has no default Storage", Reason.STORAGE_NOT_FOUND)

    async def _settings(self, namespace: str, storage: Storage) -> StoreSettings:
        spec = storage.spec
        keys = {} if spec.credentials is None else await self._keys(namespace, spec.credentials.secret_name)
        return StoreSettings(
            bucket=spec.bucket,
            endpoint=spec.endpoint,
            prefix=spec.prefix,
            region=spec.region,
            access_key=keys.get("accessKeyId"),
            secret_key=keys.get("secretAccessKey"),
            session_token=keys.get("sessionToken"),
            ca_bundle=spec.ca_bundle,
            name=storage.metadata.name,
        )

    async def _keys(self, namespace: str, secret: str) -> dict[str, str]:
        try:
            raw = await self._kube.get(SECRETS, namespace, secret)
        except NotFoundError as error:
            raise PlatformError(
                f"there is no Secret `{secret}` with the Storage's keys in namespace `{namespace}`",
                Reason.SECRET_NOT_FOUND,
            ) from error
        data = raw.get("data") or {}
        missing = [key for key in ("accessKeyId", "secretAccessKey") if not data.get(key)]
        if missing:
            raise PlatformError(
                f"the Secret `{secret}` in namespace `{namespace}` lacks {' and '.join(missing)}",
                Reason.SECRET_NOT_FOUND,
            )
        return {key: base64.b64decode(value).decode().strip() for key, value in data.items() if key in _KEYS}


_KEYS: Final = frozenset({"accessKeyId", "secretAccessKey", "sessionToken"})


def _storage(raw: dict[str, Any]) -> Storage:
    return Storage.model_validate(raw)

"""From a Storage object to how its store and its catalog are reached: with its Secrets, read anew each time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from componentrun.process.kubernetes.errors import NotFoundError
from componentrun.process.kubernetes.resources import SECRETS
from componentrun.storage.store.resource import catalog_settings_of, settings_of

if TYPE_CHECKING:
    from componentrun.api.storage import Storage
    from componentrun.process.kubernetes.client import Kube
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["find_secret", "read_settings", "read_store_settings"]


async def read_settings(kube: Kube, storage: Storage) -> StoreSettings:
    """How to reach this Storage and its catalog, now.

    Raises:
        UserError: one of its Secrets, or a key of it, is missing, or something is malformed.
        KubeError: the API server refused or is away.
    """
    store = await read_store_settings(kube, storage)
    catalog = storage.spec.catalog
    if catalog is None:
        return store
    secret = None
    if catalog.credentials is not None:
        secret = await find_secret(kube, storage.metadata.namespace, catalog.credentials.secret_name)
    return replace(store, catalog=catalog_settings_of(storage, secret))


async def read_store_settings(kube: Kube, storage: Storage) -> StoreSettings:
    """How to reach the bucket of this Storage, now, whatever is wrong with its catalog or the catalog's Secret.

    Raises:
        UserError, KubeError: as `read_settings`.
    """
    credentials = storage.spec.credentials
    secret = None
    if credentials is not None:
        secret = await find_secret(kube, storage.metadata.namespace, credentials.secret_name)
    return settings_of(storage, secret)


async def find_secret(kube: Kube, namespace: str, name: str) -> dict[str, Any] | None:
    """A Secret; None where there is none."""
    try:
        return await kube.get(SECRETS, namespace, name)
    except NotFoundError:
        return None

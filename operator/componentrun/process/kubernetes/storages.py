"""Connection settings of a Storage and its catalog, with the current values of its Secrets."""

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
    """Read the connection settings of a Storage and its catalog.

    Raises:
        UserError: one of its Secrets, or a key of it, is missing, or something is malformed.
        KubeError: the API server refused or did not respond.
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
    """Read the connection settings of the bucket alone, even if the catalog or its Secret is invalid.

    Raises:
        UserError, KubeError: as `read_settings`.
    """
    credentials = storage.spec.credentials
    secret = None
    if credentials is not None:
        secret = await find_secret(kube, storage.metadata.namespace, credentials.secret_name)
    return settings_of(storage, secret)


async def find_secret(kube: Kube, namespace: str, name: str) -> dict[str, Any] | None:
    """A Secret; None if it does not exist."""
    try:
        return await kube.get(SECRETS, namespace, name)
    except NotFoundError:
        return None

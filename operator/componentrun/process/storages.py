"""From a Storage object to how its store is reached: with its Secret, read anew each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.process.kubeerrors import NotFoundError
from componentrun.process.resources import SECRETS
from componentrun.storage.resource import settings_of

if TYPE_CHECKING:
    from componentrun.api.storage import Storage
    from componentrun.process.kube import Kube
    from componentrun.storage.settings import StoreSettings

__all__ = ["find_secret", "read_settings"]


async def read_settings(kube: Kube, storage: Storage) -> StoreSettings:
    """How to reach this Storage, now.

    Raises:
        UserError: its Secret, or a key of it, is missing, or something is malformed.
        KubeError: the API server refused or is away.
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

"""A Storage and its catalog as part of a request to the loader, which receives the keys but does not keep them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from componentrun.errors import PlatformError, Reason
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.settings import StoreSettings

__all__ = ["catalog_of", "decode", "encode"]


def encode(settings: StoreSettings) -> dict[str, Any]:
    """Return the settings as plain values."""
    return asdict(settings)


def decode(document: dict[str, Any]) -> StoreSettings:
    """Return the settings of plain values.

    Raises:
        PlatformError: (Internal) a field is missing or unknown.
        UserError: (InvalidSpec) a value is malformed.
    """
    catalog = document.get("catalog")
    try:
        return StoreSettings(**document | {"catalog": CatalogSettings(**catalog) if catalog is not None else None})
    except TypeError as error:
        # The message names a field, but never contains values.
        raise PlatformError(f"the request's Storage can't be read: {error}", Reason.INTERNAL) from None


def catalog_of(settings: StoreSettings) -> CatalogSettings:
    """The catalog of a Storage.

    Raises:
        PlatformError: (Internal) it has none.
    """
    if settings.catalog is None:
        raise PlatformError(f"{settings.title} has no catalog", Reason.INTERNAL)
    return settings.catalog

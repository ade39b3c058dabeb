"""Deletes what a test stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.errors import TransientError
from componentrun.storage.store.objectversions import Versions

if TYPE_CHECKING:
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["delete_all_versions"]

_BATCH: Final = 100
"""Versions in a request. SeaweedFS deletes one after another, and on a busy machine 1,000 took longer than the client
waits for a response."""
_ATTEMPTS: Final = 3


async def delete_all_versions(settings: StoreSettings) -> None:
    """Delete all objects below the prefix of `settings`, with all versions and markers.

    Raises:
        PlatformError: the store refused.
        TransientError: the store did not respond to any of the attempts.
    """
    versions = Versions(settings)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            found = await versions.below(settings.prefix + "/")
            for start in range(0, len(found), _BATCH):
                await versions.delete(found[start : start + _BATCH])
        except TransientError:
            if attempt == _ATTEMPTS:
                raise
        else:
            return

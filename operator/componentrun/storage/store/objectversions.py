"""Versions of objects in a bucket with versioning, and deleting them permanently.

Deleting an object in such a bucket only hides it behind a marker, and overwriting it keeps the old version. That
protects a published file from whoever still holds the grant that wrote it, because readers name the version. The
sweeper uses this module to delete the other versions. It also works on buckets without versioning, in which every
object has a single version (`NO_VERSION`).

`minio` does this, as obstore neither lists nor deletes versions.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from minio.deleteobjects import DeleteObject
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from componentrun.errors import PlatformError, Reason
from componentrun.storage.access.grants import make_client
from componentrun.storage.store.connection import NO_VERSION
from componentrun.storage.store.errors import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from componentrun.storage.store.settings import StoreSettings, StoreTimeouts

__all__ = ["ObjectVersion", "Versions"]

_PAGE: Final = 1000
"""Maximum number of versions and markers that one request lists."""
_CHUNK: Final = 4 * _PAGE
_ENABLED: Final = "Enabled"
_DENIED: Final = 403
_ERRORS: Final = (MinioException, HTTPError, OSError, ValueError, KeyError)
"""The last two occur if temporary keys can't be fetched, because the provider does not respond or knows no identity."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or a delete marker."""

    key: str
    version: str
    size: int
    """Size in bytes; 0 for a marker."""
    marker: bool = False
    latest: bool = False
    """Whether readers get it if they name no version."""


class Versions:
    """The versions of one Storage's objects."""

    def __init__(self, settings: StoreSettings, timeouts: StoreTimeouts | None = None) -> None:
        """Nothing is sent yet."""
        self._settings = settings
        self._client = make_client(settings, timeouts)

    async def kept(self) -> bool:
        """Whether the bucket keeps versions.

        Raises:
            PlatformError: the store refused.
            TransientError: the store is away.
        """
        bucket = self._settings.bucket

        def ask() -> bool:
            return bool(self._client.get_bucket_versioning(bucket_name=bucket).status == _ENABLED)

        try:
            return await asyncio.to_thread(ask)
        except _ERRORS as error:
            raise self._failed("ask whether versions are kept in", error) from None

    async def below(self, prefix: str) -> tuple[ObjectVersion, ...]:
        """Return all versions and markers below a prefix that ends with a slash and contains few objects.

        Raises:
            PlatformError: the store refused.
            TransientError: the store is away.
        """
        return tuple([item async for chunk in self.chunks(prefix) for item in chunk])

    async def chunks(self, prefix: str) -> AsyncIterator[list[ObjectVersion]]:
        """Yield all versions and markers below a prefix that ends with a slash, some thousand at a time, by key.

        All versions of a key are in the same chunk. Raises the errors of `below`.
        """
        listing = self._listing(prefix)
        pending: list[ObjectVersion] = []
        while True:
            try:
                batch = await asyncio.to_thread(lambda: list(islice(listing, _CHUNK)))
            except _ERRORS as error:
                raise self._failed("list the versions of", error) from None
            pending += batch
            # A page of the listing contains its versions and then its markers, and the next page starts after its last
            # key. So keys before the first key of the last page are complete.
            first = min((item.key for item in pending[-_PAGE:]), default="")
            is_last = len(batch) < _CHUNK
            ready = [item for item in pending if is_last or item.key < first]
            if ready:
                yield sorted(ready, key=lambda item: item.key)
            if is_last:
                return
            pending = [item for item in pending if item.key >= first]

    def _listing(self, prefix: str) -> Iterator[ObjectVersion]:
        for item in self._client.list_objects(
            bucket_name=self._settings.bucket, prefix=prefix, recursive=True, include_version=True
        ):
            yield ObjectVersion(
                str(item.object_name),
                item.version_id or NO_VERSION,
                item.size or 0,
                bool(item.is_delete_marker),
                str(item.is_latest).lower() == "true",
            )

    async def delete(self, versions: Sequence[ObjectVersion]) -> None:
        """Delete these versions permanently; missing ones are ignored.

        Raises:
            PlatformError: the store refused, or did not delete one.
            TransientError: the store is away.
        """
        targets = [DeleteObject(item.key, item.version) for item in versions]

        def remove() -> list[str]:
            errors = self._client.remove_objects(bucket_name=self._settings.bucket, delete_object_list=targets)
            return [str(error.code) for error in errors]

        try:
            errors = await asyncio.to_thread(remove) if targets else []
        except _ERRORS as error:
            raise self._failed("delete versions of", error) from None
        if errors:
            raise PlatformError(
                f"{self._settings.title} did not delete {len(errors)} of {len(targets)} versions ({errors[0]})",
                Reason.STORAGE_ACCESS_DENIED,
                advice="Allow the keys s3:DeleteObjectVersion below the prefix.",
            )

    def _failed(self, action: str, error: Exception) -> PlatformError:
        # The message and the resource of a response are left out, because they may quote keys.
        failure = f"can't {action} {self._settings.where()}"
        code = getattr(error, "code", None)
        if code is None:
            return NoAnswerError(f"{failure}: no answer ({type(error).__name__})", type(error).__name__)
        status = getattr(getattr(error, "response", None), "status", None)
        reason = Reason.STORAGE_ACCESS_DENIED if status == _DENIED else Reason.STORAGE_UNAVAILABLE
        return PlatformError(f"{failure}: the store answered {code}", reason)

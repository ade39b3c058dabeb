"""What else lies under the keys of a bucket that keeps versions, and really deleting it.

Deleting an object in such a bucket only hides it behind a marker, and what is written over it leaves it where it is.
That is what makes a published file safe from whoever still holds the grant that wrote it: readers name the version. It
also means that somebody has to take the rest away: the sweeper, with what is in here. Works on buckets without versions
as well; there every object is its own only version (`NO_VERSION`).

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
"""Versions and markers that one request lists at most."""
_CHUNK: Final = 4 * _PAGE
_ENABLED: Final = "Enabled"
_DENIED: Final = 403
_ERRORS: Final = (MinioException, HTTPError, OSError, ValueError, KeyError)
"""The last two where temporary keys could not be fetched: whoever gives them is away, or knows nobody here."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or the marker that hides it."""

    key: str
    version: str
    size: int
    """Bytes; 0 for a marker."""
    marker: bool = False
    latest: bool = False
    """Whether it is what a reader gets who names no version."""


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
        """All versions and markers below a prefix that ends with a slash and holds few.

        Raises:
            PlatformError: the store refused.
            TransientError: the store is away.
        """
        return tuple([item async for chunk in self.chunks(prefix) for item in chunk])

    async def chunks(self, prefix: str) -> AsyncIterator[list[ObjectVersion]]:
        """All versions and markers below a prefix that ends with a slash, some thousand at a time, by their keys.

        What belongs to one key is in one chunk. Raises as `below` does.
        """
        listing = self._listing(prefix)
        held: list[ObjectVersion] = []
        while True:
            try:
                found = await asyncio.to_thread(lambda: list(islice(listing, _CHUNK)))
            except _ERRORS as error:
                raise self._failed("list the versions of", error) from None
            held += found
            # A page of the listing holds its versions and then its markers, and the next page goes on behind its last
            # key: so nothing comes any more for a key before the first one of the last page.
            first = min((item.key for item in held[-_PAGE:]), default="")
            is_last = len(found) < _CHUNK
            ready = [item for item in held if is_last or item.key < first]
            if ready:
                yield sorted(ready, key=lambda item: item.key)
            if is_last:
                return
            held = [item for item in held if item.key >= first]

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
        """Delete these for good; those that are not there are no error.

        Raises:
            PlatformError: the store refused, or left one.
            TransientError: the store is away.
        """
        doomed = [DeleteObject(item.key, item.version) for item in versions]

        def remove() -> list[str]:
            left = self._client.remove_objects(bucket_name=self._settings.bucket, delete_object_list=doomed)
            return [str(error.code) for error in left]

        try:
            left = await asyncio.to_thread(remove) if doomed else []
        except _ERRORS as error:
            raise self._failed("delete versions of", error) from None
        if left:
            raise PlatformError(
                f"{self._settings.title} did not delete {len(left)} of {len(doomed)} versions ({left[0]}); the keys "
                "need s3:DeleteObjectVersion below the prefix",
                Reason.STORAGE_ACCESS_DENIED,
            )

    def _failed(self, told: str, error: Exception) -> PlatformError:
        # Neither the message nor the resource of an answer is told: they may quote keys.
        what = f"can't {told} {self._settings.where()}"
        code = getattr(error, "code", None)
        if code is None:
            return NoAnswerError(f"{what}: no answer ({type(error).__name__})", type(error).__name__)
        status = getattr(getattr(error, "response", None), "status", None)
        reason = Reason.STORAGE_ACCESS_DENIED if status == _DENIED else Reason.STORAGE_UNAVAILABLE
        return PlatformError(f"{what}: the store answered {code}", reason)

"""Uploads in parts that somebody began and never ended: invisible, but stored and paid for.

ComponentRun itself never begins one. People's tools do, when they copy something below a Storage's prefix by hand.
obstore can't list them, the client that signs can; a rule of the bucket's own would reach beyond the Storage, and needs
rights that nobody should have to give away.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from minio.error import MinioException
from urllib3.exceptions import HTTPError

from componentrun.storage.access.grants import make_client

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.storage.store.settings import StoreSettings

__all__ = ["end_uploads"]

_AT_ONCE: Final = 1000
"""What one sweep ends; the next one goes on."""
_ERRORS: Final = (MinioException, HTTPError, ValueError, OSError)


async def end_uploads(settings: StoreSettings, before: datetime, *, dry_run: bool = False) -> int | None:
    """End the uploads below the Storage's prefix that were begun before this time.

    Args:
        settings: of the Storage.
        before: uploads that were begun later go on.
        dry_run: only count them.

    Returns:
        How many were ended, or would be; None where the store does not tell which there are. (MinIO tells of whole keys
        only, so never of any here, and ends what is a day old itself.)
    """
    return await asyncio.to_thread(_end_uploads, settings, before, dry_run=dry_run)


def _end_uploads(settings: StoreSettings, before: datetime, *, dry_run: bool) -> int | None:
    prefix = f"{settings.prefix}/" if settings.prefix else ""
    try:
        client = make_client(settings)
        page = client._list_multipart_uploads(settings.bucket, prefix=prefix, max_uploads=_AT_ONCE)  # noqa: SLF001 - the library has no other way
    except _ERRORS:
        return None
    due = [one for one in page.uploads if one.initiated_time is not None and one.initiated_time < before]
    if dry_run:
        return len(due)
    done = 0
    for upload in due:
        try:
            client._abort_multipart_upload(settings.bucket, str(upload.object_name), str(upload.upload_id))  # noqa: SLF001 - likewise
        except _ERRORS:
            continue  # it was completed or ended meanwhile
        done += 1
    return done

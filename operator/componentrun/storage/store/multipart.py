"""Unfinished multipart uploads: invisible, but stored and billed.

ComponentRun starts none, but users' tools do when they copy objects below a Storage's prefix. obstore can't list them,
but the signing client can. A lifecycle rule would affect the whole bucket and need permissions that the Storage's keys
should not have.
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
"""Maximum number of uploads that one sweep aborts; the next one continues."""
_ERRORS: Final = (MinioException, HTTPError, ValueError, OSError)


async def end_uploads(settings: StoreSettings, cutoff: datetime, *, dry_run: bool = False) -> int | None:
    """Abort the uploads below the Storage's prefix that were started before this time.

    Args:
        settings: of the Storage.
        cutoff: uploads that were started later continue.
        dry_run: only count them.

    Returns:
        Number of uploads that were, or would be, aborted; None if the store can't list them. (MinIO lists uploads of
        exact keys only, so it never returns any here; it aborts uploads itself after a day.)
    """
    return await asyncio.to_thread(_end_uploads, settings, cutoff, dry_run=dry_run)


def _end_uploads(settings: StoreSettings, cutoff: datetime, *, dry_run: bool) -> int | None:
    prefix = f"{settings.prefix}/" if settings.prefix else ""
    try:
        client = make_client(settings)
        page = client._list_multipart_uploads(settings.bucket, prefix=prefix, max_uploads=_AT_ONCE)  # noqa: SLF001 - the library has no other way
    except _ERRORS:
        return None
    due = [item for item in page.uploads if item.initiated_time is not None and item.initiated_time < cutoff]
    if dry_run:
        return len(due)
    count = 0
    for upload in due:
        try:
            client._abort_multipart_upload(settings.bucket, str(upload.object_name), str(upload.upload_id))  # noqa: SLF001 - likewise
        except _ERRORS:
            continue  # it was completed or aborted in the meantime
        count += 1
    return count

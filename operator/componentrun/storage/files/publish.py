"""Publishes the files of an attempt: each is created once, even if several processes repeat it.

    1. check     each object is below the attempt's own prefix and unchanged since its upload. In a bucket with
    versioning, this very version is used from here on, even if it is overwritten.
    2. publish   keys and records are created, unless they exist

The time at which publishing began is part of the ids of files. It is in the run's status, so operators that repeat each
other's work create the same files. After creating the keys that protect the data, and before creating records, the
sweeper's claim is checked: either the operator sees the claim, or the sweeper sees the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError, Reason
from componentrun.storage.files.records import create_files, records_of
from componentrun.storage.store.connection import plain_etag
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.storage.files.record import FilePart, FileRecord
    from componentrun.storage.store.connection import ObjectInfo, Store
    from componentrun.wire.agents import FileWritten

__all__ = ["check_files", "claim", "publish_files"]

_WORTH_LISTING: Final = 100
"""Minimum number of objects for which a listing is used."""


async def check_files(
    store: Store, run: str, attempt: int, files: Sequence[FileWritten], began: datetime
) -> tuple[FileRecord, ...]:
    """Return the records of an attempt's uploads, without changing anything.

    Args:
        store: the Storage.
        run: uid of the run.
        attempt: number of the attempt.
        files: the files in stage-out's result.
        began: when publishing began.

    Raises:
        UserError: (OutputInvalid) a name or a tag is invalid.
        PlatformError: (PublishFailed) an object differs from stage-out's result, or is not its own.
    """
    own_prefix = store.layout.data(run, attempt)
    records = records_of(files, own_prefix, run, attempt, began)
    parts = [part for record in records for part in record.parts]
    listing = await _listed(store, parts, own_prefix)

    async def check(part: FilePart) -> str | None:
        info = await store.head(part.key) if listing is None else listing.get(part.key)
        return _checked(store, part, info)

    versions = dict(zip([part.key for part in parts], await gather_bounded(check, parts), strict=True))
    return tuple(
        record.model_copy(
            update={
                "parts": tuple(part.model_copy(update={"version": versions[part.key]}) for part in record.parts),
            }
        )
        for record in records
    )


async def publish_files(store: Store, run: str, attempt: int, records: Sequence[FileRecord]) -> None:
    """Create the files of an attempt. Idempotent.

    Args:
        store: the Storage.
        run: uid of the run.
        attempt: number of the attempt.
        records: that `check_files` returned.

    Raises:
        PlatformError: (PublishFailed) the attempt's data was swept.
        TransientError: the store is away; call again.
    """

    async def is_unclaimed() -> None:
        sweep_claim = await store.find(store.layout.swept(run, attempt))
        if sweep_claim is not None:
            raise PlatformError(
                f"the files of attempt {attempt} can't be published: its data was swept, because it was not "
                "published in time",
                Reason.PUBLISH_FAILED,
                advice="Run it again.",
            )

    if records:
        await create_files(store, records, is_unclaimed)


async def claim(store: Store, run: str, attempt: int) -> None:
    """Prevent further publishing of an attempt's files. For the sweeper, before it deletes the attempt's data.

    Files that were published before have keys by then.
    """
    await store.put(store.layout.swept(run, attempt), b"{}")


async def _listed(store: Store, parts: Sequence[FilePart], own_prefix: str) -> dict[str, ObjectInfo] | None:
    """Return many objects by their keys, a thousand with one request; None: each has to be requested.

    A listing contains no versions, so it is sufficient only in a bucket without versioning.
    """
    if len(parts) < _WORTH_LISTING:
        return None
    first = await store.head(parts[0].key)
    if first is None or first.version is not None:
        return None
    return {info.key: info async for info in store.objects(own_prefix)}


def _checked(store: Store, part: FilePart, info: ObjectInfo | None) -> str | None:
    """Return the version of the uploaded object."""
    if info is None or info.size != part.size or plain_etag(info.etag) != plain_etag(part.etag):
        actual = f"{info.size} bytes, ETag {info.etag}" if info is not None else "no object"
        raise PlatformError(
            f"{store.settings.where(part.key)} is not what stage-out uploaded: found {actual}; "
            f"expected {part.size} bytes, ETag {part.etag}. Nothing was published",
            Reason.PUBLISH_FAILED,
        )
    return info.version

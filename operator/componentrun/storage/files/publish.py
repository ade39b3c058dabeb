"""Publishing the files of an attempt: each is created once, whoever repeats it.

    1. check     each object lies below the attempt's own prefix and is what was uploaded. In a bucket that keeps
                 versions, this very version is what counts from here on, whatever is written over it.
    2. publish   keys and records are created, unless they are there

The time at which publishing began is part of the ids of files. It is in the run's status, so operators that repeat each
other's work create the same files. Before records are created, and behind the keys that keep the sweeper away, it is
looked whether the sweeper has claimed the attempt's data: of the two, one sees the other.
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
"""Objects from which on they are listed."""


async def check_files(
    store: Store, run: str, attempt: int, files: Sequence[FileWritten], began: datetime
) -> tuple[FileRecord, ...]:
    """The records of what an attempt uploaded; nothing is changed.

    Args:
        store: the Storage.
        run: uid of the run.
        attempt: number of the attempt.
        files: as stage-out says.
        began: when publishing began.

    Raises:
        UserError: (OutputInvalid) a name or a tag can't be one.
        PlatformError: (PublishFailed) an object is not what stage-out says, or not its own.
    """
    own_prefix = store.layout.data(run, attempt)
    records = records_of(files, own_prefix, run, attempt, began)
    parts = [part for record in records for part in record.parts]
    listed = await _listed(store, parts, own_prefix)

    async def check(part: FilePart) -> str | None:
        found = await store.head(part.key) if listed is None else listed.get(part.key)
        return _checked(store, part, found)

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
    """Have the files of an attempt. May be called again with the same arguments at any time.

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
        claimed = await store.find(store.layout.swept(run, attempt))
        if claimed is not None:
            raise PlatformError(
                f"the files of attempt {attempt} can't be published: its data was swept, because nobody had published "
                "it for too long. Run it again",
                Reason.PUBLISH_FAILED,
            )

    if records:
        await create_files(store, records, is_unclaimed)


async def claim(store: Store, run: str, attempt: int) -> None:
    """Have it that no files of an attempt are published from now on. For the sweeper, before the attempt's data goes.

    What was published before has keys by then.
    """
    await store.put(store.layout.swept(run, attempt), b"{}")


async def _listed(store: Store, parts: Sequence[FilePart], own_prefix: str) -> dict[str, ObjectInfo] | None:
    """Many objects by their keys, a thousand with one request; None: each has to be asked for.

    A listing does not tell versions, so it is enough only where the bucket keeps none.
    """
    if len(parts) < _WORTH_LISTING:
        return None
    first = await store.head(parts[0].key)
    if first is None or first.version is not None:
        return None
    return {info.key: info async for info in store.objects(own_prefix)}


def _checked(store: Store, part: FilePart, found: ObjectInfo | None) -> str | None:
    """The version of the object that was uploaded."""
    if found is None or found.size != part.size or plain_etag(found.etag) != plain_etag(part.etag):
        there = f"{found.size} bytes, ETag {found.etag}" if found is not None else "no object"
        raise PlatformError(
            f"{store.settings.where(part.key)} is not what stage-out uploaded: found {there}; "
            f"expected {part.size} bytes, ETag {part.etag}. Nothing was published",
            Reason.PUBLISH_FAILED,
        )
    return found.version

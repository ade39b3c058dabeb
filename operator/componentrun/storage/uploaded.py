"""What is looked at before anything is published: whether objects are what was uploaded, and loads fit their tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError, Reason, UserError, together
from componentrun.storage.connection import plain_etag
from componentrun.storage.layout import TableId
from componentrun.storage.loads import by_table
from componentrun.storage.pointer import Commit, Slice, TableLoad, apply_load
from componentrun.storage.tables import gather_bounded, read_pointer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.connection import ObjectInfo, Store
    from componentrun.storage.files import FilePart, FileRecord
    from componentrun.storage.tables import VersionedPointer

__all__ = ["check_uploaded"]

_WORTH_LISTING: Final = 100
"""Objects from which on they are listed."""


async def check_uploaded(
    store: Store, loads: tuple[TableLoad, ...], files: tuple[FileRecord, ...], own_prefix: str
) -> tuple[dict[str, VersionedPointer | None], dict[str, str | None]]:
    """Refuse, before anything is decided, what can't be published.

    Args:
        store: the Storage.
        loads: what the attempt brings for tables.
        files: and as files.
        own_prefix: below which all its objects lie.

    Returns:
        The tables as they were seen, and by its key the version of each object.

    Raises:
        UserError: (OutputInvalid) loads do not fit their tables; names all of them.
        PlatformError: (PublishFailed) an object is not what stage-out says.
    """
    of_table = by_table(loads)
    seen: dict[str, VersionedPointer | None] = {}
    versions: dict[str, str | None] = {}
    misfits: dict[str, list[UserError]] = {}

    parts: list[Slice | FilePart] = [part for load in loads for part in load.slices]
    parts += [part for file in files for part in file.parts]
    listed = await _listed(store, parts, own_prefix)

    async def check(item: Slice | FilePart | str) -> None:
        if isinstance(item, str):
            seen[item], misfits[item] = await _check_table(store, item, of_table[item])
        else:
            found = await store.head(item.key) if listed is None else listed.get(item.key)
            versions[item.key] = _checked(store, item, found)

    await gather_bounded(check, [*of_table, *parts])
    errors = [error for table in of_table for error in misfits[table]]
    if errors:
        raise together(errors)
    return seen, versions


async def _listed(store: Store, parts: Sequence[Slice | FilePart], own_prefix: str) -> dict[str, ObjectInfo] | None:
    """Many objects by their keys, a thousand with one request; None: each has to be asked for.

    A listing does not tell versions, so it is enough only where the bucket keeps none.
    """
    if len(parts) < _WORTH_LISTING:
        return None
    first = await store.head(parts[0].key)
    if first is None or first.version is not None:
        return None
    return {info.key: info async for info in store.objects(own_prefix)}


def _checked(store: Store, part: Slice | FilePart, found: ObjectInfo | None) -> str | None:
    """The version of the object that was uploaded."""
    size = part.stored_size if isinstance(part, Slice) else part.size
    if found is None or found.size != size or plain_etag(found.etag) != plain_etag(part.etag):
        there = f"{found.size} bytes, ETag {found.etag}" if found is not None else "no object"
        raise PlatformError(
            f"{store.settings.where(part.key)} is not what stage-out uploaded: found {there}; "
            f"expected {size} bytes, ETag {part.etag}. Nothing was published",
            Reason.PUBLISH_FAILED,
        )
    return found.version


async def _check_table(
    store: Store, table: str, loads: list[TableLoad]
) -> tuple[VersionedPointer | None, list[UserError]]:
    """A table as it was seen, and what is wrong with loads that do not fit it."""
    found = await read_pointer(store, TableId.parse(table))
    trial = Commit(run="check", attempt=1, time=datetime.now(UTC))
    pointer = found.pointer if found is not None else None
    errors = []
    for load in loads:
        try:
            pointer = apply_load(pointer, load, trial)
        except UserError as error:
            errors.append(error)
    return found, errors

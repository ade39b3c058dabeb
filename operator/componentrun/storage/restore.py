"""Bringing back an earlier version of a table, and dropping a table. Both make versions, so nothing is lost by them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from componentrun.errors import Reason, UserError
from componentrun.storage.connection import plain_etag
from componentrun.storage.history import change_table, list_versions, read_version
from componentrun.storage.pointer import Commit, Pointer, remember
from componentrun.storage.tables import gather_bounded, need_pointer

if TYPE_CHECKING:
    from componentrun.storage.connection import Store
    from componentrun.storage.layout import TableId
    from componentrun.storage.pointer import Slice

__all__ = ["drop_table", "restore_table"]

_NAMED: Final = 3


async def drop_table(
    store: Store, table: TableId, *, who: str | None = None, now: datetime | None = None
) -> Pointer | None:
    """Drop a table. Its versions are kept as long as those of any other table, so `restore_table` brings it back.

    A load that is published at this moment comes before it, and is dropped, too, or after it, and makes a new table.

    Args:
        store: the Storage.
        table: which table.
        who: the person who asks for it.
        now: the time; None: the clock's.

    Returns:
        What is left: the version that says that the table was dropped; None where there was none.
    """
    commit = _by_hand("drop", who, now)
    return await change_table(store, table, commit.run, partial(dropped, commit=commit))


def dropped(pointer: Pointer | None, commit: Commit) -> Pointer | None:
    """What is left of a table; None where there is none."""
    if pointer is None or pointer.dropped:
        return None
    gone = {"columns": (), "primary_key": (), "segments": (), "rows": 0, "bytes": 0, "change": "drop", "restored": None}
    return _next(pointer, pointer, commit, gone)


async def restore_table(
    store: Store, table: TableId, number: int, *, who: str | None = None, now: datetime | None = None
) -> Pointer:
    """Make an earlier version of a table the newest one. What came after it stays in the history.

    A load that is published at this moment comes before it and is replaced, or after it and adds to what was restored.

    Args:
        store: the Storage.
        table: which table, or one that was dropped.
        number: of the version.
        who: the person who asks for it.
        now: the time; None: the clock's.

    Returns:
        The table as it is now.

    Raises:
        UserError: (InputNotFound) there never was such a table; (InvalidSpec) there is no such version, it is the one
            in place, or slices of it are gone.
    """
    wanted = await _need_version(store, table, number)
    await _check_slices(store, wanted)
    commit = _by_hand("restore", who, now)
    changed = await change_table(store, table, commit.run, partial(restored, wanted=wanted, commit=commit))
    # There is a pointer to restore into: it was read above, and no table's pointer is ever taken away.
    return changed if changed is not None else (await need_pointer(store, table)).pointer


def restored(pointer: Pointer | None, wanted: Pointer, commit: Commit) -> Pointer | None:
    """A table after an earlier version of it came back."""
    if pointer is None:
        return None
    time = max(commit.time, pointer.last_change)
    # To a reader who asks what changed since a time (or a version), all these rows are new, as those of a full load.
    segments = tuple(segment.brought_anew(time, pointer.version + 1) for segment in wanted.segments)
    return _next(pointer, wanted, commit, {"segments": segments, "change": "restore", "restored": wanted.version})


def _next(pointer: Pointer, content: Pointer, commit: Commit, changes: dict[str, object]) -> Pointer:
    """The version after `pointer`, with what is in `content`."""
    who = {
        "version": pointer.version + 1,
        "last_change": max(commit.time, pointer.last_change),
        "committed_by": commit,
        "recent_commits": remember(pointer, commit.run),
    }
    return content.model_copy(update=who | changes)


def _by_hand(what: str, who: str | None, now: datetime | None) -> Commit:
    return Commit(run=f"{what}-{uuid.uuid4()}", attempt=1, time=now or datetime.now(UTC), who=who)


async def _need_version(store: Store, table: TableId, number: int) -> Pointer:
    current = (await need_pointer(store, table)).pointer
    found = await read_version(store, table, number) if 0 < number < current.version else None
    if found is None or found.dropped:
        kept = await list_versions(store, table)
        raise UserError(_no_version(current, number, found, [item.number for item in kept]), Reason.INVALID_SPEC)
    return found


def _no_version(current: Pointer, number: int, found: Pointer | None, kept: list[int]) -> str:
    if found is not None:
        return (
            f"version {number} of `{current.id}` is that which dropped the table; the one before it, {number - 1}, "
            "has the rows"
        )
    if number == current.version and not current.dropped:
        return f"version {number} of `{current.id}` is the one in place; nothing was changed"
    kept = [other for other in kept if other < current.version]
    there = f"the versions {_ranges(kept)} are kept" if kept else "no earlier version is kept"
    return (
        f"`{current.id}` has no version {number} that can be restored: its last one is {current.version}, and {there}"
    )


def _ranges(numbers: list[int]) -> str:
    """Numbers in rising order, in few words: `1, 3-7, 9`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1] = [found[-1][0], number]
        else:
            found.append([number])
    return ", ".join("-".join(map(str, each)) for each in found)


async def _check_slices(store: Store, wanted: Pointer) -> None:
    """Refuse a version whose slices are not all there."""

    async def is_gone(part: Slice) -> bool:
        found = await store.head(part.key, part.version)
        return found is None or found.size != part.stored_size or plain_etag(found.etag) != plain_etag(part.etag)

    lost = await gather_bounded(is_gone, wanted.slices)
    gone = [part.key for part, is_lost in zip(wanted.slices, lost, strict=True) if is_lost]
    if gone:
        names = ", ".join(f"`{key}`" for key in gone[:_NAMED])
        more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
        raise UserError(
            f"version {wanted.version} of `{wanted.id}` can't be restored: {len(gone)} of its {len(wanted.slices)} "
            f"slices are gone or were changed in {store.settings.title} ({names}{more}). Nothing was changed; "
            "`componentrun table history` shows other versions",
            Reason.INVALID_SPEC,
        )

"""Files that have expired, and which data prefixes hold bytes of files: what the sweeper asks.

Costs listings of what has expired and of the prefixes it asks about, not of all files that are there, and holds no more
of them than one request lists.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.storage.files.groups import drop_group, group_members
from componentrun.storage.files.index import group_of, is_file_id
from componentrun.storage.files.records import delete_files, expiry_key, read_file
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import ObjectInfo, Store

__all__ = ["delete_expired", "named_data"]

_CHUNK: Final = 1000
"""Files of a group that are read and deleted together."""


async def delete_expired(store: Store, *, dry_run: bool = False, now: datetime | None = None) -> int:
    """Delete all files that have expired, and finish what somebody began to delete; how many. For the sweeper.

    Costs a listing of what has expired, not of what is there, and holds no more of it than one request lists.
    """
    now = now or datetime.now(UTC)
    count, last, is_over = 0, None, False
    while not is_over and (page := await store.page(store.layout.file_index.expiries(), after=last)):
        found = [(info.key, store.layout.file_index.expiry_of(info.key)) for info in page]
        due = [(key, own[1]) for key, own in found if own is not None and own[0] <= now.timestamp()]
        count += await _expire(store, due, now, dry_run=dry_run)
        last = page[-1].key
        is_over = any(own is not None and own[0] > now.timestamp() for _, own in found)
    return count


async def _expire(store: Store, due: Sequence[tuple[str, str]], now: datetime, *, dry_run: bool) -> int:
    """Delete those of the files that have expired indeed; how many.

    Args:
        store: the Storage.
        due: keys by expiry, and the ids or groups in them.
        now: the time.
        dry_run: delete nothing.
    """
    single = [(key, file) for key, file in due if is_file_id(file)]
    records = await gather_bounded(lambda item: read_file(store, item[1]), single)
    expired = {record.id: record for record in records if record is not None and not record.is_there(now)}
    if not dry_run:
        await delete_files(store, list(expired.values()), now)
        # Its record went before somebody was killed, or it was made permanent since.
        left = [
            (key, file, record is None)
            for (key, file), record in zip(single, records, strict=True)
            if record is None or (file not in expired and key != _own_expiry(store, record))
        ]
        await gather_bounded(lambda item: _drop_expiry(store, item[0], item[1], gone=item[2]), left)
    of_groups = [
        await _expire_group(store, key, group, now, dry_run=dry_run) for key, group in due if not is_file_id(group)
    ]
    return len(expired) + sum(of_groups)


async def _expire_group(store: Store, key: str, group: str, now: datetime, *, dry_run: bool) -> int:
    """Delete the files of a group that have expired, and what they had in common where none is left; how many."""
    count, chunk = 0, list[str]()
    async for file in group_members(store, group):
        chunk.append(file)
        if len(chunk) == _CHUNK:
            count += await _expire_members(store, chunk, now, dry_run=dry_run)
            chunk = []
    count += await _expire_members(store, chunk, now, dry_run=dry_run)
    stored = None if dry_run else await store.find(key)
    if stored is not None:
        await drop_group(store, group, stored.data.decode())
        await store.delete([key])
    return count


async def _expire_members(store: Store, files: Sequence[str], now: datetime, *, dry_run: bool) -> int:
    """Delete those of some files of a group that have expired; how many."""
    records = await gather_bounded(lambda file: read_file(store, file), files)
    expired = [record for record in records if record is not None and not record.is_there(now)]
    if not dry_run:
        await delete_files(store, expired, now, last=False)
    return len(expired)


async def named_data(store: Store, among: Iterable[str]) -> set[str]:
    """Those of the data prefixes (with a slash at their ends) that hold bytes of files. For the sweeper.

    A prefix is in here from before a file's record is there until after it is gone. The listing goes on at the next
    prefix as soon as one is known to hold something, so it takes no more requests than there are prefixes, nor than
    there are thousands of files.
    """
    root, data = store.layout.file_index.data(), store.layout.data_root()
    wanted = sorted(root + prefix.removeprefix(data) for prefix in among)  # in the order of the keys
    found: set[str] = set()
    page: list[ObjectInfo] = []
    last, is_over = "", False
    for prefix in wanted:
        while not is_over and (not page or page[-1].key < prefix):
            # Clients take a slash at the end away, and `!` sorts before all ids.
            page = await store.page(root, after=max(last, f"{prefix}!"))
            is_over = not page
            last = page[-1].key if page else last
        at = bisect_left(page, prefix, key=lambda info: info.key)
        if at < len(page) and page[at].key.startswith(prefix):
            found.add(data + prefix.removeprefix(root))
    return found


async def _drop_expiry(store: Store, key: str, file: str, *, gone: bool) -> None:
    """Take a key by expiry away, and the key by data that it knows of where the file's record is gone."""
    stored = await store.find(key) if gone else None
    if stored is not None and stored.data:
        index = store.layout.file_index
        await store.delete([index.below(index.data(stored.data.decode()), file)])
        await drop_group(store, group_of(file), stored.data.decode())
    await store.delete([key])


def _own_expiry(store: Store, record: FileRecord) -> str | None:
    return None if record.expires is None else expiry_key(store, record, record.expires)

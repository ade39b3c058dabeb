"""Expired files, and the data prefixes with bytes of files, for the sweeper.

Lists only expired files and the requested prefixes instead of all files, one page at a time.
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
"""Number of files of a group that are read and deleted together."""


async def delete_expired(store: Store, *, dry_run: bool = False, now: datetime | None = None) -> int:
    """Delete all expired files, and complete interrupted deletions; return their number. For the sweeper.

    Lists expired files only, one page at a time.
    """
    now = now or datetime.now(UTC)
    count, last, is_over = 0, None, False
    while not is_over and (page := await store.page(store.layout.file_index.expiries(), after=last)):
        entries = [(info.key, store.layout.file_index.expiry_of(info.key)) for info in page]
        due = [(key, expiry[1]) for key, expiry in entries if expiry is not None and expiry[0] <= now.timestamp()]
        count += await _expire(store, due, now, dry_run=dry_run)
        last = page[-1].key
        is_over = any(expiry is not None and expiry[0] > now.timestamp() for _, expiry in entries)
    return count


async def _expire(store: Store, due: Sequence[tuple[str, str]], now: datetime, *, dry_run: bool) -> int:
    """Delete those of the files that have really expired; return their number.

    Args:
        store: the Storage.
        due: keys by expiry, with their ids or groups.
        now: the time.
        dry_run: delete nothing.
    """
    single = [(key, file) for key, file in due if is_file_id(file)]
    records = await gather_bounded(lambda item: read_file(store, item[1]), single)
    expired_records = {record.id: record for record in records if record is not None and not record.is_there(now)}
    if not dry_run:
        await delete_files(store, list(expired_records.values()), now)
        # Its record was deleted before a process was killed, or the file was made permanent.
        obsolete = [
            (key, file, record is None)
            for (key, file), record in zip(single, records, strict=True)
            if record is None or (file not in expired_records and key != _own_expiry(store, record))
        ]
        await gather_bounded(lambda item: _drop_expiry(store, item[0], item[1], is_missing=item[2]), obsolete)
    group_counts = [
        await _expire_group(store, key, group, now, dry_run=dry_run) for key, group in due if not is_file_id(group)
    ]
    return len(expired_records) + sum(group_counts)


async def _expire_group(store: Store, key: str, group: str, now: datetime, *, dry_run: bool) -> int:
    """Delete the expired files of a group, and its shared keys if no file is left; return the number of files."""
    count, chunk = 0, list[str]()
    async for file in group_members(store, group):
        chunk.append(file)
        if len(chunk) == _CHUNK:
            count += await _expire_members(store, chunk, now, dry_run=dry_run)
            chunk = []
    count += await _expire_members(store, chunk, now, dry_run=dry_run)
    document = None if dry_run else await store.find(key)
    if document is not None:
        await drop_group(store, group, document.data.decode())
        await store.delete([key])
    return count


async def _expire_members(store: Store, files: Sequence[str], now: datetime, *, dry_run: bool) -> int:
    """Delete the expired ones among some files of a group; return their number."""
    records = await gather_bounded(lambda file: read_file(store, file), files)
    expired_records = [record for record in records if record is not None and not record.is_there(now)]
    if not dry_run:
        await delete_files(store, expired_records, now, last=False)
    return len(expired_records)


async def named_data(store: Store, prefixes: Iterable[str]) -> set[str]:
    """Return the data prefixes (ending with a slash) that contain bytes of files. For the sweeper.

    A prefix is included from before a file's record is created until after it is deleted. The listing skips to the next
    prefix as soon as one is known to contain something, so it takes at most one request for each prefix, or for each
    thousand files.
    """
    root, data = store.layout.file_index.data(), store.layout.data_root()
    roots = sorted(root + prefix.removeprefix(data) for prefix in prefixes)  # in the order of the keys
    named: set[str] = set()
    page: list[ObjectInfo] = []
    last, is_over = "", False
    for prefix in roots:
        while not is_over and (not page or page[-1].key < prefix):
            # Clients strip a trailing slash, and `!` sorts before all ids.
            page = await store.page(root, after=max(last, f"{prefix}!"))
            is_over = not page
            last = page[-1].key if page else last
        index = bisect_left(page, prefix, key=lambda info: info.key)
        if index < len(page) and page[index].key.startswith(prefix):
            named.add(data + prefix.removeprefix(root))
    return named


async def _drop_expiry(store: Store, key: str, file: str, *, is_missing: bool) -> None:
    """Delete a key by expiry, and the key by data that it names if the file's record was deleted."""
    document = await store.find(key) if is_missing else None
    if document is not None and document.data:
        index = store.layout.file_index
        await store.delete([index.below(index.data(document.data.decode()), file)])
        await drop_group(store, group_of(file), document.data.decode())
    await store.delete([key])


def _own_expiry(store: Store, record: FileRecord) -> str | None:
    return None if record.expires is None else expiry_key(store, record, record.expires)

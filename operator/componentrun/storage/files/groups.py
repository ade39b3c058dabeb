"""What many files of one commit have in common in the index: one key each by data, by expiry, and by each common tag.

A file that comes alone costs some eight small writes; one of many costs two, its record and the key by its name. Which
files a group has is said by a listing of the records (`files.index`). The key by data tells the common tags, and goes
last: whoever finds it without a record goes on from it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from componentrun.storage.files.index import file_of_key, group_of
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import Store

__all__ = ["common_tags", "data_folder", "drop_group", "group_members", "put_group"]


def data_folder(record: FileRecord) -> str:
    """The folder below `data/` that holds a file's bytes."""
    return f"{record.run}-{record.attempt}"


def common_tags(records: Sequence[FileRecord]) -> frozenset[str]:
    """Tags that all of them have."""
    return frozenset.intersection(*(frozenset(record.tags) for record in records))


async def group_members(store: Store, group: str) -> AsyncIterator[str]:
    """Ids of the files of a group that are there, newest first."""
    index = store.layout.file_index
    start = index.records_of_group(group)
    async for info in store.objects(index.records(), after=start):
        if not info.key.startswith(start):
            return
        file = file_of_key(info.key)
        if file is not None:
            yield file


async def put_group(store: Store, records: Sequence[FileRecord]) -> None:
    """Have the keys that files of one commit, at least one, have in common. Repeating it changes nothing."""
    index = store.layout.file_index
    group, folder, tags = group_of(records[0].id), data_folder(records[0]), sorted(common_tags(records))
    # By data first: nothing else says which other keys there are.
    await store.put(index.below(index.data(folder), group), json.dumps(tags).encode())
    keys = [index.below(index.tag(tag), group) for tag in tags]
    keys += [index.expiry(expires, group) for expires in {record.expires for record in records} if expires is not None]
    await gather_bounded(lambda key: store.put(key, folder.encode()), keys)


async def drop_group(store: Store, group: str, folder: str) -> None:
    """Take the common keys of a group away where none of its files is there any more, but for that by expiry."""
    index = store.layout.file_index
    key = index.below(index.data(folder), group)
    stored = await store.find(key)
    if stored is None:
        return
    async for _ in group_members(store, group):
        return
    await store.delete([index.below(index.tag(tag), group) for tag in json.loads(stored.data)])
    await store.delete([key])

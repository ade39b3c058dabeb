"""Index keys that many files of one commit share: one each by data, by expiry, and by each common tag.

A single file costs some eight small writes; one of many costs two, its record and the key by its name. A listing of the
records (`files.index`) shows the files of a group. The key by data contains the common tags and is deleted last, so
that an interrupted deletion can continue from it.
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
    """Return the folder below `data/` with a file's bytes."""
    return f"{record.run}-{record.attempt}"


def common_tags(records: Sequence[FileRecord]) -> frozenset[str]:
    """Return the tags that all of them have."""
    return frozenset.intersection(*(frozenset(record.tags) for record in records))


async def group_members(store: Store, group: str) -> AsyncIterator[str]:
    """Yield the ids of a group's existing files, newest first."""
    index = store.layout.file_index
    start = index.records_of_group(group)
    async for info in store.objects(index.records(), after=start):
        if not info.key.startswith(start):
            return
        file = file_of_key(info.key)
        if file is not None:
            yield file


async def put_group(store: Store, records: Sequence[FileRecord]) -> None:
    """Create the keys that files of one commit (at least one) share. Idempotent."""
    index = store.layout.file_index
    group, folder, tags = group_of(records[0].id), data_folder(records[0]), sorted(common_tags(records))
    # The key by data comes first, because only it names the other keys.
    await store.put(index.below(index.data(folder), group), json.dumps(tags).encode())
    keys = [index.below(index.tag(tag), group) for tag in tags]
    keys += [index.expiry(expires, group) for expires in {record.expires for record in records} if expires is not None]
    await gather_bounded(lambda key: store.put(key, folder.encode()), keys)


async def drop_group(store: Store, group: str, folder: str) -> None:
    """Delete the shared keys of a group, except that by expiry, if none of its files exists any more."""
    index = store.layout.file_index
    key = index.below(index.data(folder), group)
    document = await store.find(key)
    if document is None:
        return
    async for _ in group_members(store, group):
        return
    await store.delete([index.below(index.tag(tag), group) for tag in json.loads(document.data)])
    await store.delete([key])

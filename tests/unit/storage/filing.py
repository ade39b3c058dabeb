"""What the tests of files share: files as an attempt leaves them, and a plain model of finding them."""

from __future__ import annotations

import fnmatch
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from componentrun.storage.files.publish import check_files, publish_files
from componentrun.storage.files.records import FILE_KEEP
from componentrun.wire.agents import FilePart, FileWritten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.files.lookup import FileQuery
    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import Store


async def stored(
    store: Store, run: str, name: str, content: bytes = b"", *, tags: Sequence[str] = (), permanent: bool = False
) -> FileWritten:
    """A file as stage-out leaves it: a part for every four bytes."""
    parts = []
    for start in range(0, len(content), 4):
        key = f"{store.layout.data(run, 1)}files/{name.encode().hex()}-{start}"
        data = content[start : start + 4]
        parts.append(FilePart(key, len(data), await store.put(key, data)))
    return FileWritten(name, tuple(tags), permanent, tuple(parts), len(content))


async def published(store: Store, run: str, *files: FileWritten, now: datetime | None = None) -> list[str]:
    """Publish files; their ids."""
    records = await check_files(store, run, 1, files, now or datetime.now(UTC))
    await publish_files(store, run, 1, records)
    return [record.id for record in records]


async def index(store: Store) -> list[str]:
    """What kinds of keys the index has: `records`, `names`, and so on, one word for each key."""
    root = store.layout.file_index.root
    return sorted([info.key.removeprefix(root).partition("/")[0] async for info in store.objects(root)])


def expected(files: Sequence[FileRecord], query: FileQuery, limit: int | None, now: datetime) -> list[FileRecord]:
    """What should be found, said plainly."""
    found = [
        file
        for file in files
        if (file.expires is None or file.created + FILE_KEEP > now)
        and (query.id is None or file.id == query.id)
        and (query.name is None or file.name == query.name)
        and (query.glob is None or fnmatch.fnmatchcase(file.name, query.glob))
        and all(tag in file.tags for tag in query.tags)
    ]
    return sorted(found, key=lambda file: file.id, reverse=True)[:limit]

"""Finds files by id, name, pattern and tags, newest first.

Each of these is a listing of keys that sort newest first (see `files.index`). Several of them are intersected by
walking along all of them at once, and only the records of delivered files are read. Patterns are the exception: names
are not listed by time, so all matches are collected first.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.storage.files.groups import group_members
from componentrun.storage.files.index import file_of_key, group_of, group_of_key, is_file_id
from componentrun.storage.files.records import read_file
from componentrun.storage.store.gather import CONCURRENCY, gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from componentrun.storage.files.record import FileRecord
    from componentrun.storage.store.connection import Store

__all__ = ["FileQuery", "find_files"]

_LITERAL: Final = re.compile(r"[^*?\[]*")


@dataclass(frozen=True, slots=True)
class FileQuery:
    """Selects files; all conditions must hold. Without conditions: all files."""

    id: str | None = None
    name: str | None = None
    """Exactly this name."""
    glob: str | None = None
    """Pattern of the name: `*`, `?`, `[abc]`."""
    tags: tuple[str, ...] = ()
    """All of these tags."""

    def fits(self, record: FileRecord, now: datetime) -> bool:
        """Whether a file matches."""
        return (
            record.is_there(now)
            and self.id in {None, record.id}
            and self.name in {None, record.name}
            and (self.glob is None or fnmatch.fnmatchcase(record.name, self.glob))
            and set(self.tags) <= set(record.tags)
        )

    def told(self) -> str:
        """For messages: `name report.pdf, tag daily`."""
        conditions = [("id", self.id), ("name", self.name), ("glob", self.glob), *(("tag", tag) for tag in self.tags)]
        return ", ".join(f"{name} `{text}`" for name, text in conditions if text is not None) or "any"


async def find_files(
    store: Store, query: FileQuery, limit: int | None = None, now: datetime | None = None
) -> list[FileRecord]:
    """Return the newest matching files, newest first.

    Args:
        store: the Storage.
        query: which.
        limit: maximum number of files; None: all.
        now: the time for expiry; defaults to the current time.
    """
    if not all(_can_be(text) for text in (query.name, query.glob, *query.tags) if text is not None):
        return []
    now = now or datetime.now(UTC)
    matches: list[FileRecord] = []
    batch: list[str] = []

    async def take() -> None:
        # The keys may be older or newer than the records, so the record decides.
        records = await gather_bounded(lambda file: read_file(store, file), batch)
        matches.extend(record for record in records if record is not None and query.fits(record, now))
        batch.clear()

    size = min(limit or CONCURRENCY, CONCURRENCY)
    async for file in _candidates(store, query):
        batch.append(file)
        if len(batch) >= size:
            await take()
        if limit is not None and len(matches) >= limit:
            break
    await take()
    return matches[:limit]


def _can_be(text: str) -> bool:
    """Whether a file can have such a name or tag; what people type may be empty, or not UTF-8."""
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def _candidates(store: Store, query: FileQuery) -> AsyncIterator[str]:
    """Yield the ids of files that may match, newest first."""
    if query.id is not None:
        return _one(query.id)
    index = store.layout.file_index
    prefixes = [index.tag(tag) for tag in dict.fromkeys(query.tags)]
    if query.name is not None:
        prefixes.insert(0, index.name(query.name))
    walks = [_ids(store, prefix) for prefix in prefixes]
    if query.glob is not None and query.name is None:
        walks.append(_matching(store, query.glob))
    return _common(walks) if walks else _ids(store, index.records())


async def _one(file: str) -> AsyncIterator[str]:
    if is_file_id(file):
        yield file


async def _ids(store: Store, prefix: str) -> AsyncIterator[str]:
    last_group = None
    async for info in store.objects(prefix):
        group = group_of_key(info.key)
        if group is not None:
            last_group = group
            async for file in group_members(store, group):
                yield file
            continue
        single = file_of_key(info.key)
        # A file whose tags were changed may have a key of its own in addition to its group's.
        if single is not None and group_of(single) != last_group:
            yield single


async def _matching(store: Store, glob: str) -> AsyncIterator[str]:
    """Yield the ids of the files whose names match, newest first."""
    index = store.layout.file_index
    literal = _LITERAL.match(glob)
    start = index.names_from(literal[0] if literal else "")
    matches = re.compile(fnmatch.translate(glob)).match
    ids = []
    async for info in store.objects(index.names(), after=index.before(start)):
        if info.key < start:
            continue
        if not info.key.startswith(start):
            break
        name, file = index.name_of(info.key), file_of_key(info.key)
        if name is not None and file is not None and matches(name):
            ids.append(file)
    for file in sorted(ids, reverse=True):
        yield file


async def _common(walks: Sequence[AsyncIterator[str]]) -> AsyncIterator[str]:
    """Yield the ids that are in all walks; each walk goes from the newest id to the oldest."""
    heads = [await anext(walk, None) for walk in walks]
    while None not in heads:
        oldest = min(head for head in heads if head is not None)
        if all(head == oldest for head in heads):
            yield oldest
            heads = [await anext(walk, None) for walk in walks]
            continue
        for number, walk in enumerate(walks):
            while (head := heads[number]) is not None and head > oldest:
                heads[number] = await anext(walk, None)

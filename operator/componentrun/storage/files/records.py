"""Files: records of named, tagged bytes. Making them, reading them, changing their tags, deleting them.

The bytes are objects below the data prefix of the attempt that wrote them, as a table's slices are; the record says
which. It is the truth. The keys by which files are found (`files.index`) are written before it and taken away around
it, in an order in which whoever is killed leaves at most a key that leads nowhere, never a record that can't be found
or whose bytes are swept:

    made      keys, record
    deleted   keys by name and tag, record, key by data, key by expiry

Many files that one commit makes have most of these keys in common (`groups`), which the last of them takes along.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from componentrun.contract import FILE_KEEP_DAYS
from componentrun.errors import Reason, TransientError, UserError
from componentrun.storage.files.groups import common_tags, data_folder, drop_group, put_group
from componentrun.storage.files.index import file_id, group_of, is_file_id
from componentrun.storage.files.record import FILE_FORMAT, FilePart, FileRecord
from componentrun.storage.store.connection import quoted_etag
from componentrun.storage.store.document import parse_document
from componentrun.storage.store.errors import ExistsError, StaleError
from componentrun.storage.store.gather import gather_bounded
from componentrun.storage.store.keys import check_own
from componentrun.wire.filenames import MOST_SYSTEM_TAGS, MOST_TAGS, name_problem, tags_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence

    from componentrun.storage.store.connection import Store
    from componentrun.wire.agents import FileWritten

__all__ = [
    "FILE_KEEP",
    "MANY_FILES",
    "change_file",
    "create_files",
    "delete_file",
    "delete_files",
    "expiry_key",
    "need_file",
    "read_content",
    "read_file",
    "records_of",
]

FILE_KEEP: Final = timedelta(days=FILE_KEEP_DAYS)
"""How long a file is kept that is not permanent."""
MANY_FILES: Final = 100
"""From so many on, files of one commit are a group. Finding them by tag costs a listing for each group."""
_SWAP_ATTEMPTS: Final = 20


def records_of(
    written: Iterable[FileWritten], own_prefix: str, run: str, attempt: int, time: datetime
) -> tuple[FileRecord, ...]:
    """The records of what an attempt wrote. Pure; the same arguments give the same records.

    Args:
        written: the files, as stage-out says.
        own_prefix: of the attempt's objects.
        run: uid of the run.
        attempt: number of the attempt.
        time: at which the files are made.

    Raises:
        UserError: (OutputInvalid) a name or a tag can't be one.
        PlatformError: (PublishFailed) a part lies outside `own_prefix`.
    """
    files = tuple(written)
    for file in files:
        _check(file, own_prefix)
    return tuple(
        FileRecord(
            id=file_id(time, run, str(attempt), file.name),
            name=file.name,
            tags=tuple(dict.fromkeys(file.tags)),
            size=file.size,
            parts=tuple(FilePart(key=part.key, size=part.size, etag=quoted_etag(part.etag)) for part in file.parts),
            created=time,
            run=run,
            attempt=attempt,
            expires=None if file.permanent else time + FILE_KEEP,
            grouped=len(files) >= MANY_FILES,
        )
        for file in files
    )


def _check(written: FileWritten, own_prefix: str) -> None:
    problem = name_problem(written.name) or tags_problem(written.tags, MOST_TAGS + MOST_SYSTEM_TAGS)
    if problem is not None:
        raise UserError(f"the file `{written.name}` {problem}", Reason.OUTPUT_INVALID)
    for part in written.parts:
        check_own(part.key, own_prefix, f"the file `{written.name}`")


async def create_files(
    store: Store, records: Sequence[FileRecord], confirm: Callable[[], Awaitable[object]] | None = None
) -> None:
    """Have the files of one commit. Repeating it changes nothing, also after their tags were changed.

    Args:
        store: the Storage.
        records: of the files.
        confirm: called once the files have their keys and before they have records; what it raises leaves it at that.
    """
    grouped = [record for record in records if record.grouped]
    tags = common_tags(grouped) if grouped else frozenset()
    if grouped:
        await put_group(store, grouped)
    await gather_bounded(lambda record: _put_own_keys(store, record, tags), records)
    if confirm is not None:
        await confirm()
    await gather_bounded(lambda record: _create_record(store, record), records)
    if grouped:
        # Somebody who deleted all that were there yet has taken the keys of the others along.
        await put_group(store, grouped)


async def _put_own_keys(store: Store, record: FileRecord, grouped_tags: Collection[str]) -> None:
    """Put a file's keys, but for those that its group has: tags, data and expiry."""
    keys = _finding(store, record, [tag for tag in record.tags if tag not in grouped_tags])
    if not record.grouped:
        keys.append(_by_data(store, record))
    if record.expires is not None and not record.grouped:
        keys.append(expiry_key(store, record, record.expires))
    await _put_keys(store, record, keys)


async def _create_record(store: Store, record: FileRecord) -> None:
    try:
        await store.create(store.layout.file_index.record(record.id), record.to_bytes())
    except ExistsError:
        return


async def read_file(store: Store, file: str) -> FileRecord | None:
    """A file's record by its id, also where it has expired; None where there is none."""
    found = await _read(store, file)
    return found[0] if found is not None else None


async def need_file(store: Store, file: str, now: datetime | None = None) -> FileRecord:
    """A file's record by its id.

    Raises:
        UserError: (InputNotFound) there is none, or it has expired.
    """
    record, _ = await _need(store, file, now or datetime.now(UTC))
    return record


async def read_content(store: Store, record: FileRecord) -> AsyncIterator[bytes]:
    """The bytes of a file.

    Raises:
        StaleError: an object is not the one that the record names.
    """
    for part in record.parts:
        async for chunk in store.stream(part.key, etag=part.etag, version=part.version):
            yield chunk


async def change_file(
    store: Store, file: str, *, add: Iterable[str] = (), remove: Iterable[str] = (), permanent: bool = False
) -> FileRecord:
    """Change a file's tags, or keep it for ever; its record afterwards.

    Args:
        store: the Storage.
        file: its id.
        add: tags that it gets.
        remove: tags that it loses.
        permanent: whether it does not expire any more.

    Raises:
        UserError: (InputNotFound) there is no such file.
        TransientError: others change it all the time.
    """
    for _ in range(_SWAP_ATTEMPTS):
        before, etag = await _need(store, file, datetime.now(UTC))
        gone = set(remove) - set(add)
        tags = tuple(dict.fromkeys(tag for tag in (*before.tags, *add) if tag not in gone))
        problem = tags_problem(tags, MOST_TAGS + MOST_SYSTEM_TAGS)
        if problem is not None:
            raise UserError(f"file `{file}` {problem}", Reason.INVALID_SPEC)
        after = before.model_copy(update={"tags": tags, "expires": None if permanent else before.expires})
        await _put_keys(store, after, _by_tags(store, file, set(tags) - set(before.tags)))
        try:
            await store.swap(store.layout.file_index.record(file), after.to_bytes(), etag)
        except StaleError:
            continue
        await store.delete(_by_tags(store, file, set(before.tags) - set(tags)))
        await _keep_tags(store, file, {*before.tags, *tags})
        return after
    raise TransientError(f"file `{file}` is being changed by others; try again", Reason.PUBLISH_FAILED)


async def _keep_tags(store: Store, file: str, tags: set[str]) -> None:
    """Have the keys of those of the tags that a file has: who took one away may have met somebody who gave it."""
    record = await read_file(store, file)
    if record is not None:
        await _put_keys(store, record, _by_tags(store, file, tags & set(record.tags)))


async def delete_file(store: Store, record: FileRecord, now: datetime | None = None) -> None:
    """Delete a file; its bytes are swept later. Repeating it is no error."""
    await delete_files(store, [record], now or datetime.now(UTC))


async def delete_files(store: Store, records: Sequence[FileRecord], now: datetime, *, last: bool = True) -> None:
    """Delete files, step by step for all of them; see the module for the order.

    Args:
        store: the Storage.
        records: of the files.
        now: the time.
        last: whether they may be the last ones of their groups, and take what these have in common along.
    """
    expiries = {record.id: expiry_key(store, record, record.expires or now) for record in records}
    for record in records:
        if record.permanent:
            # Whoever is killed behind the next line leaves this, and the sweeper goes on from it.
            await _put_keys(store, record, [expiries[record.id]])
    await store.delete([key for record in records for key in _finding(store, record, record.tags)])
    await store.delete([store.layout.file_index.record(record.id) for record in records])
    await store.delete([_by_data(store, record) for record in records if not record.grouped])
    if last:
        for group, folder in {(group_of(record.id), data_folder(record)) for record in records if record.grouped}:
            await drop_group(store, group, folder)
    await store.delete(list(expiries.values()))


async def _read(store: Store, file: str) -> tuple[FileRecord, str] | None:
    key = store.layout.file_index.record(file)
    stored = await store.find(key)
    if stored is None:
        return None
    where = f"the record of file `{file}` ({store.settings.where(key)})"
    return parse_document(FileRecord, stored.data, where, FILE_FORMAT), stored.etag


async def _need(store: Store, file: str, now: datetime) -> tuple[FileRecord, str]:
    found = await _read(store, file) if is_file_id(file) else None
    if found is None:
        raise UserError(f"there is no file `{file}` in {store.settings.title}", Reason.INPUT_NOT_FOUND)
    record, _ = found
    if not record.is_there(now):
        told = f"{record.expires:%Y-%m-%d %H:%M}" if record.expires is not None else ""
        raise UserError(
            f"file `{file}` (`{record.name}`) is not there any more: it expired at {told} UTC; "
            "files that are marked as permanent do not",
            Reason.INPUT_NOT_FOUND,
        )
    return found


async def _put_keys(store: Store, record: FileRecord, keys: Iterable[str]) -> None:
    """Put keys of the index. They hold the data folder, for who finds one whose record is gone."""
    data = data_folder(record).encode()
    await gather_bounded(lambda key: store.put(key, data), keys)


def _finding(store: Store, record: FileRecord, tags: Iterable[str]) -> list[str]:
    """The keys by which a file is found: its name, and these of its tags."""
    index = store.layout.file_index
    return [index.below(index.name(record.name), record.id), *_by_tags(store, record.id, tags)]


def _by_tags(store: Store, file: str, tags: Iterable[str]) -> list[str]:
    index = store.layout.file_index
    return [index.below(index.tag(tag), file) for tag in tags]


def _by_data(store: Store, record: FileRecord) -> str:
    index = store.layout.file_index
    return index.below(index.data(data_folder(record)), record.id)


def expiry_key(store: Store, record: FileRecord, expires: datetime) -> str:
    """The key by which a file is found that goes at this time."""
    return store.layout.file_index.expiry(expires, record.id)

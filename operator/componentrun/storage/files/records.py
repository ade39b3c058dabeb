"""Creates, reads, changes and deletes files: records of named, tagged bytes.

The bytes are objects below the data prefix of the attempt that wrote them, like a table's slices; the record names them
and is authoritative. The index keys (`files.index`) are created before it and deleted around it, in an order in which a
killed process leaves at most a dangling key, but never a record that can't be found or whose bytes are swept:

    create    keys, record
    delete    keys by name and tag, record, key by data, key by expiry

Many files of one commit share most of these keys (`groups`), which are deleted with the last of them.
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
"""Lifetime of a file that is not permanent."""
MANY_FILES: Final = 100
"""Minimum number of a commit's files for a group. Finding files by tag costs a listing for each group."""
_SWAP_ATTEMPTS: Final = 20


def records_of(
    results: Iterable[FileWritten], own_prefix: str, run: str, attempt: int, time: datetime
) -> tuple[FileRecord, ...]:
    """Return the records of an attempt's files. Pure; the same arguments return the same records.

    Args:
        results: the files in stage-out's result.
        own_prefix: of the attempt's objects.
        run: uid of the run.
        attempt: number of the attempt.
        time: creation time of the files.

    Raises:
        UserError: (OutputInvalid) a name or a tag is invalid.
        PlatformError: (PublishFailed) a part lies outside `own_prefix`.
    """
    files = tuple(results)
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


def _check(file: FileWritten, own_prefix: str) -> None:
    problem = name_problem(file.name) or tags_problem(file.tags, MOST_TAGS + MOST_SYSTEM_TAGS)
    if problem is not None:
        raise UserError(f"the file `{file.name}` {problem}", Reason.OUTPUT_INVALID)
    for part in file.parts:
        check_own(part.key, own_prefix, f"the file `{file.name}`")


async def create_files(
    store: Store, records: Sequence[FileRecord], confirm: Callable[[], Awaitable[object]] | None = None
) -> None:
    """Create the files of one commit. Idempotent, even after their tags were changed.

    Args:
        store: the Storage.
        records: of the files.
        confirm: called after the keys and before the records are created; an exception stops the creation.
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
        # Somebody who deleted all files that existed so far has also deleted the shared keys of the others.
        await put_group(store, grouped)


async def _put_own_keys(store: Store, record: FileRecord, grouped_tags: Collection[str]) -> None:
    """Create a file's keys by tag, data and expiry, except those of its group."""
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
    """Return a file's record by its id, even if it has expired; None if it does not exist."""
    entry = await _read(store, file)
    return entry[0] if entry is not None else None


async def need_file(store: Store, file: str, now: datetime | None = None) -> FileRecord:
    """Return a file's record by its id.

    Raises:
        UserError: (InputNotFound) there is none, or it has expired.
    """
    record, _ = await _need(store, file, now or datetime.now(UTC))
    return record


async def read_content(store: Store, record: FileRecord) -> AsyncIterator[bytes]:
    """Yield the bytes of a file.

    Raises:
        StaleError: an object was changed since the record was created.
    """
    for part in record.parts:
        async for chunk in store.stream(part.key, etag=part.etag, version=part.version):
            yield chunk


async def change_file(
    store: Store, file: str, *, add: Iterable[str] = (), remove: Iterable[str] = (), permanent: bool = False
) -> FileRecord:
    """Change a file's tags, or make it permanent; return its new record.

    Args:
        store: the Storage.
        file: its id.
        add: tags to add.
        remove: tags to remove.
        permanent: whether to make it permanent.

    Raises:
        UserError: (InputNotFound) there is no such file.
        TransientError: others keep changing it.
    """
    for _ in range(_SWAP_ATTEMPTS):
        old_record, etag = await _need(store, file, datetime.now(UTC))
        removals = set(remove) - set(add)
        tags = tuple(dict.fromkeys(tag for tag in (*old_record.tags, *add) if tag not in removals))
        problem = tags_problem(tags, MOST_TAGS + MOST_SYSTEM_TAGS)
        if problem is not None:
            raise UserError(f"file `{file}` {problem}", Reason.INVALID_SPEC)
        new_record = old_record.model_copy(update={"tags": tags, "expires": None if permanent else old_record.expires})
        await _put_keys(store, new_record, _by_tags(store, file, set(tags) - set(old_record.tags)))
        try:
            await store.swap(store.layout.file_index.record(file), new_record.to_bytes(), etag)
        except StaleError:
            continue
        await store.delete(_by_tags(store, file, set(old_record.tags) - set(tags)))
        await _keep_tags(store, file, {*old_record.tags, *tags})
        return new_record
    raise TransientError(
        f"file `{file}` is being changed by others",
        Reason.PUBLISH_FAILED,
        advice="Try again.",
    )


async def _keep_tags(store: Store, file: str, tags: set[str]) -> None:
    """Restore the keys of those tags that the file has, in case somebody added a tag while it was being removed."""
    record = await read_file(store, file)
    if record is not None:
        await _put_keys(store, record, _by_tags(store, file, tags & set(record.tags)))


async def delete_file(store: Store, record: FileRecord, now: datetime | None = None) -> None:
    """Delete a file; its bytes are swept later. Idempotent."""
    await delete_files(store, [record], now or datetime.now(UTC))


async def delete_files(store: Store, records: Sequence[FileRecord], now: datetime, *, last: bool = True) -> None:
    """Delete files, each step for all of them; the module's docstring describes the order.

    Args:
        store: the Storage.
        records: of the files.
        now: the time.
        last: whether they may be the last ones of their groups, whose shared keys are then deleted as well.
    """
    expiries = {record.id: expiry_key(store, record, record.expires or now) for record in records}
    for record in records:
        if record.permanent:
            # If the process is killed after the next line, the sweeper continues from this key.
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
    document = await store.find(key)
    if document is None:
        return None
    where = f"the record of file `{file}` ({store.settings.where(key)})"
    return parse_document(FileRecord, document.data, where, FILE_FORMAT), document.etag


async def _need(store: Store, file: str, now: datetime) -> tuple[FileRecord, str]:
    entry = await _read(store, file) if is_file_id(file) else None
    if entry is None:
        raise UserError(f"there is no file `{file}` in {store.settings.title}", Reason.INPUT_NOT_FOUND)
    record, _ = entry
    if not record.is_there(now):
        expiry = f"{record.expires:%Y-%m-%d %H:%M}" if record.expires is not None else ""
        raise UserError(
            f"file `{file}` (`{record.name}`) no longer exists: it expired at {expiry} UTC; "
            "files that are marked as permanent do not",
            Reason.INPUT_NOT_FOUND,
        )
    return entry


async def _put_keys(store: Store, record: FileRecord, keys: Iterable[str]) -> None:
    """Create keys of the index. They contain the data folder, for keys whose record was deleted."""
    data = data_folder(record).encode()
    await gather_bounded(lambda key: store.put(key, data), keys)


def _finding(store: Store, record: FileRecord, tags: Iterable[str]) -> list[str]:
    """Return the keys of a file by its name, and by these of its tags."""
    index = store.layout.file_index
    return [index.below(index.name(record.name), record.id), *_by_tags(store, record.id, tags)]


def _by_tags(store: Store, file: str, tags: Iterable[str]) -> list[str]:
    index = store.layout.file_index
    return [index.below(index.tag(tag), file) for tag in tags]


def _by_data(store: Store, record: FileRecord) -> str:
    index = store.layout.file_index
    return index.below(index.data(data_folder(record)), record.id)


def expiry_key(store: Store, record: FileRecord, expires: datetime) -> str:
    """Return the key by expiry of a file that expires at this time."""
    return store.layout.file_index.expiry(expires, record.id)

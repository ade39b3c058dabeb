"""Files to objects: each table in slices cut at row borders, several at a time, checked while they travel.

A table is complete only when all its slices are stored and checked. What is wrong with one table ends that table; the
others go on, because a failed run still keeps what it stores always. Trouble with the store ends everything.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.agent.checking import Task
from componentrun.agent.folder import FILE, refused, shown
from componentrun.agent.form import Form
from componentrun.agent.layout import columns_of, header_of
from componentrun.agent.parallel import in_parallel
from componentrun.contract import OUT_TABLES
from componentrun.csvtext import check_rows, cut, start_of_text
from componentrun.errors import UserError
from componentrun.exchange import SliceWritten, TableWritten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from componentrun.agent.checking import Checkers
    from componentrun.agent.folder import Folder, Opened
    from componentrun.agent.outputs import Source
    from componentrun.agent.transfer import Client
    from componentrun.csvtext import Slice
    from componentrun.exchange import PostPolicy

__all__ = ["SMALL_BYTES", "Uploaded", "upload"]

SMALL_BYTES: Final = 256 * 2**10
"""Up to here a slice is checked by the thread that uploads it: handing it over would cost more."""
_SLICE_BYTES: Final = 64 * 2**20
_SMALLEST_SLICE_BYTES: Final = 16 * 2**20
_SLICES: Final = 12
_CONNECTIONS: Final = 8
_LARGE_BYTES: Final = 4 * 2**20
_LARGE_AT_A_TIME: Final = 4


@dataclass(frozen=True, slots=True)
class _Job:
    """One object to store."""

    table: _Table
    number: int
    path: str
    offset: int
    size: int
    tail: bytes
    """What the object gets after the file's bytes: a missing final newline."""


class _Table:
    """A table on its way. Filled by several threads."""

    def __init__(self, source: Source, prefix: str) -> None:
        self.source = source
        self.path = f"{OUT_TABLES}/{source.name}"
        self.prefix = prefix
        self.columns: tuple[str, ...] = ()
        self.error: UserError | None = None
        self.warning: str | None = None
        self.stored: dict[int, SliceWritten] = {}
        self.checks: dict[int, Future[int]] = {}

    def fail(self, error: UserError) -> None:
        """Give the table up; the first reason stays."""
        self.error = self.error or error

    def checked(self, check: Future[int]) -> None:
        """Called when a check has ended: a malformed table need not travel any further."""
        if not check.cancelled() and isinstance(error := check.exception(), UserError):
            self.fail(error)

    def written(self) -> TableWritten:
        """The complete table."""
        slices = tuple(self._slice(number) for number in sorted(self.stored))
        return TableWritten(
            source=shown(self.source.name),
            destination=str(self.source.table),
            columns=self.columns,
            primary_key=self.source.primary_key,
            incremental=self.source.incremental,
            write_always=self.source.write_always,
            slices=slices,
            rows=sum(part.rows for part in slices),
            size=sum(part.size for part in slices),
            delete_where=self.source.delete_where,
        )

    def _slice(self, number: int) -> SliceWritten:
        part = self.stored[number]
        check = self.checks.get(number)
        return part if check is None else SliceWritten(part.key, part.size, check.result(), part.etag)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What has been stored, and what could not be."""

    tables: tuple[TableWritten, ...]
    errors: tuple[UserError, ...]
    warnings: tuple[str, ...]


def upload(client: Client, folder: Folder, post: PostPolicy, sources: Sequence[Source], checkers: Checkers) -> Uploaded:
    """Store all tables.

    Raises:
        PlatformError: the store refused or was away (see `Client.send`), or a check could not be done.
    """
    tables = [_Table(source, prefix) for source, prefix in _prefixes(sources, post.key_prefix)]
    large = threading.BoundedSemaphore(_LARGE_AT_A_TIME)

    def store(job: _Job) -> None:
        if job.table.error is not None:
            return
        try:
            if job.size >= _LARGE_BYTES:
                with large:
                    _store(client, folder, post, job)
            else:
                _store(client, folder, post, job)
        except UserError as error:
            job.table.fail(error)

    in_parallel(_jobs(folder, tables, checkers), store, _CONNECTIONS, client.stop)
    return _outcome(tables)


def _outcome(tables: Sequence[_Table]) -> Uploaded:
    written, errors = [], []
    for table in tables:
        try:
            complete = table.written() if table.error is None else None
        except (UserError, CancelledError) as error:
            complete = None
            table.fail(error if isinstance(error, UserError) else UserError(f"{table.path}: its check was cancelled"))
        if complete is not None:
            written.append(complete)
        elif table.error is not None:
            errors.append(table.error)
    return Uploaded(tuple(written), tuple(errors), tuple(table.warning for table in tables if table.warning))


def _prefixes(sources: Sequence[Source], root: str) -> Iterator[tuple[Source, str]]:
    """A key prefix for each source; files that go to one table get different ones."""
    seen: dict[str, int] = {}
    for source in sources:
        base = f"{root}{source.table.bucket_id}/{source.table.table}/"
        count = seen.get(base, 0)
        seen[base] = count + 1
        yield source, f"{base}{count}-" if count else base


def _jobs(folder: Folder, tables: Sequence[_Table], checkers: Checkers) -> Iterator[_Job]:
    """All objects to store, made one after the other: a file is cut while its first slices already travel."""
    for table in tables:
        try:
            for job in _sliced(folder, table) if table.source.sliced else _single(folder, table):
                if job.size > SMALL_BYTES:
                    check = checkers.submit(Task(job.path, job.offset, job.offset + job.size, table.columns))
                    table.checks[job.number] = check
                    check.add_done_callback(table.checked)
                yield job
        except UserError as error:
            table.fail(error)


def _single(folder: Folder, table: _Table) -> Iterator[_Job]:
    with folder.open(table.path) as file:
        header, table.warning = header_of(file, table.source, table.path)
        table.columns = header.columns
        for number, piece in enumerate(_cut(file, header.data_offset)):
            yield _job(table, number, table.path, file, piece)


def _sliced(folder: Folder, table: _Table) -> Iterator[_Job]:
    table.columns = columns_of(table.source, table.path)
    number = 0
    for entry in folder.entries(table.path):
        path = f"{table.path}/{entry.name}"
        if entry.kind != FILE:
            raise refused(path, entry.kind)
        with folder.open(path) as file:
            for piece in _cut(file, start_of_text(file.read)):
                yield _job(table, number, path, file, piece)
                number += 1


def _cut(file: Opened, start: int) -> Iterator[Slice]:
    size = file.size - start
    length = min(max(size // _SLICES, _SMALLEST_SLICE_BYTES), _SLICE_BYTES)
    return cut(file.read, start, file.size, -(-size // length))


def _job(table: _Table, number: int, path: str, file: Opened, piece: Slice) -> _Job:
    end = piece.offset + piece.size
    complete = end < file.size or file.read(1, end - 1) == b"\n"
    return _Job(table, number, path, piece.offset, piece.size, b"" if complete else b"\n")


def _store(client: Client, folder: Folder, post: PostPolicy, job: _Job) -> None:
    table = job.table
    key = f"{table.prefix}{job.number:04d}.csv"
    with folder.open(job.path) as file:
        rows = 0
        if job.number not in table.checks:
            rows = check_rows(file.read, job.offset, job.offset + job.size, table.columns, shown(job.path))
        form = Form(
            post,
            key,
            file.read,
            offset=job.offset,
            size=job.size,
            tail=job.tail,
            stop=client.stop,
            what=shown(job.path),
        )
        etag = client.send(form.request(), form.stored)
    table.stored[job.number] = SliceWritten(key, form.size, rows, etag)

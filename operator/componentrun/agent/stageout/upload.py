"""Uploads tables: each in slices cut at row boundaries, several at a time, checked during the upload.

A table is complete when all its slices are stored and checked. An error in one table affects only that table; the
others are still stored, because `writeAlways` tables of a failed run are published. Errors of the store end the upload.
"""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from componentrun.agent.folder import FILE, refused, shown
from componentrun.agent.parallel import CONNECTIONS, LARGE_AT_A_TIME, LARGE_BYTES, in_parallel
from componentrun.agent.stagein.form import Form
from componentrun.agent.stagein.inflated import Inflated, encoding_of
from componentrun.agent.stageout.checking import Task, check
from componentrun.agent.stageout.layout import columns_of, header_of, known_facts, primary_key_of, rows_of_slice
from componentrun.agent.stageout.packing import PACKED_SLICE_BYTES, WORTH_PACKING, packed
from componentrun.contract import OUT_TABLES
from componentrun.csv.convert import converted
from componentrun.csv.text import MAX_ROW_BYTES, cut
from componentrun.errors import UserError
from componentrun.wire.agents import SliceWritten, TableWritten
from componentrun.wire.encoding import NONE, suffix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from componentrun.agent.folder import Folder
    from componentrun.agent.stagein.inflated import Content
    from componentrun.agent.stageout.checking import Checkers
    from componentrun.agent.stageout.outputs import Source
    from componentrun.agent.stageout.packing import Packed
    from componentrun.agent.transfer import Client
    from componentrun.csv.convert import Piece
    from componentrun.csv.dialect import Read
    from componentrun.csv.text import Slice
    from componentrun.csv.types import TypedColumn
    from componentrun.wire.agents import StageOutPlan
    from componentrun.wire.grants import PostPolicy

__all__ = ["SMALL_BYTES", "Uploaded", "upload"]

SMALL_BYTES: Final = 256 * 2**10
"""Slices up to this size are checked by the uploading thread; passing them to a process would cost more."""
_SLICE_BYTES: Final = 64 * 2**20
_SMALLEST_SLICE_BYTES: Final = 16 * 2**20
_SLICES: Final = 12


@dataclass(frozen=True, slots=True)
class _Job:
    """One object to store."""

    table: _Table
    number: int
    path: str
    offset: int
    size: int
    tail: bytes
    """Bytes to append to the file's bytes: a missing final newline."""
    piece: Piece | None = None
    """Converted rows to store instead of the file's bytes; they were checked during the conversion."""


class _Table:
    """A table being uploaded; several threads update it."""

    def __init__(self, source: Source, prefix: str, plan: StageOutPlan) -> None:
        self.source = source
        self.path = f"{OUT_TABLES}/{source.name}"
        self.prefix = prefix
        self.columns: tuple[str, ...] = ()
        self.check_types = plan.check_types
        self.compression = plan.compression
        self.error: UserError | None = None
        self.failed_at = 0
        """Number of the job that failed with `error`."""
        self.warnings: list[str] = []
        self.stored: dict[int, SliceWritten] = {}
        self.checks: dict[int, Future[int]] = {}
        self._lock = threading.Lock()

    @property
    def typed(self) -> tuple[TypedColumn, ...]:
        """Columns whose values are checked against a type."""
        if not self.check_types:
            return ()
        from componentrun.csv.types import typed_columns  # noqa: PLC0415 - few components ask for it

        return typed_columns(self.columns, self.source.facts)

    def task(self, job: _Job) -> Task:
        """The check of a job's rows."""
        return Task(job.path, job.offset, job.offset + job.size, self.columns, self.typed)

    def fail(self, error: UserError, number: int = 0) -> None:
        """Give up the table because of an error in a job. The error that comes first in the table is kept."""
        with self._lock:
            if self.error is None or number < self.failed_at:
                self.error, self.failed_at = error, number

    def warn(self, warning: str | None) -> None:
        """Add a warning, if there is one."""
        if warning is not None:
            self.warnings.append(warning)

    def needs(self, job: _Job) -> bool:
        """Whether a job is still needed; after an error, only earlier rows, where an earlier error may be found."""
        return self.error is None or job.number < self.failed_at

    def checked(self, number: int, check: Future[int]) -> None:
        """Called when a check has ended: a malformed table is not uploaded further."""
        if not check.cancelled() and isinstance(error := check.exception(), UserError):
            self.fail(error, number)

    def first_error(self) -> UserError | None:
        """The first error of the table. Checks run concurrently, so wait for those of the rows before a known error."""
        if self.error is not None:
            for number in sorted(number for number in self.checks if number < self.failed_at):
                self.checked(number, self.checks[number])
        return self.error

    def written(self) -> TableWritten:
        """The complete table, for the result."""
        facts, strange = known_facts(self.source, self.columns, self.path)
        self.warn(strange)
        slices = tuple(self._slice(number) for number in sorted(self.stored))
        return TableWritten(
            source=shown(self.source.name),
            destination=str(self.source.table),
            columns=self.columns,
            primary_key=primary_key_of(self.source, self.columns),
            incremental=self.source.incremental,
            write_always=self.source.write_always,
            slices=slices,
            rows=sum(part.rows for part in slices),
            size=sum(part.size for part in slices),
            delete_where=self.source.delete_where,
            schema=facts,
            metadata=self.source.metadata,
            insert=self.source.insert,
        )

    def _slice(self, number: int) -> SliceWritten:
        part = self.stored[number]
        check = self.checks.get(number)
        return part if check is None else dataclasses.replace(part, rows=check.result())


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What was stored, and errors of the tables that were not."""

    tables: tuple[TableWritten, ...]
    errors: tuple[UserError, ...]
    warnings: tuple[str, ...]


def upload(
    client: Client,
    folder: Folder,
    post: PostPolicy,
    sources: Sequence[Source],
    checkers: Checkers,
    plan: StageOutPlan,
    unpacked_sizes: Mapping[str, int] | None = None,
) -> Uploaded:
    """Store all tables.

    Args:
        client: sends requests to the store.
        folder: the data folder.
        post: where to store objects.
        sources: the tables.
        checkers: check large slices during the upload.
        plan: says whether to check the types of values, and how to compress slices.
        unpacked_sizes: decompressed sizes of compressed files, by path; None if there are none.

    Raises:
        PlatformError: the store refused or was unavailable (see `Client.send`), or a check failed to run.
    """
    tables = [_Table(source, prefix, plan) for source, prefix in _prefixes(sources, post.key_prefix)]
    large = threading.BoundedSemaphore(LARGE_AT_A_TIME)

    def store(job: _Job) -> None:
        if not job.table.needs(job):
            return
        try:
            if job.size >= LARGE_BYTES:
                with large:
                    _store(client, folder, post, job)
            else:
                _store(client, folder, post, job)
        except UserError as error:
            job.table.fail(error, job.number)

    in_parallel(_jobs(folder, tables, checkers, unpacked_sizes or {}), store, CONNECTIONS, client.stop)
    return _outcome(tables)


def _outcome(tables: Sequence[_Table]) -> Uploaded:
    results, errors = [], []
    for table in tables:
        try:
            complete = table.written() if table.first_error() is None else None
        except (UserError, CancelledError) as error:
            complete = None
            table.fail(error if isinstance(error, UserError) else UserError(f"{table.path}: its check was cancelled"))
        if complete is not None:
            results.append(complete)
        elif table.error is not None:
            errors.append(table.error)
    return Uploaded(tuple(results), tuple(errors), tuple(warning for table in tables for warning in table.warnings))


def _prefixes(sources: Sequence[Source], root: str) -> Iterator[tuple[Source, str]]:
    """A key prefix for each source; several files of one table get different prefixes."""
    counts: dict[str, int] = {}
    for source in sources:
        base = f"{root}{source.table.bucket_id}/{source.table.table}/"
        count = counts.get(base, 0)
        counts[base] = count + 1
        yield source, f"{base}{count}-" if count else base


def _jobs(
    folder: Folder, tables: Sequence[_Table], checkers: Checkers, unpacked_sizes: Mapping[str, int]
) -> Iterator[_Job]:
    """Yield all objects to store. Lazy: the first slices of a file are uploaded while it is still being cut."""
    for table in tables:
        try:
            for job in (_sliced if table.source.sliced else _single)(folder, table, unpacked_sizes):
                if job.piece is None and job.size > SMALL_BYTES:
                    future = checkers.submit(table.task(job))
                    table.checks[job.number] = future
                    future.add_done_callback(partial(table.checked, job.number))
                yield job
        except UserError as error:
            table.fail(error)


def _content(file: Content, path: str, unpacked_sizes: Mapping[str, int]) -> Content:
    """The content of a file, decompressed if necessary."""
    encoding = encoding_of(file.read) if path in unpacked_sizes else None
    return file if encoding is None else Inflated(file, encoding, path, unpacked_sizes[path])


def _single(folder: Folder, table: _Table, unpacked_sizes: Mapping[str, int]) -> Iterator[_Job]:
    with folder.open(table.path) as raw_file:
        file = _content(raw_file, table.path, unpacked_sizes)
        header, warning = header_of(file, table.source, table.path)
        table.warn(warning)
        table.columns = header.columns
        yield from _of_file(table, 0, table.path, file, header.data_offset)


def _sliced(folder: Folder, table: _Table, unpacked_sizes: Mapping[str, int]) -> Iterator[_Job]:
    table.columns = columns_of(table.source, table.path)
    number = 0
    warnings: list[str] = []
    entries = folder.entries(table.path)
    table.warn(_not_stored(table.path, [entry.name for entry in entries if entry.hidden]))
    for entry in entries:
        if entry.hidden:
            continue
        path = f"{table.path}/{entry.name}"
        if entry.kind != FILE:
            raise refused(path, entry.kind)
        with folder.open(path) as raw_file:
            file = _content(raw_file, path, unpacked_sizes)
            start, warning = rows_of_slice(file, table.source, table.columns, path)
            warnings += [warning] if warning is not None else []
            for job in _of_file(table, number, path, file, start):
                yield job
                number += 1
    table.warn(_first_of(warnings))


def _first_of(warnings: Sequence[str]) -> str | None:
    """One warning for all slices of a table, because most problems concern all of them."""
    if len(warnings) < 2:  # noqa: PLR2004 - a single one
        return warnings[0] if warnings else None
    return f"{warnings[0]} The same applies to {len(warnings) - 1} more of its slices."


def _not_stored(path: str, names: Sequence[str]) -> str | None:
    if not names:
        return None
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{shown(path)}: hidden files are not slices and were not stored: `{shown(names[0])}`{more}."


def _of_file(table: _Table, number: int, path: str, file: Content, start: int) -> Iterator[_Job]:
    """The jobs of one file whose rows begin at `start`, numbered from `number`."""
    dialect = table.source.dialect
    if dialect.is_plain and not isinstance(file, Inflated):
        for i, rows in enumerate(_cut(file, start, table.compression), number):
            yield _job(table, i, path, file, rows)
    else:
        # Converted pieces stay in memory until they are stored: at most one for each connection.
        pieces = converted(file.read, start, file.size, table.columns, shown(path), dialect, table.typed)
        for i, piece in enumerate(pieces, number):
            yield _Job(table, i, path, 0, len(piece.content), b"", piece)


def _cut(file: Content, start: int, compression: str) -> Iterator[Slice]:
    size = file.size - start
    longest = _longest(compression)
    length = longest if compression != NONE else min(max(size // _SLICES, _SMALLEST_SLICE_BYTES), longest)
    return cut(file.read, start, file.size, -(-size // length))


def _longest(compression: str) -> int:
    """Target bytes of a slice, which ends after the row at that position."""
    return _SLICE_BYTES if compression == NONE else PACKED_SLICE_BYTES


def _job(table: _Table, number: int, path: str, file: Content, piece: Slice) -> _Job:
    end = piece.offset + piece.size
    complete = end < file.size or file.read(1, end - 1) == b"\n"
    return _Job(table, number, path, piece.offset, piece.size, b"" if complete else b"\n")


def _store(client: Client, folder: Folder, post: PostPolicy, job: _Job) -> None:
    if job.piece is not None:
        content = job.piece.content
        _send(client, post, job, lambda length, offset: content[offset : offset + length], job.piece.rows)
        return
    with folder.open(job.path) as file:
        rows = 0
        # A longer slice is malformed and would not fit in memory for compression. Its check explains why.
        if job.number not in job.table.checks or job.size > _longest(job.table.compression) + MAX_ROW_BYTES:
            rows = check(file.read, job.table.task(job))
        _send(client, post, job, file.read, rows)


def _send(client: Client, post: PostPolicy, job: _Job, read: Read, rows: int) -> None:
    key, subject = f"{job.table.prefix}{job.number:04d}.csv", shown(job.path)
    result = SliceWritten(key, job.size + len(job.tail), rows, "")
    content = _packed(client, job, read, subject)
    if content is None:
        form = Form(
            post,
            key,
            read,
            offset=job.offset,
            size=job.size,
            tail=job.tail,
            stop=client.stop,
            subject=subject,
            own_keys=True,
        )
    else:
        key += suffix(job.table.compression)
        form = Form(
            post,
            key,
            content.read,
            offset=0,
            size=content.size,
            tail=b"",
            stop=client.stop,
            subject=subject,
            own_keys=True,
        )
        result = dataclasses.replace(result, encoding=job.table.compression, stored=form.size)
    etag = client.send(form.request(), form.stored)
    job.table.stored[job.number] = dataclasses.replace(result, key=form.key, etag=etag)


def _packed(client: Client, job: _Job, read: Read, subject: str) -> Packed | None:
    """The compressed object of a job; None if its rows are stored uncompressed."""
    encoding = job.table.compression
    if encoding == NONE or job.size < WORTH_PACKING:
        return None
    return packed(read, job.offset, job.size, job.tail, encoding, stop=client.stop, subject=subject)

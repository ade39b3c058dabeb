"""Files to objects: each table in slices cut at row borders, several at a time, checked while they travel.

A table is complete only when all its slices are stored and checked. What is wrong with one table ends that table; the
others go on, because a failed run still keeps what it stores always. Trouble with the store ends everything.
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
    from componentrun.wire.agents import PostPolicy, StageOutPlan

__all__ = ["SMALL_BYTES", "Uploaded", "upload"]

SMALL_BYTES: Final = 256 * 2**10
"""Up to here a slice is checked by the thread that uploads it: handing it over would cost more."""
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
    """What the object gets after the file's bytes: a missing final newline."""
    piece: Piece | None = None
    """Instead of the file's bytes: rows that were converted, and checked on the way."""


class _Table:
    """A table on its way. Filled by several threads."""

    def __init__(self, source: Source, prefix: str, plan: StageOutPlan) -> None:
        self.source = source
        self.path = f"{OUT_TABLES}/{source.name}"
        self.prefix = prefix
        self.columns: tuple[str, ...] = ()
        self.check_types = plan.check_types
        self.compression = plan.compression
        self.error: UserError | None = None
        self.failed_at = 0
        """Number of the job that `error` is about."""
        self.warnings: list[str] = []
        self.stored: dict[int, SliceWritten] = {}
        self.checks: dict[int, Future[int]] = {}
        self._lock = threading.Lock()

    @property
    def typed(self) -> tuple[TypedColumn, ...]:
        """Columns whose values must be of a type."""
        if not self.check_types:
            return ()
        from componentrun.csv.types import typed_columns  # noqa: PLC0415 - few components ask for it

        return typed_columns(self.columns, self.source.facts)

    def task(self, job: _Job) -> Task:
        """What is to be checked of a job's rows."""
        return Task(job.path, job.offset, job.offset + job.size, self.columns, self.typed)

    def fail(self, error: UserError, number: int = 0) -> None:
        """Give the table up because of a job. Of several faults the one that comes first in it stays."""
        with self._lock:
            if self.error is None or number < self.failed_at:
                self.error, self.failed_at = error, number

    def warn(self, warning: str | None) -> None:
        """Remember what is to be said of it, where there is something."""
        if warning is not None:
            self.warnings.append(warning)

    def needs(self, job: _Job) -> bool:
        """Whether a job is still to be done: where the table is given up, only to find a fault before the known one."""
        return self.error is None or job.number < self.failed_at

    def checked(self, number: int, check: Future[int]) -> None:
        """Called when a check has ended: a malformed table need not travel any further."""
        if not check.cancelled() and isinstance(error := check.exception(), UserError):
            self.fail(error, number)

    def first_error(self) -> UserError | None:
        """What is wrong with it. Checks run side by side: those of the rows before a fault are waited for."""
        if self.error is not None:
            for number in sorted(number for number in self.checks if number < self.failed_at):
                self.checked(number, self.checks[number])
        return self.error

    def written(self) -> TableWritten:
        """The complete table."""
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
    """What has been stored, and what could not be."""

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
    held: Mapping[str, int] | None = None,
) -> Uploaded:
    """Store all tables.

    Args:
        client: sends.
        folder: the data folder.
        post: where to.
        sources: the tables.
        checkers: look at large slices meanwhile.
        plan: whether values must be of their columns' types, and how slices are stored.
        held: bytes that compressed files hold, by their paths; None: none is compressed.

    Raises:
        PlatformError: the store refused or was away (see `Client.send`), or a check could not be done.
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

    in_parallel(_jobs(folder, tables, checkers, held or {}), store, CONNECTIONS, client.stop)
    return _outcome(tables)


def _outcome(tables: Sequence[_Table]) -> Uploaded:
    written, errors = [], []
    for table in tables:
        try:
            complete = table.written() if table.first_error() is None else None
        except (UserError, CancelledError) as error:
            complete = None
            table.fail(error if isinstance(error, UserError) else UserError(f"{table.path}: its check was cancelled"))
        if complete is not None:
            written.append(complete)
        elif table.error is not None:
            errors.append(table.error)
    return Uploaded(tuple(written), tuple(errors), tuple(warning for table in tables for warning in table.warnings))


def _prefixes(sources: Sequence[Source], root: str) -> Iterator[tuple[Source, str]]:
    """A key prefix for each source; files that go to one table get different ones."""
    seen: dict[str, int] = {}
    for source in sources:
        base = f"{root}{source.table.bucket_id}/{source.table.table}/"
        count = seen.get(base, 0)
        seen[base] = count + 1
        yield source, f"{base}{count}-" if count else base


def _jobs(folder: Folder, tables: Sequence[_Table], checkers: Checkers, held: Mapping[str, int]) -> Iterator[_Job]:
    """All objects to store, made one after the other: a file is cut while its first slices already travel."""
    for table in tables:
        try:
            for job in (_sliced if table.source.sliced else _single)(folder, table, held):
                if job.piece is None and job.size > SMALL_BYTES:
                    future = checkers.submit(table.task(job))
                    table.checks[job.number] = future
                    future.add_done_callback(partial(table.checked, job.number))
                yield job
        except UserError as error:
            table.fail(error)


def _content(file: Content, path: str, held: Mapping[str, int]) -> Content:
    """What a file holds, where it is compressed."""
    encoding = encoding_of(file.read) if path in held else None
    return file if encoding is None else Inflated(file, encoding, path, held[path])


def _single(folder: Folder, table: _Table, held: Mapping[str, int]) -> Iterator[_Job]:
    with folder.open(table.path) as opened:
        file = _content(opened, table.path, held)
        header, warning = header_of(file, table.source, table.path)
        table.warn(warning)
        table.columns = header.columns
        yield from _of_file(table, 0, table.path, file, header.data_offset)


def _sliced(folder: Folder, table: _Table, held: Mapping[str, int]) -> Iterator[_Job]:
    table.columns = columns_of(table.source, table.path)
    number = 0
    doubts: list[str] = []
    entries = folder.entries(table.path)
    table.warn(_not_stored(table.path, [entry.name for entry in entries if entry.hidden]))
    for entry in entries:
        if entry.hidden:
            continue
        path = f"{table.path}/{entry.name}"
        if entry.kind != FILE:
            raise refused(path, entry.kind)
        with folder.open(path) as opened:
            file = _content(opened, path, held)
            start, doubt = rows_of_slice(file, table.source, table.columns, path)
            doubts += [doubt] if doubt is not None else []
            for job in _of_file(table, number, path, file, start):
                yield job
                number += 1
    table.warn(_first_of(doubts))


def _first_of(doubts: Sequence[str]) -> str | None:
    """One warning for all slices of a table: what is wrong with one is mostly wrong with each."""
    if len(doubts) < 2:  # noqa: PLR2004 - a single one
        return doubts[0] if doubts else None
    return f"{doubts[0]} So it is with {len(doubts) - 1} more of its slices."


def _not_stored(path: str, hidden: Sequence[str]) -> str | None:
    if not hidden:
        return None
    more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
    return f"{shown(path)}: hidden files are no slices and were not stored: `{shown(hidden[0])}`{more}."


def _of_file(table: _Table, number: int, path: str, file: Content, start: int) -> Iterator[_Job]:
    """The jobs of one file, whose rows begin at `start`; their numbers begin at `number`."""
    dialect = table.source.dialect
    if dialect.is_plain and not isinstance(file, Inflated):
        for i, rows in enumerate(_cut(file, start, table.compression), number):
            yield _job(table, i, path, file, rows)
    else:
        # Held in memory until they are stored: as many pieces as there are connections.
        pieces = converted(file.read, start, file.size, table.columns, shown(path), dialect, table.typed)
        for i, piece in enumerate(pieces, number):
            yield _Job(table, i, path, 0, len(piece.content), b"", piece)


def _cut(file: Content, start: int, compression: str) -> Iterator[Slice]:
    size = file.size - start
    longest = _longest(compression)
    length = longest if compression != NONE else min(max(size // _SLICES, _SMALLEST_SLICE_BYTES), longest)
    return cut(file.read, start, file.size, -(-size // length))


def _longest(compression: str) -> int:
    """Bytes of a slice, but for the rest of its last row."""
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
        # What is longer is malformed, and would be held in memory while it is compressed: its check says why.
        if job.number not in job.table.checks or job.size > _longest(job.table.compression) + MAX_ROW_BYTES:
            rows = check(file.read, job.table.task(job))
        _send(client, post, job, file.read, rows)


def _send(client: Client, post: PostPolicy, job: _Job, read: Read, rows: int) -> None:
    key, what = f"{job.table.prefix}{job.number:04d}.csv", shown(job.path)
    written = SliceWritten(key, job.size + len(job.tail), rows, "")
    content = _packed(client, job, read, what)
    if content is None:
        form = Form(
            post, key, read, offset=job.offset, size=job.size, tail=job.tail, stop=client.stop, what=what, own_keys=True
        )
    else:
        key += suffix(job.table.compression)
        form = Form(
            post, key, content.read, offset=0, size=content.size, tail=b"", stop=client.stop, what=what, own_keys=True
        )
        written = dataclasses.replace(written, encoding=job.table.compression, stored=form.size)
    etag = client.send(form.request(), form.stored)
    job.table.stored[job.number] = dataclasses.replace(written, key=form.key, etag=etag)


def _packed(client: Client, job: _Job, read: Read, what: str) -> Packed | None:
    """The object that holds the rows; None: they travel as they are."""
    encoding = job.table.compression
    if encoding == NONE or job.size < WORTH_PACKING:
        return None
    return packed(read, job.offset, job.size, job.tail, encoding, stop=client.stop, what=what)

"""Input tables whose rows can be looked at one after the other: piece by piece from the store into their files.

A piece is a slice, or a few small ones that follow each other. It is brought, DuckDB applies the mapping to it, and
what becomes of it goes behind what became of the pieces before. A few pieces are under way at a time, so that network
and processors are busy at once, and never more than these few lie on the disk beside the tables.
"""

from __future__ import annotations

import os
import threading
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from componentrun.agent.download import download
from componentrun.agent.folder import disk_error, shown
from componentrun.agent.parallel import in_parallel
from componentrun.agent.sliced import prepare, slice_path
from componentrun.contract import MANIFEST_SUFFIX
from componentrun.csvtext import encode_header
from componentrun.exchange import Mapping, TableRead
from componentrun.tablefiles import make_ready
from componentrun.tablequery import Pieces
from componentrun.tablesql import columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.agent.folder import Folder
    from componentrun.agent.transfer import Client
    from componentrun.exchange import SliceRead

__all__ = ["AT_A_TIME", "bring_pieces", "comes_in_pieces", "groups"]

AT_A_TIME: Final = 4
"""Pieces under way: as many again as are queried, so that the next ones are there when these are done."""
_CONNECTIONS: Final = 8
"""For the slices of one piece."""
_PIECE_BYTES: Final = 16 * 2**20
"""Small slices go into one piece up to here: a query takes DuckDB longer to begin than to read a few of them."""


def comes_in_pieces(table: TableRead) -> bool:
    """Whether no row of a table has to know of the others, and its columns are known before it is read."""
    return table.mapping is not None and table.mapping.columns is not None and not table.mapping.primary_key


def groups(slices: Sequence[SliceRead]) -> Iterator[list[SliceRead]]:
    """Slices that follow each other, as many together as make one piece."""
    group: list[SliceRead] = []
    size = 0
    for part in slices:
        if group and size + part.size > _PIECE_BYTES:
            yield group
            group, size = [], 0
        group.append(part)
        size += part.size
    if group:
        yield group


def bring_pieces(client: Client, folder: Folder, scratch: str, tables: Sequence[TableRead]) -> dict[str, int]:
    """Bring all tables, and return the number of rows of each, by its path.

    Args:
        client: reads the slices.
        folder: the data folder.
        scratch: path of an empty folder on its volume.
        tables: each of which `comes_in_pieces`.

    Raises:
        ComponentRunError: see `download` and `Pieces.deliver`.
    """
    with Pieces(scratch) as query:
        bench = _Bench(client, folder, scratch, query)
        targets = [_Target(folder, table) for table in tables]
        in_parallel(_work(targets), bench.bring, AT_A_TIME, client.stop)
    return {target.table.path: target.rows for target in targets}


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some slices of one step of a table's history."""

    target: _Target
    number: int
    """Its place among the table's pieces."""
    step: int
    begins: bool
    """Whether it is the first one of its step."""
    slices: tuple[SliceRead, ...]


class _Target:
    """What becomes of a table: a file, or a folder of slices. Pieces come in any order, and go into it in theirs."""

    def __init__(self, folder: Folder, table: TableRead) -> None:
        self.table = table
        self.mapping = table.mapping or Mapping(table.columns, ())
        self.pieces = list(self._cut())
        self.rows = 0
        self._folder = folder
        self._lock = threading.Lock()
        self._ready: dict[int, str | None] = {}
        self._next = 0
        self._descriptor: int | None = None

    def _cut(self) -> Iterator[_Piece]:
        left = list(self.table.slices)
        number = 0
        for index, step in enumerate(self.mapping.steps):
            own, left = left[: step.slices], left[step.slices :]
            for i, group in enumerate(groups(own)):
                yield _Piece(self, number, index, i == 0, tuple(group))
                number += 1

    @property
    def left(self) -> int | None:
        """Rows that may still be delivered; None: all."""
        return None if self.mapping.limit is None else self.mapping.limit - self.rows

    def add(self, number: int, file: str | None, rows: int) -> None:
        """Take what became of a piece; None: nothing is delivered of it."""
        with self._lock:
            self.rows += rows
            self._ready[number] = file
            while self._next in self._ready:
                self._append(self._ready.pop(self._next))
                self._next += 1
            if self._next == len(self.pieces):
                self._finish()

    def finish_empty(self) -> None:
        """There are no pieces."""
        self._finish()

    def _append(self, file: str | None) -> None:
        if file is None:
            return
        if self.table.sliced:
            self._folder.take(file, slice_path(self.table, self._next))
            return
        with open(file, "rb") as source:  # noqa: PTH123 - pathlib costs ten milliseconds
            size, done = os.fstat(source.fileno()).st_size, 0
            try:
                while done < size:
                    done += os.sendfile(self._open(), source.fileno(), done, size - done)
            except OSError as error:
                raise disk_error(error, shown(self.table.path)) from error
        os.unlink(file)  # noqa: PTH108 - likewise

    def _open(self) -> int:
        """The file, with its header line."""
        if self._descriptor is None:
            self._descriptor = self._folder.create(self.table.path)
            os.write(self._descriptor, encode_header(columns_of(self.mapping)))
        return self._descriptor

    def _finish(self) -> None:
        if self.table.sliced:
            prepare(self._folder, self.table)
            return
        os.close(self._open())
        if self.table.manifest is not None:
            self._folder.write_json(self.table.path + MANIFEST_SUFFIX, self.table.manifest)


def _work(targets: Sequence[_Target]) -> Iterator[list[_Piece]]:
    """Pieces that one thread has to bring one after the other."""
    for target in targets:
        if not target.pieces:
            target.finish_empty()
        elif target.mapping.limit is not None:
            # Once the limit is reached, nothing more is brought.
            yield target.pieces
        else:
            yield from ([piece] for piece in target.pieces)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where pieces become parts of tables."""

    client: Client
    folder: Folder
    scratch: str
    query: Pieces

    def bring(self, pieces: Sequence[_Piece]) -> None:
        """Bring pieces of one table, one after the other."""
        for piece in pieces:
            file, rows = self._bring(piece) if piece.target.left != 0 else (None, 0)
            piece.target.add(piece.number, file, rows)

    def _bring(self, piece: _Piece) -> tuple[str | None, int]:
        """The file that a piece becomes, and its rows; None where there are none."""
        target = piece.target
        name = uuid.uuid4().hex
        brought, made = f"{self.scratch}/{name}.part", f"{self.scratch}/{name}.csv"
        place = os.path.basename(self.scratch)  # noqa: PTH119 - pathlib costs ten milliseconds
        part = TableRead(target.table.source, f"{place}/{name}.part", None, piece.slices, None)
        # A thread of its own for a single slice would need a connection of its own, too, each time.
        download(self.client, self.folder, [part], connections=min(len(piece.slices), _CONNECTIONS))
        make_ready(brought)
        steps = target.mapping.steps
        files = [[brought] if index == piece.step else [] for index in range(len(steps))]
        if not piece.begins:
            # The rows that a step leaves out are among those of its first slice.
            steps = tuple(replace(step, skip=0) for step in steps)
        rows = self.query.deliver(replace(target.mapping, steps=steps, limit=target.left), files, made)
        os.unlink(brought)  # noqa: PTH108 - likewise
        return (made, rows) if rows else (None, 0)

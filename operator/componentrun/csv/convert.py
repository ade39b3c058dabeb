"""Converts CSV files of other dialects to plain CSV and checks them, a few MiB at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from componentrun.csv.parse import count
from componentrun.csv.text import checked_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.csv.dialect import Dialect, Read
    from componentrun.csv.types import TypedColumn

__all__ = ["PIECE_BYTES", "Piece", "converted"]

PIECE_BYTES: Final = 4 * 2**20
"""Approximate size of a piece; exceeded only by a single long row."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole rows of plain CSV; the last one ends with a newline."""

    content: bytes
    rows: int


def converted(
    read: Read,
    start: int,
    end: int,
    columns: Sequence[str],
    file: str,
    dialect: Dialect,
    typed: Sequence[TypedColumn] = (),
) -> Iterator[Piece]:
    """Convert the rows in `[start, end)`, lazily, in order.

    Args:
        read: reads the file.
        start: offset of the first row.
        end: offset of the end of the last row.
        columns: columns that every row must have.
        file: the file, as messages call it.
        dialect: dialect of the file.
        typed: columns whose values must have a type.

    Raises:
        CsvError: the first row that is malformed, too short, too long or not UTF-8; line numbers are those of the file.
    """
    parts: list[bytes] = []
    rows = size = 0
    position = start
    for chunk, chunk_rows in checked_chunks(dialect.view(read), start, end, columns, file, dialect):
        plain = dialect.plain(chunk)
        if typed:
            from componentrun.csv.types import check_values  # noqa: PLC0415 - few components need it

            check_values(plain, partial(count, read, b"\n", 0, position), columns, file, typed)
        position += len(chunk)
        if parts and size + len(plain) > PIECE_BYTES:
            yield Piece(b"".join(parts), rows)
            parts, rows, size = [], 0, 0
        parts.append(plain if plain.endswith(b"\n") else plain + b"\n")
        rows, size = rows + chunk_rows, size + len(plain)
    if parts:
        yield Piece(b"".join(parts), rows)

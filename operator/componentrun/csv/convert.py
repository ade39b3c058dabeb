"""A CSV file of another dialect as plain CSV, checked on the way, a few MiB at a time."""

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
"""A piece has about so much; more only where one row is longer."""


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
        read: the file as it is.
        start: bytes before the first row.
        end: bytes before the end of the last row.
        columns: what every row must have.
        file: how messages call it.
        dialect: how it is written.
        typed: columns whose values must be of a type.

    Raises:
        CsvError: at the first row that is malformed, too short, too long or no UTF-8; lines are those of the file.
    """
    parts: list[bytes] = []
    rows = size = 0
    position = start
    for chunk, found in checked_chunks(dialect.view(read), start, end, columns, file, dialect):
        plain = dialect.plain(chunk)
        if typed:
            from componentrun.csv.types import check_values  # noqa: PLC0415 - few components ask for it

            check_values(plain, partial(count, read, b"\n", 0, position), columns, file, typed)
        position += len(chunk)
        if parts and size + len(plain) > PIECE_BYTES:
            yield Piece(b"".join(parts), rows)
            parts, rows, size = [], 0, 0
        parts.append(plain if plain.endswith(b"\n") else plain + b"\n")
        rows, size = rows + found, size + len(plain)
    if parts:
        yield Piece(b"".join(parts), rows)

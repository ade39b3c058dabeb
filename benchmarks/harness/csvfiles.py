"""Input CSV files of the benchmarks, with the same bytes each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dev.cluster import paths

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["COLUMNS", "HUGE_BYTES", "LARGE_BYTES", "SMALL_TABLES", "folder", "large", "numbered", "small", "tiny"]

_TINY: Final = 'id,text\n1,plain\n2,"a ""quoted"" value"\n3,Ünïcödé\n'
LARGE_BYTES: Final = 512 * 2**20
HUGE_BYTES: Final = 2**30
SMALL_TABLES: Final = 1000
_SMALL_BYTES: Final = 4096
COLUMNS: Final = ("id", "customer", "text", "amount", "day")
_HEADER: Final = f"{','.join(COLUMNS)}\n".encode()
_BLOCK_ROWS: Final = 10_000


def folder() -> Path:
    """Return the folder in which the files are kept between benchmarks."""
    return paths.make_private(paths.home() / "benchmarks")


def tiny() -> Path:
    """Return a table of three rows."""
    file = folder() / "tiny.csv"
    file.write_text(_TINY, encoding="utf-8")
    return file


def large(size: int | None = None) -> Path:
    """Return a table of 512 MiB, or of another size in bytes: about 70 bytes a row, every tenth row with quotes."""
    size = size or LARGE_BYTES
    file = folder() / f"large-{size}.csv"
    if not file.is_file():
        part = file.with_suffix(".part")
        with part.open("wb") as stream:
            stream.write(_HEADER)
            first = 0
            while stream.tell() < size:
                stream.write(_rows(first, first + _BLOCK_ROWS))
                first += _BLOCK_ROWS
            stream.truncate(_row_border(part, size))
        part.replace(file)
    return file


def numbered(name: str, numbers: Sequence[int]) -> Path:
    """Return a table with the rows of these numbers."""
    file = folder() / f"{name}.csv"
    if not file.is_file():
        part = file.with_suffix(".part")
        with part.open("wb") as stream:
            stream.write(_HEADER)
            for first in range(0, len(numbers), _BLOCK_ROWS):
                stream.write("".join(map(_row, numbers[first : first + _BLOCK_ROWS])).encode())
        part.replace(file)
    return file


def small() -> Path:
    """Return a folder with 1,000 tables of 4 KiB."""
    target = folder() / f"small-{SMALL_TABLES}"
    if not target.is_dir():
        part = target.with_suffix(".part")
        part.mkdir(exist_ok=True)
        for number in range(SMALL_TABLES):
            rows = _HEADER + _rows(number * 60, (number + 1) * 60)
            cut = rows.rfind(b"\n", 0, _SMALL_BYTES) + 1
            (part / f"table{number:04d}.csv").write_bytes(rows[:cut])
        part.rename(target)
    return target


def _rows(first: int, end: int) -> bytes:
    return "".join(map(_row, range(first, end))).encode()


def _row(number: int) -> str:
    text = f'"row ""{number}"", quoted"' if number % 10 == 0 else f"row {number} with some text in it"
    return (
        f"{number},{number * 7919 % 100_003},{text},{number % 9973}.{number % 100:02d},2026-{number % 12 + 1:02d}-01\n"
    )


def _row_border(file: Path, most: int) -> int:
    """Return the end of the last row that ends within `most` bytes."""
    with file.open("rb") as stream:
        stream.seek(most - _SMALL_BYTES)
        return most - _SMALL_BYTES + stream.read(_SMALL_BYTES).rfind(b"\n") + 1

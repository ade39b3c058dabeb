"""Slices into the table that a reader sees, by DuckDB: columns, conditions, primary key, deleted rows, added columns.

Used by stage-in and by the command line; both have brought the slices to a folder before. DuckDB is imported only when
something is to be applied. It may use what the container's memory limit leaves it, and spills into the same folder.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from componentrun.csvtext import MAX_ROW_BYTES, check_rows, encode_header, read_header
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.tablesql import MISFIT, columns_of, copy_statement, keep_statement, origins_statements, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.exchange import Mapping

__all__ = [
    "deliver",
    "deliver_by_origin",
    "memory_for_queries",
    "run_statements",
    "with_header_columns",
    "without_carriage_returns",
]

_THREADS: Final = 2
_ROW_BYTES: Final = 2 * 2**20
_BUFFER_BYTES: Final = 4 * 2**20
_CHUNK_BYTES: Final = 2**20
_OWN_BYTES: Final = 128 * 2**20
"""What the interpreter and DuckDB need beside what DuckDB counts."""
_LEAST_BYTES: Final = 64 * 2**20
_WITHOUT_LIMIT: Final = 2**30
_UNLIMITED: Final = 2**60
"""A cgroup of version 1 without a limit tells a number near 2**63."""


def deliver(mapping: Mapping, files: Sequence[Sequence[str]], target: str, folder: str) -> int:
    """Write a table to a file, and return the number of its rows.

    Args:
        mapping: what to apply; the table's columns are known.
        files: for each step the files that hold its rows: headerless, only LF between rows, as few as possible.
        target: the file; made anew.
        folder: where DuckDB may spill.

    Raises:
        UserError: (DiskFull) the folder is full.
        PlatformError: (StageInFailed) a row is too long for the memory, or DuckDB refused.
    """
    return _run(mapping, rows_of(mapping, files), [], target, folder)[0]


def deliver_by_origin(
    mapping: Mapping, files: Sequence[Sequence[str]], target: str, folder: str, first: Sequence[int]
) -> list[int]:
    """Write a whole table to a file as `deliver` does, and return how many of its rows came from where.

    Args:
        mapping: without where and limit.
        files: see `deliver`.
        target: see `deliver`.
        folder: see `deliver`.
        first: rows of each origin in the first step, in their order; each further step is an origin of its own.

    Returns:
        A number for each origin.

    Raises:
        UserError: see `deliver`.
        PlatformError: see `deliver`; (Internal) what was counted is not what was written.
    """
    rows = rows_of(mapping, files)
    written, pairs = _run(mapping, rows, origins_statements(mapping, rows, first), target, folder)
    found = dict(pairs)
    if sum(found.values()) != written:
        raise PlatformError(f"{written} rows were written, but {sum(found.values())} were counted")
    return [found.get(number, 0) for number in range(len(first) + len(mapping.steps) - 1)]


def _run(
    mapping: Mapping, rows: str, further: Sequence[str], target: str, folder: str
) -> tuple[int, list[tuple[int, int]]]:
    """Write the file; the number of its rows, and what a further statement answers."""
    keep = keep_statement(mapping, rows)
    statements = [*([keep] if keep else []), copy_statement(mapping, rows, target), *further]
    answers = run_statements(statements, folder)
    count = int(answers[1 if keep else 0][0][0])
    if not count:
        with open(target, "wb") as file:  # noqa: PTH123 - pathlib costs ten milliseconds
            file.write(encode_header(columns_of(mapping)))
    return count, answers[-1] if further else []


def run_statements(statements: Sequence[str], folder: str) -> list[list[Any]]:
    """What statements answer, as lists of rows.

    Args:
        statements: as `tablesql` makes them.
        folder: where DuckDB may spill.

    Raises:
        UserError: (DiskFull) the folder is full; (InputInvalid) a value does not fit.
        PlatformError: (StageInFailed) a row is too long for the memory, or DuckDB refused.
    """
    import duckdb  # noqa: PLC0415 - takes longer to load than all the rest; most tables pass without it

    memory = memory_for_queries()
    limit = f"{memory // 2**20}MiB"
    settings: dict[str, Any] = {
        "threads": _THREADS,
        "memory_limit": limit,
        "temp_directory": f"{folder}/spilled",
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return _with_patience(connection, statements, duckdb)


def _with_patience(connection: Any, statements: Sequence[str], duckdb: Any) -> list[list[Any]]:
    """What the statements answer, run fast, or with little memory where that fails, or with room for very long rows."""
    row_bytes, buffer_bytes, threads = _ROW_BYTES, _BUFFER_BYTES, _THREADS
    while True:
        connection.execute(f"SET threads = {threads}")
        connection.execute(f"SET VARIABLE row_bytes = {row_bytes}")
        connection.execute(f"SET VARIABLE buffer_bytes = {buffer_bytes}")
        try:
            return [connection.execute(statement).fetchall() for statement in statements]
        except duckdb.OutOfMemoryException as error:
            if threads == 1 or _no_space(error):
                raise _explained(error) from None
            threads = 1  # then rows are written one after the other, and nothing is held back for its order
        except duckdb.Error as error:
            if row_bytes > MAX_ROW_BYTES or "max_line_size" not in str(error):
                raise _explained(error) from None
            row_bytes = buffer_bytes = MAX_ROW_BYTES + _CHUNK_BYTES
            threads = 1


def _no_space(error: Exception) -> bool:
    text = str(error).lower()
    return "no space left" in text or "disk full" in text or "max_temp_directory_size" in text


def _explained(error: Exception) -> UserError | PlatformError:
    if _no_space(error):
        return UserError(
            "the data folder is full while a mapping is applied; give the run (or its Component) a larger data folder",
            Reason.DISK_FULL,
        )
    if refused := str(error).partition(MISFIT)[2]:
        return UserError(refused, Reason.INPUT_INVALID)
    first = str(error).strip().splitlines()[0][:300] if str(error).strip() else "no message"
    return PlatformError(
        f"the mapping can't be applied: {type(error).__name__}: {first}. Where memory is short, give stage-in more",
        Reason.STAGE_IN_FAILED,
    )


def with_header_columns(path: str, name: str) -> tuple[str, ...]:
    """The columns in the header line of a CSV file. The file is checked, and the line is taken away.

    Args:
        path: the file.
        name: how messages call it.

    Raises:
        UserError: (OutputInvalid) the file is no well-formed CSV.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size

        def read(length: int, offset: int) -> bytes:
            return os.pread(descriptor, length, offset)

        header = read_header(read, size, name)
        check_rows(read, header.data_offset, size, header.columns, name)
        _rewrite(descriptor, header.data_offset)
    finally:
        os.close(descriptor)
    return header.columns


def without_carriage_returns(path: str) -> None:
    """Have rows end with LF instead of CRLF, in place. What is in quotes stays."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _rewrite(descriptor, 0)
    finally:
        os.close(descriptor)


def _rewrite(descriptor: int, start: int) -> None:
    """Take away the bytes before `start`, and the carriage returns at the ends of rows."""
    source, target, inside = start, 0, False
    held = b""  # a carriage return at the end of a chunk: a newline may follow
    while chunk := os.pread(descriptor, _CHUNK_BYTES, source):
        source += len(chunk)
        chunk = held + chunk
        held = b"\r" if chunk.endswith(b"\r") else b""
        chunk = chunk[: len(chunk) - len(held)]
        if b"\r\n" in chunk:
            parts = chunk.split(b'"')
            for i, part in enumerate(parts):
                inside ^= i > 0
                if not inside:
                    parts[i] = part.replace(b"\r\n", b"\n")
            chunk = b'"'.join(parts)
        else:
            inside ^= chunk.count(b'"') % 2 == 1
        if target + len(chunk) + len(held) == source and not start:
            target += len(chunk)  # nothing was taken away so far
        else:
            target += os.pwrite(descriptor, chunk, target)
    target += os.pwrite(descriptor, held, target) if held else 0
    os.ftruncate(descriptor, target)


def memory_for_queries() -> int:
    """Bytes that DuckDB may use: what the container's memory limit leaves."""
    limit = min(_cgroup_limits(), default=None)
    if limit is None or limit > _UNLIMITED:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return max(min(available // 4, _WITHOUT_LIMIT), _LEAST_BYTES)
    return max(limit // 2, limit - _OWN_BYTES, _LEAST_BYTES)


def _cgroup_limits(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> list[int]:
    """Limits of this process's cgroups, of version 2 and 1, as they can be seen from here."""
    folders = {root, f"{root}/memory"}
    for line in _lines(own):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            folders.add(f"{root}{path}")
        elif "memory" in controllers.split(","):
            folders.add(f"{root}/memory{path}")
    found = []
    for folder in folders:
        for file in ("memory.max", "memory.limit_in_bytes"):
            found += [int(line) for line in _lines(f"{folder.rstrip('/')}/{file}") if line.isdecimal()]
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib costs ten milliseconds
            return file.read().split("\n")
    except OSError:
        return []

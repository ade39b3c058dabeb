"""Slices into the table that a reader sees, by DuckDB: columns, conditions, primary key, deleted rows, added columns.

Used by stage-in and by the command line; both have brought the slices to a folder before. DuckDB is imported only when
something is to be applied. It may use what the container's memory limit leaves it, and spills into the same folder.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from componentrun.csvtext import MAX_ROW_BYTES, encode_header
from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError
from componentrun.tablesql import (
    MISFIT,
    columns_of,
    copy_statement,
    keep_statement,
    origins_statements,
    quoted,
    rows_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from componentrun.exchange import Mapping

__all__ = [
    "Pieces",
    "connect",
    "deliver",
    "deliver_by_origin",
    "explained",
    "httpfs_statements",
    "is_disk_full",
    "load_httpfs",
    "memory_for_queries",
    "run_statements",
    "write_rows",
]

_THREADS: Final = 2
_ROW_BYTES: Final = 2 * 2**20
_BUFFER_BYTES: Final = 4 * 2**20
_CHUNK_BYTES: Final = 2**20
_OWN_BYTES: Final = 128 * 2**20
"""What the interpreter and DuckDB need beside what DuckDB counts."""
_HEAVY_BYTES: Final = 256 * 2**20
"""Likewise in a process that has loaded all the clients, too, and holds slices while they go up."""
_LEAST_BYTES: Final = 64 * 2**20
_WITHOUT_LIMIT: Final = 2**30
_UNLIMITED: Final = 2**60
"""A cgroup of version 1 without a limit tells a number near 2**63."""


def deliver(mapping: Mapping, files: Sequence[Sequence[str]], target: str, folder: str, *, header: bool = True) -> int:
    """Write a table to a file, and return the number of its rows.

    Args:
        mapping: what to apply; the table's columns are known.
        files: for each step the files that hold its rows, as few as possible, made ready by `tablefiles`.
        target: the file; made anew.
        folder: where DuckDB may spill.
        header: whether the file gets a header line.

    Raises:
        UserError: (DiskFull) the folder is full.
        PlatformError: (StageInFailed) a row is too long for the memory, or DuckDB refused.
    """
    return _run(mapping, rows_of(mapping, files), [], target, folder, header=header)[0]


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


class Pieces:
    """Applies mappings to pieces of tables, a few at a time in the threads that ask; a context manager.

    Args:
        folder: where DuckDB may spill.
    """

    def __init__(self, folder: str) -> None:
        """Nothing is opened yet."""
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self._turns = threading.Semaphore(_THREADS)
        self._alone = threading.Lock()

    def __enter__(self) -> Self:
        """Open it."""
        self._connection = self._stack.enter_context(connect(self._folder, 1))
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._stack.close()

    def deliver(self, mapping: Mapping, files: Sequence[Sequence[str]], target: str) -> int:
        """Write what becomes of a piece to a file without header line, and return the number of its rows.

        Arguments and errors as of the function `deliver`; a mapping with a primary key can't be applied to pieces.
        """
        statement = copy_statement(mapping, rows_of(mapping, files), target, header=False)
        with self._connection.cursor() as cursor:
            return int(_with_patience(cursor, [statement], self._turn, explained)[0][0][0])

    @contextlib.contextmanager
    def _turn(self, alone: bool) -> Iterator[None]:  # noqa: FBT001 - as `_with_patience` calls it
        with self._alone if alone else contextlib.nullcontext(), contextlib.ExitStack() as stack:
            for _ in range(_THREADS if alone else 1):
                stack.enter_context(self._turns)
            yield


def _run(
    mapping: Mapping, rows: str, further: Sequence[str], target: str, folder: str, *, header: bool = True
) -> tuple[int, list[tuple[int, int]]]:
    """Write the file; the number of its rows, and what a further statement answers."""
    keep = keep_statement(mapping, rows)
    statements = [*([keep] if keep else []), copy_statement(mapping, rows, target, header=header), *further]
    answers = run_statements(statements, folder, _HEAVY_BYTES if further else _OWN_BYTES)
    count = int(answers[1 if keep else 0][0][0])
    if not count and header:
        _write_header(mapping, target)
    return count, answers[-1] if further else []


def run_statements(
    statements: Sequence[str],
    folder: str,
    own: int = _OWN_BYTES,
    explain: Callable[[Exception], ComponentRunError] | None = None,
    *,
    share: int = 1,
    database: AbstractContextManager[Any] | None = None,
) -> list[list[Any]]:
    """What statements answer, as lists of rows.

    Args:
        statements: as `tablesql` makes them.
        folder: where DuckDB may spill.
        own: bytes that the process needs beside what DuckDB counts.
        explain: says what an error of DuckDB means; by default as stage-in sees it.
        share: how many such queries share the memory of the process.
        database: a connection to one that is there already; None: one is made, and `own` and `share` are for that.

    Raises:
        UserError: (DiskFull) the folder is full; (InputInvalid) a value does not fit.
        PlatformError: (StageInFailed) a row is too long for the memory, or DuckDB refused.
    """
    with database or connect(folder, own=own, share=share) as connection:

        @contextlib.contextmanager
        def threads(alone: bool) -> Iterator[None]:  # noqa: FBT001 - as `_with_patience` calls it
            # With one thread, rows are written one after the other, and nothing is held back for its order.
            connection.execute(f"SET threads = {1 if alone else _THREADS}")
            yield

        return _with_patience(connection, statements, threads, explain or explained)


def connect(folder: str, threads: int = _THREADS, own: int = _OWN_BYTES, share: int = 1) -> Any:
    """A DuckDB of its own, which takes what memory there is and loads nothing from a network.

    Args:
        folder: where it may spill.
        threads: how many it uses.
        own: bytes that the process needs beside what DuckDB counts.
        share: how many of them share the memory.
    """
    import duckdb  # noqa: PLC0415 - takes longer to load than all the rest; most tables pass without it

    settings: dict[str, Any] = {
        "threads": threads,
        "memory_limit": f"{_part(memory_for_queries(own), share) // 2**20}MiB",
        "temp_directory": f"{folder}/spilled",
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    return duckdb.connect(":memory:", config=settings)


def _part(memory: int, share: int) -> int:
    """A part of the memory, but as much as a query needs at least, if there is so much."""
    return max(memory // share, min(memory, _LEAST_BYTES))


def load_httpfs(connection: Any, authorities: str | None) -> None:
    """Let a DuckDB, with all its cursors, read over HTTP; see `httpfs_statements`."""
    for statement in httpfs_statements(authorities):
        connection.execute(statement)


def httpfs_statements(authorities: str | None) -> list[str]:
    """What lets a DuckDB read over HTTP, by the extension that is installed beside it; no network is needed for that.

    Args:
        authorities: path of a file with the certificates (PEM) of the authorities to trust; None: DuckDB's own ones.
    """
    import importlib.util  # noqa: PLC0415 - likewise

    import duckdb  # noqa: PLC0415 - likewise

    found = importlib.util.find_spec("duckdb_extension_httpfs")
    if found is None or found.origin is None:
        raise PlatformError("the package `duckdb-extension-httpfs` is not installed")
    folder = os.path.dirname(found.origin)  # noqa: PTH120 - pathlib costs ten milliseconds
    file = f"{folder}/extensions/v{duckdb.__version__}/httpfs.duckdb_extension"
    trusted = [f"SET GLOBAL ca_cert_file = {quoted(authorities)}"] if authorities is not None else []
    return [
        f"LOAD {quoted(file)}",
        "SET GLOBAL enable_server_cert_verification = true",
        "SET GLOBAL enable_curl_server_cert_verification = true",
        *trusted,
    ]


def write_rows(connection: Any, mapping: Mapping, rows: str, target: str, *, header: bool) -> int:
    """Write rows to a file, and return their number.

    Args:
        connection: of `connect`.
        mapping: what to apply; without steps and key.
        rows: a query for `c0`, `c1`, ..., the columns of the mapping, as `parquetscan` makes it.
        target: the file; made anew.
        header: whether it gets a header line.
    """
    count = int(connection.execute(copy_statement(mapping, rows, target, header=header)).fetchall()[0][0])
    if not count and header:
        _write_header(mapping, target)
    return count


def _write_header(mapping: Mapping, target: str) -> None:
    with open(target, "wb") as file:  # noqa: PTH123 - pathlib costs ten milliseconds
        file.write(encode_header(columns_of(mapping)))


def _with_patience(
    connection: Any,
    statements: Sequence[str],
    turn: Callable[[bool], AbstractContextManager[None]],
    explain: Callable[[Exception], ComponentRunError],
) -> list[list[Any]]:
    """What the statements answer, run beside others, or, where memory is short or a row very long, alone with room."""
    import duckdb  # noqa: PLC0415 - likewise

    connection.execute("SET TimeZone = 'UTC'")
    row_bytes, buffer_bytes, alone = _ROW_BYTES, _BUFFER_BYTES, False
    while True:
        with turn(alone):
            connection.execute(f"SET VARIABLE row_bytes = {row_bytes}")
            connection.execute(f"SET VARIABLE buffer_bytes = {buffer_bytes}")
            try:
                return [connection.execute(statement).fetchall() for statement in statements]
            except duckdb.OutOfMemoryException as error:
                if alone or is_disk_full(error):
                    raise explain(error) from None
            except duckdb.Error as error:
                if row_bytes > MAX_ROW_BYTES or "max_line_size" not in str(error):
                    raise explain(error) from None
                row_bytes = buffer_bytes = MAX_ROW_BYTES + _CHUNK_BYTES
        alone = True


def is_disk_full(error: Exception) -> bool:
    """Whether an error of DuckDB says that there is no room to spill to or to write to."""
    text = str(error).lower()
    return "no space left" in text or "disk full" in text or "max_temp_directory_size" in text


def explained(
    error: Exception, what: str = "the mapping can't be applied", shown: Callable[[str], str] = str
) -> UserError | PlatformError:
    """What an error of DuckDB means.

    Args:
        error: the error.
        what: what failed, as the start of a sentence.
        shown: makes of DuckDB's words what may be told.
    """
    if is_disk_full(error):
        return UserError(
            "the data folder is full while a mapping is applied; give the run (or its Component) a larger data folder",
            Reason.DISK_FULL,
        )
    if refused := str(error).partition(MISFIT)[2]:
        return UserError(refused, Reason.INPUT_INVALID)
    first = shown(str(error).strip().splitlines()[0])[:300] if str(error).strip() else "no message"
    return PlatformError(
        f"{what}: {type(error).__name__}: {first}. Where memory is short, give stage-in more",
        Reason.STAGE_IN_FAILED,
    )


def memory_for_queries(own: int = _OWN_BYTES) -> int:
    """Bytes that DuckDB may use: what the container's memory limit leaves beside `own`."""
    limit = min(_cgroup_limits(), default=None)
    if limit is None or limit > _UNLIMITED:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return max(min(available // 4, _WITHOUT_LIMIT), _LEAST_BYTES)
    return max(limit // 2, limit - own, _LEAST_BYTES)


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

"""Runs queries with DuckDB: limits for memory and threads, retries, and the meaning of errors.

Used by stage-in, the loader, maintenance and the command line. DuckDB is imported when the first query begins. It may
use the memory that the container's limit leaves, and spills to a folder that the caller names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from componentrun.csv.text import MAX_ROW_BYTES, encode_header
from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError
from componentrun.sql.tables import MISFIT, columns_of, copy_statement, keep_statement, quoted, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from componentrun.sql.tables import Mapping

__all__ = [
    "connect",
    "deliver",
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
"""Memory that the interpreter and DuckDB need in addition to what DuckDB counts."""
_LEAST_BYTES: Final = 64 * 2**20
_WITHOUT_LIMIT: Final = 2**30
_UNLIMITED: Final = 2**60
"""A cgroup of version 1 without a limit reports a number near 2**63."""


def deliver(mapping: Mapping, files: Sequence[Sequence[str]], target: str, folder: str) -> int:
    """Write rows with a header line to a file, and return their number.

    Args:
        mapping: the mapping to apply.
        files: for each step, the files that hold its rows, prepared by `sql.files`.
        target: path of the file; an existing file is overwritten.
        folder: where DuckDB may spill.

    Raises:
        UserError: (DiskFull) the folder is full.
        PlatformError: (StageInFailed) memory is too small for a row, or DuckDB failed.
    """
    rows = rows_of(mapping, files)
    keep = keep_statement(mapping, rows)
    # One thread reads a file from start to end; a second one takes CPU time and does none of the work.
    threads = 1 if sum(map(len, files)) == 1 else _THREADS
    statements = [*([keep] if keep else []), copy_statement(mapping, rows, target)]
    answers = run_statements(statements, folder, threads=threads)
    count = int(answers[-1][0][0])
    if not count:
        _write_header(mapping, target)
    return count


def run_statements(
    statements: Sequence[str],
    folder: str,
    explain: Callable[[Exception], ComponentRunError] | None = None,
    *,
    share: int = 1,
    threads: int = _THREADS,
    database: AbstractContextManager[Any] | None = None,
) -> list[list[Any]]:
    """Execute statements and return the rows of each result.

    Args:
        statements: see `sql.tables`.
        folder: where DuckDB may spill.
        explain: converts an error of DuckDB; defaults to `explained`, for stage-in.
        share: number of such queries that share the memory of the process.
        threads: number of threads.
        database: an open connection to use; None: a database is created, with `share`.

    Raises:
        UserError: (DiskFull) the folder is full; (InputInvalid) a value does not fit.
        PlatformError: (StageInFailed) memory is too small for a row, or DuckDB failed.
    """
    with database or connect(folder, share=share) as connection:
        return _with_patience(connection, statements, explain or explained, threads)


def connect(folder: str, threads: int = _THREADS, own_bytes: int = _OWN_BYTES, share: int = 1) -> Any:
    """Open a new in-memory database that may use the available memory and never downloads extensions.

    Args:
        folder: where it may spill.
        threads: number of threads that it uses.
        own_bytes: bytes that the process needs in addition to what DuckDB counts.
        share: number of such databases that share the memory.
    """
    import duckdb  # noqa: PLC0415 - slow to load, and agents without tables do not need it

    settings: dict[str, Any] = {
        "threads": threads,
        "memory_limit": f"{_part(memory_for_queries(own_bytes), share) // 2**20}MiB",
        "temp_directory": f"{folder}/spilled",
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    return duckdb.connect(":memory:", config=settings)


def _part(memory: int, share: int) -> int:
    """The memory of one of `share` databases; not less than a query needs, if that much is available."""
    return max(memory // share, min(memory, _LEAST_BYTES))


def load_httpfs(connection: Any, authorities: str | None) -> None:
    """Enable reading over HTTP for a database and all its cursors; see `httpfs_statements`."""
    for statement in httpfs_statements(authorities):
        connection.execute(statement)


def httpfs_statements(authorities: str | None) -> list[str]:
    """Statements that enable reading over HTTP. They load the extension from its Python package, not from a network.

    Args:
        authorities: path of a PEM file with the certificate authorities to trust; None: DuckDB's default.
    """
    import importlib.util  # noqa: PLC0415 - likewise

    import duckdb  # noqa: PLC0415 - likewise

    spec = importlib.util.find_spec("duckdb_extension_httpfs")
    if spec is None or spec.origin is None:
        raise PlatformError("the package `duckdb-extension-httpfs` is not installed")
    folder = os.path.dirname(spec.origin)  # noqa: PTH120 - pathlib costs ten milliseconds
    file = f"{folder}/extensions/v{duckdb.__version__}/httpfs.duckdb_extension"
    authority_statements = [f"SET GLOBAL ca_cert_file = {quoted(authorities)}"] if authorities is not None else []
    return [
        f"LOAD {quoted(file)}",
        "SET GLOBAL enable_server_cert_verification = true",
        "SET GLOBAL enable_curl_server_cert_verification = true",
        *authority_statements,
    ]


def write_rows(connection: Any, mapping: Mapping, rows: str, target: str, *, header: bool) -> int:
    """Write rows to a file, and return their number.

    Args:
        connection: see `connect`.
        mapping: the mapping to apply; it has no steps and no key.
        rows: a query for `c0`, `c1`, ..., the columns of the mapping; see `sql.scan`.
        target: path of the file; an existing file is overwritten.
        header: whether the file begins with a header line.
    """
    count = int(connection.execute(copy_statement(mapping, rows, target, header=header)).fetchall()[0][0])
    if not count and header:
        _write_header(mapping, target)
    return count


def _write_header(mapping: Mapping, target: str) -> None:
    with open(target, "wb") as file:  # noqa: PTH123 - pathlib costs ten milliseconds
        file.write(encode_header(columns_of(mapping)))


def _with_patience(
    connection: Any, statements: Sequence[str], explain: Callable[[Exception], ComponentRunError], threads: int
) -> list[list[Any]]:
    """Execute statements; retry with one thread and larger buffers if memory is short or a row is very long."""
    import duckdb  # noqa: PLC0415 - likewise

    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET threads = {threads}")
    row_bytes, buffer_bytes, is_single = _ROW_BYTES, _BUFFER_BYTES, False
    while True:
        connection.execute(f"SET VARIABLE row_bytes = {row_bytes}")
        connection.execute(f"SET VARIABLE buffer_bytes = {buffer_bytes}")
        try:
            return [connection.execute(statement).fetchall() for statement in statements]
        except duckdb.OutOfMemoryException as error:
            if is_single or is_disk_full(error):
                raise explain(error) from None
        except duckdb.Error as error:
            # DuckDB does not report a row that is longer than two buffers as too long, but as one with more columns.
            if row_bytes > MAX_ROW_BYTES or "CSV Error" not in str(error):
                raise explain(error) from None
            row_bytes = buffer_bytes = MAX_ROW_BYTES + _CHUNK_BYTES
        # One thread writes rows in their order, so none have to be buffered.
        connection.execute("SET threads = 1")
        is_single = True


def is_disk_full(error: Exception) -> bool:
    """Whether an error of DuckDB means that the disk is full, for spilled data or for output."""
    text = str(error).lower()
    return "no space left" in text or "disk full" in text or "max_temp_directory_size" in text


def explained(
    error: Exception, subject: str = "the mapping can't be applied", shown: Callable[[str], str] = str
) -> UserError | PlatformError:
    """Convert an error of DuckDB.

    Args:
        error: the error.
        subject: what failed, as the start of a sentence.
        shown: removes secrets from a message of DuckDB.
    """
    if is_disk_full(error):
        return UserError(
            "the data folder is full while a mapping is applied",
            Reason.DISK_FULL,
            advice="Give the run (or its Component) a larger data folder.",
        )
    if problem := str(error).partition(MISFIT)[2]:
        return UserError(problem, Reason.INPUT_INVALID)
    first = shown(str(error).strip().splitlines()[0])[:300] if str(error).strip() else "no message"
    return PlatformError(
        f"{subject}: {type(error).__name__}: {first}",
        Reason.STAGE_IN_FAILED,
        advice="If memory is short, raise the memory limit of stage-in.",
    )


def memory_for_queries(own_bytes: int = _OWN_BYTES) -> int:
    """Bytes that DuckDB may use: the container's memory limit less `own_bytes`."""
    limit = min(_cgroup_limits(), default=None)
    if limit is None or limit > _UNLIMITED:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return max(min(available // 4, _WITHOUT_LIMIT), _LEAST_BYTES)
    return max(limit // 2, limit - own_bytes, _LEAST_BYTES)


def _cgroup_limits(root: str = "/sys/fs/cgroup", own_file: str = "/proc/self/cgroup") -> list[int]:
    """Memory limits of this process's cgroups (version 1 and 2) that are visible to it."""
    folders = {root, f"{root}/memory"}
    for line in _lines(own_file):
        _, _, remainder = line.partition(":")
        controllers, _, path = remainder.partition(":")
        if not controllers:
            folders.add(f"{root}{path}")
        elif "memory" in controllers.split(","):
            folders.add(f"{root}/memory{path}")
    limits = []
    for folder in folders:
        for file in ("memory.max", "memory.limit_in_bytes"):
            limits += [int(line) for line in _lines(f"{folder.rstrip('/')}/{file}") if line.isdecimal()]
    return limits


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib costs ten milliseconds
            return file.read().split("\n")
    except OSError:
        return []

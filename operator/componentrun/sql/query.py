"""Queries by DuckDB over files in a folder: what memory and threads they get, and what their errors mean.

Used by stage-in, the loader, maintenance and the command line. DuckDB is imported when the first query begins. It may
use what the container's memory limit leaves it, and spills into the same folder.
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
"""What the interpreter and DuckDB need beside what DuckDB counts."""
_LEAST_BYTES: Final = 64 * 2**20
_WITHOUT_LIMIT: Final = 2**30
_UNLIMITED: Final = 2**60
"""A cgroup of version 1 without a limit tells a number near 2**63."""


def deliver(mapping: Mapping, files: Sequence[Sequence[str]], target: str, folder: str) -> int:
    """Write rows with a header line to a file, and return their number.

    Args:
        mapping: what to apply.
        files: for each step the files that hold its rows, made ready by `sql.files`.
        target: the file; made anew.
        folder: where DuckDB may spill.

    Raises:
        UserError: (DiskFull) the folder is full.
        PlatformError: (StageInFailed) a row is too long for the memory, or DuckDB refused.
    """
    rows = rows_of(mapping, files)
    keep = keep_statement(mapping, rows)
    answers = run_statements([*([keep] if keep else []), copy_statement(mapping, rows, target)], folder)
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
    database: AbstractContextManager[Any] | None = None,
) -> list[list[Any]]:
    """What statements answer, as lists of rows.

    Args:
        statements: as `sql.tables` makes them.
        folder: where DuckDB may spill.
        explain: says what an error of DuckDB means; by default as stage-in sees it.
        share: how many such queries share the memory of the process.
        database: a connection to one that is there already; None: one is made, and `share` is for that.

    Raises:
        UserError: (DiskFull) the folder is full; (InputInvalid) a value does not fit.
        PlatformError: (StageInFailed) a row is too long for the memory, or DuckDB refused.
    """
    with database or connect(folder, share=share) as connection:
        return _with_patience(connection, statements, explain or explained)


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
        rows: a query for `c0`, `c1`, ..., the columns of the mapping, as `sql.scan` makes it.
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
    connection: Any, statements: Sequence[str], explain: Callable[[Exception], ComponentRunError]
) -> list[list[Any]]:
    """What the statements answer. Where memory is short or a row very long, they are tried again with room for it."""
    import duckdb  # noqa: PLC0415 - likewise

    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET threads = {_THREADS}")
    row_bytes, buffer_bytes, alone = _ROW_BYTES, _BUFFER_BYTES, False
    while True:
        connection.execute(f"SET VARIABLE row_bytes = {row_bytes}")
        connection.execute(f"SET VARIABLE buffer_bytes = {buffer_bytes}")
        try:
            return [connection.execute(statement).fetchall() for statement in statements]
        except duckdb.OutOfMemoryException as error:
            if alone or is_disk_full(error):
                raise explain(error) from None
        except duckdb.Error as error:
            # A row that is longer than two buffers is not called too long, but read as if it had more columns.
            if row_bytes > MAX_ROW_BYTES or "CSV Error" not in str(error):
                raise explain(error) from None
            row_bytes = buffer_bytes = MAX_ROW_BYTES + _CHUNK_BYTES
        # With one thread, rows are written one after the other, and nothing is held back for its order.
        connection.execute("SET threads = 1")
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

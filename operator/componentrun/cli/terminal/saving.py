"""Write local files atomically."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Final, TypeVar

from componentrun.cli.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["save"]

Result = TypeVar("Result")
_SHOWN: Final = 40
"""Characters, of four bytes at most."""


def save(target: Path, write: Callable[[IO[bytes]], Result]) -> Result:
    """Write a file next to the target with `write`, then rename it to the target. Returns the result of `write`.

    If the target is a link, the file that it leads to is replaced. If it is not a regular file (a pipe, `/dev/stdout`),
    the complete content is written to it.

    Raises:
        BadRequestError: the file can't be written.
    """
    try:
        # Checked before it is resolved: the target of /dev/stdout may have no name.
        if target.exists() and not target.is_file() and not target.is_dir():
            return _into(target, write)
        return _in_place_of(target.resolve(), write)
    except OSError as error:
        raise BadRequestError(f"can't write `{target}`: {error.strerror}", "Choose another FILE.") from error


def _in_place_of(target: Path, write: Callable[[IO[bytes]], Result]) -> Result:
    # A unique name: another process may write the same file, and an existing name may be a link.
    # Only the beginning of the target's name, which may have the maximum length.
    partial = target.with_name(f".{target.name[:_SHOWN]}.{secrets.token_hex(4)}.part")
    file = partial.open("xb")
    try:
        with file:
            result = write(file)
        if target.is_file():
            shutil.copymode(target, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return result


def _into(target: Path, write: Callable[[IO[bytes]], Result]) -> Result:
    with tempfile.NamedTemporaryFile(prefix="componentrun-") as spool:
        result = write(spool)
        spool.flush()
        with open(spool.name, "rb") as source, target.open("wb") as file:  # noqa: PTH123 - a name, not a path
            shutil.copyfileobj(source, file)
    return result

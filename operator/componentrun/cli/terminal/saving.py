"""Bytes to a local file that nobody finds half-written."""

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
    """Have `write` fill a file beside the target, then let that take its place; what `write` gives back.

    A link stays one: what it leads to is written. What is there and is no file (a pipe, `/dev/stdout`) is written to
    once all is there.

    Raises:
        BadRequestError: the file can't be written.
    """
    try:
        # Asked before it is resolved: what /dev/stdout leads to may have no name.
        if target.exists() and not target.is_file() and not target.is_dir():
            return _into(target, write)
        return _in_place_of(target.resolve(), write)
    except OSError as error:
        raise BadRequestError(f"can't write `{target}`: {error.strerror}", "choose another FILE") from error


def _in_place_of(target: Path, write: Callable[[IO[bytes]], Result]) -> Result:
    # A name of its own: another one may write the same file now, and what is there may be a link of somebody else's.
    # Of the target's name only the beginning: that may be as long as a file system takes.
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
    with tempfile.NamedTemporaryFile(prefix="componentrun-") as spooled:
        result = write(spooled)
        spooled.flush()
        with open(spooled.name, "rb") as source, target.open("wb") as file:  # noqa: PTH123 - a name, not a path
            shutil.copyfileobj(source, file)
    return result

"""Bytes to a local file that nobody finds half-written."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, TypeVar

from componentrun.cli.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["save"]

Result = TypeVar("Result")


def save(target: Path, write: Callable[[IO[bytes]], Result]) -> Result:
    """Have `write` fill a file beside the target, then let that take its place; what `write` gives back.

    Raises:
        BadRequestError: the file can't be written.
    """
    partial = target.with_name(f".{target.name}.part")
    try:
        with partial.open("wb") as file:
            result = write(file)
        partial.replace(target)
    except OSError as error:
        raise BadRequestError(f"can't write `{target}`: {error.strerror}", "choose another FILE") from error
    finally:
        partial.unlink(missing_ok=True)
    return result

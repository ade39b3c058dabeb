"""A folder for temporary files of stage-in, on the volume of the data folder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["scratch_folder"]


@contextlib.contextmanager
def scratch_folder(data: str) -> Iterator[str]:
    """Path of an empty folder below the data folder; deleted with its content when the block ends."""
    import shutil  # noqa: PLC0415 - slow to load, and runs without tables do not need it
    import tempfile  # noqa: PLC0415 - likewise

    # A random name: folders of an earlier start of the container do not conflict.
    scratch = tempfile.mkdtemp(prefix=".stage-in-", dir=data)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

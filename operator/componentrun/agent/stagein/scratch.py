"""A folder for what is needed only while the input is brought, on the volume of the data folder."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["scratch_folder"]


@contextlib.contextmanager
def scratch_folder(data: str) -> Iterator[str]:
    """Path of an empty folder below the data folder; deleted with all that is in it when the block ends."""
    import shutil  # noqa: PLC0415 - takes longer to load than a run without tables takes
    import tempfile  # noqa: PLC0415 - likewise

    # A name that nobody can know before: nothing of an earlier life of the pod is in the way.
    scratch = tempfile.mkdtemp(prefix=".stage-in-", dir=data)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

"""Takes what a component left beside its output, before a processor can change it.

State, usage and result are copied, as the processors find them in `in`, too. They are checked where they are stored:
by stage-out, which reads the copies in place of the originals.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from componentrun import contract
from componentrun.agent.artifacts import artifacts_in, traps
from componentrun.agent.folder import disk_error
from componentrun.errors import together
from componentrun.wire.chain import KEPT

if TYPE_CHECKING:
    from componentrun.agent.folder import Folder

__all__ = ["take"]

_MODE: Final = 0o640
_BLOCK: Final = 2**20


def take(data: Folder, notes: Folder) -> None:
    """Copy state, usage, result and artifacts of the component.

    Args:
        data: the data folder.
        notes: the volume that only agents mount.

    Raises:
        UserError: (OutputInvalid) `out` holds something that is neither file nor folder, or there are too many
            artifacts; (DiskFull) no space left.
    """
    if errors := traps(data):
        raise together(errors)
    paths = [contract.OUT_STATE, contract.OUT_RESULT, contract.OUT_USAGE, *artifacts_in(data)]
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # all but artifacts are optional
            _copy(data, notes, path)


def _copy(data: Folder, notes: Folder, path: str) -> None:
    with data.open(path) as source:
        target = notes.create(f"{KEPT}/{path}", _MODE)
        try:
            offset = 0
            while block := source.read(_BLOCK, offset):
                os.write(target, block)
                offset += len(block)
        except OSError as error:
            raise disk_error(error, path) from error
        finally:
            os.close(target)

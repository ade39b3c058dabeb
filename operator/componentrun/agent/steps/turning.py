"""The output of a step becomes the input of the next one.

The original runner does the same between two containers: it deletes `in`, removes `out/state.json`, renames `out` to
`in` and makes a new `out`. All of it stays in one mount, so programs can rename files from `in` to `out`.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from componentrun import contract
from componentrun.agent.folder import FOLDER, kind_of
from componentrun.agent.steps.removing import entries, is_folder, remove
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from componentrun.agent.folder import Folder

__all__ = ["has_output", "share", "turn"]

_IN, _OUT = contract.IN_TABLES.partition("/")[0], contract.OUT_TABLES.partition("/")[0]
_GROUP_FILE, _GROUP_FOLDER = 0o060, 0o070


def has_output(data: str) -> bool:
    """Whether anything is in `out`, besides a state and the empty folders that every program finds there.

    Args:
        data: path of the data folder.
    """
    out = f"{data}/{_OUT}"
    if not is_folder(out):
        return False
    given = {os.path.basename(path) for path in (contract.OUT_TABLES, contract.OUT_FILES)}  # noqa: PTH119 - pathlib costs ten milliseconds
    state = os.path.basename(contract.OUT_STATE)  # noqa: PTH119 - likewise
    for entry in entries(out):
        if entry.name == state:
            continue
        if entry.name not in given or not entry.is_dir(follow_symlinks=False):
            return True
        if any(True for _ in entries(entry.path)):
            return True
    return False


def turn(folder: Folder, data: str) -> None:
    """Make the output of a step the input of the next one.

    Args:
        folder: the data folder.
        data: its path.

    Raises:
        UserError: (OutputInvalid) `out`, or a folder in it that every program finds, is a link or a file.
        OSError: something can't be deleted.
    """
    out = f"{data}/{_OUT}"
    if os.path.lexists(out) and not is_folder(out):
        kind = kind_of(os.lstat(out).st_mode)
        raise UserError(f"{_OUT}: found {kind}, expected {FOLDER}; links are not followed", Reason.OUTPUT_INVALID)
    remove(f"{data}/{_IN}")
    if is_folder(out):
        remove(f"{data}/{contract.OUT_STATE}")
        os.rename(out, f"{data}/{_IN}")  # noqa: PTH104 - likewise
    for path in (contract.IN_TABLES, contract.IN_FILES, contract.OUT_TABLES, contract.OUT_FILES):
        folder.make(path)


def share(data: str) -> None:
    """Let the group read and change everything in the data folder, because the next step has another user.

    All containers of a pod have the same group. What belongs to other users is left alone: they have done the same.
    """
    folders = [data]
    while folders:
        for entry in entries(folders.pop()):
            if entry.is_symlink():
                continue
            is_dir = entry.is_dir()
            _allow(entry, _GROUP_FOLDER if is_dir else _GROUP_FILE)
            if is_dir:
                folders.append(entry.path)


def _allow(entry: os.DirEntry[str], bits: int) -> None:
    status = entry.stat(follow_symlinks=False)
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid == os.geteuid() and mode & bits != bits:
        os.chmod(entry.path, mode | bits)  # noqa: PTH101 - pathlib costs ten milliseconds

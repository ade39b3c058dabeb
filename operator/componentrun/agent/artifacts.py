"""Finds artifacts, and entries of `out/` that are neither file nor folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.agent.folder import FILE, FOLDER, refused, shown
from componentrun.contract import OUT_ARTIFACTS, OUT_FILES, OUT_RESULT, OUT_STATE, OUT_TABLES, OUT_USAGE
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.agent.folder import Folder

__all__ = ["MAX_ARTIFACTS", "MAX_ARTIFACT_BYTES", "artifacts_in", "traps"]

MAX_ARTIFACTS: Final = 1000
MAX_ARTIFACT_BYTES: Final = 2**30
"""Maximum bytes of all artifacts together."""
_DEEPEST: Final = 16
_READ: Final = frozenset({OUT_TABLES, OUT_FILES, OUT_STATE, OUT_RESULT, OUT_USAGE})
"""Paths whose readers report entries of another kind."""


def traps(folder: Folder) -> list[UserError]:
    """Errors for entries of `out/` that nothing reads and that are neither file nor folder."""
    root, _, _ = OUT_TABLES.partition("/")
    try:
        entries = folder.entries(root)
    except UserError:
        return []  # reported when tables are listed
    found = [(f"{root}/{entry.name}", entry.kind) for entry in entries if entry.kind not in {FILE, FOLDER}]
    return [refused(path, kind) for path, kind in found if path not in _READ]


def artifacts_in(folder: Folder) -> list[str]:
    """Paths of all artifacts in the data folder.

    Raises:
        UserError: (OutputInvalid) one is not a regular file, has a name that is not UTF-8, or there are too many.
    """
    artifacts: list[str] = []
    total = 0
    for root in OUT_ARTIFACTS:
        for path, size in _files(folder, root, _DEEPEST):
            artifacts.append(path)
            total += size
            if len(artifacts) > MAX_ARTIFACTS or total > MAX_ARTIFACT_BYTES:
                raise UserError(
                    f"{root}: more than {MAX_ARTIFACTS} artifacts, or {MAX_ARTIFACT_BYTES} bytes of them; expected at "
                    "most that much. None was kept",
                    Reason.OUTPUT_INVALID,
                )
    return artifacts


def _files(folder: Folder, path: str, depth: int) -> Iterator[tuple[str, int]]:
    for entry in folder.entries(path):
        child = f"{path}/{entry.name}"
        if shown(entry.name) != entry.name or "\\" in entry.name:
            raise UserError(f"{shown(child)}: its name is not plain text", Reason.OUTPUT_INVALID)
        if entry.kind == FILE:
            yield child, entry.size
        elif entry.kind != FOLDER:
            raise refused(child, entry.kind)
        elif depth == 0:
            raise UserError(f"{child}: more than {_DEEPEST} folders deep", Reason.OUTPUT_INVALID)
        else:
            yield from _files(folder, child, depth - 1)

"""Sizes of all output, determined before the upload begins. Compressed files count with their decompressed size."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun.agent.folder import FILE
from componentrun.agent.stagein.inflated import encoding_of, inflated_size
from componentrun.contract import OUT_TABLES
from componentrun.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.agent.folder import Entry, Folder
    from componentrun.agent.stageout.outputs import Decision, Source

__all__ = ["OutputSizes", "output_sizes"]


@dataclass(frozen=True, slots=True)
class OutputSizes:
    """Tables to store, and their sizes."""

    sources: tuple[Source, ...]
    """Tables whose files can all be read."""
    total: int
    """Bytes of all their files, decompressed."""
    largest: int
    """Bytes of the largest file."""
    unpacked_sizes: dict[str, int]
    """Decompressed sizes of compressed files, by path."""
    errors: tuple[UserError, ...]
    """Errors of tables with unreadable files."""


def output_sizes(folder: Folder, entries: Sequence[Entry], decision: Decision, most: int | None) -> OutputSizes:
    """Determine the sizes of all files that become tables.

    A folder that can't be read counts as empty here; storing it fails later.

    Args:
        folder: the data folder.
        entries: names below out/tables.
        decision: which of them become tables.
        most: maximum total size; None: no limit. Decompression stops there.
    """
    sizes = {entry.name: entry.size for entry in entries if entry.kind == FILE}
    sources: list[Source] = []
    errors: list[UserError] = []
    unpacked_sizes: dict[str, int] = {}
    total = largest = 0
    for source in decision.sources:
        try:
            for path, size in _files(folder, source, sizes):
                remaining = None if most is None else max(most - total, 0)
                unpacked_size = _unpacked(folder, path, remaining)
                if unpacked_size is not None:
                    unpacked_sizes[path] = unpacked_size
                total += size if unpacked_size is None else unpacked_size
                largest = max(largest, size)
        except UserError as error:
            errors.append(error)
        else:
            sources.append(source)
    return OutputSizes(tuple(sources), total, largest, unpacked_sizes, tuple(errors))


def _files(folder: Folder, source: Source, sizes: dict[str, int]) -> Iterator[tuple[str, int]]:
    path = f"{OUT_TABLES}/{source.name}"
    if not source.sliced:
        yield path, sizes.get(source.name, 0)
        return
    with contextlib.suppress(UserError):
        entries = folder.entries(path)
        yield from (
            (f"{path}/{entry.name}", entry.size) for entry in entries if entry.kind == FILE and not entry.hidden
        )


def _unpacked(folder: Folder, path: str, most: int | None) -> int | None:
    """Decompressed size; None if the file is not compressed, or can't be read, which fails when it is stored."""
    with contextlib.suppress(FileNotFoundError), folder.open(path) as file:
        encoding = encoding_of(file.read)
        return None if encoding is None else inflated_size(file, encoding, path, most)
    return None

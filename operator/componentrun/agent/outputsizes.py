"""How much there is to store, known before anything travels. What compressed files hold counts, not what they take."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun.agent.folder import FILE
from componentrun.agent.inflated import encoding_of, inflated_size
from componentrun.contract import OUT_TABLES
from componentrun.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.agent.folder import Entry, Folder
    from componentrun.agent.outputs import Decision, Source

__all__ = ["OutputSizes", "output_sizes"]


@dataclass(frozen=True, slots=True)
class OutputSizes:
    """What is to be stored."""

    sources: tuple[Source, ...]
    """Tables of which all files can be read."""
    total: int
    """Bytes of all their files, unpacked."""
    largest: int
    """Bytes of the largest file."""
    held: dict[str, int]
    """Bytes that compressed files hold, by their paths."""
    errors: tuple[UserError, ...]
    """What is wrong with the other tables."""


def output_sizes(folder: Folder, entries: Sequence[Entry], decision: Decision, most: int | None) -> OutputSizes:
    """Look at all files that become tables.

    A folder that is a trap counts nothing here; storing it is what fails.

    Args:
        folder: the data folder.
        entries: names below out/tables.
        decision: which of them become tables.
        most: bytes that they may hold together; None: any number. Compressed files are unpacked no further.
    """
    found = {entry.name: entry.size for entry in entries if entry.kind == FILE}
    sources: list[Source] = []
    errors: list[UserError] = []
    held: dict[str, int] = {}
    total = largest = 0
    for source in decision.sources:
        try:
            for path, size in _files(folder, source, found):
                left = None if most is None else max(most - total, 0)
                unpacked = _unpacked(folder, path, left)
                if unpacked is not None:
                    held[path] = unpacked
                total += size if unpacked is None else unpacked
                largest = max(largest, size)
        except UserError as error:
            errors.append(error)
        else:
            sources.append(source)
    return OutputSizes(tuple(sources), total, largest, held, tuple(errors))


def _files(folder: Folder, source: Source, found: dict[str, int]) -> Iterator[tuple[str, int]]:
    path = f"{OUT_TABLES}/{source.name}"
    if not source.sliced:
        yield path, found.get(source.name, 0)
        return
    with contextlib.suppress(UserError):
        below = folder.entries(path)
        yield from ((f"{path}/{entry.name}", entry.size) for entry in below if entry.kind == FILE and not entry.hidden)


def _unpacked(folder: Folder, path: str, most: int | None) -> int | None:
    """Bytes that a compressed file holds; None: it is not compressed, or can't be read, which storing it tells."""
    with contextlib.suppress(FileNotFoundError), folder.open(path) as file:
        encoding = encoding_of(file.read)
        return None if encoding is None else inflated_size(file, encoding, path, most)
    return None

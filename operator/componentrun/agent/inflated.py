"""Files that a component has compressed, read as what they hold: gzip or zstd, known by their first bytes.

No CSV begins with these bytes, because they are no UTF-8; so names say nothing, and a file may be compressed or not
under any. Nothing is unpacked to the disk. A file is read once to learn how much it holds, within what the run may
store, and once more while its rows are uploaded; little of it is in memory at a time.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, Protocol

from componentrun.agent.folder import shown
from componentrun.encoding import GZIP, ZSTD, ZSTD_WINDOW, zstd_decoder
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.csvdialect import Read

__all__ = ["Content", "Inflated", "encoding_of", "inflated_size", "without_suffix"]

_MARKS: Final = {b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTD}
_LONGEST_MARK: Final = 4
_SUFFIXES: Final = (".gz", ".zst")
_CHUNK_BYTES: Final = 256 * 2**10
_BLOCK_BYTES: Final = 2**20
"""What comes out at once, at most."""
_GZIP_WINDOW: Final = 31
"""The largest window, in gzip's own format."""


class Content(Protocol):
    """Bytes of a file, as they are or as they were before they were compressed."""

    @property
    def size(self) -> int:
        """How many there are."""

    def read(self, length: int, offset: int) -> bytes:
        """Some of them; fewer than `length` only at the end."""


def encoding_of(read: Read) -> str | None:
    """How a file is compressed; None: it is not."""
    begins = read(_LONGEST_MARK, 0)
    return next((encoding for mark, encoding in _MARKS.items() if begins.startswith(mark)), None)


def without_suffix(name: str) -> str:
    """The name of a file as it was before it was compressed: `bar.csv.gz` becomes `bar.csv`."""
    return next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)


def inflated_size(file: Content, encoding: str, path: str, most: int | None) -> int:
    """How many bytes a compressed file holds.

    Args:
        file: as it is.
        encoding: see `encoding_of`.
        path: for messages.
        most: bytes that it may hold; None: any number.

    Raises:
        UserError: (OutputInvalid) it holds more, or is broken.
    """
    size = 0
    for block in _blocks(file, encoding, path):
        size += len(block)
        if most is not None and size > most:
            raise UserError(
                f"{shown(path)}: it holds more than the {most} bytes that are left of what the run may store, "
                f"compressed to {file.size}. Write less, or have the Component's `dataSize` raised",
                Reason.OUTPUT_INVALID,
            )
    return size


class Inflated:
    """What a compressed file holds, for readers that go from its begin to its end.

    Who goes back further than to the last place that was asked for has the file unpacked anew.

    Args:
        file: as it is.
        encoding: see `encoding_of`.
        path: for messages.
        size: see `inflated_size`.
    """

    def __init__(self, file: Content, encoding: str, path: str, size: int) -> None:
        """Nothing is read yet."""
        self.size = size
        self._file = file
        self._encoding = encoding
        self._path = path
        self._restart()

    def read(self, length: int, offset: int) -> bytes:
        """Bytes of it; fewer than `length` only at its end.

        Raises:
            UserError: (OutputInvalid) it is broken.
        """
        if offset < self._offset:
            self._restart()
        while self._offset + len(self._window) < offset + length:
            # What is before the place that is asked for is not kept.
            gone = min(offset - self._offset, len(self._window))
            del self._window[:gone]
            self._offset += gone
            block = next(self._rest, None)
            if block is None:
                break
            self._window += block
        start = offset - self._offset
        return bytes(self._window[start : start + length])

    def _restart(self) -> None:
        self._offset = 0
        self._window = bytearray()
        self._rest = _blocks(self._file, self._encoding, self._path)


def _blocks(file: Content, encoding: str, path: str) -> Iterator[bytes]:
    """What the file holds, a little at a time. Several compressed files one after the other are one."""
    frame: _Frame | None = None
    begun = False
    for place in range(0, file.size, _CHUNK_BYTES):
        data = file.read(_CHUNK_BYTES, place)
        while data:
            if frame is None:
                # Behind the last one, zeros fill a block of a tape.
                data = data.lstrip(b"\0") if begun else data
                if not data:
                    break
                frame, begun = _gunzip() if encoding == GZIP else _unzstd(), True
            try:
                yield from frame.add(data)
            except ValueError as error:
                raise _broken(path, encoding, str(error)) from error
            data = frame.behind
            if frame.ended:
                frame = None
    if frame is not None:
        raise _broken(path, encoding, "it ends too early")


def _broken(path: str, encoding: str, problem: str) -> UserError:
    return UserError(
        f"{shown(path)}: it begins like {encoding}, and can't be unpacked: {problem}. Expected CSV, as it is or "
        "compressed with gzip or zstd",
        Reason.OUTPUT_INVALID,
    )


class _Frame:
    """One compressed file, or part of one."""

    def __init__(self, engine: Any, error: type[Exception]) -> None:
        self._engine = engine
        self._error = error
        self.behind = b""
        """What was given and is not part of it."""

    @property
    def ended(self) -> bool:
        """Whether it is complete."""
        return bool(self._engine.eof)

    def add(self, data: bytes) -> Iterator[bytes]:
        """Take some of it; gives what that holds."""
        self.behind = b""
        while True:
            try:
                block = self._engine.decompress(data, _BLOCK_BYTES)
            except self._error as error:
                raise ValueError(_explained(error)) from error
            if block:
                yield block
            if self.ended:
                self.behind = self._engine.unused_data
                return
            # zlib hands back what it had no room for, zstd keeps it.
            data = getattr(self._engine, "unconsumed_tail", b"")
            if not data and len(block) < _BLOCK_BYTES:
                return


def _gunzip() -> _Frame:
    return _Frame(zlib.decompressobj(_GZIP_WINDOW), zlib.error)


def _unzstd() -> _Frame:
    return _Frame(*zstd_decoder())


def _explained(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    if "memory" in text.lower():
        return f"it was written with a window of more than {2**ZSTD_WINDOW >> 20} MiB (zstd up to level 19 has less)"
    return text

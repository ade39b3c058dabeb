"""Decompresses output files as a stream: gzip or zstd, detected by their first bytes.

No CSV begins with these bytes, because they are not valid UTF-8, so the name of a file does not matter. Nothing is
written to disk. A file is decompressed once to determine its size, up to the limit of the run, and once more while its
rows are uploaded; only a small part is in memory at a time.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, Protocol

from componentrun.agent.folder import shown
from componentrun.errors import Reason, UserError
from componentrun.wire.encoding import GZIP, ZSTD, ZSTD_WINDOW, zstd_decoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.csv.dialect import Read

__all__ = ["Content", "Inflated", "encoding_of", "inflated_size", "without_suffix"]

_MARKS: Final = {b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTD}
_LONGEST_MARK: Final = 4
_SUFFIXES: Final = (".gz", ".zst")
_CHUNK_BYTES: Final = 256 * 2**10
_BLOCK_BYTES: Final = 2**20
"""Maximum bytes of one decompressed block."""
_GZIP_WINDOW: Final = 31
"""zlib's `wbits` for gzip with the largest window."""


class Content(Protocol):
    """Content of a file, raw or decompressed."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    def read(self, length: int, offset: int) -> bytes:
        """Read bytes; returns fewer than `length` only at the end."""


def encoding_of(read: Read) -> str | None:
    """The compression of a file; None if it is not compressed."""
    begins = read(_LONGEST_MARK, 0)
    return next((encoding for mark, encoding in _MARKS.items() if begins.startswith(mark)), None)


def without_suffix(name: str) -> str:
    """The name of a file as it was before it was compressed: `bar.csv.gz` becomes `bar.csv`."""
    return next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)


def inflated_size(file: Content, encoding: str, path: str, most: int | None) -> int:
    """The decompressed size of a file, in bytes.

    Args:
        file: the compressed file.
        encoding: see `encoding_of`.
        path: for messages.
        most: maximum size; None: no limit.

    Raises:
        UserError: (OutputInvalid) the content is larger, or the file is corrupt.
    """
    size = 0
    for block in _blocks(file, encoding, path):
        size += len(block)
        if most is not None and size > most:
            raise UserError(
                f"{shown(path)}: it holds more than the {most} bytes that are left of what the run may store, "
                f"compressed to {file.size}",
                Reason.OUTPUT_INVALID,
                advice="Write less, or have the Component's `dataSize` raised.",
            )
    return size


class Inflated:
    """Decompressed content of a file, for sequential reading.

    Reading before the last offset decompresses the file again from its start.

    Args:
        file: the compressed file.
        encoding: see `encoding_of`.
        path: for messages.
        size: see `inflated_size`.
    """

    def __init__(self, file: Content, encoding: str, path: str, size: int) -> None:
        """Read nothing yet."""
        self.size = size
        self._file = file
        self._encoding = encoding
        self._path = path
        self._restart()

    def read(self, length: int, offset: int) -> bytes:
        """Read bytes; returns fewer than `length` only at the end.

        Raises:
            UserError: (OutputInvalid) the file is corrupt.
        """
        if offset < self._offset:
            self._restart()
        while self._offset + len(self._window) < offset + length:
            # Content before the requested offset is dropped.
            skipped = min(offset - self._offset, len(self._window))
            del self._window[:skipped]
            self._offset += skipped
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
    """Yield the decompressed content in blocks. Concatenated compressed files are read as one."""
    frame: _Frame | None = None
    is_continued = False
    for place in range(0, file.size, _CHUNK_BYTES):
        data = file.read(_CHUNK_BYTES, place)
        while data:
            if frame is None:
                # Zeros after the last member are padding, which gzip also ignores.
                data = data.lstrip(b"\0") if is_continued else data
                if not data:
                    break
                frame, is_continued = _gunzip() if encoding == GZIP else _unzstd(), True
            try:
                yield from frame.add(data)
            except ValueError as error:
                raise _broken(path, encoding, str(error)) from error
            data = frame.unused_input
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
    """One gzip member or zstd frame."""

    def __init__(self, engine: Any, error: type[Exception]) -> None:
        self._engine = engine
        self._error = error
        self.unused_input = b""
        """Input after the end of this frame."""

    @property
    def ended(self) -> bool:
        """Whether it is complete."""
        return bool(self._engine.eof)

    def add(self, data: bytes) -> Iterator[bytes]:
        """Decompress more input."""
        self.unused_input = b""
        while True:
            try:
                block = self._engine.decompress(data, _BLOCK_BYTES)
            except self._error as error:
                raise ValueError(_explained(error)) from error
            if block:
                yield block
            if self.ended:
                self.unused_input = self._engine.unused_data
                return
            # zlib returns input that it did not process, zstd keeps it.
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

"""Compression of slices: none, gzip or zstd. Both formats contain a checksum of the content.

Reading stops at the size that was recorded at the time of writing, whatever the object contains. The zstd library is
loaded for the first slice that needs it, so that agents of runs with little data start fast.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "COMPRESSIONS",
    "DEFAULT_COMPRESSION",
    "GZIP",
    "NONE",
    "ZSTD",
    "ZSTD_WINDOW",
    "Packer",
    "Unpacker",
    "pack",
    "suffix",
    "zstd_decoder",
]

NONE: Final = "none"
GZIP: Final = "gzip"
ZSTD: Final = "zstd"
COMPRESSIONS: Final = (NONE, GZIP, ZSTD)
"""Values of a Storage's `compression`. An uncompressed slice has no encoding."""
DEFAULT_COMPRESSION: Final = ZSTD
"""Measured, see docs/decisions/0017."""

_SUFFIXES: Final = {NONE: "", GZIP: ".gz", ZSTD: ".zst"}
_BLOCK_BYTES: Final = 2**19
"""Size of decompressed blocks: small enough to remain in the processor's cache until it is written, large enough that
threads seldom switch the interpreter's lock."""
_GZIP_LEVEL: Final = 1
_GZIP_WINDOW: Final = 31
"""The largest window, in gzip's own format."""
_ZSTD_LEVEL: Final = 1
_ZSTD_WINDOW_WRITTEN: Final = 17
"""Window of the search for repetitions, as a power of 2. The level's default of 19 takes a seventh to a quarter more
time, for objects between 2 % larger and 7 % smaller."""
ZSTD_WINDOW: Final = 23
"""Limits a reader's memory to 2**23 bytes for any object; objects written here need 1/64 of it."""


class _Engine(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def suffix(encoding: str) -> str:
    """Return the file name suffix of an encoding."""
    return _SUFFIXES[encoding]


class Packer:
    """Compresses data incrementally.

    Args:
        encoding: `GZIP` or `ZSTD`.
    """

    def __init__(self, encoding: str) -> None:
        """Nothing is compressed yet."""
        self._engine: _Engine = (
            _zstd_packer() if encoding == ZSTD else zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)
        )

    def add(self, data: bytes) -> bytes:
        """Add bytes; return the available compressed bytes."""
        return self._engine.compress(data)

    def finish(self) -> bytes:
        """Return the rest of the compressed bytes."""
        return self._engine.flush()


def pack(data: bytes, encoding: str) -> bytes:
    """Return the compressed bytes."""
    packer = Packer(encoding)
    return packer.add(data) + packer.finish()


class Unpacker:
    """Decompresses data incrementally.

    Args:
        encoding: `GZIP` or `ZSTD`.
        size: decompressed size in bytes, as recorded at the time of writing.
    """

    def __init__(self, encoding: str, size: int) -> None:
        """Nothing is read yet."""
        self._size = size
        self._left = size
        self._engine: _Gunzip | _Unzstd = _Unzstd() if encoding == ZSTD else _Gunzip()

    def add(self, data: bytes | memoryview) -> Iterator[bytes]:
        """Add bytes of the object; yield decompressed blocks.

        Raises:
            ValueError: they are not in this format, or decompress to more than was recorded.
        """
        block = self._engine.decompress(data, self._most())
        while block:
            self._left -= len(block)
            if self._left < 0:
                raise ValueError(f"it holds more than the {self._size} bytes that were stored")
            yield block
            block = self._engine.more(self._most())

    def finish(self) -> None:
        """Check that the object is complete.

        Raises:
            ValueError: it is not.
        """
        if self._left:
            raise ValueError(f"it ends {self._left} bytes before the {self._size} that were stored")
        if not self._engine.ended:
            raise ValueError("its end is not where it should be")

    def _most(self) -> int:
        # One byte more than allowed reveals that the object is too large.
        return min(_BLOCK_BYTES, self._left + 1)


class _Gunzip:
    def __init__(self) -> None:
        self._engine = zlib.decompressobj(_GZIP_WINDOW)

    @property
    def ended(self) -> bool:
        return self._engine.eof and not self._engine.unused_data

    def decompress(self, data: bytes | memoryview, most: int) -> bytes:
        try:
            block = self._engine.decompress(data, most)
        except zlib.error as error:
            raise ValueError(f"it is no gzip: {error}") from error
        return block

    def more(self, most: int) -> bytes:
        return self.decompress(self._engine.unconsumed_tail, most)


class _Unzstd:
    def __init__(self) -> None:
        self._engine, self._error = zstd_decoder()

    @property
    def ended(self) -> bool:
        return bool(self._engine.eof) and not self._engine.unused_data

    def decompress(self, data: bytes | memoryview, most: int) -> bytes:
        if self._engine.eof:
            if data:
                raise ValueError("something stands behind its end")
            return b""
        try:
            block: bytes = self._engine.decompress(data, most)
        except self._error as error:
            raise ValueError(f"it is no zstd: {error}") from error
        return block

    def more(self, most: int) -> bytes:
        return b"" if self._engine.needs_input else self.decompress(b"", most)


def zstd_decoder() -> tuple[Any, type[Exception]]:
    """Return a decoder for one zstd frame and its exception. It uses at most `2**ZSTD_WINDOW` bytes for the window."""
    zstd = _zstd()
    options = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW}
    return zstd.ZstdDecompressor(options=options), zstd.ZstdError


def _zstd_packer() -> _Engine:
    zstd = _zstd()
    parameter = zstd.CompressionParameter
    options = {
        parameter.compression_level: _ZSTD_LEVEL,
        parameter.window_log: _ZSTD_WINDOW_WRITTEN,
        parameter.checksum_flag: 1,
    }
    engine: _Engine = zstd.ZstdCompressor(options=options)
    return engine


def _zstd() -> Any:
    from backports import zstd  # noqa: PLC0415 - see above

    return zstd

"""The objects that hold a table's rows: what is written, and the rows that come out again, however they are stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from componentrun.encoding import NONE, Unpacker, pack, suffix
from componentrun.errors import PlatformError, Reason
from componentrun.exchange import SliceWritten
from componentrun.storage.connection import quoted_etag
from componentrun.storage.pointer import Slice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.storage.connection import Store

__all__ = ["recorded", "store_slice", "stream_slice"]

_WORTH_PACKING: Final = 64 * 2**10
"""Fewer bytes are stored as they are: a request costs more than they do."""


async def store_slice(store: Store, key: str, data: bytes, rows: int) -> SliceWritten:
    """Store rows in the way that the Storage asks for.

    Args:
        store: the Storage.
        key: of the object, without the ending that tells its encoding.
        data: whole rows with a newline at the end of each.
        rows: how many.
    """
    compression = store.settings.compression
    if compression == NONE or len(data) < _WORTH_PACKING:
        return SliceWritten(key, len(data), rows, await store.put(key, data))
    packed = await asyncio.to_thread(pack, data, compression)
    key += suffix(compression)
    return SliceWritten(key, len(data), rows, await store.put(key, packed), compression, len(packed))


async def stream_slice(store: Store, part: Slice) -> AsyncIterator[bytes]:
    """The rows that a slice holds, in pieces.

    Raises:
        StaleError: the object is not the one that the pointer names.
        PlatformError: (Internal) it does not hold what the pointer says.
    """
    chunks = store.stream(part.key, etag=part.etag, version=part.version)
    if part.encoding is None:
        async for chunk in chunks:
            yield chunk
        return
    unpacker = Unpacker(part.encoding, part.size)
    try:
        async for chunk in chunks:
            blocks = unpacker.add(memoryview(chunk))
            while (block := await asyncio.to_thread(next, blocks, b"")) != b"":
                yield block
        unpacker.finish()
    except ValueError as error:
        raise PlatformError(f"{store.settings.where(part.key)} can't be read: {error}") from error


def recorded(written: SliceWritten) -> Slice:
    """What a pointer says of an object that stage-out stored.

    Raises:
        PlatformError: (PublishFailed) it is stored in a way that nobody can read.
    """
    try:
        return Slice.model_validate(
            {
                "key": written.key,
                "size": written.size,
                "rows": written.rows,
                "etag": quoted_etag(written.etag),
                "encoding": written.encoding,
                "stored": written.stored,
            }
        )
    except ValidationError as error:
        raise PlatformError(
            f"`{written.key}` is stored as `{written.encoding}`; expected gzip, zstd or neither. Nothing was published",
            Reason.PUBLISH_FAILED,
        ) from error

"""Download what stage-out uploaded to local files that DuckDB can read: headerless CSV whose rows end with LF."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore

from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.sql.files import make_ready
from componentrun.storage.store.connection import plain_etag, quoted_etag
from componentrun.storage.store.errors import STORE_EXCEPTIONS, MissingError, StaleError, translate
from componentrun.wire.encoding import Unpacker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from obstore.store import S3Store

    from componentrun.loader.catalog.fileio import Clients
    from componentrun.loader.loading.loads import TableLoad
    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.agents import SliceWritten

__all__ = ["bring", "scratch_is_full"]

_AT_A_TIME: Final = 4
_CHUNK: Final = 4 * 2**20


def bring(settings: StoreSettings, clients: Clients, loads: Sequence[TableLoad], folder: str) -> list[list[str]]:
    """Download the slices of loads.

    Args:
        settings: settings of the Storage.
        clients: clients of its buckets.
        loads: the loads.
        folder: target folder.

    Returns:
        For each load, the paths of its files in the order of the rows.

    Raises:
        PlatformError: (PublishFailed) an object is not what stage-out uploaded.
        TransientError: (PublishFailed) the disk is full.
        ComponentRunError: the store refused a request or does not respond.
    """
    backend = clients.of(settings.bucket)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        tasks = [
            [
                pool.submit(_bring_one, backend, settings, part, f"{folder}/{number}-{place}.csv")
                for place, part in enumerate(load.slices)
            ]
            for number, load in enumerate(loads)
        ]
        return [[task.result() for task in load_tasks] for load_tasks in tasks]


def _bring_one(backend: S3Store, settings: StoreSettings, part: SliceWritten, path: str) -> str:
    try:
        # `if_match` ensures that the content belongs to this ETag, even if the object is overwritten meanwhile.
        result = obstore.get(backend, part.key, options={"if_match": quoted_etag(part.etag)})
        etag = plain_etag(result.meta["e_tag"] or "")
        if etag != plain_etag(part.etag) or result.meta["size"] != _stored_size(part):
            raise _is_another(settings, part, f"{result.meta['size']} bytes, ETag {etag}")
        with Path(path).open("wb") as file:
            file.writelines(_rows(part, result.stream(min_chunk_size=_CHUNK)))
        make_ready(path)
    except STORE_EXCEPTIONS as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise scratch_is_full(settings.where(part.key)) from None
        translated = translate(error, settings, "read", part.key)
        if isinstance(translated, MissingError):
            raise _is_another(settings, part, "no object") from None
        if isinstance(translated, StaleError):
            raise _is_another(settings, part, "an object with another ETag") from None
        raise translated from error
    return path


def scratch_is_full(subject: str) -> TransientError:
    """The error for a full disk. It is transient, because other loads may free space."""
    return TransientError(
        f"{subject} can't be loaded: the loader's disk is full",
        Reason.PUBLISH_FAILED,
        advice="Give the loader more room for scratch files.",
    )


def _rows(part: SliceWritten, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if part.encoding is None:
        yield from (bytes(chunk) for chunk in chunks)
        return
    unpacker = Unpacker(part.encoding, part.size)
    for chunk in chunks:
        yield from unpacker.add(memoryview(chunk))
    unpacker.finish()


def _stored_size(part: SliceWritten) -> int:
    """Size of the object in bytes."""
    return part.size if part.stored is None else part.stored


def _is_another(settings: StoreSettings, part: SliceWritten, actual: str) -> PlatformError:
    return PlatformError(
        f"{settings.where(part.key)} is not what stage-out uploaded: found {actual}; expected {_stored_size(part)} "
        f"bytes, ETag {plain_etag(part.etag)}. Nothing was published",
        Reason.PUBLISH_FAILED,
    )

"""The interface to the object store: every read, write and listing of the operator uses a `Store`.

Keys are full object keys. All methods raise only errors of `componentrun.errors` (see `storage.store.errors`).
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

import obstore

from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError
from componentrun.storage.store.backend import make_backend
from componentrun.storage.store.errors import LOOK, STORE_EXCEPTIONS, ExistsError, MissingError, StaleError, translate
from componentrun.storage.store.settings import StoreSettings, StoreTimeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from datetime import datetime

    from obstore import GetOptions, ObjectMeta, PutMode
    from obstore.store import ObjectStore

    from componentrun.storage.store.keys import Layout

__all__ = [
    "NO_VERSION",
    "ObjectInfo",
    "Store",
    "StoreObserver",
    "StoreOutcome",
    "StoreSettings",
    "Stored",
    "open_store",
    "plain_etag",
    "quoted_etag",
]

_log = logging.getLogger(__name__)

_LIST_CHUNK: Final = 1000
_BULK: Final = 1000
"""Maximum number of objects that S3 deletes with one request."""
NO_VERSION: Final = "null"
"""S3's version id of an object that was written while its bucket kept no versions."""
_STREAM_CHUNK: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's content with the ETag that a compare-and-swap needs."""

    data: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object without its content."""

    key: str
    size: int
    """Size in bytes."""
    etag: str
    modified: datetime
    version: str | None = None
    """Version id, if the bucket keeps versions. Listings do not contain it."""


def quoted_etag(etag: str) -> str:
    """The ETag as in HTTP headers: in double quotes."""
    return f'"{plain_etag(etag)}"'


def plain_etag(etag: str) -> str:
    """The ETag without the weak prefix and without quotes, to compare ETags of different clients."""
    return etag.removeprefix("W/").strip('"')


StoreOutcome = Literal["ok", "missing", "conflict", "unavailable", "refused"]
"""How a request to a store ended, in metrics. Missing objects and conflicts (another client was faster) are normal;
`unavailable` may pass, `refused` will not pass by itself. Alerts and dashboards match these words."""


class StoreObserver(Protocol):
    """Observes every request, for metrics."""

    def store_request_done(self, operation: str, outcome: StoreOutcome, seconds: float) -> None:
        """A request ended."""


class Store:
    """One Storage's objects."""

    def __init__(
        self,
        settings: StoreSettings,
        backend: ObjectStore,
        observer: StoreObserver | None = None,
        bulk: ObjectStore | None = None,
        timeouts: StoreTimeouts | None = None,
    ) -> None:
        """Create a client; use `open_store` outside tests.

        Args:
            settings: the Storage, for keys and messages.
            backend: the client library's store; tests use one in memory.
            observer: told about every request.
            bulk: the client that deletes many objects with one request; None: objects are deleted one by one.
            timeouts: timeouts of the backend, for other clients of the same store.
        """
        self.settings = settings
        self.timeouts = timeouts or StoreTimeouts()
        self._backend = backend
        self._observer = observer
        self._bulk = bulk

    def __repr__(self) -> str:
        """Which Storage; no keys."""
        return f"Store({self.settings!r})"

    @property
    def layout(self) -> Layout:
        """Builds the keys of objects."""
        return self.settings.layout

    @contextmanager
    def _border(self, operation: str, key: str | None) -> Iterator[None]:
        start = time.monotonic()
        outcome: StoreOutcome = "ok"
        try:
            yield
        except STORE_EXCEPTIONS as error:
            failure = translate(error, self.settings, operation, key)
            outcome = _outcome(failure)
            # The cause is suppressed, because a store's refusal quotes the access key and the computed signature.
            raise failure from None
        finally:
            if self._observer is not None:
                self._observer.store_request_done(operation, outcome, time.monotonic() - start)

    async def get(self, key: str, *, most: int | None = None) -> Stored:
        """Return the content of a small object.

        Args:
            key: of the object.
            most: maximum size in bytes, for objects that others have written; None: unlimited.

        Raises:
            MissingError: there is none.
            PlatformError: (PublishFailed) it is larger than `most`; it was not read.
        """
        with self._border("read", key):
            result = await obstore.get_async(self._backend, key)
            size = result.meta["size"]
            if most is not None and size > most:
                raise PlatformError(
                    f"{self.settings.where(key)} has {size} bytes; expected at most {most}", Reason.PUBLISH_FAILED
                )
            data = await result.bytes_async()
            return Stored(bytes(data), _etag(result.meta))

    async def read_range(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes of an object from `start` up to, but not including, `end`.

        Raises:
            MissingError: there is none.
        """
        with self._border("read", key):
            return bytes(await obstore.get_range_async(self._backend, key, start=start, end=end))

    async def find(self, key: str, *, most: int | None = None) -> Stored | None:
        """Like `get`, but return None if the object does not exist."""
        try:
            return await self.get(key, most=most)
        except MissingError:
            return None

    async def head(self, key: str, version: str | None = None) -> ObjectInfo | None:
        """Return size, ETag and version of an object; None if it does not exist.

        Args:
            key: of the object.
            version: the version, which must not be empty; None: the newest.
        """
        try:
            with self._border(LOOK, key):
                if version is None:
                    return _info(await obstore.head_async(self._backend, key))
                # The client's HEAD supports the newest version only; reading one byte of a version returns the same
                # headers.
                options: GetOptions = {"version": version, "range": (0, 1)}
                return _info((await obstore.get_async(self._backend, key, options=options)).meta)
        except MissingError:
            return None

    async def stream(self, key: str, *, etag: str | None = None, version: str | None = None) -> AsyncIterator[bytes]:
        """Yield the content of an object in chunks of some MiB.

        Args:
            key: of the object.
            etag: the ETag that it must have.
            version: the version to read, even if it was overwritten; None: the newest.

        Raises:
            MissingError: there is none.
            StaleError: its ETag is not `etag`.
        """
        with self._border("read", key):
            options: GetOptions = {}
            if etag is not None:
                options["if_match"] = quoted_etag(etag)
            if version is not None:
                options["version"] = version
            result = await obstore.get_async(self._backend, key, options=options)
            async for chunk in result.stream(min_chunk_size=_STREAM_CHUNK):
                yield chunk

    async def create(self, key: str, data: bytes) -> str:
        """Create an object that must not exist; return its ETag.

        Raises:
            ExistsError: it exists. It may have been created by this call, if a response was lost and the client
            retried, so callers compare the content.
        """
        return await self._put("create", key, data, mode="create")

    async def swap(self, key: str, data: bytes, etag: str) -> str:
        """Replace an object that must still have this ETag; return its new ETag.

        Raises:
            StaleError: it has another ETag, or was deleted. It may have been changed by this call, as with `create`.
        """
        return await self._put("replace", key, data, mode={"e_tag": etag})

    async def put(self, key: str, data: bytes) -> str:
        """Create or replace an object; return its ETag."""
        return await self._put("write", key, data, mode="overwrite")

    async def _put(self, operation: str, key: str, data: bytes, *, mode: PutMode) -> str:
        with self._border(operation, key):
            result = await obstore.put_async(self._backend, key, data, mode=mode, use_multipart=False)
            return result["e_tag"] or ""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete any number of objects; missing objects are ignored.

        Uses as few requests as the store allows. Not every S3-compatible store deletes in bulk: if that fails and
        deleting the same objects one by one succeeds, bulk deletion is not tried again.
        """
        for start in range(0, len(keys), _BULK):
            chunk = keys[start : start + _BULK]
            if self._bulk is None or len(chunk) == 1:
                await self._delete_singly(chunk)
                continue
            try:
                with self._border("delete", chunk[0]):
                    await obstore.delete_async(self._bulk, list(chunk))
            except ComponentRunError as error:
                await self._delete_singly(chunk)
                self._bulk = None
                _log.info("%s: objects are deleted one by one, as bulk failed: %s", self.settings.title, error.message)

    async def _delete_singly(self, keys: Sequence[str]) -> None:
        try:
            with self._border("delete", keys[0]):
                await obstore.delete_async(self._backend, list(keys))
        except MissingError:
            # S3 never responds like this, but compatible stores do on concurrent deletions, and it may end the whole
            # batch.
            if len(keys) > 1:
                for key in keys:
                    await self._delete_singly([key])

    async def page(self, prefix: str, *, after: str | None = None) -> list[ObjectInfo]:
        """Return the first objects below a prefix, at most one page of a listing; empty if there are no more.

        Args:
            prefix: where to look.
            after: only keys that sort behind this one.
        """
        with self._border("list", prefix):
            async for chunk in obstore.list(self._backend, prefix, offset=after, chunk_size=_LIST_CHUNK):
                return [_info(meta) for meta in chunk]
        return []

    async def objects(self, prefix: str, *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """Yield the objects below a prefix that ends with a slash, in the order of their keys.

        Args:
            prefix: where to look.
            after: only keys that sort behind this one.
        """
        with self._border("list", prefix):
            stream = obstore.list(self._backend, prefix, offset=after, chunk_size=_LIST_CHUNK)
            async for chunk in stream:
                for meta in chunk:
                    yield _info(meta)

    async def folders(self, prefix: str) -> list[str]:
        """Return the next parts of the keys below a prefix, each with a slash at its end."""
        with self._border("list", prefix):
            result = await obstore.list_with_delimiter_async(self._backend, prefix)
            return [f"{folder}/" for folder in result["common_prefixes"]]


def open_store(
    settings: StoreSettings, *, observer: StoreObserver | None = None, timeouts: StoreTimeouts | None = None
) -> Store:
    """Create the client of a Storage. Sends no requests, so the store can't refuse anything yet.

    Args:
        settings: which Storage.
        observer: told about every request.
        timeouts: how long to wait for the store; None: the defaults.

    Raises:
        UserError: (InvalidSpec) a setting is malformed, such as a CA bundle that is not PEM.
    """
    timeouts = timeouts or StoreTimeouts()
    return Store(
        settings, make_backend(settings, timeouts), observer, make_backend(settings, timeouts, bulk=True), timeouts
    )


def _etag(meta: ObjectMeta) -> str:
    return meta["e_tag"] or ""


def _info(meta: ObjectMeta) -> ObjectInfo:
    version = meta.get("version")
    # The next write replaces an object that was written while the bucket kept no versions.
    known_version = version if version != NO_VERSION else None
    return ObjectInfo(meta["path"], meta["size"], _etag(meta), meta["last_modified"], known_version)


def _outcome(error: Exception) -> StoreOutcome:
    """Return the outcome of a request, for metrics."""
    if isinstance(error, MissingError):
        return "missing"
    if isinstance(error, ExistsError | StaleError):
        return "conflict"
    return "unavailable" if isinstance(error, TransientError) else "refused"

"""Fetch, list and delete files of a table in the object store, in bulk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore

from componentrun.storage.store.backend import make_backend
from componentrun.storage.store.errors import STORE_EXCEPTIONS, translate
from componentrun.storage.store.locations import split_location
from componentrun.storage.store.settings import StoreTimeouts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from obstore.store import S3Store

    from componentrun.errors import ComponentRunError
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["Listed", "TableObjects"]

_AT_A_TIME: Final = 16
_PAGE: Final = 1000
"""Number of keys in one request."""
_CHUNK: Final = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Listed:
    """An existing file."""

    location: str
    """`s3://bucket/key`."""
    size: int
    changed: datetime


class TableObjects:
    """Access to files of tables in any bucket, with the keys of a Storage."""

    def __init__(self, settings: StoreSettings) -> None:
        """Store the settings; clients are created when they are first used."""
        self._settings = settings
        self._stores: dict[str, S3Store] = {}

    def fetch(self, locations: Sequence[str], folder: str) -> list[str]:
        """Download files to a folder; return their paths, in the same order.

        Raises:
            ComponentRunError: see `storage.store.errors`.
        """
        for location in locations:
            self._store(split_location(location)[0])
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return list(
                pool.map(lambda item: self._fetch_one(item[1], f"{folder}/{item[0]}.parquet"), enumerate(locations))
            )

    def heads(self, locations: Sequence[str], size: int) -> list[bytes]:
        """The first bytes of files, in the same order.

        Raises:
            ComponentRunError: see `storage.store.errors`.
        """
        for location in locations:
            self._store(split_location(location)[0])
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return list(pool.map(lambda location: self._head(location, size), locations))

    def list_below(self, location: str) -> Iterator[list[Listed]]:
        """All files in a folder and its subfolders, page by page.

        Args:
            location: `s3://bucket/folder/`.

        Raises:
            ComponentRunError: see `storage.store.errors`.
        """
        bucket, prefix = split_location(location)
        begin = location.removesuffix(prefix)
        try:
            for page in obstore.list(self._store(bucket), prefix, chunk_size=_PAGE):
                yield [Listed(begin + item["path"], item["size"], item["last_modified"]) for item in page]
        except STORE_EXCEPTIONS as error:
            raise self._told(error, "list", bucket, prefix) from error

    def delete(self, locations: Sequence[str]) -> None:
        """Delete files. Files that do not exist are not an error.

        Raises:
            ComponentRunError: see `storage.store.errors`; some of the files may be deleted.
        """
        by_bucket: dict[str, list[str]] = {}
        for location in locations:
            bucket, key = split_location(location)
            by_bucket.setdefault(bucket, []).append(key)
        for bucket, keys in by_bucket.items():
            for begin in range(0, len(keys), _PAGE):
                part = keys[begin : begin + _PAGE]
                try:
                    obstore.delete(self._store(bucket), part)
                except FileNotFoundError:
                    continue
                except STORE_EXCEPTIONS as error:
                    raise self._told(error, "delete", bucket, part[0]) from error

    def _fetch_one(self, location: str, path: str) -> str:
        with Path(path).open("wb") as file:
            file.writelines(self._chunks(location))
        return path

    def _head(self, location: str, size: int) -> bytes:
        bucket, key = split_location(location)
        try:
            return bytes(obstore.get_range(self._store(bucket), key, start=0, length=size))
        except STORE_EXCEPTIONS as error:
            raise self._told(error, "read", bucket, key) from error

    def _chunks(self, location: str) -> Iterator[bytes]:
        bucket, key = split_location(location)
        try:
            for chunk in obstore.get(self._store(bucket), key).stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)
        except STORE_EXCEPTIONS as error:
            raise self._told(error, "read", bucket, key) from error

    def _told(self, error: Exception, operation: str, bucket: str, key: str) -> ComponentRunError:
        return translate(error, replace(self._settings, bucket=bucket, prefix=""), operation, key)

    def _store(self, bucket: str) -> S3Store:
        store = self._stores.get(bucket)
        if store is None:
            settings = replace(self._settings, bucket=bucket, prefix="")
            store = self._stores[bucket] = make_backend(settings, StoreTimeouts(), bulk=True)
        return store

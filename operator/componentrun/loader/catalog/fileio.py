"""PyIceberg's access to metadata files in the Storage's object store, through obstore.

Metadata files are small, so each is read and written as a whole.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import obstore
from pyiceberg.io import FileIO, InputFile, OutputFile

from componentrun.errors import PlatformError, Reason
from componentrun.storage.store.backend import make_backend
from componentrun.storage.store.errors import STORE_EXCEPTIONS, translate
from componentrun.storage.store.locations import split_location
from componentrun.storage.store.settings import StoreTimeouts

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from obstore.store import S3Store
    from pyiceberg.table import Table

    from componentrun.storage.store.settings import StoreSettings

__all__ = ["Clients", "LakeFiles", "files_of"]


class Clients:
    """Cached clients of the buckets of a Storage's tables. Creating one takes ten milliseconds."""

    def __init__(self, settings: StoreSettings, timeouts: StoreTimeouts | None = None) -> None:
        """Store the settings; clients are created when they are first used."""
        self._settings = settings
        self._timeouts = timeouts
        self._backends: dict[str, S3Store] = {}

    def of(self, bucket: str) -> S3Store:
        """The client of a bucket. Its keys are full object keys, not relative to the Storage's prefix."""
        backend = self._backends.get(bucket)
        if backend is None:
            settings = replace(self._settings, bucket=bucket, prefix="")
            backend = self._backends[bucket] = make_backend(settings, self._timeouts or StoreTimeouts())
        return backend


class LakeFiles(FileIO):
    """Reads and writes files of tables in any bucket, with the keys of a Storage.

    PyIceberg creates an instance for each table from the catalog's properties, so these contain the settings.
    """

    STORE: Final = "componentrun.store"
    CLIENTS: Final = "componentrun.clients"

    def __init__(self, properties: dict[str, Any]) -> None:
        """`properties[STORE]` are the `StoreSettings`, `properties[CLIENTS]` the `Clients` that all tables share."""
        super().__init__(properties)
        self._settings: StoreSettings = properties[self.STORE]
        self._clients: Clients = properties[self.CLIENTS]

    def read(self, location: str) -> bytes:
        """Read a file.

        Raises:
            ComponentRunError: see `storage.store.errors`.
        """
        content: bytes = self._do("read", location, lambda store, key: bytes(obstore.get(store, key).bytes()))
        return content

    def write(self, location: str, data: bytes) -> None:
        """Store a file.

        Raises:
            ComponentRunError: see `storage.store.errors`.
        """
        self._do("write", location, lambda store, key: obstore.put(store, key, data))

    def upload(self, location: str, path: str) -> None:
        """Upload a local file. Large files are uploaded in parts.

        Raises:
            ComponentRunError: see `storage.store.errors`.
        """

        def put(store: S3Store, key: str) -> None:
            with Path(path).open("rb") as file:
                obstore.put(store, key, file)

        self._do("write", location, put)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Delete a file. A file that does not exist is not an error."""
        self._do("delete", location if isinstance(location, str) else location.location, obstore.delete)

    def new_input(self, location: str) -> InputFile:
        """A file to read."""
        return _Input(location, self)

    def new_output(self, location: str) -> OutputFile:
        """A file to write."""
        return _Output(location, self)

    def _do(self, operation: str, location: str, action: Callable[[S3Store, str], Any]) -> Any:
        bucket, key = split_location(location)
        try:
            return action(self._clients.of(bucket), key)
        except STORE_EXCEPTIONS as error:
            raise translate(error, replace(self._settings, bucket=bucket, prefix=""), operation, key) from error


def files_of(table: Table) -> LakeFiles:
    """The FileIO of a table that was loaded with `Catalog`.

    Raises:
        PlatformError: (Internal) the table has a FileIO of another type.
    """
    if not isinstance(table.io, LakeFiles):
        raise PlatformError(f"the files of `{table.name()}` are read by a {type(table.io).__name__}", Reason.INTERNAL)
    return table.io


class _Input(InputFile):
    def __init__(self, location: str, files: LakeFiles) -> None:
        super().__init__(location)
        self._files = files

    def __len__(self) -> int:
        return len(self._files.read(self.location))

    def exists(self) -> bool:
        return True  # reading a missing file fails later

    def open(self, seekable: bool = True) -> Any:  # noqa: ARG002, FBT001, FBT002 - PyIceberg's signature
        return io.BytesIO(self._files.read(self.location))


class _Output(OutputFile):
    def __init__(self, location: str, files: LakeFiles) -> None:
        super().__init__(location)
        self._files = files
        self._content: _Written | None = None

    def __len__(self) -> int:
        # PyIceberg asks for the size of a manifest that it has just written; this avoids reading it again.
        return self._content.size if self._content is not None else len(self._files.read(self.location))

    def exists(self) -> bool:
        return False  # names are random

    def to_input_file(self) -> InputFile:
        return _Input(self.location, self._files)

    def create(self, overwrite: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - PyIceberg's signature
        self._content = _Written(self.location, self._files)
        return self._content


class _Written(io.BytesIO):
    """Buffers the written data, and stores it when the file is closed without an error."""

    def __init__(self, location: str, files: LakeFiles) -> None:
        super().__init__()
        self._location = location
        self._files = files
        self.size = 0
        """Number of bytes stored."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            super().close()
            return
        self.close()

    def close(self) -> None:
        if not self.closed:
            content = self.getvalue()
            self._files.write(self._location, content)
            self.size = len(content)
        super().close()

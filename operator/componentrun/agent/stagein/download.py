"""Downloads objects to files: large ones in several ranges at a time, written directly from the socket.

Each object is requested with its recorded ETag, so the content is the planned one, or the download fails.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Final

from componentrun.agent.folder import disk_error, shown
from componentrun.agent.parallel import CONNECTIONS, LARGE_AT_A_TIME, LARGE_BYTES, in_parallel
from componentrun.agent.transfer import Client, Failure, Request
from componentrun.contract import MANIFEST_SUFFIX
from componentrun.errors import PlatformError, Reason

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterable, Iterator

    from componentrun.agent.folder import Folder
    from componentrun.wire.agents import FileRead, ObjectRead

__all__ = ["download", "file_size"]

_RANGE_BYTES: Final = 32 * 2**20
"""Size of a range: large enough that a request costs little, small enough that the last one ends soon."""
_BUFFER_BYTES: Final = 2**20
_PREALLOCATE_BYTES: Final = 4 * 2**20


class _Target:
    """A file to write. It is open from its first to its last piece, so few files are open at a time."""

    def __init__(self, folder: Folder, file: FileRead) -> None:
        self.file = file
        self._folder = folder
        self._size = file_size(file)
        self._pieces = sum(len(list(_ranges(part))) for part in file.parts) or 1
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    def descriptor(self) -> int:
        """Descriptor of the file, which the first call creates."""
        with self._lock:
            if self._descriptor is None:
                self._descriptor = self._folder.create(self.file.path)
                if self._size >= _PREALLOCATE_BYTES:
                    self._allocate(self._descriptor)
            return self._descriptor

    def write(self, data: memoryview, offset: int, descriptor: int) -> None:
        """Write bytes at an offset."""
        try:
            while data:
                count = os.pwrite(descriptor, data, offset)
                data, offset = data[count:], offset + count
        except OSError as error:
            # An `OSError` would be retried like a network error.
            raise disk_error(error, shown(self.file.path)) from error

    def piece_done(self) -> None:
        """After the last piece, close the file and write its manifest."""
        with self._lock:
            self._pieces -= 1
            if self._pieces or self._descriptor is None:
                return
            os.close(self._descriptor)
        if self.file.manifest is not None:
            self._folder.write_json(self.file.path + MANIFEST_SUFFIX, self.file.manifest)

    def _allocate(self, descriptor: int) -> None:
        # Detects a disk that is too small before gigabytes are downloaded.
        try:
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError as error:
            raise disk_error(error, shown(self.file.path)) from error


class _Piece:
    """A range of an object and its offset in a file."""

    def __init__(self, target: _Target, part: ObjectRead, number: int, start: int, size: int, position: int) -> None:
        self.target = target
        self.size = size
        self._part = part
        self._start = start
        self._position = position
        self._received = 0
        self.request = Request("GET", part.url, self._name(number), headers=self._headers)

    def _name(self, number: int) -> str:
        file = self.target.file
        return file.source if len(file.parts) == 1 else f"{file.source}, part {number + 1} of {len(file.parts)}"

    def _headers(self) -> dict[str, str]:
        headers = {"If-Match": self._part.etag} if self._part.etag else {}
        if self._partial:
            # After a broken connection, request only the missing bytes.
            headers["Range"] = f"bytes={self._start + self._received}-{self._start + self.size - 1}"
        return headers

    @property
    def _partial(self) -> bool:
        return self._received > 0 or self.size != self._part.size

    def progress(self) -> int:
        """Number of bytes received."""
        return self._received

    def receive(self, response: http.client.HTTPResponse, buffer: memoryview, client: Client) -> None:
        """Write the body of a response to the file."""
        remaining = self.size - self._received
        expected_status = 206 if self._partial else 200
        if response.status != expected_status or response.length != remaining:
            raise PlatformError(
                f"{self.request.subject}: the object store answered {response.status} with {response.length} bytes, "
                f"expected {expected_status} with {remaining}",
                Reason.STAGE_IN_FAILED,
            )
        descriptor = self.target.descriptor()
        while remaining:
            if client.stop.is_set():
                raise Failure("stopped, because something else failed")
            count = response.readinto(buffer[:remaining])
            if not count:
                raise Failure(f"the response ended {remaining} bytes before its end")
            self.target.write(buffer[:count], self._position + self._received, descriptor)
            self._received += count
            remaining -= count


def file_size(file: FileRead) -> int:
    """Size of a file in bytes."""
    return sum(part.size for part in file.parts)


def download(client: Client, folder: Folder, files: Iterable[FileRead]) -> None:
    """Download all files to the folder.

    Raises:
        ComponentRunError: the first error (see `Client.send` and `Folder.create`); the folder is incomplete then.
    """
    local = threading.local()
    large = threading.BoundedSemaphore(LARGE_AT_A_TIME)

    def bring(piece: _Piece) -> None:
        if not hasattr(local, "buffer"):
            local.buffer = memoryview(bytearray(_BUFFER_BYTES))
        with large if piece.size >= LARGE_BYTES else contextlib.nullcontext():
            client.send(piece.request, lambda response: piece.receive(response, local.buffer, client), piece.progress)
        piece.target.piece_done()

    in_parallel(_pieces(folder, files), bring, CONNECTIONS, client.stop)


def _pieces(folder: Folder, files: Iterable[FileRead]) -> Iterator[_Piece]:
    for file in files:
        target = _Target(folder, file)
        position = 0
        if not file_size(file):
            target.descriptor()
            target.piece_done()
        for number, part in enumerate(file.parts):
            for start, size in _ranges(part):
                yield _Piece(target, part, number, start, size, position + start)
            position += part.size


def _ranges(part: ObjectRead) -> Iterator[tuple[int, int]]:
    """Offset and size of each request for an object; none for an empty object, which has no ranges."""
    for start in range(0, part.size, _RANGE_BYTES):
        yield start, min(_RANGE_BYTES, part.size - start)

"""Objects into files: large ones in several ranges at a time, straight from the socket into their place.

Each object is asked for with the ETag that was recorded for it, so what arrives is what was planned, or an error.
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
"""What one request asks for: enough that a request costs nothing, small enough that the last one ends soon."""
_BUFFER_BYTES: Final = 2**20
_PREALLOCATE_BYTES: Final = 4 * 2**20


class _Target:
    """One file. It is open from its first piece to its last, so few are open at a time."""

    def __init__(self, folder: Folder, file: FileRead) -> None:
        self.file = file
        self._folder = folder
        self._size = file_size(file)
        self._pieces = sum(len(list(_ranges(part))) for part in file.parts) or 1
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    def descriptor(self) -> int:
        """The file, made at the first call."""
        with self._lock:
            if self._descriptor is None:
                self._descriptor = self._folder.create(self.file.path)
                if self._size >= _PREALLOCATE_BYTES:
                    self._allocate(self._descriptor)
            return self._descriptor

    def write(self, data: memoryview, offset: int, descriptor: int) -> None:
        """Write all of some bytes to their place."""
        try:
            while data:
                written = os.pwrite(descriptor, data, offset)
                data, offset = data[written:], offset + written
        except OSError as error:
            # Not to be taken for trouble with the network, which would be tried again.
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
        # A disk that is too small is known before gigabytes have travelled.
        try:
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError as error:
            raise disk_error(error, shown(self.file.path)) from error


class _Piece:
    """A range of one object and its place in a file."""

    def __init__(self, target: _Target, part: ObjectRead, number: int, start: int, size: int, at: int) -> None:
        self.target = target
        self.size = size
        self._part = part
        self._start = start
        self._at = at
        self._got = 0
        self.request = Request("GET", part.url, self._name(number), headers=self._headers)

    def _name(self, number: int) -> str:
        file = self.target.file
        return file.source if len(file.parts) == 1 else f"{file.source}, part {number + 1} of {len(file.parts)}"

    def _headers(self) -> dict[str, str]:
        headers = {"If-Match": self._part.etag} if self._part.etag else {}
        if self._partial:
            # After a broken connection only what is missing is asked for.
            headers["Range"] = f"bytes={self._start + self._got}-{self._start + self.size - 1}"
        return headers

    @property
    def _partial(self) -> bool:
        return self._got > 0 or self.size != self._part.size

    def progress(self) -> int:
        """Bytes of the object that have been taken."""
        return self._got

    def receive(self, response: http.client.HTTPResponse, buffer: memoryview, client: Client) -> None:
        """Write what the answer holds to its place."""
        left = self.size - self._got
        wanted = 206 if self._partial else 200
        if response.status != wanted or response.length != left:
            raise PlatformError(
                f"{self.request.what}: the object store answered {response.status} with {response.length} bytes, "
                f"expected {wanted} with {left}",
                Reason.STAGE_IN_FAILED,
            )
        descriptor = self.target.descriptor()
        while left:
            if client.stop.is_set():
                raise Failure("stopped, because something else failed")
            count = response.readinto(buffer[:left])
            if not count:
                raise Failure(f"the answer broke off {left} bytes before its end")
            self.target.write(buffer[:count], self._at + self._got, descriptor)
            self._got += count
            left -= count


def file_size(file: FileRead) -> int:
    """Bytes of a file."""
    return sum(part.size for part in file.parts)


def download(client: Client, folder: Folder, files: Iterable[FileRead]) -> None:
    """Bring all files into the folder.

    Raises:
        ComponentRunError: the first thing that went wrong (see `Client.send` and `Folder.create`); what is in the
            folder then is not complete.
    """
    own = threading.local()
    large = threading.BoundedSemaphore(LARGE_AT_A_TIME)

    def bring(piece: _Piece) -> None:
        if not hasattr(own, "buffer"):
            own.buffer = memoryview(bytearray(_BUFFER_BYTES))
        with large if piece.size >= LARGE_BYTES else contextlib.nullcontext():
            client.send(piece.request, lambda response: piece.receive(response, own.buffer, client), piece.progress)
        piece.target.piece_done()

    in_parallel(_pieces(folder, files), bring, CONNECTIONS, client.stop)


def _pieces(folder: Folder, files: Iterable[FileRead]) -> Iterator[_Piece]:
    for file in files:
        target = _Target(folder, file)
        at = 0
        if not file_size(file):
            target.descriptor()
            target.piece_done()
        for number, part in enumerate(file.parts):
            for start, size in _ranges(part):
                yield _Piece(target, part, number, start, size, at + start)
            at += part.size


def _ranges(part: ObjectRead) -> Iterator[tuple[int, int]]:
    """Offset and size of each request for an object; none for an empty object, which there is no range of."""
    for start in range(0, part.size, _RANGE_BYTES):
        yield start, min(_RANGE_BYTES, part.size - start)

"""Objects into files: large ones in several ranges at a time, straight from the socket into their place.

Slices that are stored compressed are read from end to end and unpacked into their place, several slices at a time.
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
from componentrun.csvtext import encode_header
from componentrun.encoding import Unpacker
from componentrun.errors import PlatformError, Reason, TransientError

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterable, Iterator

    from componentrun.agent.folder import Folder
    from componentrun.exchange import SliceRead, TableRead

__all__ = ["download", "table_size"]

_RANGE_BYTES: Final = 32 * 2**20
"""What one request asks for: enough that a request costs nothing, small enough that the last one ends soon."""
_BUFFER_BYTES: Final = 2**20
_PACKED_BUFFER_BYTES: Final = 2**18
"""What is taken of a compressed object at once: it becomes several times as much."""
_PREALLOCATE_BYTES: Final = 4 * 2**20


class _Target:
    """The file of one table. It is open from its first piece to its last, so few are open at a time."""

    def __init__(self, folder: Folder, table: TableRead) -> None:
        self.table = table
        self.header = _header(table)
        self._folder = folder
        self._size = table_size(table)
        self._pieces = sum(len(list(_ranges(part))) for part in table.slices) or 1
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    def descriptor(self) -> int:
        """The file, made at the first call."""
        with self._lock:
            if self._descriptor is None:
                self._descriptor = self._folder.create(self.table.path)
                if self._size >= _PREALLOCATE_BYTES:
                    self._allocate(self._descriptor)
                self.write(self.header, 0, self._descriptor)
            return self._descriptor

    def write(self, data: bytes | memoryview, offset: int, descriptor: int) -> None:
        """Write all of some bytes to their place."""
        block = memoryview(data)
        try:
            while block:
                written = os.pwrite(descriptor, block, offset)
                block, offset = block[written:], offset + written
        except OSError as error:
            # Not to be taken for trouble with the network, which would be tried again.
            raise disk_error(error, shown(self.table.path)) from error

    def piece_done(self) -> None:
        """After the last piece, close the file and write its manifest."""
        with self._lock:
            self._pieces -= 1
            if self._pieces or self._descriptor is None:
                return
            os.close(self._descriptor)
        if self.table.manifest is not None:
            self._folder.write_json(self.table.path + MANIFEST_SUFFIX, self.table.manifest)

    def _allocate(self, descriptor: int) -> None:
        # A disk that is too small is known before gigabytes have travelled.
        try:
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError as error:
            raise disk_error(error, shown(self.table.path)) from error


class _Piece:
    """A range of one object and its place in a file."""

    def __init__(self, target: _Target, part: SliceRead, number: int, start: int, size: int, at: int) -> None:
        self.target = target
        self._part = part
        self._start = start
        self.size = size
        self._at = at
        self._got = 0
        self._unpacker: Unpacker | None = None
        self.request = Request("GET", part.url, self._name(number), headers=self._headers)

    def _name(self, number: int) -> str:
        table = self.target.table
        return table.source if len(table.slices) == 1 else f"{table.source}, part {number + 1} of {len(table.slices)}"

    def _headers(self) -> dict[str, str]:
        headers = {"If-Match": self._part.etag} if self._part.etag else {}
        if self._partial:
            # After a broken connection only what is missing is asked for.
            headers["Range"] = f"bytes={self._start + self._got}-{self._start + self.size - 1}"
        return headers

    @property
    def _partial(self) -> bool:
        return self._got > 0 or self.size != self._part.stored_size

    @property
    def becomes(self) -> int:
        """Bytes that it is in the file."""
        return self.size if self._part.encoding is None else self._part.size

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
        if self._part.encoding is not None:
            buffer = buffer[:_PACKED_BUFFER_BYTES]
        while left:
            if client.stop.is_set():
                raise Failure("stopped, because something else failed")
            count = response.readinto(buffer[:left])
            if not count:
                raise Failure(f"the answer broke off {left} bytes before its end")
            if self._part.encoding is None:
                self.target.write(buffer[:count], self._at + self._got, descriptor)
            else:
                self._unpack(self._part.encoding, buffer[:count], descriptor, last=count == left)
            self._got += count
            left -= count

    def _unpack(self, encoding: str, packed: memoryview, descriptor: int, *, last: bool) -> None:
        if self._unpacker is None:
            self._unpacker = Unpacker(encoding, self._part.size)
        try:
            for block in self._unpacker.add(packed):
                self.target.write(block, self._at, descriptor)
                self._at += len(block)
            if last:
                self._unpacker.finish()
                # The request refers to this piece, so its memory would stay until a garbage collection.
                self._unpacker = None
        except ValueError as error:
            raise TransientError(f"{self.request.what}: {error}; was it damaged?", Reason.STAGE_IN_FAILED) from error


def table_size(table: TableRead) -> int:
    """Bytes of a table's file."""
    return len(_header(table)) + sum(part.size for part in table.slices)


def _header(table: TableRead) -> bytes:
    return b"" if table.columns is None else encode_header(table.columns)


def download(client: Client, folder: Folder, tables: Iterable[TableRead], *, connections: int = CONNECTIONS) -> None:
    """Bring all tables into the folder, over so many connections at a time; one is that of the caller's thread.

    Raises:
        ComponentRunError: the first thing that went wrong (see `Client.send` and `Folder.create`); what is in the
            folder then is not complete.
    """
    own = threading.local()
    large = threading.BoundedSemaphore(LARGE_AT_A_TIME)

    def bring(piece: _Piece) -> None:
        if not hasattr(own, "buffer"):
            own.buffer = memoryview(bytearray(_BUFFER_BYTES))
        with large if piece.becomes >= LARGE_BYTES else contextlib.nullcontext():
            client.send(piece.request, lambda response: piece.receive(response, own.buffer, client), piece.progress)
        piece.target.piece_done()

    in_parallel(_pieces(folder, tables), bring, connections, client.stop)


def _pieces(folder: Folder, tables: Iterable[TableRead]) -> Iterator[_Piece]:
    for table in tables:
        target = _Target(folder, table)
        at = len(target.header)
        if not any(part.size for part in table.slices):
            target.descriptor()
            target.piece_done()
        for number, part in enumerate(table.slices):
            for start, size in _ranges(part):
                yield _Piece(target, part, number, start, size, at + start)
            at += part.size


def _ranges(part: SliceRead) -> Iterator[tuple[int, int]]:
    """Offset and size of each request for an object; none for an empty object, which there is no range of."""
    size = part.stored_size
    step = _RANGE_BYTES if part.encoding is None else size
    for start in range(0, size, step or 1):
        yield start, min(step, size - start)

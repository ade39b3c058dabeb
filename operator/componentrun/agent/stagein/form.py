"""The body of a POST that stores an object: the signed fields, then the file's bytes, read while they are sent.

To verify that the store received what was read, the MD5 of the bytes sent is compared with the object's ETag. (A CRC-32
that the store verifies would take a sixth of the time, but S3 policies can't leave the value of such a field open.)

The store may still carry out a try whose response was lost, after a later try was recorded. If a key service encrypts
objects, that changes the object's ETag, and every read by the recorded ETag fails from then on.
So objects that are read by ETag get another key for each try. Leftovers are swept with the attempt's prefix.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.agent.transfer import Failure, Request
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.wire.signatures import put_headers, put_url

if TYPE_CHECKING:
    import http.client
    from collections.abc import Iterator

    from componentrun.agent.transfer import Stop
    from componentrun.csv.text import Read
    from componentrun.wire.grants import PostPolicy

__all__ = ["Form", "read_block"]

_BLOCK_BYTES: Final = 2**20
_MD5_DIGITS: Final = 32


class Form:
    """An upload of one object. The body is built again for each try.

    Args:
        policy: the signed form.
        key: full object key.
        read: reads the file.
        offset: offset of the object's bytes in the file.
        size: number of bytes.
        tail: bytes to append (a missing final newline).
        stop: checked between blocks.
        what: the object, as messages call it.
        own_keys: whether each try has a key of its own; `key` is then that of the last try.
    """

    def __init__(
        self,
        policy: PostPolicy,
        key: str,
        read: Read,
        *,
        offset: int,
        size: int,
        tail: bytes,
        stop: Stop,
        subject: str,
        own_keys: bool = False,
    ) -> None:
        """Read nothing yet."""
        self.size = size + len(tail)
        self._read = read
        self._offset = offset
        self._file_size = size
        self._tail = tail
        self._stop = stop
        self._subject = subject
        self._digest = ""
        self.key = self._first_key = key
        self._own_keys = own_keys
        self._tries = 0
        self._policy = policy
        self._session = policy.session
        self._boundary = os.urandom(16).hex()
        # With temporary keys, the agent PUTs the bare bytes, without form fields.
        self._before = b""
        self._after = f"\r\n--{self._boundary}--\r\n".encode() if policy.session is None else b""

    def request(self) -> Request:
        """The request that stores the object; called again, the request for the next try."""
        self._tries += 1
        if self._own_keys and self._tries > 1:
            self.key = _numbered(self._first_key, self._tries)
        next_request = self.request if self._own_keys else None
        if self._session is None:
            self._before = self._encode({**self._policy.fields, "key": self.key})
            return Request("POST", self._policy.url, self._subject, self.headers, self.body, next_request)
        return Request("PUT", put_url(self._session, self.key), self._subject, self.headers, self.body, next_request)

    def headers(self) -> dict[str, str]:
        """Headers of the request."""
        length = {"Content-Length": str(len(self._before) + self.size + len(self._after))}
        if self._session is not None:
            return length | put_headers(self._session, self.key, datetime.now(UTC))
        return length | {"Content-Type": f"multipart/form-data; boundary={self._boundary}"}

    def body(self) -> Iterator[bytes]:
        """Yield the body in blocks of a MiB; the digest is complete when all blocks have been yielded."""
        digest = hashlib.md5(usedforsecurity=False)
        # A small body is sent in one packet with the form fields.
        pending = self._before
        for block in self._blocks():
            digest.update(block)
            if len(block) < _BLOCK_BYTES:
                pending += block
            else:
                yield from (pending, block) if pending else (block,)
                pending = b""
        self._digest = digest.hexdigest()
        yield pending + self._after

    def stored(self, response: http.client.HTTPResponse) -> str:
        """The ETag of the stored object.

        Raises:
            Failure: the store received other bytes than were sent.
            PlatformError: the response has no ETag, without which a later change could not be detected.
        """
        response.read()
        etag = response.headers.get("ETag", "")
        if not etag:
            raise PlatformError(f"{self._subject}: the object store returned no ETag for it", Reason.STAGE_OUT_FAILED)
        if _is_md5(etag, response) and etag.strip('"').lower() != self._digest:
            raise Failure("it received other bytes than were sent")
        return etag

    def _blocks(self) -> Iterator[bytes]:
        for start in range(0, self._file_size, _BLOCK_BYTES):
            if self._stop.is_set():
                raise Failure("stopped, because something else failed")
            yield self._block(start, min(_BLOCK_BYTES, self._file_size - start))
        if self._tail:
            yield self._tail

    def _block(self, start: int, length: int) -> bytes:
        return read_block(self._read, length, self._offset + start, self._subject)

    def _encode(self, fields: dict[str, str]) -> bytes:
        parts = [
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(f'--{self._boundary}\r\nContent-Disposition: form-data; name="file"; filename="data"\r\n\r\n')
        return "".join(parts).encode()


def _numbered(key: str, number: int) -> str:
    """A key with the number of a try: `a/0000.csv` becomes `a/0000-2.csv`."""
    folder, slash, name = key.rpartition("/")
    stem, dot, ending = name.partition(".")
    return f"{folder}{slash}{stem}-{number}{dot}{ending}"


def read_block(read: Read, length: int, offset: int, subject: str) -> bytes:
    """Read bytes of a file, all of which must exist.

    Raises:
        PlatformError: (StageOutFailed) it can't be read.
        UserError: (OutputInvalid) the file has become shorter.
    """
    try:
        block = read(length, offset)
    except OSError as error:
        # As an `OSError` it would be retried like a network error.
        raise PlatformError(f"{subject}: can't be read: {error.strerror}", Reason.STAGE_OUT_FAILED) from error
    if len(block) != length:
        raise UserError(f"{subject}: it became shorter while it was read", Reason.OUTPUT_INVALID)
    return block


def _is_md5(etag: str, response: http.client.HTTPResponse) -> bool:
    """Whether an ETag is the object's MD5: true for objects stored by one request, unless a key service encrypts."""
    encrypted = response.headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
    digits = etag.strip('"')
    return len(digits) == _MD5_DIGITS and not encrypted and all(sign in "0123456789abcdefABCDEF" for sign in digits)

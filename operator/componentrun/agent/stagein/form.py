"""The body of a POST that stores an object: the signed fields, then the file's bytes, read while they are sent.

What the store keeps is what was read: the MD5 of what was sent is compared with the ETag of what was stored. (A CRC-32
that the store verifies costs a sixth of the time, but S3 lets no policy leave the value of such a field open.)

A try without an answer may still be carried out later, when what it stored is written down already. Where a key service
encrypts objects, the ETag is another one then, and whoever reads by the ETag that was written down is refused for good.
So each try of what is read by its ETag has a key of its own; what the others leave is swept with the attempt's prefix.
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
    from componentrun.wire.agents import PostPolicy

__all__ = ["Form", "read_block"]

_BLOCK_BYTES: Final = 2**20
_MD5_DIGITS: Final = 32


class Form:
    """One object on its way. The body is made anew for each try.

    Args:
        policy: the signed form.
        key: full object key.
        read: the file.
        offset: where the object's bytes begin in it.
        size: how many there are.
        tail: bytes that the object gets after them (a missing final newline).
        stop: checked between blocks.
        what: the object, as messages call it.
        own_keys: whether each try stores it under a key of its own; `key` is the one of the last try.
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
        what: str,
        own_keys: bool = False,
    ) -> None:
        """Nothing is read yet."""
        self.size = size + len(tail)
        self._read = read
        self._offset = offset
        self._file_size = size
        self._tail = tail
        self._stop = stop
        self._what = what
        self._digest = ""
        self.key = self._first_key = key
        self._own_keys = own_keys
        self._tries = 0
        self._policy = policy
        self._session = policy.session
        self._boundary = os.urandom(16).hex()
        # With keys of its own the agent PUTs the bare bytes.
        self._before = b""
        self._after = f"\r\n--{self._boundary}--\r\n".encode() if policy.session is None else b""

    def request(self) -> Request:
        """The request that stores the object; asked for again, the one for the next try."""
        self._tries += 1
        if self._own_keys and self._tries > 1:
            self.key = _numbered(self._first_key, self._tries)
        again = self.request if self._own_keys else None
        if self._session is None:
            self._before = self._encode({**self._policy.fields, "key": self.key})
            return Request("POST", self._policy.url, self._what, self.headers, self.body, again)
        return Request("PUT", put_url(self._session, self.key), self._what, self.headers, self.body, again)

    def headers(self) -> dict[str, str]:
        """Headers of the request."""
        length = {"Content-Length": str(len(self._before) + self.size + len(self._after))}
        if self._session is not None:
            return length | put_headers(self._session, self.key, datetime.now(UTC))
        return length | {"Content-Type": f"multipart/form-data; boundary={self._boundary}"}

    def body(self) -> Iterator[bytes]:
        """The whole body, a MiB at a time; its digest is known once it has been sent."""
        digest = hashlib.md5(usedforsecurity=False)
        # Few bytes leave in one packet with what surrounds them.
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
            Failure: the store has received other bytes than were sent.
            PlatformError: it names no ETag, so what it stored could not be told from something else later.
        """
        response.read()
        etag = response.headers.get("ETag", "")
        if not etag:
            raise PlatformError(f"{self._what}: the object store named no ETag for it", Reason.STAGE_OUT_FAILED)
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
        return read_block(self._read, length, self._offset + start, self._what)

    def _encode(self, fields: dict[str, str]) -> bytes:
        parts = [
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(f'--{self._boundary}\r\nContent-Disposition: form-data; name="file"; filename="data"\r\n\r\n')
        return "".join(parts).encode()


def _numbered(key: str, number: int) -> str:
    """The key with the number of a try: `a/0000.csv` becomes `a/0000-2.csv`."""
    folder, slash, name = key.rpartition("/")
    stem, dot, ending = name.partition(".")
    return f"{folder}{slash}{stem}-{number}{dot}{ending}"


def read_block(read: Read, length: int, offset: int, what: str) -> bytes:
    """Bytes of a file that must be there.

    Raises:
        PlatformError: (StageOutFailed) it can't be read.
        UserError: (OutputInvalid) it has become shorter.
    """
    try:
        block = read(length, offset)
    except OSError as error:
        # Not to be taken for trouble with the network, which would be tried again.
        raise PlatformError(f"{what}: can't be read: {error.strerror}", Reason.STAGE_OUT_FAILED) from error
    if len(block) != length:
        raise UserError(f"{what}: it became shorter while it was read", Reason.OUTPUT_INVALID)
    return block


def _is_md5(etag: str, response: http.client.HTTPResponse) -> bool:
    """Whether an ETag is the MD5 of the object: so it is for one request, unless a key service encrypts it."""
    encrypted = response.headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
    digits = etag.strip('"')
    return len(digits) == _MD5_DIGITS and not encrypted and all(sign in "0123456789abcdefABCDEF" for sign in digits)

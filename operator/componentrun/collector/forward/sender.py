"""One HTTP request to a receiver, and what its answer means."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp

from componentrun.errors import Reason, UserError
from componentrun.storage.store.clientvalues import plain_pem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "Sender"]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)
_ANSWER_BYTES: Final = 64 * 1024
_LONGEST_WISH: Final = 300.0
"""Seconds that a receiver can have us wait."""
_TOO_LARGE: Final = 413
_SERVER_ERROR: Final = 500
_REFUSALS: Final = frozenset({400, _TOO_LARGE, 415, 422})
"""The same request will never be taken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request."""

    taken: bool
    refused: bool = False
    """It won't be taken however often it is sent."""
    too_large: bool = False
    """Less of it may be taken."""
    about_content: bool = False
    """The receiver failed, perhaps on what was sent: other events may be taken."""
    told: str = ""
    """What went wrong, without the URL: that may hold a token."""
    after: float = 0.0
    """Seconds that the receiver wants us to wait."""
    body: bytes = b""


class Sender:
    """Makes requests to one receiver."""

    def __init__(self, url: str, ca_bundle: str | None = None) -> None:
        """Nothing is sent yet.

        Raises:
            UserError: (InvalidSpec) the CA bundle is no PEM, or the URL none.
        """
        self._url = url
        try:
            self._host = urlsplit(url).hostname or "nobody"
        except ValueError:
            raise UserError(
                "the URL of the receiver is none: what stands in its brackets is no address", Reason.INVALID_SPEC
            ) from None
        self._tls: ssl.SSLContext | bool = True
        if ca_bundle is not None:
            try:
                self._tls = ssl.create_default_context(cadata=plain_pem(ca_bundle))
            except (ssl.SSLError, ValueError):
                raise UserError(f"the CA bundle for {self.host} is no PEM", Reason.INVALID_SPEC) from None
        self._session: aiohttp.ClientSession | None = None

    @property
    def host(self) -> str:
        """Whom it sends to, for messages."""
        return self._host

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send it once."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(limit=1))
        try:
            # A redirect is not followed: what is sent, and its signature, is meant for this receiver alone.
            async with self._session.post(
                self._url, data=body, headers=dict(headers), ssl=self._tls, allow_redirects=False
            ) as response:
                return _answer(response, await response.content.read(_ANSWER_BYTES))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # Without a connection the receiver has seen nothing of what was sent.
            connected = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            told = f"{type(error).__name__} when sending to {self.host}"
            return Answer(taken=False, about_content=connected, told=told)

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _answer(response: aiohttp.ClientResponse, body: bytes) -> Answer:
    status = response.status
    if status in range(200, 300):
        return Answer(taken=True, body=body)
    return Answer(
        taken=False,
        refused=status in _REFUSALS,
        too_large=status == _TOO_LARGE,
        about_content=status >= _SERVER_ERROR,
        told=f"{response.url.host} answered {status}",
        after=_wish(response.headers),
    )


def _wish(headers: Mapping[str, str]) -> float:
    """Seconds in `Retry-After`; a date there counts as none."""
    text = headers.get("Retry-After", "")
    return min(float(text), _LONGEST_WISH) if text.isascii() and text.isdigit() else 0.0

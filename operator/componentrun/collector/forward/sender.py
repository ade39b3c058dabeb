"""Sends HTTP requests to a receiver, and evaluates its answers."""

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
_MAX_RETRY_AFTER: Final = 300.0
"""Maximum of `Retry-After`, in seconds."""
_SERVER_ERROR: Final = 500
_REFUSALS: Final = frozenset({400, 413, 415, 422})
"""The receiver will never accept the same request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a request."""

    accepted: bool
    refused: bool = False
    """The receiver will never accept this request."""
    about_content: bool = False
    """The receiver failed, perhaps because of the content: it may accept other events."""
    error: str = ""
    """What went wrong, without the URL, which may contain a token."""
    after: float = 0.0
    """Seconds that the receiver asks to wait."""
    body: bytes = b""


class Sender:
    """Makes requests to one receiver."""

    def __init__(self, url: str, ca_bundle: str | None = None) -> None:
        """Prepare requests to this URL.

        Raises:
            UserError: (InvalidSpec) the CA bundle is not PEM, or the URL is invalid.
        """
        self._url = url
        try:
            self._host = urlsplit(url).hostname or "nobody"
        except ValueError:
            raise UserError(
                "the URL of the receiver is invalid: the text in brackets is not an IPv6 address", Reason.INVALID_SPEC
            ) from None
        self._tls: ssl.SSLContext | bool = True
        if ca_bundle is not None:
            try:
                self._tls = ssl.create_default_context(cadata=plain_pem(ca_bundle))
            except (ssl.SSLError, ValueError):
                raise UserError(f"the CA bundle for {self.host} is not PEM", Reason.INVALID_SPEC) from None
        self._session: aiohttp.ClientSession | None = None

    @property
    def host(self) -> str:
        """Host of the receiver, for messages."""
        return self._host

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a request once."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, connector=aiohttp.TCPConnector(limit=1))
        try:
            # Redirects are not followed: content and signature are meant for this receiver only.
            async with self._session.post(
                self._url, data=body, headers=dict(headers), ssl=self._tls, allow_redirects=False
            ) as response:
                return _answer(response, await response.content.read(_ANSWER_BYTES))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # Without a connection the receiver has not seen the content.
            connected = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            error_text = f"{type(error).__name__} when sending to {self.host}"
            return Answer(accepted=False, about_content=connected, error=error_text)

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _answer(response: aiohttp.ClientResponse, body: bytes) -> Answer:
    status = response.status
    if status in range(200, 300):
        return Answer(accepted=True, body=body)
    return Answer(
        accepted=False,
        refused=status in _REFUSALS,
        about_content=status >= _SERVER_ERROR,
        error=f"{response.url.host} answered {status}",
        after=_retry_after(response.headers),
    )


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds in `Retry-After`; a date is ignored."""
    text = headers.get("Retry-After", "")
    return min(float(text), _MAX_RETRY_AFTER) if text.isascii() and text.isdigit() else 0.0

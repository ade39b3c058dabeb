"""Connections to the API server: which one an answer came over, the proxy, sockets that notice a dead peer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

import aiohttp

if TYPE_CHECKING:
    from aiohttp.connector import Connection

__all__ = ["Answer", "lively_socket", "proxy_for"]

_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""In seconds, but for the count: what notices within about 30 s that a peer is gone."""


class Answer(aiohttp.ClientResponse):
    """An answer that knows its connection, also when its body is read and the connection is given back."""

    local_address = ""

    async def start(self, connection: Connection) -> Self:
        """Read the headers."""
        if connection.transport is not None:
            self.local_address = str(connection.transport.get_extra_info("sockname"))
        await super().start(connection)
        return self

    @staticmethod
    def connection_of(answer: aiohttp.ClientResponse) -> str:
        """Our end of the connection that the answer came over: the same for all answers of one connection."""
        return answer.local_address if isinstance(answer, Answer) else ""


def proxy_for(host: str, configured: str | None) -> tuple[str | None, dict[str, str] | None]:
    """The proxy to the API server and the headers for it, found once.

    aiohttp could find them in the environment (`trust_env`), but then looks for a netrc file and for proxies anew for
    every request, in a thread each, which took a tenth of the operator's time.
    """
    parts = urlsplit(host)
    found = configured
    if found is None and not proxy_bypass_environment(parts.netloc):
        found = getproxies_environment().get(parts.scheme)
    if found is None:
        return None, None
    proxy = urlsplit(found)
    if proxy.username is None:
        return found, None
    keys = aiohttp.encode_basic_auth(unquote(proxy.username), unquote(proxy.password or ""))
    address = proxy._replace(netloc=proxy.netloc.rpartition("@")[2]).geturl()
    return address, {"Proxy-Authorization": keys}


def lively_socket(address: Any) -> socket.socket:
    """A socket that notices that its peer is gone."""
    family, kind, proto, _, _ = address
    made = socket.socket(family, kind, proto)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in _KEEP_ALIVE:
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made

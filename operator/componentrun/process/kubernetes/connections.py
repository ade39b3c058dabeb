"""Connections of the asynchronous client: responses that know their connection, sockets that detect dead peers."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final, Self
from weakref import WeakSet

import aiohttp

if TYPE_CHECKING:
    from aiohttp.connector import Connection

__all__ = ["Answer", "LivelySockets"]

_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""Seconds, except for the count: a dead peer is detected within about 30 s."""
_CLOSE_SECONDS: Final = 2.0
_CLOSE_POLL_SECONDS: Final = 0.002


class Answer(aiohttp.ClientResponse):
    """A response that knows its connection, also after the connection was released."""

    local_address = ""

    async def start(self, connection: Connection) -> Self:
        """Read the headers."""
        if connection.transport is not None:
            self.local_address = str(connection.transport.get_extra_info("sockname"))
        await super().start(connection)
        return self

    @staticmethod
    def connection_of(answer: aiohttp.ClientResponse) -> str:
        """Local address of the connection of a response: the same for all responses of one connection."""
        return answer.local_address if isinstance(answer, Answer) else ""


class LivelySockets:
    """Makes the sockets of a client, with TCP keep-alive. As a `socket_factory` of aiohttp, call it with an address."""

    def __init__(self) -> None:
        """There is none yet."""
        self._made: WeakSet[socket.socket] = WeakSet()

    def __call__(self, address: Any) -> socket.socket:
        """Make a socket."""
        made = _lively_socket(address)
        self._made.add(made)
        return made

    async def closed(self) -> None:
        """Wait until all of them are closed, at most two seconds. Call it after their sessions were closed.

        A response that was not read to its end, or that allows no other request, closes its connection before the
        session is closed, and aiohttp waits only for the others. Over TLS, that takes a message from the peer. If the
        event loop ended before, the socket would be left to the garbage collector.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + _CLOSE_SECONDS
        # Polled, because asyncio tells only the protocol that a connection is closed, and that is aiohttp's own.
        while loop.time() < end and any(each.fileno() >= 0 for each in self._made):  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(_CLOSE_POLL_SECONDS)


def _lively_socket(address: Any) -> socket.socket:
    """A socket with TCP keep-alive."""
    family, kind, proto, _, _ = address
    made = socket.socket(family, kind, proto)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in _KEEP_ALIVE:
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made

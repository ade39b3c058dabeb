"""Connections of the asynchronous client: responses that know their connection, and sockets that detect dead peers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp

if TYPE_CHECKING:
    from aiohttp.connector import Connection

__all__ = ["Answer", "lively_socket"]

_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""Seconds, except for the count: a dead peer is detected within about 30 s."""


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


def lively_socket(address: Any) -> socket.socket:
    """A socket with TCP keep-alive."""
    family, kind, proto, _, _ = address
    made = socket.socket(family, kind, proto)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in _KEEP_ALIVE:
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made

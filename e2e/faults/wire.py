"""A TCP proxy in front of a server that can cut connections, like a restart, or stall, like a hung server."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Wire"]

_CHUNK_BYTES: Final = 65536


class Wire:
    """Listens at the address `here` on a free port, and forwards everything to the target, until it is closed."""

    def __init__(self, host: str, port: int, here: str = "127.0.0.1") -> None:
        """Start to listen."""
        self._target = (host, port)
        self._listener = socket.create_server((here, 0), backlog=1024)
        self._open: set[socket.socket] = set()
        self._refuses = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        """It listens already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close all connections, and stop to listen."""
        with suppress(OSError):  # on other systems, only connections can be shut down
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Close all connections, and close new ones at once."""
        self._refuses.set()
        self._flowing.set()
        for end in list(self._open):
            with suppress(OSError):  # closed meanwhile
                end.shutdown(socket.SHUT_RDWR)

    def hang(self) -> None:
        """Keep connections and accept new ones, but forward nothing."""
        self._flowing.clear()

    def mend(self) -> None:
        """Forward again, including data that was held back."""
        self._refuses.clear()
        self._flowing.set()

    def _accept(self) -> None:
        with suppress(OSError):  # it no longer listens
            while True:
                client, _ = self._listener.accept()
                self._forward(client)

    def _forward(self, client: socket.socket) -> None:
        if self._refuses.is_set():
            client.close()
            return
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        self._open |= {client, server}
        if self._refuses.is_set():  # cut meanwhile
            self.cut()
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # one end was closed, so the other is closed as well
            while data := source.recv(_CHUNK_BYTES):
                self._flowing.wait()
                sink.sendall(data)
        for end in (source, sink):
            self._open.discard(end)
            with suppress(OSError):  # closed by the pump of the other direction
                end.shutdown(socket.SHUT_RDWR)
            end.close()

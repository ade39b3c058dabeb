"""A TCP proxy in front of a server that can be cut, as by a restart, or fall silent, as by a hung server."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Final

__all__ = ["Wire"]

_CHUNK_BYTES: Final = 65536


class Wire:
    """Listens at the address `here`, on a free port, and passes everything on to the target."""

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

    def cut(self) -> None:
        """Close every connection, and every new one at once."""
        self._refuses.set()
        self._flowing.set()
        for end in list(self._open):
            with suppress(OSError):  # closed meanwhile
                end.shutdown(socket.SHUT_RDWR)

    def hang(self) -> None:
        """Keep connections, and accept new ones, but pass nothing on."""
        self._flowing.clear()

    def mend(self) -> None:
        """Pass on again; also what was held back."""
        self._refuses.clear()
        self._flowing.set()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            if self._refuses.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            self._open |= {near, far}
            if self._refuses.is_set():  # cut meanwhile
                self.cut()
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):  # either end closed: so is the other one then
            while data := source.recv(_CHUNK_BYTES):
                self._flowing.wait()
                sink.sendall(data)
        for end in (source, sink):
            self._open.discard(end)
            with suppress(OSError):  # closed by the pump of the other direction
                end.shutdown(socket.SHUT_RDWR)
            end.close()

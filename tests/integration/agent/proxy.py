"""A TCP proxy with network faults: it resets or stalls a connection, or answers in place of the store."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK = 64 * 1024


@dataclass
class Fault:
    """The fault of one connection.

    Attributes:
        kind: `reset` and `stall` happen after `after` bytes of the response or request; `answer` sends `text` at once.
    """

    kind: str
    after: int = 0
    of_request: bool = False
    text: bytes = b""


@dataclass
class Proxy:
    """Listens on its own port. Each new connection gets the next fault, if there is one left."""

    host: str
    port: int
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    connections: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for item in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    self.connections += 1
                    fault = self.faults.pop(0) if self.faults else self.always
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client, fault), daemon=True).start()

    def _serve(self, client: socket.socket, fault: Fault | None) -> None:
        if fault is not None and fault.kind == "answer":
            with contextlib.suppress(OSError):
                client.recv(_BLOCK)
                client.sendall(fault.text)
                client.shutdown(socket.SHUT_WR)
                while client.recv(_BLOCK):
                    pass
            client.close()
            return
        server = socket.create_connection((self.host, self.port))
        self._open.append(server)
        ours = fault if fault is not None and not fault.of_request else None
        theirs = fault if fault is not None and fault.of_request else None
        end = threading.Event()
        ways: list[Callable[[], None]] = [
            lambda: _pump(client, server, theirs, client, end),
            lambda: _pump(server, client, ours, client, end),
        ]
        for way in ways:
            threading.Thread(target=way, daemon=True).start()


def _pump(
    source: socket.socket, target: socket.socket, fault: Fault | None, client: socket.socket, end: threading.Event
) -> None:
    passed = 0
    with contextlib.suppress(OSError):
        while block := source.recv(_BLOCK):
            if fault is not None and passed + len(block) > fault.after:
                target.sendall(block[: fault.after - passed])
                if fault.kind == "stall":
                    end.wait()
                # The other direction's thread must return from recv first, or the socket stays open. Then closing
                # with a linger time of zero sends a reset.
                client.shutdown(socket.SHUT_RD)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                source.close()
                target.close()
                return
            target.sendall(block)
            passed += len(block)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)

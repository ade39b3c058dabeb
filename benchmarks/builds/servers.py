"""Two servers on this machine that pods reach: a package index, and one that components report their start to."""

from __future__ import annotations

import re
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["StartReports", "package_index"]


@contextmanager
def package_index(address: str, wheels: Sequence[Path]) -> Iterator[str]:
    """Serve wheels as a simple index (PEP 503) over HTTP. Yields its URL."""
    pages, files = index_of(wheels)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path in pages:
                self._answer("text/html", pages[self.path].encode())
            elif self.path in files:
                self._answer("application/octet-stream", files[self.path].read_bytes())
            else:
                self.send_error(404)

        def _answer(self, kind: str, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer((address, 0), Handler) as server, _serving(server):
        yield f"http://{address}:{server.server_port}/simple/"


def index_of(wheels: Sequence[Path]) -> tuple[dict[str, str], dict[str, Path]]:
    """Pages and files of the index, by path."""
    files = {f"/files/{wheel.name}": wheel for wheel in wheels}
    pages: dict[str, str] = {}
    for path, wheel in files.items():
        name = re.sub(r"[-_.]+", "-", wheel.name.partition("-")[0]).lower()
        pages[f"/simple/{name}/"] = f'<!DOCTYPE html><html><body><a href="{path}">{wheel.name}</a></body></html>'
    return pages, files


class StartReports:
    """Receives when components have started, by their own clock: a name of a run and a time for each connection.

    The nodes must have the clock of this machine, as that of our own cluster has.

    Attributes:
        address: IP address of this machine.
        port: TCP port.
    """

    def __init__(self, address: str) -> None:
        """Listen after `receiving`."""
        self.address = address
        self.port = 0
        self._times: dict[str, float] = {}
        self._changed = threading.Condition()

    @contextmanager
    def receiving(self) -> Iterator[StartReports]:
        """Listen on a free port."""
        reports = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                run, started = self.rfile.readline().decode().split()
                reports._add(run, float(started))

        with _Server((self.address, 0), Handler) as server, _serving(server):
            self.port = server.server_address[1]
            yield self

    def wait(self, name: str, timeout: float) -> float:
        """Wait until the component of a run has started. Returns when, in seconds since 1970.

        Raises:
            TimeoutError: it did not start within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: name in self._times, timeout):
                raise TimeoutError(f"the component of run {name} did not start within {timeout:.0f} s")
            return self._times[name]

    def _add(self, name: str, at: float) -> None:
        with self._changed:
            self._times.setdefault(name, at)
            self._changed.notify_all()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64
    server_address: tuple[str, int]


@contextmanager
def _serving(server: socketserver.BaseServer | Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()

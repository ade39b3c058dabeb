"""A store as stage-in sees it: signed GETs, by ranges, with what was asked for and the bytes that were sent."""

from __future__ import annotations

import http.server
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = "X-Amz-Signature=f00d"


@dataclass
class RangeServer:
    """Serves the files of a folder. A context manager."""

    folder: Path
    answers: list[tuple[int, bytes] | None] = field(default_factory=list)
    """What the next GETs are answered instead: status and body; None: what was asked for."""
    always: tuple[int, bytes] | None = None
    """What all GETs behind these are answered."""
    broken: int = 0
    """So many answers break off behind half of their bytes."""
    sent: int = 0
    """Bytes of files."""
    asked: list[str] = field(default_factory=list)
    """Method, name and range of each request."""

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        store = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(403, b"")

            def do_GET(self) -> None:
                store._get(self)

            def _answer(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}?{SIGNATURE}"

    def _get(self, handler: Any) -> None:
        name, _, query = handler.path[1:].partition("?")
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        with self._lock:
            self.asked.append(f"{name} {handler.headers.get('Range', 'whole')}")
            answer = self.answers.pop(0) if self.answers else self.always
            breaks = answer is None and self.broken > 0
            self.broken -= breaks
        file = self.folder / name
        if answer is None and query != SIGNATURE:
            answer = 403, b"<Code>AccessDenied</Code>"
        if answer is None and not file.is_file():
            answer = 404, b"<Code>NoSuchKey</Code>"
        if answer is not None:
            handler._answer(*answer)
            return
        content = file.read_bytes()
        start, end = 0, len(content)
        if wanted:
            start, end = int(wanted[1]), min(int(wanted[2] or end) + 1, end)
        body = content[start:end]
        with self._lock:
            self.sent += len(body)
        ranged = {"Content_Range": f"bytes {start}-{end - 1}/{len(content)}"} if wanted else {}
        if breaks:
            handler.send_response(206 if wanted else 200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[: len(body) // 2])
            handler.close_connection = True
            return
        handler._answer(206 if wanted else 200, body, Accept_Ranges="bytes", **ranged)

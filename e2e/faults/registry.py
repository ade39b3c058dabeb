"""A registry on this machine with faults: a login, a rate limit, or images for other platforms only."""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from dev.cluster import layout
from dev.cluster.node import configs

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Registry"]

_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    """A context manager that serves the registry and configures the node's container runtime to use plain HTTP for it.

    It listens on the loopback address, so only our own cluster's node can reach it.

    Repositories below `private/` require a login, repositories below `forbidden/` deny access, those below `limited/`
    have had too many requests, and every other repository has one image, for an IBM mainframe.
    """

    def __init__(self) -> None:
        """Bind a free port."""
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.address = f"localhost:{self._server.server_port}"
        self._settings = layout.configs() / "registries" / self.address

    def __enter__(self) -> Self:
        """Start to answer."""
        self._settings.mkdir()
        (self._settings / "hosts.toml").write_text(configs.plain_registry(self.address))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop answering."""
        shutil.rmtree(self._settings)
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path == "/v2/":
            self._answer(200, {})
        elif "/private/" in self.path:
            document = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
            self._answer(401, document, {"WWW-Authenticate": 'Basic realm="registry"'})
        elif "/forbidden/" in self.path:
            self._answer(403, {"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]})
        elif "/limited/" in self.path:
            self._answer(429, {"errors": [{"code": "TOOMANYREQUESTS", "message": "too many requests"}]})
        elif "/manifests/" in self.path:
            self._answer(200, _index(), {"Content-Type": _INDEX})
        else:
            self._answer(404, {"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown"}]})

    def _answer(self, status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        defaults = {"Content-Type": "application/json", "Docker-Content-Digest": _digest(body), **(headers or {})}
        self.send_response(status)
        for name, value in {**defaults, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Log nothing."""


def _index() -> dict[str, Any]:
    """Index of an image for a platform that this machine does not have."""
    platform = {"os": "linux", "architecture": "s390x"}
    entry = {"mediaType": _MANIFEST, "digest": _digest(b"{}"), "size": 2, "platform": platform}
    return {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]}


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"

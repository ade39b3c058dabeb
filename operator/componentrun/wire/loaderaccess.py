"""How the loader is reached, and how it knows who asks. One place for each word.

`POST <path of wire.loader>` over TLS 1.3, with a service account token for `AUDIENCE` and the header `STORAGE`. The
answer to a request that was carried out, or failed, is 200 with a document. Any other status means that nothing was
done: 400 a malformed request, 401 an unknown caller, 413 a body that is too large, 429 too many requests wait, 503 this
loader ends or can't find out who asks. The body of such an answer is a sentence.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "AUDIENCE",
    "AUTHORITY_FILE",
    "BODY_BYTES",
    "NOTHING_DONE",
    "PORT",
    "SERVER_NAME",
    "STORAGE",
    "TLS_FOLDER",
    "TOKEN_FILE",
]

PORT: Final = 8443
AUDIENCE: Final = "componentrun-loader"
"""Of the callers' tokens: they are good for nothing else."""
TOKEN_FILE: Final = "/var/run/secrets/componentrun.dev/loader/token"  # noqa: S105 - where it is
SERVER_NAME: Final = "loader.componentrun.dev"
"""Whom the certificate of a loader is made out to. Not an address: a release's Service may have any name."""
TLS_FOLDER: Final = "/var/run/secrets/componentrun.dev/loader-tls"
"""Where a loader has its certificate and key."""
AUTHORITY_FILE: Final = "/var/run/secrets/componentrun.dev/loader-ca/ca.crt"
"""Where callers have the certificates of whoever signs those of loaders."""

STORAGE: Final = "X-Storage"
"""`<namespace>/<name>` of the Storage. The loader serves these in turn, before it reads a body with keys."""
BODY_BYTES: Final = 64 * 2**20
"""The largest request."""

NOTHING_DONE: Final = frozenset({400, 401, 404, 405, 411, 413, 429, 503})
"""Statuses of a loader that has not begun a request."""

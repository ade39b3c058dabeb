"""Addresses, headers and authentication of the loader.

`POST <path of wire.loader>` over TLS 1.3, with a service account token for `AUDIENCE` and the header `STORAGE`. The
response to a request that was processed, successfully or not, is 200 with a document. Any other status means that
nothing was done: 400 malformed request, 401 unknown caller, 413 body too large, 429 too many waiting requests, 503 the
loader is shutting down or can't verify the caller. The body of such a response is a sentence.
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
"""Audience of the callers' tokens, which are accepted nowhere else."""
TOKEN_FILE: Final = "/var/run/secrets/componentrun.dev/loader/token"  # noqa: S105 - where it is
SERVER_NAME: Final = "loader.componentrun.dev"
"""DNS name in a loader's certificate. Not its address, because a release's Service may have any name."""
TLS_FOLDER: Final = "/var/run/secrets/componentrun.dev/loader-tls"
"""Folder with a loader's certificate and key."""
AUTHORITY_FILE: Final = "/var/run/secrets/componentrun.dev/loader-ca/ca.crt"
"""File with the certificates of the authorities that sign loaders' certificates, for callers."""

STORAGE: Final = "X-Storage"
"""Header with `<namespace>/<name>` of the Storage. The loader serves Storages in turn, before it reads a body with
keys."""
BODY_BYTES: Final = 64 * 2**20
"""Maximum size of a request in bytes."""

NOTHING_DONE: Final = frozenset({400, 401, 404, 405, 411, 413, 429, 503})
"""Statuses that mean that the loader has not started to process the request."""

"""The protocol between the collector and the log server of a node (`componentrun.nodelogs`).

`GET /v1/logs/<namespace>/<pod>/<pod uid>/<container>?file=&offset=&wait=` (TLS 1.3) returns bytes of the container's
log as the runtime writes it (CRI: time, stream, `F` or `P`, text), whole lines only, from that offset of that file.
After the end of a rotated file, it returns the next one. If there is nothing new within `wait` seconds, the response
is empty.

A file is identified by the number of the container's start and the time of its first line:
`0-2026-11-24T07:46:33.8662Z`. This id stays the same when the file is renamed or compressed, or its inode is reused.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "ANSWER_BYTES",
    "AUDIENCE",
    "AUTHORITY_FILE",
    "FILE",
    "FILE_ID",
    "LATER",
    "LONGEST_WAIT",
    "MISSING",
    "OFFSET",
    "PATH",
    "PORT",
    "REMOVED",
    "SELECTOR",
    "SERVER_NAME",
    "TLS_FOLDER",
    "TOKEN_FILE",
    "order_of",
    "start_of",
]

PORT: Final = 8081
PATH: Final = "/v1/logs/{namespace}/{pod}/{uid}/{container}"
SELECTOR: Final = "app.kubernetes.io/component=node-logs"
"""Label of the pods of log servers, in the collector's namespace."""
AUDIENCE: Final = "componentrun-nodelogs"
"""Audience of the collector's token, which is valid for nothing else."""
TOKEN_FILE: Final = "/var/run/secrets/componentrun.dev/nodelogs/token"  # noqa: S105 - a path

SERVER_NAME: Final = "node-logs.componentrun.dev"
"""Name in the certificates of all log servers. Not an address, because their pods come and go."""
TLS_FOLDER: Final = "/var/run/secrets/componentrun.dev/nodelogs-tls"
"""Folder with the certificate and key of a log server."""
AUTHORITY_FILE: Final = "/var/run/secrets/componentrun.dev/nodelogs-ca/ca.crt"
"""File of the collector with the authority that signs certificates of log servers."""

FILE: Final = "X-Log-File"
"""Id of the file of the returned bytes; empty if the container has printed nothing yet."""
FILE_ID: Final = re.compile(r"\d{1,9}-\d{4}-\d\d-\d\dT[0-9:.+Z-]{8,25}", re.ASCII)
OFFSET: Final = "X-Log-Offset"
"""Offset of the bytes in that file; in its content if the node has compressed it."""
LATER: Final = "X-Log-Later"
"""Number of files after that one."""
MISSING: Final = "X-Log-Missing"
"""Set if lines between the requested position and this response are lost: the number of bytes; 0 if it is not known."""
REMOVED: Final = "X-Log-Removed"
"""Set if the node has deleted the log, which it does after the container's end."""

ANSWER_BYTES: Final = 2**20
LONGEST_WAIT: Final = 30.0
"""Seconds."""


def start_of(file: str) -> int:
    """Number of the container's start that wrote this file; 0 is the first."""
    number = file.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def order_of(file: str) -> tuple[int, str, str]:
    """Sort key of the files of one container, oldest first. The runtime omits trailing zeros of times."""
    time = file.partition("-")[2]
    return start_of(file), time[:19], time[20:].rstrip("Z").ljust(9, "0")

"""What the collector and the log server of a node (`componentrun.nodelogs`) say to each other. One place for each word.

`GET /v1/logs/<namespace>/<pod>/<pod uid>/<container>?file=&offset=&wait=` (TLS 1.3) answers bytes of the container's
log as the runtime writes it (CRI: time, stream, `F` or `P`, text), whole lines only, from that offset of that file.
Behind the end of a file that was rotated, the next one is answered. Nothing new within `wait` seconds: an empty
answer.

A file is called by the number of the container's start and the time of its first line: `0-2026-11-24T07:46:33.8662Z`.
That name stays when the file is renamed, compressed, or another one gets its inode.
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
"""Labels of the pods that serve, in the collector's namespace."""
AUDIENCE: Final = "componentrun-nodelogs"
"""Of the collector's token: it is good for nothing else."""
TOKEN_FILE: Final = "/var/run/secrets/componentrun.dev/nodelogs/token"  # noqa: S105 - where it is

SERVER_NAME: Final = "node-logs.componentrun.dev"
"""Whom the certificate of a log server is made out to. Not an address: their pods come and go, and all are the same."""
TLS_FOLDER: Final = "/var/run/secrets/componentrun.dev/nodelogs-tls"
"""Where a log server has its certificate and key."""
AUTHORITY_FILE: Final = "/var/run/secrets/componentrun.dev/nodelogs-ca/ca.crt"
"""Where the collector has the certificates of whoever signs those of log servers."""

FILE: Final = "X-Log-File"
"""The file that the answer's bytes are of; empty while the container has printed nothing."""
FILE_ID: Final = re.compile(r"\d{1,9}-\d{4}-\d\d-\d\dT[0-9:.+Z-]{8,25}", re.ASCII)
OFFSET: Final = "X-Log-Offset"
"""Where in that file they begin. Of a file that the node has compressed: where in its content."""
LATER: Final = "X-Log-Later"
"""How many files there are behind that one."""
MISSING: Final = "X-Log-Missing"
"""Set where lines between what was asked for and this answer are gone: how many bytes are known to be; 0: that is not
known."""
REMOVED: Final = "X-Log-Removed"
"""Set where the node has deleted the log, which it does when nobody writes it any more."""

ANSWER_BYTES: Final = 2**20
LONGEST_WAIT: Final = 30.0
"""Seconds."""


def start_of(file: str) -> int:
    """The number of the container's start that wrote this file; 0 is the first."""
    number = file.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def order_of(file: str) -> tuple[int, str, str]:
    """Sorts files of one container by when they were begun. The runtime leaves zeros at the end of a time away."""
    time = file.partition("-")[2]
    return start_of(file), time[:19], time[20:].rstrip("Z").ljust(9, "0")

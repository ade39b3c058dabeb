"""Errors that a person at a terminal reads: those of the client, with the exit codes and the advice of commands.

    ComponentRunError
    ├── UserError         ── BadRequestError      exit code 1
    └── PlatformError     ── EnvironmentFault     exit code 2

Errors of other parts may have no advice of their own; `advice_of` then has some for their reason.
"""

from __future__ import annotations

from typing import Final

from componentrun.client.errors import (
    BadRequestError,
    EnvironmentFault,
    NotAllowedError,
    NotFoundError,
    UnknownKindError,
    WaitTimeoutError,
)
from componentrun.errors import ComponentRunError, Reason, UserError

__all__ = [
    "EXIT_FAULT",
    "EXIT_INTERRUPTED",
    "EXIT_LEFT_OUT",
    "EXIT_OK",
    "EXIT_TIMEOUT",
    "EXIT_USER",
    "BadRequestError",
    "EnvironmentFault",
    "NotAllowedError",
    "NotFoundError",
    "UnknownKindError",
    "WaitTimeoutError",
    "advice_of",
    "exit_code_of",
]

EXIT_OK: Final = 0
EXIT_USER: Final = 1
"""The person who typed the command, or wrote the run, can fix it."""
EXIT_FAULT: Final = 2
"""Anything else: the component, the platform, the network."""
EXIT_LEFT_OUT: Final = 3
"""`convert` printed runs, or `catalogue import` Components, and parts of the input are missing from them."""
EXIT_TIMEOUT: Final = 124
"""Waiting took longer than `--wait-timeout`; the code of `timeout(1)`."""
EXIT_INTERRUPTED: Final = 130
"""Ctrl-C."""


_STORE_ADVICE: Final = "`componentrun doctor` checks every Storage of the namespace."
_ADVICE: Final = {
    Reason.STORAGE_ACCESS_DENIED: _STORE_ADVICE,
    Reason.STORAGE_BUCKET_NOT_FOUND: _STORE_ADVICE,
    Reason.STORAGE_UNAVAILABLE: (
        "The store and the catalog may have other addresses outside the cluster: set `--endpoint URL` (or "
        "COMPONENTRUN_STORE_ENDPOINT) for the store, COMPONENTRUN_CATALOG_URI for the catalog."
    ),
    Reason.STORAGE_NOT_FOUND: "Choose a Storage with `--storage NAME`, or another namespace with `--namespace NAME`.",
    Reason.SECRET_NOT_FOUND: _STORE_ADVICE,
    Reason.INPUT_NOT_FOUND: "`componentrun table ls` lists the tables.",
}


def advice_of(error: ComponentRunError) -> str:
    """What the person can do about an error; empty if nothing is known.

    An error without advice of its own has that of its reason.
    """
    return error.advice or _ADVICE.get(error.reason, "")


def exit_code_of(error: ComponentRunError) -> int:
    """1 if the person can fix it, 124 if waiting took too long, 2 for everything else."""
    if isinstance(error, WaitTimeoutError):
        return EXIT_TIMEOUT
    return EXIT_USER if isinstance(error, UserError) else EXIT_FAULT

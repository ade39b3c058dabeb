"""Errors that a person at a terminal reads: a sentence, and a hint what to do.

    ComponentRunError
    ├── UserError         ── BadRequestError      exit code 1
    └── PlatformError     ── EnvironmentFault     exit code 2

Errors of other parts have no hint of their own; `hint_of` knows one for their reason.
"""

from __future__ import annotations

from typing import Final

from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError

__all__ = [
    "EXIT_FAULT",
    "EXIT_INTERRUPTED",
    "EXIT_LEFT_OUT",
    "EXIT_OK",
    "EXIT_TIMEOUT",
    "EXIT_USER",
    "BadRequestError",
    "EnvironmentFault",
]

EXIT_OK: Final = 0
EXIT_USER: Final = 1
"""The person who typed the command, or wrote the run, can mend it."""
EXIT_FAULT: Final = 2
"""Anything else: the component, the platform, the network."""
EXIT_LEFT_OUT: Final = 3
"""`convert` made runs, and something of the export is not in them."""
EXIT_TIMEOUT: Final = 124
"""Waiting took longer than `--wait-timeout`; as with `timeout(1)`."""
EXIT_INTERRUPTED: Final = 130
"""Ctrl-C."""


class BadRequestError(UserError):
    """What was asked for can't be done as it stands."""

    def __init__(self, message: str, hint: str = "", reason: Reason = Reason.INVALID_SPEC) -> None:
        """A sentence, and what to do about it."""
        super().__init__(message, reason)
        self.hint = hint


class NotFoundError(BadRequestError):
    """There is no such object."""


class EnvironmentFault(PlatformError):  # noqa: N818 - a fault of the surroundings; `EnvironmentError` is the standard library's
    """The cluster or the store did not do its part."""

    def __init__(self, message: str, hint: str = "", reason: Reason = Reason.INTERNAL) -> None:
        """A sentence, and what to do about it."""
        super().__init__(message, reason)
        self.hint = hint


class WaitTimeoutError(ComponentRunError):
    """The run was not over in time; it still runs."""

    def __init__(self, message: str, hint: str) -> None:
        """A sentence, and what to do about it."""
        super().__init__(message, Reason.TIMEOUT)
        self.hint = hint


_STORE_HINT: Final = "`componentrun doctor` looks at every Storage of the namespace"
_HINTS: Final = {
    Reason.STORAGE_ACCESS_DENIED: _STORE_HINT,
    Reason.STORAGE_BUCKET_NOT_FOUND: _STORE_HINT,
    Reason.STORAGE_UNAVAILABLE: (
        "store and catalog may have other addresses outside the cluster: set `--endpoint URL` (or "
        "COMPONENTRUN_STORE_ENDPOINT) for the store, COMPONENTRUN_CATALOG_URI for the catalog"
    ),
    Reason.STORAGE_NOT_FOUND: "choose one with `--storage NAME`, or look in another namespace with `--namespace NAME`",
    Reason.SECRET_NOT_FOUND: _STORE_HINT,
    Reason.INPUT_NOT_FOUND: "`componentrun table ls` shows the tables that are there",
}


def hint_of(error: ComponentRunError) -> str:
    """What the person can do about it; empty where nothing is known."""
    return str(getattr(error, "hint", "") or _HINTS.get(error.reason, ""))


def exit_code_of(error: ComponentRunError) -> int:
    """1 where the person can mend it, 124 where waiting took too long, 2 for everything else."""
    if isinstance(error, WaitTimeoutError):
        return EXIT_TIMEOUT
    return EXIT_USER if isinstance(error, UserError) else EXIT_FAULT

"""Errors of the client: what is wrong, and advice.

ComponentRunError
├── UserError
│   └── BadRequestError        the request can't be carried out as it stands
│       ├── NotFoundError      there is no such object
│       ├── AlreadyExistsError there is another object of this name
│       └── NotAllowedError    the caller lacks a permission
├── PlatformError
│   └── EnvironmentFault       the cluster or the store did not do its part
│       └── UnknownKindError   a CRD is not installed
└── WaitTimeoutError           the run did not end in time
"""

from __future__ import annotations

from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError

__all__ = [
    "AlreadyExistsError",
    "BadRequestError",
    "EnvironmentFault",
    "NotAllowedError",
    "NotFoundError",
    "UnknownKindError",
    "WaitTimeoutError",
]


class BadRequestError(UserError):
    """The request can't be carried out as it stands."""

    def __init__(self, summary: str, advice: str = "", reason: Reason = Reason.INVALID_SPEC) -> None:
        """What is wrong, and what to do about it."""
        super().__init__(summary, reason, advice=advice)


class NotFoundError(BadRequestError):
    """There is no such object."""


class AlreadyExistsError(BadRequestError):
    """There is another object of this name."""


class NotAllowedError(BadRequestError):
    """The caller lacks a permission in the cluster."""


class EnvironmentFault(PlatformError):  # noqa: N818 - a fault of the surroundings; `EnvironmentError` is the standard library's
    """The cluster or the store did not do its part."""

    def __init__(self, summary: str, advice: str = "", reason: Reason = Reason.INTERNAL) -> None:
        """What is wrong, and what to do about it."""
        super().__init__(summary, reason, advice=advice)


class UnknownKindError(EnvironmentFault):
    """The cluster does not know this kind of object: its CRD is not installed."""


class WaitTimeoutError(ComponentRunError):
    """The run did not finish in time; it still runs."""

    def __init__(self, summary: str, advice: str) -> None:
        """What is wrong, and what to do about it."""
        super().__init__(summary, Reason.TIMEOUT, advice=advice)

"""Errors of the Kubernetes API in our own words: each says what was tried and what was answered.

NotFoundError: 404. AlreadyExistsError: 409 on creation. ConflictError: 409 where somebody else changed the object, or
it has another uid. GoneError: 410. InvalidError: 400 and 422. ForbiddenError: 401 and 403. QuotaExceededError: 403 of a
ResourceQuota; transient, as room may come. NamespaceTerminatingError: 403 of a namespace that is being deleted.
UnavailableError: 429, 5xx, no connection, no answer in time, or one that
was cut off; transient.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from componentrun.errors import PlatformError, Reason, TransientError

__all__ = [
    "AlreadyExistsError",
    "ConflictError",
    "ForbiddenError",
    "GoneError",
    "InvalidError",
    "KubeError",
    "NamespaceTerminatingError",
    "NotFoundError",
    "QuotaExceededError",
    "UnavailableError",
    "error_for",
]


class KubeError(PlatformError):
    """The Kubernetes API refused a request.

    Attributes:
        status: HTTP status; 0 where there was no answer, or it was cut off.
        retry_after: seconds that the server asked to wait before the next try; 0 where it asked for nothing.
        may_be_done: whether the server may have carried the request out all the same: its answer was lost, or this is
            the answer to a repetition of a request whose answer was lost. Then read the object before you conclude
            that somebody else wrote it.
    """

    def __init__(self, message: str, status: int = 0, reason: Reason | None = None) -> None:
        """Status 0: there was no answer."""
        super().__init__(message, reason)
        self.status = status
        self.retry_after = 0.0
        self.may_be_done = False


class NotFoundError(KubeError):
    """The object, or the whole resource, does not exist."""


class GoneError(KubeError):
    """The version that a watch, or the rest of a listing, was to start from is too old: list again."""


class ConflictError(KubeError):
    """The object was changed by somebody else since it was read, or is another one of the same name."""


class AlreadyExistsError(KubeError):
    """An object of this name exists."""


class InvalidError(KubeError):
    """The API server finds the object wrong; sending it again changes nothing."""


class ForbiddenError(KubeError):
    """Not allowed: a right is missing, or an admission rule (pod security, a webhook) refused the object."""


class QuotaExceededError(KubeError, TransientError):
    """A ResourceQuota of the namespace is used up for now."""

    def __init__(self, message: str, status: int = 0, reason: Reason | None = Reason.QUEUED) -> None:
        """Whatever it is about: a run that waits for room is queued."""
        super().__init__(message, status, reason)


class NamespaceTerminatingError(KubeError):
    """The namespace is being deleted: nothing can be created in it any more."""

    def __init__(self, message: str, status: int = 0, reason: Reason | None = Reason.NAMESPACE_TERMINATING) -> None:
        """Whatever it is about: the run that needs it goes with the namespace."""
        super().__init__(message, status, reason)


class UnavailableError(KubeError, TransientError):
    """No usable answer: too busy, broken, not reachable, too late or cut off; or a namespace that is not complete."""

    def __init__(self, message: str, status: int = 0, reason: Reason | None = None) -> None:
        """A server that was too busy, or that refused the request for now, has not carried it out."""
        super().__init__(message, status, reason)
        self.may_be_done = status < _FIRST_REFUSAL or status >= _SERVER_ERRORS


_BY_STATUS: Final[dict[int, type[KubeError]]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: UnavailableError,
}
_FIRST_REFUSAL: Final = 400
_SERVER_ERRORS: Final = 500
_CONFLICT: Final = 409
_FORBIDDEN: Final = 403
_LONGEST: Final = 2_000
_NOT_YET: Final = re.compile(r"error looking up service account \S+/default: .*not found|status unknown for quota: ")
"""Of a pod whose namespace, or a quota of it, was made just now: a controller makes its service account behind it, and
counts what a quota counts before anything is let through."""


def error_for(status: int, body: bytes, what: str) -> KubeError:
    """The error for an answer that is no success; `what` says what was tried (`create pods default/a-1`)."""
    document = _document(body)
    message = str(document.get("message") or body[:_LONGEST].decode(errors="replace") or "no message")[:_LONGEST]
    if status == _FORBIDDEN and "NamespaceTerminating" in _causes(document):
        return NamespaceTerminatingError(
            f"{what}: the namespace is being deleted, and nothing can be created in it any more", status
        )
    return _kind(status, str(document.get("reason", "")), message)(f"{what}: {status}: {message}", status)


def _causes(document: dict[str, Any]) -> set[str]:
    """Reasons below `details`, by which the API server tells more exactly what was wrong."""
    details = document.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return {str(cause.get("reason")) for cause in causes or () if isinstance(cause, dict)}


def _kind(status: int, reason: str, message: str) -> type[KubeError]:
    if status == _CONFLICT and reason == "AlreadyExists":
        return AlreadyExistsError
    if status == _FORBIDDEN and "exceeded quota" in message:
        return QuotaExceededError
    if status >= _SERVER_ERRORS or (status == _FORBIDDEN and _NOT_YET.search(message)):
        return UnavailableError
    return _BY_STATUS.get(status, KubeError)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}  # a proxy's page, not the API server's Status object; its text is shown as it is
    return document if isinstance(document, dict) else {}

"""Errors of the Kubernetes API. Each names the request and the response.

NotFoundError: 404. AlreadyExistsError: 409 on creation. ConflictError: 409 if the object was changed in between, or
has another uid. GoneError: 410. InvalidError: 400 and 422. ForbiddenError: 401 and 403. QuotaExceededError: 403 of a
ResourceQuota; transient. NamespaceTerminatingError: 403 of a namespace that is being deleted.
UnavailableError: 429, 5xx, no connection, no
response in time, or an incomplete one; transient.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from componentrun.errors import PlatformError, Reason, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        status: HTTP status; 0 if there was no complete response.
        retry_after: seconds to wait before the next try, as the server asked; 0 if it did not.
        document: the Status object of the response; empty if there is none.
        may_be_renewed: whether the credential was refused and there may be another one.
        may_be_done: whether the request may have been carried out: its response was lost, or this is the response to a
            retry after a lost response. Read the object before concluding that somebody else wrote it.
    """

    def __init__(self, message: str, status: int = 0, reason: Reason | None = None) -> None:
        """Status 0: there was no response."""
        super().__init__(message, reason)
        self.status = status
        self.retry_after = 0.0
        self.document: Mapping[str, Any] = {}
        self.may_be_renewed = False
        self.may_be_done = False


class NotFoundError(KubeError):
    """The object, or the whole resource, does not exist."""


class GoneError(KubeError):
    """The version to watch from, or to continue a listing from, is too old: list again."""


class ConflictError(KubeError):
    """The object was changed since it was read, or is another one of the same name."""


class AlreadyExistsError(KubeError):
    """An object of this name exists."""


class InvalidError(KubeError):
    """The object is invalid; a retry does not help."""


class ForbiddenError(KubeError):
    """Not allowed: a permission is missing, or admission (pod security, a webhook) refused the object."""


class QuotaExceededError(KubeError, TransientError):
    """A ResourceQuota of the namespace is exhausted."""

    def __init__(self, message: str, status: int = 0, reason: Reason | None = Reason.QUEUED) -> None:
        """The reason is Queued for every kind: the run waits for the quota."""
        super().__init__(message, status, reason)


class NamespaceTerminatingError(KubeError):
    """The namespace is being deleted: nothing can be created in it any more."""

    def __init__(self, message: str, status: int = 0, reason: Reason | None = Reason.NAMESPACE_TERMINATING) -> None:
        """The reason is the same for every kind: the run is deleted with its namespace."""
        super().__init__(message, status, reason)


class UnavailableError(KubeError, TransientError):
    """No usable response: too busy, broken, unreachable, timed out or incomplete; or the namespace is not ready yet."""

    def __init__(self, message: str, status: int = 0, reason: Reason | None = None) -> None:
        """A request that was refused for now (4xx) was not carried out."""
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
"""Refusals of a pod in a namespace, or under a quota, that was created just now: controllers create the service account
and compute the usage of the quota afterwards."""


def error_for(status: int, body: bytes, what: str) -> KubeError:
    """Return the error for a response; `what` names the request (`create pods default/a-1`)."""
    document = _document(body)
    message = str(document.get("message") or body[:_LONGEST].decode(errors="replace") or "no message")[:_LONGEST]
    if status == _FORBIDDEN and "NamespaceTerminating" in _causes(document):
        kind: type[KubeError] = NamespaceTerminatingError
        words = "the namespace is being deleted, and nothing can be created in it any more"
    else:
        kind = _kind(status, str(document.get("reason", "")), message)
        words = f"{status}: {message}"
    error = kind(f"{what}: {words}", status)
    error.document = document
    return error


def _causes(document: dict[str, Any]) -> set[str]:
    """Reasons below `details`, which are more specific than the reason of the Status."""
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
        return {}  # the page of a proxy, not a Status object
    return document if isinstance(document, dict) else {}

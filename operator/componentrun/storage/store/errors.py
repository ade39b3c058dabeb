"""Translates the exceptions of the object store's client.

    obstore                                     here
    FileNotFoundError, missing bucket           PlatformError(StorageBucketNotFound)
    FileNotFoundError, missing object           MissingError
    FileNotFoundError without an S3 error code  PlatformError(StorageUnavailable): no S3 store
    AlreadyExistsError                          ExistsError
    PreconditionError                           StaleError
    PermissionDenied-, UnauthenticatedError     PlatformError(StorageAccessDenied)
    GenericError by its HTTP status             one of the above, or TransientError(StorageUnavailable)
    GenericError without HTTP status and code   NoAnswerError
    InvalidPathError, ValueError, the rest      PlatformError(Internal)

A message names the operation, the object, the bucket, the endpoint and what to do, but never an access key or a signed
URL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from obstore import exceptions as store_errors

from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError

if TYPE_CHECKING:
    from componentrun.storage.store.settings import StoreSettings

__all__ = [
    "LOOK",
    "STORE_EXCEPTIONS",
    "ExistsError",
    "MissingError",
    "NoAnswerError",
    "StaleError",
    "translate",
    "unavailable",
]


class MissingError(PlatformError):
    """No object has this key."""


class ExistsError(TransientError):
    """An object that should be created exists already."""


class StaleError(TransientError):
    """The object was changed since it was read."""


class NoAnswerError(TransientError):
    """The store did not respond: a timeout, a refused or broken connection, a name without an address."""

    def __init__(self, summary: str, detail: str, *, advice: str = "") -> None:
        """Reason StorageUnavailable; `detail` describes the failure in a few words that name no object."""
        super().__init__(summary, Reason.STORAGE_UNAVAILABLE, advice=advice)
        self.detail = detail


LOOK: Final = "look at"
"""The operation whose HTTP response has no body, so that the store's error code is missing."""
STORE_EXCEPTIONS: Final = (store_errors.BaseError, OSError, ValueError)
"""All exceptions of obstore's functions (OSError covers FileNotFoundError and network errors)."""

_OUTCOMES: Final[tuple[tuple[type[Exception], type[PlatformError], str], ...]] = (
    (FileNotFoundError, MissingError, "there is no such object"),
    (store_errors.AlreadyExistsError, ExistsError, "it exists already"),
    (store_errors.PreconditionError, StaleError, "it was changed by somebody else since it was read"),
    (store_errors.NotModifiedError, StaleError, "it was changed by somebody else since it was read"),
)
_REFUSALS: Final = (store_errors.PermissionDeniedError, store_errors.UnauthenticatedError)
_STATUS: Final = re.compile(r"non-2xx status code: (\d{3})")
_CODE: Final = re.compile(r"(?:<Code>|\(code: )([A-Za-z0-9]{1,64})(?:</Code>|\))")
_DETAIL: Final = re.compile(
    r"(dns error|tcp connect error|certificate[^\n\"]{0,120}|UnknownIssuer|operation timed out|TimedOut)"
)
_DENIED: Final = frozenset({401, 403})
_CLIENT_ERRORS: Final = range(400, 500)
_LATER: Final = frozenset({408, 409, 425, 429})
"""Client errors that a retry may resolve."""
_NOT_DONE: Final = frozenset({501, 505})
"""Server errors that a retry will not resolve."""
_WRONG_KEYS: Final = {
    "InvalidAccessKeyId": "the store does not know the access key",
    "XAdminUserNotFound": "the store does not know the access key",  # versitygw, with HTTP 404
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is not valid",
    "RequestTimeTooSkewed": "this machine's clock and the store's differ too much",
    "AuthorizationHeaderMalformed": "the store wants requests signed for another region",
}
_DENIED_CODES: Final = frozenset({"AccessDenied", *_WRONG_KEYS})


def translate(error: Exception, settings: StoreSettings, operation: str, key: str | None) -> ComponentRunError:
    """Translate an exception of the client library.

    Args:
        error: the exception.
        settings: the Storage.
        operation: a verb for the message: `read`, `list`, `create`.
        key: the object; None: the bucket.
    """
    text = str(error)
    status = _number(_STATUS.search(text))
    code = _word(_CODE.search(text))
    failure = f"can't {operation} {settings.where(key)}"
    if code == "NoSuchBucket" or (status == 404 and key is None):  # noqa: PLR2004 - HTTP
        return _no_bucket(failure, settings)
    if status == 404 and not code and operation != LOOK and isinstance(error, FileNotFoundError):  # noqa: PLR2004 - HTTP
        return _no_store(failure, settings)
    if isinstance(error, _REFUSALS) or status in _DENIED or code in _DENIED_CODES:
        return _denied(failure, settings, code)
    for kind, error_type, sentence in _OUTCOMES:
        if isinstance(error, kind):
            return error_type(f"{failure}: {sentence}", Reason.PUBLISH_FAILED)
    if status is not None or code or isinstance(error, store_errors.GenericError | ConnectionError | TimeoutError):
        detail = code or _word(_DETAIL.search(text)) or _tail(text)
        return unavailable(failure, settings, status, detail, coded=bool(code))
    return PlatformError(f"{failure}: {type(error).__name__}: {_first_line(text)}", Reason.INTERNAL)


def _no_bucket(failure: str, settings: StoreSettings) -> PlatformError:
    return PlatformError(
        f"{failure}: {settings.title} names the bucket `{settings.bucket}`, which does not exist",
        Reason.STORAGE_BUCKET_NOT_FOUND,
        advice="Create the bucket, or correct `bucket` and `endpoint` of the Storage.",
    )


def _no_store(failure: str, settings: StoreSettings) -> PlatformError:
    return PlatformError(
        f"{failure}: the server there is not an S3 store (it answered HTTP 404 without an S3 error code)",
        Reason.STORAGE_UNAVAILABLE,
        advice=f"Check the endpoint of {settings.title}.",
    )


def _denied(failure: str, settings: StoreSettings, code: str) -> PlatformError:
    cause = _WRONG_KEYS.get(code, "the store refused the credentials, or they lack a permission")
    credentials = "the Secret of its keys" if settings.access_key else "the identity of this machine or service account"
    return PlatformError(
        f"{failure}: {cause}{f' ({code})' if code else ''}",
        Reason.STORAGE_ACCESS_DENIED,
        advice=f"Check {credentials} for {settings.title} (it needs to list, read, write and delete below its prefix), "
        f"and whether the bucket `{settings.bucket}` exists: many stores answer the same if it does not.",
    )


def unavailable(
    failure: str, settings: StoreSettings, status: int | None, detail: str, *, coded: bool = False
) -> PlatformError:
    """The store did not respond, or not with a result.

    Args:
        failure: what could not be done, and where.
        settings: the Storage.
        status: HTTP status; None: there was no response, or it is not known.
        detail: the cause in a few words that name no object; may be empty.
        coded: whether the store responded with an error code of its own.

    Returns:
        A NoAnswerError if there was no response, another TransientError if a later request may succeed.
    """
    if status is not None and (status in _NOT_DONE or (status in _CLIENT_ERRORS and status not in _LATER)):
        return PlatformError(
            f"{failure}: the store refused with HTTP {status}{f' ({detail})' if detail else ''}",
            Reason.STORAGE_UNAVAILABLE,
            advice=f"Check the endpoint and region of {settings.title}, and the store with `componentrun doctor`.",
        )
    answer = f"answered with HTTP {status}" if status is not None else "did not answer"
    summary = f"{failure}: the store {answer}{f' ({detail})' if detail else ''}"
    advice = f"Check the store and the endpoint of {settings.title}."
    if status is None and not coded:
        return NoAnswerError(summary, detail or "no answer", advice=advice)
    return TransientError(summary, Reason.STORAGE_UNAVAILABLE, advice=advice)


def _number(match: re.Match[str] | None) -> int | None:
    return int(match[1]) if match else None


def _word(match: re.Match[str] | None) -> str:
    return match[1] if match else ""


def _tail(text: str) -> str:
    """Return the innermost cause in the first line."""
    return _first_line(text).rpartition(": ")[2][:120]


def _first_line(text: str) -> str:
    line = text.partition("\n")[0]
    # An unknown message may quote a URL, whose query could be a signature.
    return re.sub(r"\?\S*", "?...", line)[:300]

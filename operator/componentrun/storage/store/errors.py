"""The one place that knows what the object store's client raises, and what it means here.

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

A message names the operation, the object, the bucket, the endpoint and what to do; never an access key or a signed URL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from obstore import exceptions as store_errors

from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError

if TYPE_CHECKING:
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["LOOK", "STORE_EXCEPTIONS", "ExistsError", "MissingError", "NoAnswerError", "StaleError", "translate"]


class MissingError(PlatformError):
    """There is no object with this key."""


class ExistsError(TransientError):
    """There is an object with this key already, and it was to be created."""


class StaleError(TransientError):
    """The object is not the one that was read before: somebody else has written it since."""


class NoAnswerError(TransientError):
    """The store gave no answer at all: a timeout, a refused or broken connection, a name without an address."""

    def __init__(self, message: str, detail: str) -> None:
        """Reason StorageUnavailable; `detail` is what happened instead, in a few words that name no object."""
        super().__init__(message, Reason.STORAGE_UNAVAILABLE)
        self.detail = detail


LOOK: Final = "look at"
"""The operation that HTTP answers without a body, so without the store's own words."""
STORE_EXCEPTIONS: Final = (store_errors.BaseError, OSError, ValueError)
"""All that obstore's functions raise (OSError: FileNotFoundError, and what a network stack adds)."""

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
"""Client errors that trying again may mend."""
_NOT_DONE: Final = frozenset({501, 505})
"""Server errors that it won't."""
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
    """Say what an exception of the client library means.

    Args:
        error: what was raised.
        settings: the Storage that was asked.
        operation: a verb for the message: `read`, `list`, `create`.
        key: the object it was about; None: the bucket.
    """
    text = str(error)
    status = _number(_STATUS.search(text))
    code = _word(_CODE.search(text))
    told = f"can't {operation} {settings.where(key)}"
    if code == "NoSuchBucket" or (status == 404 and key is None):  # noqa: PLR2004 - HTTP
        return _no_bucket(told, settings)
    if status == 404 and not code and operation != LOOK and isinstance(error, FileNotFoundError):  # noqa: PLR2004 - HTTP
        return _no_store(told, settings)
    if isinstance(error, _REFUSALS) or status in _DENIED or code in _DENIED_CODES:
        return _denied(told, settings, code)
    for kind, meaning, sentence in _OUTCOMES:
        if isinstance(error, kind):
            return meaning(f"{told}: {sentence}", Reason.PUBLISH_FAILED)
    if status is not None or code or isinstance(error, store_errors.GenericError | ConnectionError | TimeoutError):
        detail = code or _word(_DETAIL.search(text)) or _tail(text)
        return _unavailable(told, settings, status, detail, coded=bool(code))
    return PlatformError(f"{told}: {type(error).__name__}: {_first_line(text)}", Reason.INTERNAL)


def _no_bucket(told: str, settings: StoreSettings) -> PlatformError:
    return PlatformError(
        f"{told}: {settings.title} names the bucket `{settings.bucket}`, which does not exist there. "
        "Create the bucket, or correct `bucket` and `endpoint` of the Storage",
        Reason.STORAGE_BUCKET_NOT_FOUND,
    )


def _no_store(told: str, settings: StoreSettings) -> PlatformError:
    return PlatformError(
        f"{told}: what answers there (HTTP 404 without an S3 error code) is no S3 store. "
        f"Check the endpoint of {settings.title}",
        Reason.STORAGE_UNAVAILABLE,
    )


def _denied(told: str, settings: StoreSettings, code: str) -> PlatformError:
    why = _WRONG_KEYS.get(code, "the store refused the credentials, or they lack a right")
    credentials = "the Secret of its keys" if settings.access_key else "the identity of this machine or service account"
    return PlatformError(
        f"{told}: {why}{f' ({code})' if code else ''}. Check {credentials} for {settings.title} "
        f"(it needs to list, read, write and delete below its prefix), and whether the bucket `{settings.bucket}` "
        "exists: many stores answer the same where it does not",
        Reason.STORAGE_ACCESS_DENIED,
    )


def _unavailable(told: str, settings: StoreSettings, status: int | None, detail: str, *, coded: bool) -> PlatformError:
    if status is not None and (status in _NOT_DONE or (status in _CLIENT_ERRORS and status not in _LATER)):
        return PlatformError(
            f"{told}: the store refused with HTTP {status}{f' ({detail})' if detail else ''}. Check the endpoint and "
            f"region of {settings.title}, and whether the store does what `componentrun doctor` asks of it",
            Reason.STORAGE_UNAVAILABLE,
        )
    answer = f"answered with HTTP {status}" if status is not None else "did not answer"
    sentence = (
        f"{told}: the store {answer}{f' ({detail})' if detail else ''}. "
        f"Check the store and the endpoint of {settings.title}"
    )
    if status is None and not coded:
        return NoAnswerError(sentence, detail or "no answer")
    return TransientError(sentence, Reason.STORAGE_UNAVAILABLE)


def _number(match: re.Match[str] | None) -> int | None:
    return int(match[1]) if match else None


def _word(match: re.Match[str] | None) -> str:
    return match[1] if match else ""


def _tail(text: str) -> str:
    """The innermost cause that the first line tells."""
    return _first_line(text).rpartition(": ")[2][:120]


def _first_line(text: str) -> str:
    line = text.partition("\n")[0]
    # An unforeseen message may quote a URL; its query could be a signature.
    return re.sub(r"\?\S*", "?...", line)[:300]

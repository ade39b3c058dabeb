"""Every exception of the client library has a meaning here. Messages as obstore 0.12 and MinIO gave them."""

from __future__ import annotations

import pytest
from obstore import exceptions

from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError
from componentrun.storage.store.errors import (
    LOOK,
    STORE_EXCEPTIONS,
    ExistsError,
    MissingError,
    NoAnswerError,
    StaleError,
    translate,
)
from componentrun.storage.store.settings import StoreSettings

SETTINGS = StoreSettings(
    bucket="bucket", endpoint="http://store.test:9000", access_key="AKIA", secret_key="hush", name="main"
)


def answer(status: int, code: str) -> str:
    return (
        "Error performing GET http://store.test:9000/bucket/k?X-Amz-Signature=abcdef in 2ms - "
        f"Server returned non-2xx status code: {status} X: <Error><Code>{code}</Code><AWSAccessKeyId>AKIA"
        "</AWSAccessKeyId></Error>\n\nDebug source: ..."
    )


DENIED = exceptions.PermissionDeniedError(answer(403, "SignatureDoesNotMatch"))
AWAY = exceptions.GenericError("HTTP error: error sending request\n kind: Connect, tcp connect error")
CASES = [
    (FileNotFoundError(answer(404, "NoSuchKey")), "k", MissingError, Reason.PUBLISH_FAILED),
    (FileNotFoundError(answer(404, "NoSuchBucket")), "k", PlatformError, Reason.STORAGE_BUCKET_NOT_FOUND),
    (exceptions.PreconditionError(answer(404, "NoSuchBucket")), "k", PlatformError, Reason.STORAGE_BUCKET_NOT_FOUND),
    (exceptions.GenericError(answer(404, "NoSuchBucket")), None, PlatformError, Reason.STORAGE_BUCKET_NOT_FOUND),
    (exceptions.AlreadyExistsError(answer(412, "PreconditionFailed")), "k", ExistsError, Reason.PUBLISH_FAILED),
    (exceptions.PreconditionError(answer(412, "PreconditionFailed")), "k", StaleError, Reason.PUBLISH_FAILED),
    (exceptions.NotModifiedError("304"), "k", StaleError, Reason.PUBLISH_FAILED),
    (DENIED, "k", PlatformError, Reason.STORAGE_ACCESS_DENIED),
    (exceptions.UnauthenticatedError(answer(401, "X")), "k", PlatformError, Reason.STORAGE_ACCESS_DENIED),
    (exceptions.GenericError(answer(403, "AccessDenied")), None, PlatformError, Reason.STORAGE_ACCESS_DENIED),
    (exceptions.GenericError(answer(503, "SlowDown")), "k", TransientError, Reason.STORAGE_UNAVAILABLE),
    (exceptions.GenericError(answer(400, "InvalidRequest")), "k", PlatformError, Reason.STORAGE_UNAVAILABLE),
    (exceptions.GenericError(answer(501, "NotImplemented")), "k", PlatformError, Reason.STORAGE_UNAVAILABLE),
    (exceptions.GenericError(answer(429, "TooManyRequests")), "k", TransientError, Reason.STORAGE_UNAVAILABLE),
    (FileNotFoundError(answer(404, "XAdminUserNotFound")), "k", PlatformError, Reason.STORAGE_ACCESS_DENIED),
    (exceptions.PreconditionError(answer(404, "XAdminUserNotFound")), "k", PlatformError, Reason.STORAGE_ACCESS_DENIED),
    (exceptions.GenericError(answer(500, "InternalError")), "k", TransientError, Reason.STORAGE_UNAVAILABLE),
    (AWAY, "k", NoAnswerError, Reason.STORAGE_UNAVAILABLE),
    (exceptions.GenericError("kind: Decode, source: TimedOut"), "k", NoAnswerError, Reason.STORAGE_UNAVAILABLE),
    (ConnectionResetError("reset"), "k", NoAnswerError, Reason.STORAGE_UNAVAILABLE),
    (exceptions.InvalidPathError("x"), "k", PlatformError, Reason.INTERNAL),
    (exceptions.JoinError("x"), "k", PlatformError, Reason.INTERNAL),
    (exceptions.NotSupportedError("x"), "k", PlatformError, Reason.INTERNAL),
    (exceptions.UnknownConfigurationKeyError("x"), "k", PlatformError, Reason.INTERNAL),
    (ValueError("Could not parse path: ..."), "k", PlatformError, Reason.INTERNAL),
]  # fmt: skip


@pytest.mark.parametrize(("error", "key", "kind", "reason"), CASES, ids=lambda value: getattr(value, "__name__", None))
def test_each_exception_has_a_meaning(
    error: Exception, key: str | None, kind: type[ComponentRunError], reason: Reason
) -> None:
    meaning = translate(error, SETTINGS, "read", key)
    assert type(meaning) is kind
    assert meaning.reason is reason
    assert "http://store.test:9000" in meaning.message
    assert "s3://bucket/" in meaning.message
    for secret in ("AKIA", "hush", "abcdef", "Signature="):
        assert secret not in meaning.message


def test_no_exception_of_the_library_is_without_a_case() -> None:
    known = {type(error) for error, *_ in CASES}
    there = {
        item
        for name in dir(exceptions)
        if isinstance(item := getattr(exceptions, name), type) and issubclass(item, exceptions.BaseError)
    }
    deprecated = {exceptions.BaseError, getattr(exceptions, "NotFoundError", exceptions.BaseError)}
    assert there - known - deprecated == set()


def test_what_the_library_raises_is_caught() -> None:
    for error, *_ in CASES:
        assert isinstance(error, STORE_EXCEPTIONS)


NO_S3 = FileNotFoundError(
    "Object at location k not found: ... Server returned non-2xx status code: 404 Not Found: page"
)


@pytest.mark.parametrize("operation", ["read", "write", "create", "replace"])
def test_a_server_that_is_no_s3_store_is_told_from_a_missing_object(operation: str) -> None:
    meaning = translate(NO_S3, SETTINGS, operation, "k")
    assert type(meaning) is PlatformError
    assert meaning.reason is Reason.STORAGE_UNAVAILABLE
    assert "not an S3 store" in meaning.message
    assert "Storage `main`" in meaning.message


def test_an_answer_without_a_body_is_a_missing_object() -> None:
    assert isinstance(translate(NO_S3, SETTINGS, LOOK, "k"), MissingError)

"""Execute a request and build its response. Keys of the request's Storage never enter logs or responses."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from componentrun.errors import ComponentRunError, Reason, TransientError, UserError
from componentrun.loader.catalog.catalog import CatalogAwayError, CommitUnknownError
from componentrun.wire.documents import from_json
from componentrun.wire.loader import (
    CHECK_PATH,
    FENCE_PATH,
    LOAD_PATH,
    PLAN_PATH,
    CheckAnswer,
    CheckRequest,
    Failure,
    FenceAnswer,
    FenceRequest,
    LoadAnswer,
    LoadRequest,
    PlanAnswer,
    PlanRequest,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from componentrun.loader.metrics import Metrics
    from componentrun.loader.service.engine import Engine

__all__ = [
    "CHECK",
    "FENCE",
    "LOAD",
    "PLAN",
    "Answer",
    "Operation",
    "Request",
    "carry_out",
    "outcome_of",
    "read_request",
]

log = logging.getLogger(__name__)

Request = TypeVar("Request", LoadRequest, FenceRequest, PlanRequest, CheckRequest)
Answer = TypeVar("Answer", LoadAnswer, FenceAnswer, PlanAnswer, CheckAnswer)

_SECRET: Final = re.compile(r"key|secret|token|password|credential", re.IGNORECASE)
_SHORTEST: Final = 4
"""Minimum length of keys that are redacted. A shorter one could occur in any sentence."""
_HIDDEN: Final = "***"
_FRAMES: Final = 12


@dataclass(frozen=True, slots=True)
class Operation(Generic[Request, Answer]):
    """A kind of request."""

    name: str
    path: str
    request: type[Request]
    answer: type[Answer]
    method: Callable[[Engine, Request], Awaitable[Answer]]
    changes: bool
    """Whether the operation may change tables."""


LOAD: Final = Operation(
    "load", LOAD_PATH, LoadRequest, LoadAnswer, lambda engine, request: engine.load(request), changes=True
)
FENCE: Final = Operation(
    "fence", FENCE_PATH, FenceRequest, FenceAnswer, lambda engine, request: engine.fence(request), changes=True
)
PLAN: Final = Operation(
    "plan", PLAN_PATH, PlanRequest, PlanAnswer, lambda engine, request: engine.plan(request), changes=False
)
CHECK: Final = Operation(
    "check", CHECK_PATH, CheckRequest, CheckAnswer, lambda engine, request: engine.check(request), changes=False
)


async def read_request(operation: Operation[Request, Answer], body: bytes) -> Request:
    """Parse a request from its body.

    Raises:
        ValueError: the body is invalid; the message contains names of fields, but no values.
    """
    try:
        return await asyncio.to_thread(from_json, operation.request, body)
    except RecursionError:
        raise ValueError("the document is nested too deeply") from None


async def carry_out(
    operation: Operation[Request, Answer], engine: Engine, request: Request, metrics: Metrics
) -> Answer:
    """Execute a request with the engine. Every exception becomes a `Failure`."""
    start = time.monotonic()
    try:
        answer = await operation.method(engine, request)
    except ComponentRunError as error:
        answer = operation.answer(failure=_failure_of(error))
    except Exception as error:  # noqa: BLE001 - a bug that one request triggers must not affect others
        # The message of the exception may contain a key, but its traceback locations do not.
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        where = " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames)
        log.error("%s: unexpected %s at %s", _subject(operation.name, request), type(error).__name__, where)  # noqa: TRY400 - likewise
        message = f"the loader met an unexpected {type(error).__name__}; its log says where. Please report it"
        answer = operation.answer(failure=Failure(Reason.INTERNAL, message, unknown=operation.changes))
    seconds = time.monotonic() - start
    metrics.carried_out(operation.name, seconds)
    return _told(operation, request, answer, seconds, metrics)


def outcome_of(answer: LoadAnswer | FenceAnswer | PlanAnswer | CheckAnswer) -> str:
    """The outcome of a request, one of `metrics.OUTCOMES`."""
    failure = answer.failure
    if failure is None:
        return "ok"
    if failure.unknown:
        return "unknown"
    return failure.kind if failure.kind in {"user", "transient"} else "platform"


def _told(
    operation: Operation[Request, Answer], request: Request, answer: Answer, seconds: float, metrics: Metrics
) -> Answer:
    """Log and count an answer; return it without keys."""
    subject = _subject(operation.name, request)
    failure = answer.failure
    if failure is not None:
        failure = replace(failure, message=_without_keys(failure.message, request.storage))
        log.warning("%s failed after %.2f s (%s): %s", subject, seconds, failure.reason, failure.message)
        return replace(answer, failure=failure)
    if isinstance(answer, CheckAnswer):
        return _checked(answer, request.storage)
    log.info("%s done after %.2f s", subject, seconds)
    if isinstance(answer, LoadAnswer):
        metrics.loaded(answer)
    return answer


def _checked(answer: CheckAnswer, storage: dict[str, Any]) -> CheckAnswer:
    """Log the failed checks of a catalog; return the answer without keys."""
    checks = tuple(replace(check, detail=_without_keys(check.detail, storage)) for check in answer.checks)
    for check in checks:
        if not check.ok:
            log.warning("check of a catalog, %s (%s): %s", check.name, check.reason, check.detail)
    return replace(answer, checks=checks)


def _subject(operation: str, request: LoadRequest | FenceRequest | PlanRequest | CheckRequest) -> str:
    """The operation and its object, for log lines."""
    if isinstance(request, CheckRequest):
        return f"{operation} of a catalog"
    if isinstance(request, PlanRequest):
        return f"{operation} of {len(request.tables)} tables"
    return f"{operation} of run {request.run}, attempt {request.attempt}"


def _failure_of(error: ComponentRunError) -> Failure:
    kind = "user" if isinstance(error, UserError) else "transient" if isinstance(error, TransientError) else "platform"
    silent = isinstance(error, CatalogAwayError) or (isinstance(error, CommitUnknownError) and not error.is_answered)
    return Failure(error.reason, error.message, kind, unknown=error.unknown, no_answer=silent, advice=error.advice)


def _without_keys(text: str, storage: dict[str, Any]) -> str:
    """The text with each key of the Storage redacted. No message should contain one; this is a second safeguard."""
    for key in sorted(_keys(storage), key=len, reverse=True):
        text = text.replace(key, _HIDDEN)
    return text


def _keys(document: dict[str, Any]) -> Iterator[str]:
    """All string values whose names look like `secret_key`, at any depth."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _keys(value)
        elif isinstance(value, str) and len(value) >= _SHORTEST and _SECRET.search(name):
            yield value

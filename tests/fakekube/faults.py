"""What goes wrong with requests on their way: refusals, delays, lost requests, lost answers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from tests.fakekube.kinds import parse
from tests.fakekube.messages import Response, json_response
from tests.fakekube.refusals import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakekube.messages import Request

_REASONS: Final = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True)
class Fault:
    """What happens to a request.

    Attributes:
        status: the request is not carried out, and this is the status of the answer; 0: it is carried out.
        reason: of the Status object; empty: the one that goes with the status.
        delay: seconds that pass before the request arrives.
        lost: the connection breaks before the request is carried out, or before the answer is sent.
    """

    status: int = 0
    reason: str = ""
    message: str = "a fault that the test wants"
    retry_after: int | None = None
    delay: float = 0.0
    lost: Literal["", "request", "answer"] = ""

    def response(self) -> Response:
        """The refusal."""
        reason = self.reason or _REASONS.get(self.status, "")
        response = json_response(self.status, failure(self.status, reason, self.message))
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(self.retry_after)
        return response


@dataclass
class _Rule:
    fault: Fault
    methods: str
    plural: str
    times: int | None

    def fits(self, request: Request) -> bool:
        target = parse(request.path)
        plural = "" if target is None else target.kind.plural
        method = "WATCH" if request.is_watch else request.method
        return (not self.methods or method in self.methods.split()) and self.plural in {"", plural}


@dataclass
class Faults:
    """The faults of a server, each for the requests that fit."""

    _rules: list[_Rule] = field(default_factory=list)

    def add(self, fault: Fault, methods: str = "", plural: str = "", *, times: int | None = 1) -> None:
        """Have this happen to the next requests.

        Args:
            fault: what happens.
            methods: HTTP methods with spaces between, `WATCH` for watches; empty: all.
            plural: the kind of object; empty: all.
            times: to how many requests; None: to all.
        """
        self._rules.append(_Rule(fault, methods, plural, times))

    @contextmanager
    def lasting(self, fault: Fault, methods: str = "", plural: str = "") -> Iterator[None]:
        """Have this happen to all requests within `with`."""
        rule = _Rule(fault, methods, plural, None)
        self._rules.append(rule)
        try:
            yield
        finally:
            self._rules.remove(rule)

    def take(self, request: Request) -> Fault | None:
        """What happens to this request; it counts."""
        rule = next((rule for rule in self._rules if rule.fits(request)), None)
        if rule is None:
            return None
        if rule.times is not None:
            rule.times -= 1
            if not rule.times:
                self._rules.remove(rule)
        return rule.fault

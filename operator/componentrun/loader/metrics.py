"""Prometheus metrics of the loader, in addition to those of every process.

No label contains the name of a run, a table or a Storage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge, Histogram

from componentrun.process.serving.metrics import ProcessMetrics

if TYPE_CHECKING:
    from componentrun.wire.loader import LoadAnswer

__all__ = ["OPERATIONS", "OUTCOMES", "Metrics"]

OPERATIONS: Final = ("load", "fence", "plan", "check")
OUTCOMES: Final = (
    "ok", "user", "platform", "transient", "unknown", "refused", "invalid", "busy", "unavailable", "gone",
)  # fmt: skip
"""`user`, `platform` and `transient`: kinds of a `Failure`. `unknown`: a commit may have been applied. `refused`: the
caller is not allowed. `invalid`: a malformed request. `busy`: the queue is full. `unavailable`: the loader is shutting
down, or the API server can't authenticate the caller. `gone`: the caller closed the connection before the response."""
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)


class Metrics(ProcessMetrics):
    """All metrics of one loader, in their own registry. It is also the engine's `LoadObserver`."""

    def __init__(self) -> None:
        """Define all metrics."""
        super().__init__()
        registry, operation = self.registry, ("operation",)
        self._answered = Counter(
            "componentrun_loader_requests", "Requests that ended", ("operation", "outcome"), registry=registry
        )
        self._seconds = Histogram(
            "componentrun_loader_request_duration_seconds", "Time of a request, without its wait for a slot", operation,
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._waited = Histogram(
            "componentrun_loader_queue_duration_seconds", "Wait of a request for a slot", operation,
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.in_progress = Gauge(
            "componentrun_loader_requests_in_progress", "Requests that hold a slot", operation, registry=registry
        )
        self.queued = Gauge(
            "componentrun_loader_requests_queued", "Requests that wait for a slot", operation, registry=registry
        )
        self._rows = Counter("componentrun_loader_rows", "Rows that loads brought", registry=registry)
        self._bytes = Counter("componentrun_loader_bytes", "Bytes of CSV that loads brought", registry=registry)
        self._conflicts = Counter(
            "componentrun_loader_conflicts",
            "Commits that were tried again because a table was changed by somebody else first",
            registry=registry,
        )
        for name in OPERATIONS:
            self.in_progress.labels(name)
            self.queued.labels(name)
            for outcome in OUTCOMES:
                self._answered.labels(name, outcome)

    def request_ended(self, operation: str, outcome: str) -> None:
        """Count a request that was answered, refused, or cancelled by its caller."""
        self._answered.labels(operation, outcome).inc()

    def waited(self, operation: str, seconds: float) -> None:
        """Record how long a request waited for its slot."""
        self._waited.labels(operation).observe(seconds)

    def carried_out(self, operation: str, seconds: float) -> None:
        """Record the time from the start of a request's slot to its response."""
        self._seconds.labels(operation).observe(seconds)

    def loaded(self, answer: LoadAnswer) -> None:
        """Count the rows and bytes of a load."""
        self._rows.inc(sum(table.rows for table in answer.tables))
        self._bytes.inc(sum(table.bytes for table in answer.tables))

    def conflict_retried(self) -> None:
        """See `engine.LoadObserver`."""
        self._conflicts.inc()

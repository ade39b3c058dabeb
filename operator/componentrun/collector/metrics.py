"""Numbers for Prometheus. Those that the operator has too are called the same. No label holds the name of a run."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

import componentrun
from componentrun.errors import ComponentRunError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LAGS: Final = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)
_QUICK: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """All metrics of one collector, in a registry of its own."""

    def __init__(self) -> None:
        """Define them all."""
        self.registry = registry = CollectorRegistry()
        self.streams = Gauge("componentrun_collector_streams", "Log streams that are open", registry=registry)
        self.runs = Gauge("componentrun_collector_runs", "Runs whose events are not all delivered", registry=registry)
        self.lines = Counter("componentrun_collector_lines", "Lines read", ("source",), registry=registry)
        self.events = Counter("componentrun_collector_events", "Events written", ("type",), registry=registry)
        self.bytes = Counter("componentrun_collector_bytes", "Bytes of logs received", registry=registry)
        self.segments = Counter("componentrun_collector_segments", "Event segments written", registry=registry)
        self.reconnects = Counter(
            "componentrun_collector_reconnects", "Log requests after a run's first", ("cause",), registry=registry
        )
        self.gaps = Counter("componentrun_collector_gaps", "Times that lines were lost, or may be", registry=registry)
        self.lag = Histogram(
            "componentrun_collector_lag_seconds",
            "From the time a segment's oldest line was printed to the segment's being written",
            buckets=_LAGS,
            registry=registry,
        )
        self._define_shared()

    def _define_shared(self) -> None:
        """What the operator has, too."""
        registry = self.registry
        self._requests = Counter(
            "rest_client_requests", "Requests to the API server", ("code", "method", "host"), registry=registry
        )
        self._store_requests = Counter(
            "componentrun_store_requests", "Requests to object stores", ("operation", "outcome"), registry=registry
        )
        self._store_time = Histogram(
            "componentrun_store_request_duration_seconds",
            "Time of a request to an object store",
            ("operation",),
            buckets=_QUICK,
            registry=registry,
        )
        info = Gauge("componentrun_build_info", "Version of ComponentRun", ("version",), registry=registry)
        info.labels(componentrun.__version__).set(1)

    def request_done(self, method: str, code: str, host: str) -> None:
        """The API server answered (code: HTTP status), or did not (code: name of the error)."""
        self._requests.labels(code, method, host).inc()

    @contextmanager
    def store_request(self, operation: str) -> Iterator[None]:
        """Around a request to an object store."""
        begin, outcome = time.monotonic(), "success"
        try:
            yield
        except ComponentRunError as error:
            outcome = str(error.reason)
            raise
        finally:
            self._store_requests.labels(operation, outcome).inc()
            self._store_time.labels(operation).observe(time.monotonic() - begin)

    def render(self) -> bytes:
        """All of it in the text format."""
        return generate_latest(self.registry)

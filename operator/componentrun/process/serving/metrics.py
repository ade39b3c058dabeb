"""Prometheus metrics of every process.

`rest_client_requests` has the name that dashboards for controller-runtime use. The outcomes of requests to a store
are `componentrun.storage.store.connection.StoreOutcome`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

import componentrun
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, PODS, RUNS, STORAGES

if TYPE_CHECKING:
    from componentrun.process.kubernetes.clock import ApiClock
    from componentrun.storage.store.connection import StoreOutcome

__all__ = ["CONTENT_TYPE", "QUICK", "ProcessMetrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
QUICK: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Buckets in seconds for operations that usually take less than one second."""


class ProcessMetrics:
    """The metrics of a process, in its own registry. Each process adds its own."""

    def __init__(self) -> None:
        """Define the metrics."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they would be a second series for each counter
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "rest_client_requests", "Requests to the API server", ("code", "method", "host"), registry=registry
        )
        self._store_requests = Counter(
            "componentrun_store_requests", "Requests to object stores", ("operation", "outcome"), registry=registry
        )
        self._store_time = Histogram(
            "componentrun_store_request_duration_seconds", "Time of a request to an object store", ("operation",),
            buckets=QUICK, registry=registry,
        )  # fmt: skip
        self._event_errors = Counter(
            "componentrun_watch_event_errors", "Objects of a watch or a listing that could not be taken in (defects)",
            ("resource",), registry=registry,
        )  # fmt: skip
        for resource in (RUNS, PODS, COMPONENTS, CLUSTER_COMPONENTS, STORAGES):
            # Export counters from the start: `increase` misses the first value of a new series.
            self._event_errors.labels(resource.plural)
        self._clock_ahead = Gauge(
            "componentrun_clock_ahead_seconds",
            "Seconds by which this machine's clock is ahead of the API servers' and that are taken off; 0 below 5",
            registry=registry,
        )
        self._clock_spread = Gauge(
            "componentrun_apiserver_clock_spread_seconds", "Seconds by which the clocks of the API servers differ",
            registry=registry,
        )  # fmt: skip
        info = Gauge("componentrun_build_info", "Version of ComponentRun", ("version",), registry=registry)
        info.labels(componentrun.__version__).set(1)

    def observe_clock(self, clock: ApiClock) -> None:
        """Export the values of this clock."""
        self._clock_ahead.set_function(lambda: clock.ahead)
        self._clock_spread.set_function(lambda: clock.spread)

    def request_done(self, method: str, code: str, host: str) -> None:
        """Count a request to the API server. `code`: HTTP status, or name of the error."""
        self._requests.labels(code, method, host).inc()

    def event_failed(self, resource: str) -> None:
        """Count an object of a watch or a listing that could not be processed."""
        self._event_errors.labels(resource).inc()

    def store_request_done(self, operation: str, outcome: StoreOutcome, seconds: float) -> None:
        """Count a request to an object store."""
        self._store_requests.labels(operation, outcome).inc()
        self._store_time.labels(operation).observe(seconds)

    def render(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self.registry)

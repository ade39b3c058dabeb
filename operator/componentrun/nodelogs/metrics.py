"""Prometheus metrics of the log server, in addition to those of every process. No label contains the name of a run."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

from componentrun.process.serving.metrics import ProcessMetrics

__all__ = ["Metrics"]

_OUTCOMES: Final = ("ok", "not_found", "refused", "failed")


class Metrics(ProcessMetrics):
    """All metrics of one log server, in a registry of its own."""

    def __init__(self) -> None:
        """Define the metrics."""
        super().__init__()
        registry = self.registry
        self.containers = Gauge(
            "componentrun_nodelogs_containers", "Containers whose log files are held open", registry=registry
        )
        self.bytes = Counter("componentrun_nodelogs_bytes", "Bytes of logs answered", registry=registry)
        self.requests = Counter("componentrun_nodelogs_requests", "Requests for logs", ("outcome",), registry=registry)
        for outcome in _OUTCOMES:
            self.requests.labels(outcome)

"""Prometheus metrics of the collector, in addition to those of every process. No label names a run."""

from __future__ import annotations

from typing import Final, Literal, get_args

from prometheus_client import Counter, Gauge, Histogram

from componentrun.collector.forward.receivers import KINDS
from componentrun.process.serving.metrics import ProcessMetrics

__all__ = ["SINK_OUTCOMES", "Metrics", "SinkOutcome"]

SinkOutcome = Literal["delivered", "refused", "failed", "expired"]
"""The receiver accepted the event; refused it for good; fails on it and accepts others; was away for too long."""
SINK_OUTCOMES: Final = get_args(SinkOutcome)
_LAGS: Final = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)
_CAUSES: Final = (
    "eof", "jump", "no_watcher", "silent", "unreadable", "error", "not_found", "refused",
    "nowhere", "cut",
)  # fmt: skip
"""Why a log was requested again. `silent`: the log had lines that an open stream did not deliver. The last two occur
only with the reader `node`."""


class Metrics(ProcessMetrics):
    """All metrics of one collector, in a registry of its own."""

    def __init__(self) -> None:
        """Define them all."""
        super().__init__()
        registry = self.registry
        self.streams = Gauge("componentrun_collector_streams", "Open log streams", registry=registry)
        self.runs = Gauge("componentrun_collector_runs", "Runs with undelivered events", registry=registry)
        self.lines = Counter("componentrun_collector_lines", "Lines read", ("source",), registry=registry)
        self.events = Counter("componentrun_collector_events", "Events written", ("type",), registry=registry)
        self.bytes = Counter("componentrun_collector_bytes", "Bytes of logs received", registry=registry)
        self.segments = Counter("componentrun_collector_segments", "Event segments written", registry=registry)
        self.reconnects = Counter(
            "componentrun_collector_reconnects", "Log requests after a run's first", ("cause",), registry=registry
        )
        for cause in _CAUSES:
            self.reconnects.labels(cause)
        self.gaps = Counter(
            "componentrun_collector_gaps", "Times that lines were lost, or may have been", registry=registry
        )
        self.lag = Histogram(
            "componentrun_collector_lag_seconds",
            "Time from the oldest line of a segment until the segment is written",
            buckets=_LAGS,
            registry=registry,
        )
        self.sink_events = Counter(
            "componentrun_sink_events", "Forwarded events by outcome", ("sink", "outcome"), registry=registry
        )
        self.sink_retries = Counter(
            "componentrun_sink_retries",
            "Requests to a receiver that failed and are retried",
            ("sink",),
            registry=registry,
        )
        self.sink_delay = Histogram(
            "componentrun_sink_delay_seconds",
            "Time from the oldest event of a request until the receiver accepts it",
            ("sink",),
            buckets=_LAGS,
            registry=registry,
        )
        for sink in KINDS:
            self.sink_retries.labels(sink)
            self.sink_delay.labels(sink)
            for outcome in SINK_OUTCOMES:
                self.sink_events.labels(sink, outcome)

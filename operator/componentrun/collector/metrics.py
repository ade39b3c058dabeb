"""Numbers for Prometheus, besides those of any process. No label holds the name of a run."""

from __future__ import annotations

from typing import Final, Literal, get_args

from prometheus_client import Counter, Gauge, Histogram

from componentrun.collector.forward.receivers import KINDS
from componentrun.process.serving.metrics import ProcessMetrics

__all__ = ["SINK_OUTCOMES", "Metrics", "SinkOutcome"]

SinkOutcome = Literal["delivered", "refused", "failed", "expired"]
"""The receiver has it; it said that it will never take it; it fails on it and takes others; it could not be reached for
too long."""
SINK_OUTCOMES: Final = get_args(SinkOutcome)
_LAGS: Final = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)
_CAUSES: Final = (
    "eof", "jump", "no_watcher", "silent", "unreadable", "error", "not_found", "refused",
    "nowhere", "cut",
)  # fmt: skip
"""Why a log was asked for again. `silent`: the log had lines that an open stream did not bring. The last two only where
logs are read from their nodes."""


class Metrics(ProcessMetrics):
    """All metrics of one collector, in a registry of its own."""

    def __init__(self) -> None:
        """Define them all."""
        super().__init__()
        registry = self.registry
        self.streams = Gauge("componentrun_collector_streams", "Log streams that are open", registry=registry)
        self.runs = Gauge("componentrun_collector_runs", "Runs whose events are not all delivered", registry=registry)
        self.lines = Counter("componentrun_collector_lines", "Lines read", ("source",), registry=registry)
        self.events = Counter("componentrun_collector_events", "Events written", ("type",), registry=registry)
        self.bytes = Counter("componentrun_collector_bytes", "Bytes of logs received", registry=registry)
        self.segments = Counter("componentrun_collector_segments", "Event segments written", registry=registry)
        self.reconnects = Counter(
            "componentrun_collector_reconnects", "Log requests after a run's first", ("cause",), registry=registry
        )
        for cause in _CAUSES:
            self.reconnects.labels(cause)
        self.gaps = Counter("componentrun_collector_gaps", "Times that lines were lost, or may be", registry=registry)
        self.lag = Histogram(
            "componentrun_collector_lag_seconds",
            "From the time a segment's oldest line was printed to the segment's being written",
            buckets=_LAGS,
            registry=registry,
        )
        self.sink_events = Counter(
            "componentrun_sink_events", "Events forwarded, or not", ("sink", "outcome"), registry=registry
        )
        self.sink_retries = Counter(
            "componentrun_sink_retries",
            "Requests to a receiver that failed and are made again",
            ("sink",),
            registry=registry,
        )
        self.sink_delay = Histogram(
            "componentrun_sink_delay_seconds",
            "From the time of a request's oldest event to the receiver's having it",
            ("sink",),
            buckets=_LAGS,
            registry=registry,
        )
        for sink in KINDS:
            self.sink_retries.labels(sink)
            self.sink_delay.labels(sink)
            for outcome in SINK_OUTCOMES:
                self.sink_events.labels(sink, outcome)

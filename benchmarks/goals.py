"""What was promised, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.record import Figure

__all__ = ["GOALS", "Goal"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that must keep to a bound: a multiple of what it is compared with, or an amount."""

    name: str
    """Of the figure."""
    against: str | None
    """Name of the figure that it is compared with; None: the bound is an amount."""
    bound: float
    unit: str
    """`x` for a multiple."""
    sentence: str
    """What it means to a person."""
    least: bool = False
    """Whether the bound is one from below."""

    def reached(self, figures: Mapping[str, Figure]) -> float | None:
        """What the figure is now, in the terms of the bound; None: not measured."""
        figure = figures.get(self.name)
        if figure is None:
            return None
        if self.against is None:
            return figure.value
        return figure.ratio if figure.against == self.against else None

    def met(self, figures: Mapping[str, Figure]) -> bool | None:
        """Whether the goal is met; None: not measured."""
        reached = self.reached(figures)
        if reached is None:
            return None
        return reached >= self.bound if self.least else reached <= self.bound


GOALS: Final = (
    Goal(
        "throughput.run.rate",
        "throughput.job.rate",
        1.2,
        "x",
        "1,000 runs end at 1.2 of the rate of Jobs whose controller nobody holds back",
        least=True,
    ),
    Goal(
        "throughput.run.rate.pods",
        "throughput.pod.rate",
        0.6,
        "x",
        "1,000 runs end at 0.6 of the rate of bare pods",
        least=True,
    ),
    Goal("throughput.run.cpu.operator", None, 6.0, "ms", "A run costs the operator at most 6 ms of CPU time"),
    Goal("throughput.run.writes", None, 7.0, "", "The operator writes to the API server at most 7 times for a run"),
    Goal(
        "throughput.run.start", None, 0.1, "s", "A pod is created at most 0.1 s after its run when nothing else goes on"
    ),
    Goal(
        "throughput.run.many.cpu.operator",
        "throughput.run.cpu.operator",
        1.2,
        "x",
        "One of 10,000 runs costs the operator at most 1.2 of one of 1,000",
    ),
    Goal(
        "throughput.run.many.memory",
        None,
        150.0,
        "MiB",
        "The operator holds at most 150 MiB with 11,000 runs that have ended",
    ),
    Goal("throughput.run.many.ready", None, 20.0, "s", "The operator is ready 20 s after its start with as many"),
    Goal(
        "throughput.queue.long.cpu.operator",
        "throughput.queue.short.cpu.operator",
        1.5,
        "x",
        "A run in a queue of 10,000 costs the operator at most half again of one in a queue of 300",
    ),
    Goal(
        "overhead.tiny.run",
        "overhead.tiny.job",
        1.5,
        "x",
        "A run with a tiny table takes at most half again as long as a hand-written Job",
    ),
    Goal(
        "overhead.data.run",
        "overhead.data.job",
        0.9,
        "x",
        "A run with 512 MiB in and out takes less time than a hand-written Job with s5cmd",
    ),
    Goal(
        "transfer.agent.down",
        "transfer.s5cmd.down",
        0.7,
        "x",
        "stage-in brings 1 GiB in at most 0.7 of the time of s5cmd",
    ),
    Goal(
        "transfer.agent.up",
        "transfer.s5cmd.up",
        0.8,
        "x",
        "stage-out stores 1 GiB, every row checked, in at most 0.8 of the time of s5cmd",
    ),
    Goal(
        "transfer.agent.small.down",
        "transfer.s5cmd.small.down",
        1.0,
        "x",
        "stage-in brings 1,000 small tables in at most the time of s5cmd",
    ),
    Goal(
        "transfer.agent.small.up",
        "transfer.s5cmd.small.up",
        1.0,
        "x",
        "stage-out stores 1,000 small tables in at most the time of s5cmd",
    ),
    Goal(
        "mapped.agent",
        "mapped.duckdb",
        0.5,
        "x",
        "stage-in brings columns and rows of 1 GiB in at most half the time of DuckDB on a local file",
    ),
    Goal(
        "tables.data.run",
        "tables.data.hand",
        1.1,
        "x",
        "One table of 512 MiB goes in and out through agents and loader in at most 1.1 of the time of DuckDB by hand",
    ),
    Goal(
        "tables.publish.p50",
        None,
        0.3,
        "s",
        "A tiny table is published at most 0.3 s after its upload has ended (median)",
    ),
    Goal("tables.publish.p95", None, 0.3, "s", "The same for 95 of 100 runs"),
    Goal(
        "tables.rate.loads",
        None,
        1_000,
        "1/min",
        "Two loaders carry out 1,000 loads of small tables a minute",
        least=True,
    ),
    Goal(
        "tables.increments.last.time",
        "tables.increments.first.time",
        2.0,
        "x",
        "The last of many increments on one table takes at most 2 times as long as the first",
    ),
    Goal(
        "collector.lines.chunk.cpu",
        None,
        20,
        "s",
        "A collector on one processor takes in 50,000 lines a second: 20 s of it for a million, secrets looked for",
    ),
    Goal("collector.lag.p99", None, 2, "s", "Of 100 lines, 99 are in the store at most 2 s after they were printed"),
    Goal("collector.memory.streams", None, 200, "MiB", "A collector holds at most 200 MiB with 1,000 streams"),
    Goal(
        "events.readers.pipeline.node.collector",
        None,
        5.0,
        "s",
        "The collector makes events of 200,000 lines a second on one core, read from the node: CPU for a million lines",
    ),
    Goal("transfer.files", None, 5.0, "s", "2,000 small output files are stored and published in at most 5 s"),
    Goal("start.agent.in", None, 0.25, "s", "stage-in sends its first request at most 0.25 s after its start"),
    Goal("start.agent.out", None, 0.25, "s", "stage-out sends its first request at most 0.25 s after its start"),
    Goal(
        "events.last.configuration",
        None,
        1.0,
        "s",
        "The last 100 events of a configuration among 100,000 runs come in under a second",
    ),
    Goal("memory.agent.down", None, 100.0, "MiB", "stage-in holds at most 100 MiB while it brings 1 GiB"),
    Goal("memory.agent.up", None, 100.0, "MiB", "stage-out holds at most 100 MiB while it stores 1 GiB"),
    Goal("memory.idle.stage-out", None, 10.0, "MiB", "stage-out holds at most 10 MiB while the component runs"),
    Goal("memory.rest.operator", None, 120.0, "MiB", "The operator holds at most 120 MiB at rest"),
)

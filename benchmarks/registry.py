"""All benchmarks by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks import (
    collector,
    events,
    increments,
    mapped,
    memory,
    overhead,
    pipeline,
    publishing,
    rate,
    readers,
    redaction,
    start,
    transfer,
    upkeep,
    wholetables,
)
from benchmarks.throughput import runs, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.lab import Lab
    from benchmarks.record import Figure

__all__ = ["BENCHMARKS", "Benchmark", "chosen"]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark; it records figures whose names begin with its own, and what these are compared with."""

    name: str
    run: Callable[[Lab, int], list[Figure]]
    repeats: int
    """Unless the caller wants another number."""


BENCHMARKS: Final = (
    Benchmark("overhead.tiny", overhead.tiny, 15),
    Benchmark("overhead.data", overhead.data, 7),
    Benchmark("transfer.agent.down", transfer.down, 9),
    Benchmark("transfer.agent.up", transfer.up, 9),
    Benchmark("transfer.agent.small", transfer.small, 9),
    Benchmark("transfer.files", transfer.files, 5),
    Benchmark("transfer.link", transfer.over_a_link, 5),
    Benchmark("mapped", mapped.some, 9),
    Benchmark("tables.data", wholetables.data, 3),
    Benchmark("tables.keyed", wholetables.keyed, 1),
    Benchmark("tables.publish", publishing.publish, 1),
    Benchmark("tables.rate", rate.rate, 1),
    Benchmark("tables.upkeep", upkeep.requests, 1),
    Benchmark("tables.increments", increments.increments, 1),
    Benchmark("start.agent", start.agent, 15),
    Benchmark("throughput.run", runs.run, 1),
    Benchmark("throughput.queue", waiting.queue, 1),
    Benchmark("collector.lines", collector.lines, 3),
    Benchmark("collector.lag", collector.lag, 3),
    Benchmark("collector.memory", collector.memory, 3),
    Benchmark("collector.pipeline", pipeline.pipeline, 5),
    Benchmark("collector.redaction", redaction.redaction, 5),
    Benchmark("events.readers", readers.readers, 5),
    Benchmark("events.last", events.last, 9),
    Benchmark("memory.agent", memory.agent, 5),
    Benchmark("memory.idle", memory.idle, 3),
    Benchmark("memory.rest", memory.rest, 5),
)


def chosen(prefix: str) -> tuple[Benchmark, ...]:
    """The benchmarks whose names begin with this, or that record a figure of this name; all for an empty prefix.

    Raises:
        ValueError: there is none.
    """
    found = tuple(item for item in BENCHMARKS if item.name.startswith(prefix) or prefix.startswith(f"{item.name}."))
    if not found:
        names = ", ".join(item.name for item in BENCHMARKS)
        raise ValueError(f"no benchmark's name begins with {prefix!r}; there are: {names}")
    return found

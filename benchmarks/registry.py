"""All benchmarks by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.builds import benchmarks as builds
from benchmarks.catalogue import sync as catalogue_sync
from benchmarks.collector import log_lines, log_readers, pipeline, redaction
from benchmarks.events import event_queries
from benchmarks.overhead import comparison, memory_use, processors, shape_comparison
from benchmarks.tables import increments, large_tables, load_rate, maintenance_requests, publish_latency
from benchmarks.throughput import many_runs, queue_throughput, run_throughput
from benchmarks.transfer import agent_start, filtered_input, s5cmd_comparison

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure

__all__ = ["BENCHMARKS", "Benchmark", "chosen"]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark. It records figures whose names begin with its own, and those that they are compared with."""

    name: str
    run: Callable[[Testbed, int], list[Figure]]
    repeats: int
    """Default number of repeats."""
    unscaled: tuple[str, ...] = ()
    """Names of figures that do not depend on the scale."""


BENCHMARKS: Final = (
    Benchmark("overhead.tiny", comparison.tiny, 15),
    Benchmark("overhead.data", comparison.data, 7),
    Benchmark("overhead.shape", shape_comparison.shapes, 7),
    Benchmark("transfer.agent.down", s5cmd_comparison.down, 9),
    Benchmark("transfer.agent.up", s5cmd_comparison.up, 9),
    Benchmark("transfer.agent.small", s5cmd_comparison.small, 9),
    Benchmark("transfer.files", s5cmd_comparison.files, 5),
    Benchmark("transfer.link", s5cmd_comparison.over_a_link, 5),
    Benchmark("transfer.filtered", filtered_input.columns_and_rows, 9),
    Benchmark("tables.data", large_tables.round_trip, 3),
    Benchmark("tables.merge", large_tables.merge_by_key, 1),
    Benchmark("tables.publish", publish_latency.publish, 1),
    Benchmark("tables.rate", load_rate.rate, 1),
    Benchmark("tables.maintenance", maintenance_requests.requests, 1),
    Benchmark("tables.increments", increments.increments, 1),
    Benchmark("start.agent", agent_start.agent, 15),
    Benchmark("throughput.run", run_throughput.run, 3),
    Benchmark("throughput.run.many", many_runs.many, 1, many_runs.UNSCALED),
    Benchmark("throughput.queue", queue_throughput.queue, 1),
    Benchmark("collector.lines", log_lines.lines, 3),
    Benchmark("collector.lag", log_lines.lag, 3),
    Benchmark("collector.memory", log_lines.memory, 3),
    Benchmark("collector.pipeline", pipeline.pipeline, 5),
    Benchmark("collector.redaction", redaction.redaction, 5),
    Benchmark("collector.readers", log_readers.readers, 5),
    Benchmark("events.last", event_queries.last, 9),
    Benchmark("memory.agent", memory_use.agent, 5),
    Benchmark("memory.idle", memory_use.idle, 3),
    Benchmark("memory.services", memory_use.services, 5),
    Benchmark("catalogue.sync", catalogue_sync.sync, 3),
    Benchmark("processors.run", processors.run, 9),
    Benchmark("builds.there", builds.there, 7),
    Benchmark("builds.python", builds.python, 3),
    Benchmark("builds.many", builds.many, 3),
)


def chosen(prefix: str) -> tuple[Benchmark, ...]:
    """Return the benchmark of this name; else those whose names begin with this, or that record a figure of this name.

    An empty text chooses all.

    Raises:
        ValueError: no benchmark matches.
    """
    exact = tuple(item for item in BENCHMARKS if item.name == prefix)
    found = exact or tuple(
        item for item in BENCHMARKS if item.name.startswith(prefix) or prefix.startswith(f"{item.name}.")
    )
    if not found:
        names = ", ".join(item.name for item in BENCHMARKS)
        raise ValueError(f"no benchmark's name begins with {prefix!r}; there are: {names}")
    return found

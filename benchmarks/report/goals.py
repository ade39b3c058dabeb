"""The goals of the benchmarks, and reasons for missed goals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.report.results import Figure

__all__ = ["GOALS", "Goal"]


@dataclass(frozen=True, slots=True)
class Goal:
    """An upper or lower bound for a figure: a multiple of the figure that it is compared with, or an amount."""

    name: str
    """Name of the figure."""
    against: str | None
    """Name of the figure that it is compared with; None if the bound is an amount."""
    bound: float
    unit: str
    """Unit of the bound; `x` for a multiple."""
    sentence: str
    """The goal in plain English, without the name of the figure."""
    least: bool = False
    """Whether the bound is a lower bound."""
    reason: str = ""
    """Why the goal is missed. Shown only while it is missed."""

    def reached(self, figures: Mapping[str, Figure]) -> float | None:
        """The newest value or ratio; None if it was not measured."""
        figure = figures.get(self.name)
        if figure is None:
            return None
        if self.against is None:
            return figure.value
        return figure.ratio if figure.against == self.against else None

    def met(self, figures: Mapping[str, Figure]) -> bool | None:
        """Whether the goal is met; None if it was not measured."""
        reached = self.reached(figures)
        if reached is None:
            return None
        return reached >= self.bound if self.least else reached <= self.bound


_BUSY_CONTROL_PLANE: Final = (
    "The control plane uses all processors of the machine. A run needs about as many writes to the API server as a "
    "Job, but the operator takes more CPU time than the controllers of Jobs."
)
_ANOTHER_SHAPE: Final = "This shape of the pod has become faster than today's, so decision 0091 should be read again."
_BUILDS_NEED_TWO_PODS: Final = (
    "Two pods run one after another, that of the build with three containers in a row and that of the run. The kubelet "
    "syncs its containers once a second, so each container begins up to a second later than it could."
)
GOALS: Final = (
    Goal(
        "overhead.tiny.run",
        "overhead.tiny.job",
        1.5,
        "x",
        "A run with a tiny table takes at most 1.5 times as long as a hand-written Job",
    ),
    Goal(
        "overhead.data.run",
        "overhead.data.job",
        0.9,
        "x",
        "A run with 512 MiB in and out takes at most 0.9 times as long as a hand-written Job with s5cmd",
    ),
    Goal(
        "overhead.shape.sidecar-last.component",
        "overhead.shape.today.component",
        0.9,
        "x",
        "With stage-out behind stage-in, a component would start at most a tenth earlier",
        least=True,
        reason=_ANOTHER_SHAPE,
    ),
    Goal(
        "overhead.shape.one-agent.component",
        "overhead.shape.today.component",
        0.9,
        "x",
        "With one container for both agents, a component would start at most a tenth earlier",
        least=True,
        reason=_ANOTHER_SHAPE,
    ),
    Goal(
        "throughput.run.rate",
        "throughput.job.rate",
        1.0,
        "x",
        "1,000 runs finish at least at the rate of Jobs whose controller's limits are lifted",
        least=True,
        reason=_BUSY_CONTROL_PLANE,
    ),
    Goal(
        "throughput.run.rate.argo",
        "throughput.argo.rate",
        0.8,
        "x",
        "1,000 runs finish at least at 0.8 times the rate of Argo workflows that also move artifacts",
        least=True,
        reason=_BUSY_CONTROL_PLANE,
    ),
    Goal(
        "throughput.run.rate.pods",
        "throughput.pod.rate",
        0.6,
        "x",
        "1,000 runs finish at least at 0.6 times the rate of bare pods",
        least=True,
        reason=_BUSY_CONTROL_PLANE,
    ),
    Goal(
        "throughput.run.cpu.operator",
        None,
        9.0,
        "ms",
        "A run costs the operator at most 9 ms of CPU time",
        reason=(
            "Each request to the API server costs 0.3 to 0.4 ms, and kopf takes a sixth of the time (decision 0082)."
        ),
    ),
    Goal(
        "throughput.run.writes",
        None,
        7.0,
        "",
        "The operator sends at most 7 writes to the API server for one of 1,000 runs",
        reason=(
            "While all processors are busy, each phase of a run lasts longer than two seconds and is written alone. A "
            "single run has shorter phases (`throughput.run.single.writes`)."
        ),
    ),
    Goal("throughput.run.single.writes", None, 7.0, "", "The operator sends at most 7 writes for a single run"),
    Goal("throughput.run.start", None, 0.1, "s", "On an idle cluster, a pod is created at most 0.1 s after its run"),
    Goal(
        "throughput.run.many.cpu.operator",
        "throughput.run.many.first.cpu.operator",
        1.2,
        "x",
        "One of 10,000 runs costs the operator at most 1.2 times as much as one of 1,000",
    ),
    Goal(
        "throughput.run.many.memory",
        None,
        150.0,
        "MiB",
        "The operator uses at most 150 MiB with 11,000 finished runs",
        reason="The operator caches every run that exists. `ttlAfterFinished` limits their number.",
    ),
    Goal("throughput.run.many.ready", None, 20.0, "s", "With 11,000 finished runs, the operator is ready within 20 s"),
    Goal(
        "throughput.queue.long.cpu.operator",
        "throughput.queue.short.cpu.operator",
        1.5,
        "x",
        "A run in a queue of 10,000 costs the operator at most 1.5 times as much as in a queue of 300",
    ),
    Goal(
        "transfer.agent.down",
        "transfer.s5cmd.down",
        0.7,
        "x",
        "stage-in downloads 1 GiB in at most 0.7 times the time of s5cmd",
    ),
    Goal(
        "transfer.agent.up",
        "transfer.s5cmd.up",
        0.8,
        "x",
        "stage-out checks and uploads 1 GiB in at most 0.8 times the time of s5cmd",
        reason=(
            "Without a network between them, compressing and checking rows costs more than it saves. Over a link of "
            "2 Gbit/s, stage-out is faster than s5cmd (`transfer.link.agent.up`)."
        ),
    ),
    Goal(
        "transfer.agent.small.down",
        "transfer.s5cmd.small.down",
        1.0,
        "x",
        "stage-in downloads 1,000 small tables in at most the time of s5cmd",
    ),
    Goal(
        "transfer.agent.small.up",
        "transfer.s5cmd.small.up",
        1.0,
        "x",
        "stage-out uploads 1,000 small tables in at most the time of s5cmd",
        reason="stage-out opens, checks and compresses each table. s5cmd only copies files.",
    ),
    Goal(
        "transfer.filtered.agent",
        "transfer.filtered.duckdb",
        0.5,
        "x",
        "stage-in selects columns and rows of 1 GiB in at most half the time of DuckDB on a local file",
        reason="The store runs on the same processors as stage-in. DuckDB reads a file that is already on the disk.",
    ),
    Goal(
        "transfer.files",
        None,
        5.0,
        "s",
        "2,000 small output files are uploaded and published in at most 5 s",
        reason="Each file takes three writes: its content, its record and its key by name.",
    ),
    Goal(
        "tables.data.run",
        "tables.data.duckdb",
        1.1,
        "x",
        "Moving a table of 512 MiB in and out takes at most 1.1 times as long as with DuckDB by hand",
        reason=(
            "A run's output is written twice: stage-out checks every row and uploads CSV, then the loader converts it "
            "to Parquet. DuckDB writes Parquet directly."
        ),
    ),
    Goal("tables.publish.p50", None, 0.3, "s", "A tiny table is published at most 0.3 s after its upload (median)"),
    Goal(
        "tables.publish.p95",
        None,
        0.3,
        "s",
        "A tiny table is published at most 0.3 s after its upload (95th percentile)",
    ),
    Goal("tables.rate.loads", None, 1_000, "1/min", "Two loaders load 1,000 small tables a minute", least=True),
    Goal(
        "tables.increments.last.time",
        "tables.increments.first.time",
        2.0,
        "x",
        "The last of 10,000 increments on one table takes at most twice as long as the first",
        reason="Measured with 500 increments, before loads removed older increments from a table's history.",
    ),
    Goal(
        "collector.lines.chunk.cpu",
        None,
        20,
        "s",
        "The collector processes a million lines in at most 20 s of CPU time, redaction included",
    ),
    Goal(
        "collector.readers.pipeline.node.collector",
        None,
        5.0,
        "s",
        "The collector turns a million lines from node files into events in at most 5 s of CPU time",
    ),
    Goal(
        "collector.lag.p99", None, 2, "s", "A line is in the store at most 2 s after it was printed (99th percentile)"
    ),
    Goal(
        "collector.memory.streams",
        None,
        200,
        "MiB",
        "The collector uses at most 200 MiB with 1,000 streams",
        reason="Over the API, each stream has a TLS connection of its own. Node files, the default, need none.",
    ),
    Goal(
        "events.last.configuration",
        None,
        1.0,
        "s",
        "The last 100 events of a configuration are found among 100,000 runs in at most 1 s",
    ),
    Goal("start.agent.stage-in", None, 0.25, "s", "stage-in sends its first request at most 0.25 s after its start"),
    Goal("start.agent.stage-out", None, 0.25, "s", "stage-out sends its first request at most 0.25 s after its start"),
    Goal("memory.agent.down", None, 100.0, "MiB", "stage-in uses at most 100 MiB while it downloads 1 GiB"),
    Goal("memory.agent.up", None, 100.0, "MiB", "stage-out uses at most 100 MiB while it uploads 1 GiB"),
    Goal("memory.idle.stage-out", None, 10.0, "MiB", "stage-out uses at most 10 MiB while the component runs"),
    Goal("memory.services.operator", None, 120.0, "MiB", "The idle operator uses at most 120 MiB"),
    Goal(
        "catalogue.sync.first",
        None,
        5.0,
        "s",
        "200 Components are applied in at most 5 s",
        reason="Each Component is a request of its own. The control plane runs on the same processors as the command.",
    ),
    Goal("catalogue.sync.second", None, 2.0, "s", "A sync that changes none of 200 Components takes at most 2 s"),
    Goal("catalogue.sync.list", None, 1.0, "s", "200 Components are listed in at most 1 s"),
    Goal("processors.run.added", None, 2.5, "s", "A processor adds at most 2.5 s to a run"),
    Goal(
        "builds.there.added",
        None,
        0.3,
        "s",
        "If the image of a branch is there, a component starts at most 0.3 s later than with a ready image",
        reason=(
            "The kubelet syncs its containers once a second, so the starts of two equal pods differ by up to a second. "
            "The pod itself is created earlier (`builds.there.added.pod`)."
        ),
    ),
    Goal(
        "builds.there.added.pod",
        None,
        0.3,
        "s",
        "If the image of a branch is there, a run's pod is created at most 0.3 s later than with a ready image",
    ),
    Goal(
        "builds.python.cold",
        None,
        10.0,
        "s",
        "A component with ten Python packages starts at most 10 s after its run, its first build included",
        reason=_BUILDS_NEED_TWO_PODS,
    ),
    Goal(
        "builds.python.changed",
        None,
        7.0,
        "s",
        "After a changed line, a component with ten Python packages starts at most 7 s after its run",
        reason=(
            f"{_BUILDS_NEED_TWO_PODS} pip installs the packages again (part of `builds.python.changed.commands`), "
            "although their layer is in the registry and is not sent again."
        ),
    ),
    Goal(
        "builds.python.changed.sent",
        None,
        64.0,
        "KiB",
        "After a changed line, only the layer of the code and the image's configuration are sent: at most 64 KiB",
    ),
    Goal(
        "builds.many.last",
        None,
        2.0,
        "s",
        "The last of 20 components starts at most 2 s after the end of the build that all of them need",
        reason=(
            "20 pods start at once on processors that also run the control plane. With a ready image, the same takes "
            "`builds.many.ready`."
        ),
    ),
    Goal(
        "builds.many.last.pod",
        None,
        2.0,
        "s",
        "The last of 20 pods is created at most 2 s after the end of the build that all of them need",
        reason=(
            "For each pod, the operator creates its Secret and its network policy, and writes a status. The processors "
            "also run the control plane, and the pods that have been created start meanwhile."
        ),
    ),
)

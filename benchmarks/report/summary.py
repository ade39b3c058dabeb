"""The first table of docs/benchmarks.md: answers to the most common questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.report.results import Figure

__all__ = ["amount", "answers"]

_LARGE: Final = 1000


@dataclass(frozen=True, slots=True)
class _Question:
    """A question, and an answer with a placeholder for each figure."""

    question: str
    answer: str
    figures: tuple[str, ...]


_QUESTIONS: Final = (
    _Question(
        "How long does a run with a tiny table take?",
        "{}; a hand-written Job {}, a bare pod {}",
        ("overhead.tiny.run", "overhead.tiny.job", "overhead.tiny.pod"),
    ),
    _Question(
        "How long does a run with 512 MiB in and out take?",
        "{}; a hand-written Job with s5cmd {}",
        ("overhead.data.run", "overhead.data.job"),
    ),
    _Question(
        "How long after the upload is a small table published?",
        "{} (median), {} (95th percentile)",
        ("tables.publish.p50", "tables.publish.p95"),
    ),
    _Question(
        "How many runs finish in a minute on two processors, control plane included?",
        "{}; Jobs {}, Argo workflows {}, bare pods {}",
        ("throughput.run.rate", "throughput.job.rate", "throughput.argo.rate", "throughput.pod.rate"),
    ),
    _Question(
        "What does a run cost the operator?",
        "{} of CPU time, {} writes to the API server",
        ("throughput.run.cpu.operator", "throughput.run.writes"),
    ),
    _Question("How many small tables do two loaders load in a minute?", "{}", ("tables.rate.loads",)),
    _Question(
        "How many log lines does the collector turn into events for each CPU second?",
        "{} from node files, {} over the API",
        ("collector.readers.pipeline.node.rate", "collector.readers.pipeline.api.rate"),
    ),
    _Question(
        "How soon is a printed line stored?",
        "{} (median), {} (99th percentile)",
        ("collector.lag.p50", "collector.lag.p99"),
    ),
    _Question(
        "How long does it take to find the last 100 events of a configuration among 100,000 runs?",
        "{}",
        ("events.last.configuration",),
    ),
    _Question(
        "How much memory do the parts use when idle?",
        "operator {}, collector {}, a run's stage-out {}",
        ("memory.services.operator", "memory.services.collector", "memory.idle.stage-out"),
    ),
    _Question(
        "How soon does a component start whose image has to be built first (Python, ten packages)?",
        "{}; after a changed line {}",
        ("builds.python.cold", "builds.python.changed"),
    ),
)


def answers(figures: Mapping[str, Figure]) -> list[tuple[str, str, str]]:
    """Questions, answers and dates of measurement. Questions with an unmeasured figure are left out."""
    return [
        (
            item.question,
            item.answer.format(*(_figure(figures[name]) for name in item.figures)),
            min(figures[name].date for name in item.figures)[:10],
        )
        for item in _QUESTIONS
        if all(name in figures for name in item.figures)
    ]


def amount(value: float) -> str:
    """Format a value with three significant digits, or without decimals from 1,000."""
    return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:.3g}"


def _figure(figure: Figure) -> str:
    """A value with its unit; a rate stands alone, because the question names it."""
    unit = "" if figure.unit.startswith("1/") else figure.unit
    return f"{amount(figure.value)} {unit}".rstrip()

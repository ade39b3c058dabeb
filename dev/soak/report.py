"""Report about the steady tenant's runs."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dev.soak.tenants import LINES, ROWS, TABLE
from e2e.tenant.tenant import TERMINAL, phase_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dev.soak.tenants import Submitted
    from e2e.tenant import Tenant

__all__ = ["LONGEST_SECONDS", "Report", "add_times", "look_at"]

LONGEST_SECONDS: Final = 2.0
"""Upper limit for the 99th percentile of the time from a run's creation to its pod."""
AFTER_A_KILL_SECONDS: Final = 5.0
"""Runs created within this time after a kill are left out of the second set of figures."""
_END_SECONDS: Final = 600.0
"""Time for all runs to end and deliver their events, after the disturbances have ended."""
_FEWEST: Final = 100
"""Minimum number of runs for a meaningful 99th percentile."""


@dataclass
class Report:
    """Figures and problems of a soak."""

    minutes: float
    kills: int
    runs: int = 0
    skipped: int = 0
    """How often the steady tenant created no run because too many of its runs had a pod."""
    seconds_to_pod: dict[str, float] = field(default_factory=dict)
    """Percentiles of all runs of the steady tenant."""
    seconds_to_pod_between_kills: dict[str, float] = field(default_factory=dict)
    """Percentiles of runs that were not created within 5 seconds after a kill."""
    unexpected_restarts: dict[str, int] = field(default_factory=dict)
    """Restarts of parts that the soak did not cause, by part."""
    disturbances: dict[str, int] = field(default_factory=dict)
    """Number of disturbances by the other tenants."""
    others: dict[str, dict[str, int]] = field(default_factory=dict)
    """Ended runs of the other tenants, by reason."""
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(asdict(self), indent=2)


def look_at(report: Report, tenant: Tenant, submitted: list[Submitted]) -> None:
    """Wait until all runs of the tenant have ended, and add their problems to the report."""
    report.runs = len(submitted)
    deadline = time.monotonic() + _END_SECONDS
    for item in submitted:
        status = _last_status(tenant, item.name, deadline)
        problem = problem_of(status)
        if problem:
            report.problems.append(f"{item.name}: {problem}")
        elif item.kind == "chatty":
            report.problems += _lines_missing(tenant, item.name)
    rows, expected = _rows(tenant), ROWS * sum(item.kind == "rows" for item in submitted)
    if rows != expected:
        report.problems.append(f"table {TABLE} has {rows} rows; {expected} were written")


def problem_of(status: Mapping[str, Any]) -> str:
    """Why a run did not succeed in one attempt with all of its events; empty if it did."""
    attempts = len(status.get("attempts") or ())
    if status.get("phase") != "Succeeded" or attempts != 1:
        return f"{status.get('phase')} {status.get('reason')} after {attempts} attempts: {status.get('message')}"
    return "" if (status.get("events") or {}).get("delivered") else "its events were not delivered in full"


def _last_status(tenant: Tenant, name: str, deadline: float) -> dict[str, Any]:
    """The run's status when it has ended and all its events are delivered, or its status at the deadline."""
    try:
        run = tenant.wait(name, _has_all_events, timeout=deadline - time.monotonic())
    except TimeoutError:
        run = tenant.get(name)
    return dict(run.get("status") or {})


def _has_all_events(run: Mapping[str, Any]) -> bool:
    """Whether the run has ended and all its events are delivered."""
    return phase_of(run) in TERMINAL and bool((run["status"].get("events") or {}).get("delivered"))


def _lines_missing(tenant: Tenant, name: str) -> list[str]:
    expected = sorted(f"line {number} of {LINES}" for number in range(1, LINES + 1))
    actual = sorted(event.message for event in tenant.events(name) if event.source == "component")
    if actual == expected:
        return []
    doubled = len(actual) - len(set(actual))
    return [f"{name}: {len(set(expected) - set(actual))} lines are missing, {doubled} are doubled"]


def _rows(tenant: Tenant) -> int:
    text = tenant.table(TABLE)
    return 0 if text is None else len(text.splitlines()) - 1


def add_times(
    report: Report, submitted: Sequence[Submitted], first_pods: Mapping[str, float], kills: Sequence[float]
) -> None:
    """Add the times from creation to first pod to the report, and problems with them.

    Args:
        report: the report to extend.
        submitted: the runs.
        first_pods: time when the first pod of each run was observed.
        kills: times when parts were killed.
    """
    started = [item for item in submitted if item.name in first_pods]
    if len(started) < len(submitted):
        report.problems.append(f"{len(submitted) - len(started)} runs had no pod")
    if len(started) < _FEWEST:
        report.problems.append(f"{len(started)} runs had a pod; too few for a 99th percentile")
    undisturbed = [
        item for item in started if not any(0 <= item.created - kill < AFTER_A_KILL_SECONDS for kill in kills)
    ]
    report.seconds_to_pod = _figures(started, first_pods)
    report.seconds_to_pod_between_kills = _figures(undisturbed, first_pods)
    p99 = report.seconds_to_pod.get("p99", 0.0)
    if p99 >= LONGEST_SECONDS:
        report.problems.append(f"p99 from create to pod is {p99:.2f} s; less than {LONGEST_SECONDS} is wanted")


def _figures(runs: Sequence[Submitted], first_pods: Mapping[str, float]) -> dict[str, float]:
    """Percentiles of the times from creation to first pod; empty for fewer than two runs."""
    waits = sorted(first_pods[item.name] - item.created for item in runs)
    if len(waits) <= 1:
        return {}
    quantiles = statistics.quantiles(waits, n=100, method="inclusive")
    return {"p50": round(quantiles[49], 3), "p99": round(quantiles[98], 3), "max": round(waits[-1], 3)}

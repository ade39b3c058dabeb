"""What became of the steady tenant's runs."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from e2e.soak.tenants import LINES, ROWS, TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from e2e.soak.tenants import Submitted
    from e2e.tenant import Tenant

__all__ = ["LONGEST_SECONDS", "Report", "look_at"]

LONGEST_SECONDS: Final = 2.0
"""The 99th percentile from a run's creation to its pod must be shorter."""


@dataclass
class Report:
    """Figures, and what is wrong."""

    minutes: float
    kills: int
    runs: int = 0
    seconds_to_pod: dict[str, float] = field(default_factory=dict)
    others: dict[str, dict[str, int]] = field(default_factory=dict)
    """Ended runs of the other tenants, by reason."""
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """For people and machines."""
        return json.dumps(asdict(self), indent=2)


def look_at(report: Report, tenant: Tenant, submitted: list[Submitted], first_pods: Mapping[str, float]) -> None:
    """Wait for the end of all runs of the tenant, and add what is found to the report."""
    report.runs = len(submitted)
    for item in submitted:
        status = _delivered(tenant, item.name)
        if status.get("phase") != "Succeeded" or len(status.get("attempts") or ()) != 1:
            report.problems.append(
                f"{item.name}: {status.get('phase')} {status.get('reason')}: {status.get('message')}"
            )
        elif item.kind == "chatty":
            report.problems += _lines_missing(tenant, item.name)
    rows, wanted = _rows(tenant), ROWS * sum(item.kind == "rows" for item in submitted)
    if rows != wanted:
        report.problems.append(f"table {TABLE} has {rows} rows; {wanted} were written")
    _add_times(report, submitted, first_pods)


def _delivered(tenant: Tenant, name: str) -> dict[str, Any]:
    """The run's status once all of its events are delivered, or what it was when that took too long."""
    tenant.wait(name, timeout=300)
    try:
        run = tenant.wait(name, lambda run: "delivered" in (run["status"].get("events") or {}), timeout=300)
    except TimeoutError:
        run = tenant.get(name)
    return dict(run["status"])


def _lines_missing(tenant: Tenant, name: str) -> list[str]:
    printed = sorted(f"line {number} of {LINES}" for number in range(1, LINES + 1))
    found = sorted(event.message for event in tenant.events(name) if event.source == "component")
    if found == printed:
        return []
    doubled = len(found) - len(set(found))
    return [f"{name}: {len(set(printed) - set(found))} lines are missing, {doubled} are doubled"]


def _rows(tenant: Tenant) -> int:
    text = tenant.table(TABLE)
    return 0 if text is None else len(text.splitlines()) - 1


def _add_times(report: Report, submitted: list[Submitted], first_pods: Mapping[str, float]) -> None:
    waits = sorted(first_pods[item.name] - item.created for item in submitted if item.name in first_pods)
    if len(waits) < len(submitted):
        report.problems.append(f"{len(submitted) - len(waits)} runs had no pod")
    if len(waits) > 1:
        cuts = statistics.quantiles(waits, n=100, method="inclusive")
        report.seconds_to_pod = {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3), "max": round(waits[-1], 3)}
        if cuts[98] >= LONGEST_SECONDS:
            report.problems.append(f"p99 from create to pod is {cuts[98]:.2f} s; less than {LONGEST_SECONDS} is wanted")

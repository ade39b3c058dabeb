"""Names of the figures of a batch, their units, and what they are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.harness.interleave import figures
from benchmarks.throughput.control_plane import API_SERVER, ARGO, MANAGER
from benchmarks.throughput.costs.audit_log import OPERATOR, Write
from dev.cluster.progress import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.harness.interleave import Values
    from benchmarks.report.results import Figure
    from benchmarks.throughput.costs.measured import Batch

__all__ = ["ARGO_OWNER", "JOB_OWNER", "RUN_OWNER", "Owner", "batch_values", "describe", "to_figures"]

_UNITS: Final = {"rate": "1/min", "cpu": "ms", "writes": "", "start": "s", "ready": "s", "memory": "MiB"}


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that turns objects of a kind into pods."""

    process: str
    title: str
    """Its name in figures."""
    client: str
    """Its name in the audit log."""
    writes: Mapping[str, tuple[str, str]]
    """Verb and resource of the kinds of writes that are figures, by the end of their name. The rest is `other`."""


RUN_OWNER: Final = Owner(
    "operator",
    "operator",
    OPERATOR,
    {
        "status": ("patch", "componentruns/status"),
        "pods.create": ("create", "pods"),
        "pods.delete": ("delete", "pods"),
        "secrets.create": ("create", "secrets"),
        "secrets.delete": ("delete", "secrets"),
        "events": ("create", "events"),
    },
)
JOB_OWNER: Final = Owner(
    MANAGER,
    "manager",
    "job-controller",
    {
        "status": ("update", "jobs/status"),
        "pods.create": ("create", "pods"),
        "pods.patch": ("patch", "pods"),
        "events": ("create", "events"),
    },
)
ARGO_OWNER: Final = Owner(
    ARGO,
    "controller",
    "workflow-controller",
    {
        "status": ("update", "workflows"),
        "pods.create": ("create", "pods"),
        "pods.patch": ("patch", "pods"),
        "events": ("create", "events"),
    },
)


def batch_values(name: str, batch: Batch, owner: Owner | None = None) -> dict[str, float]:
    """Return the figures of a batch.

    Args:
        name: beginning of the figures' names: `throughput.run`.
        batch: the batch.
        owner: the process that turns the objects into pods, if there is one.
    """
    values = {
        f"{name}.rate": batch.per_minute,
        f"{name}.cpu.server": batch.cpu_ms(API_SERVER),
        f"{name}.writes.all": batch.writes(),
    }
    if owner is None:
        return values
    kinds = {end: _each(batch, owner, *kind) for end, kind in owner.writes.items()}
    own = batch.writes(owner.client)
    return {
        **values,
        f"{name}.cpu.{owner.title}": batch.cpu_ms(owner.process),
        f"{name}.memory.{owner.title}": batch.cost.resident[owner.process],
        f"{name}.writes": own,
        **{f"{name}.writes.{end}": number for end, number in kinds.items()},
        f"{name}.writes.other": max(0.0, own - sum(kinds.values())),
    }


def describe(title: str, batch: Batch) -> None:
    """Print what a batch cost."""
    cpu = ", ".join(f"{process} {batch.cpu_ms(process):.1f}" for process in batch.cost.cpu)
    memory = ", ".join(f"{process} {size:.0f}" for process, size in batch.cost.resident.items())
    say(f"      {title}: {batch.count} in {batch.seconds:.1f} s, {batch.per_minute:.0f} a minute")
    say(f"        CPU ms for each: {cpu}")
    say(f"        resident MiB: {memory}")
    say(f"        writes for each: {batch.writes():.2f}, reads of the owner: {batch.cost.own_reads / batch.count:.2f}")
    for line in batch.table():
        say(f"          {line}")


def to_figures(values: Values, against: Mapping[str, str]) -> list[Figure]:
    """Return the figures, each with the unit for its name."""
    kinds = {name: next(word for word in name.split(".") if word in _UNITS) for name in values}
    return [
        figure
        for kind, unit in _UNITS.items()
        for figure in _of_kind({name: found for name, found in values.items() if kinds[name] == kind}, unit, against)
    ]


def _of_kind(values: Values, unit: str, against: Mapping[str, str]) -> list[Figure]:
    return figures(values, unit, {name: other for name, other in against.items() if name in values and other in values})


def _each(batch: Batch, owner: Owner, verb: str, resource: str) -> float:
    return batch.cost.writes.get(Write(owner.client, verb, resource), 0) / batch.count

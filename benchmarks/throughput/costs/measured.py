"""Costs of a batch of objects: CPU time, memory, and writes to the API server."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.harness import usage
from benchmarks.throughput.api_client import until
from benchmarks.throughput.costs.audit_log import AuditLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.throughput.control_plane import ControlPlane
    from benchmarks.throughput.costs.audit_log import Write
    from benchmarks.throughput.operator_process import Operator

__all__ = ["Batch", "Cost", "Meter"]

_BENCHMARK: Final = "benchmark"
_IDLE_CPU: Final = 0.05
"""CPU seconds of the control plane between two looks, below which it is idle."""
_IDLE_LOOKS: Final = 5
"""Number of successive looks."""
_IDLE_WITHIN: Final = 300.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Costs so far, or between two readings."""

    cpu: Mapping[str, float]
    """CPU seconds by process."""
    resident: Mapping[str, float]
    """MiB by process, at the end."""
    writes: Mapping[Write, int]
    """Writes of all clients to the API server."""
    own_reads: float
    """Reads by the operator."""

    def since(self, before: Cost) -> Cost:
        """Return the difference."""
        cpu = {name: value - before.cpu.get(name, 0.0) for name, value in self.cpu.items()}
        writes = Counter(self.writes)
        writes.subtract(before.writes)
        return Cost(cpu, self.resident, +writes, self.own_reads - before.own_reads)

    def written(self, client: str = "") -> int:
        """Return the number of writes, of one client or of all."""
        return sum(number for write, number in self.writes.items() if client in ("", write.client))


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of finished objects."""

    count: int
    seconds: float
    """From the first create call to the last end."""
    cost: Cost

    @property
    def per_minute(self) -> float:
        """Objects per minute."""
        return 60 * self.count / self.seconds

    def cpu_ms(self, process: str) -> float:
        """CPU time of a process for each object, in milliseconds."""
        return 1000 * self.cost.cpu[process] / self.count

    def writes(self, client: str = "") -> float:
        """Writes for each object, of one client or of all."""
        return self.cost.written(client) / self.count

    def table(self) -> list[str]:
        """Return a line for each client, with its writes for each object by kind. The most frequent come first."""
        clients = Counter({write.client: self.cost.written(write.client) for write in self.cost.writes})
        return [
            f"{client} {self._each(number)}: {', '.join(self._kinds(client))}"
            for client, number in clients.most_common()
        ]

    def _kinds(self, client: str) -> list[str]:
        own = Counter({write: number for write, number in self.cost.writes.items() if write.client == client})
        return [f"{write} {self._each(number)}" for write, number in own.most_common()]

    def _each(self, number: int) -> str:
        return f"{number / self.count:.2f}"


class Meter:
    """Reads the costs so far of a control plane and of the operator."""

    def __init__(self, control_plane: ControlPlane) -> None:
        """Read from a running control plane."""
        self._control_plane = control_plane
        self._audit_log = AuditLog(control_plane.audit_file)

    def read(self, operator: Operator | None = None) -> Cost:
        """Return the costs so far."""
        pids = self._control_plane.pids() | ({"operator": operator.pid} if operator is not None else {})
        cpu = {name: usage.cpu_seconds(pid) for name, pid in pids.items()}
        return Cost(
            cpu | {_BENCHMARK: time.process_time()},
            {name: usage.resident_mib(pid) for name, pid in pids.items()},
            self._audit_log.counts(),
            operator.reads() if operator is not None else 0.0,
        )

    def written(self) -> int:
        """Return the number of writes to the API server so far."""
        return self._audit_log.counts().total()

    async def idle(self) -> None:
        """Wait until the control plane is idle, so that work that was caused earlier does not count.

        Raises:
            TimeoutError: it does not become idle.
        """
        looks, before = 0, self._cpu()

        async def is_idle() -> bool:
            nonlocal looks, before
            now = self._cpu()
            looks, before = (looks + 1 if now - before < _IDLE_CPU else 0), now
            return looks >= _IDLE_LOOKS

        await until(is_idle, _IDLE_WITHIN, "the control plane is idle")

    def _cpu(self) -> float:
        return sum(map(usage.cpu_seconds, self._control_plane.pids().values()))

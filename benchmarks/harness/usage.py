"""CPU time and memory of processes, and their Prometheus counters."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["counted", "cpu_seconds", "peak_mib", "resident_mib"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_SAMPLE: Final = re.compile(r"^(?P<name>[a-zA-Z_:]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process since its start, in user and kernel mode."""
    # The name in brackets may contain spaces and brackets; after the last one the format is regular.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mib(pid: int) -> float:
    """Return the current memory of a process."""
    return _status(pid, "VmRSS")


def peak_mib(pid: int) -> float:
    """Return the peak memory of a process."""
    return _status(pid, "VmHWM")


def counted(metrics: str, name: str, wanted: Callable[[Mapping[str, str]], bool]) -> float:
    """Return the sum of a counter's samples.

    Args:
        metrics: the response of /metrics.
        name: name of the samples, with its suffix.
        wanted: whether a sample with these labels counts.
    """
    total = 0.0
    for line in metrics.splitlines():
        if not line.startswith(name):
            continue
        found = _SAMPLE.match(line)
        if found is not None and found["name"] == name and wanted(dict(_LABEL.findall(found["labels"] or ""))):
            total += float(found["value"])
    return total


def _status(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {pid} has no {field}: it has ended")

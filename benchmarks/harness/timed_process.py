"""Runs a process on this machine and measures its time and the peak memory of it and its children."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Ended", "run"]

_LOOK_EVERY_SECONDS: Final = 0.02
_PSS: Final = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has succeeded."""

    seconds: float
    peak_mib: float
    """Peak memory of it and its children, shared pages counted once; 0 if not measured."""
    cpu: float
    """CPU seconds of it and its children."""
    said: str = ""
    """Its output."""


def run(command: Sequence[str | Path], environment: Mapping[str, str], *, memory: bool = False) -> Ended:
    """Run a process and wait for its end.

    Measuring memory slows it down slightly, so either time or memory is measured.

    Raises:
        RuntimeError: it failed; the message contains its output.
    """
    os.sync()  # earlier writes of other processes must not be flushed during the measurement
    started, before = time.monotonic(), _children_cpu()
    with subprocess.Popen(
        [str(word) for word in command],
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        peak = _watch(process) if memory else 0.0
        said, _ = process.communicate()
    seconds = time.monotonic() - started
    if process.returncode:
        raise RuntimeError(f"`{command[0]}` ended with {process.returncode}: {said[-2000:]}")
    return Ended(seconds, peak, _children_cpu() - before, said)


def _children_cpu() -> float:
    """Return the CPU seconds of all ended children of this process."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(process: subprocess.Popen[str]) -> float:
    """Return the peak memory until the process has ended."""
    peak = 0
    while True:
        peak = max(peak, sum(_pss_kib(pid) for pid in _family(process.pid)))
        try:
            process.wait(_LOOK_EVERY_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return peak / 1024


def _family(pid: int) -> list[int]:
    """Return the process and its descendants."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(member for child in children for member in _family(child))]


def _pss_kib(pid: int) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return 0
    return int(found.group(1)) if found else 0

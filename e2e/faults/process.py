"""Find and kill processes of a pod's container from the node's machine. Works on our own cluster only."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Process", "kill", "processes_of"]

_EVERY_SECONDS = 0.01


@dataclass(frozen=True)
class Process:
    """One process of a container."""

    pid: int
    command: str
    """Its arguments, joined by spaces."""
    started: int
    """Start time in clock ticks since boot, because process ids are reused."""


def processes_of(pod: Any, container: str) -> list[Process]:
    """Processes of a container, oldest first, found by the container's id in their cgroups."""
    statuses = (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    ids = [item.container_id for item in statuses if item.name == container and item.container_id]
    if not ids:
        return []
    container_id = ids[0].rpartition("/")[2]
    return sorted(_in_group(container_id), key=lambda process: process.started)


def kill(pod: Any, container: str, command: str = "", *, seconds: float = 30) -> Process:
    """Send SIGKILL to the oldest process in the container whose command matches the pattern, as soon as there is one.

    Raises:
        TimeoutError: no such process appeared in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for process in processes_of(pod, container):
            if re.match(command, process.command):
                os.kill(process.pid, signal.SIGKILL)
                return process
        time.sleep(_EVERY_SECONDS)
    raise TimeoutError(f"no process {command!r} in container {container} within {seconds:.0f} s")


def _in_group(container_id: str) -> list[Process]:
    processes = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if container_id in (folder / "cgroup").read_text():
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                processes.append(Process(int(folder.name), command, _started(folder)))
        except (FileNotFoundError, ProcessLookupError):
            continue  # the process has ended
    return processes


def _started(folder: Path) -> int:
    # Field 22 of proc(5) stat. The second field, the program's name in brackets, may contain any character.
    return int((folder / "stat").read_text().rpartition(")")[2].split()[19])

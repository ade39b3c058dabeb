"""Processes of a pod's container, seen and killed from the machine that is the node: our own cluster only."""

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
    """Clock ticks after the machine's start: numbers of processes are used again."""


def processes_of(pod: Any, container: str) -> list[Process]:
    """What runs in a container, found by its id in the processes' control groups; the oldest first."""
    statuses = (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    found = [item.container_id for item in statuses if item.name == container and item.container_id]
    if not found:
        return []
    container_id = found[0].rpartition("/")[2]
    return sorted(_in_group(container_id), key=lambda process: process.started)


def kill(pod: Any, container: str, command: str = "", *, seconds: float = 30) -> Process:
    """SIGKILL the oldest process of the container whose command begins as the pattern says, as soon as there is one.

    Raises:
        TimeoutError: there was none in time.
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
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if container_id in (folder / "cgroup").read_text():
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found.append(Process(int(folder.name), command, _started(folder)))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return found


def _started(folder: Path) -> int:
    # Field 22 of proc(5) stat; the second one, the program's name in brackets, may hold anything.
    return int((folder / "stat").read_text().rpartition(")")[2].split()[19])

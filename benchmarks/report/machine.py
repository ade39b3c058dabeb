"""Describes the machine and the commit of a measurement, without names of machines, people or folders."""

from __future__ import annotations

import functools
import os
import platform
import re
from pathlib import Path
from typing import Final

from dev.cluster import commands
from dev.cluster.errors import ClusterError

__all__ = ["busy", "commit", "describe"]

ROOT: Final = Path(__file__).resolve().parents[2]
_QUIET: Final = 0.5
_MEASURED: Final = ("operator", "helm", "Dockerfile", "uv.lock")
"""Paths whose changes affect the figures."""


@functools.cache
def describe() -> str:
    """Describe processors, memory and kernel (`2 x Model Name, 24 GiB, Linux 6.1`), and whether it was busy.

    Cached before the first measurement, so that a benchmark's own load does not count.
    """
    release = ".".join(platform.release().split(".")[:2])
    found = f"{len(os.sched_getaffinity(0))} x {_processor()}, {_memory_gib()} GiB, {platform.system()} {release}"
    return f"{found}, busy with other work" if busy() else found


def commit() -> str:
    """Return the measured commit, followed by `+` if files of the product are modified."""
    try:
        short = commands.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT).strip()
        changed = commands.run(["git", "status", "--porcelain", "--", *_MEASURED], cwd=ROOT).strip()
    except ClusterError:
        return "unknown"
    return f"{short}+" if changed else short


def busy() -> bool:
    """Whether half of the processors or more were in use in the last minute."""
    return os.getloadavg()[0] / len(os.sched_getaffinity(0)) > _QUIET


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return " ".join(found.group(1).split()) if found else platform.machine()


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)

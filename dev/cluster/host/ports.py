"""Find the process that uses a TCP port, and allocate free ports for processes that tests start."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from dev.cluster.host import processes

LISTENING = "0A"
FIRST, OF_A_WORKER, WORKERS = 20_500, 1_000, 9
"""Below the ephemeral ports of Linux (net.ipv4.ip_local_port_range: from 32768) and NodePorts (from 30000), and above
the ports of the cluster's own parts."""
_given = itertools.count(os.getpid())


def free_port() -> int:
    """Reserve a port for a process that is about to start. No other caller gets the port meanwhile.

    A port chosen by the system (port 0) can be given to another process as soon as it is closed. Instead, each pytest
    worker has its own range of ports and reuses a port only after all others. Processes that are no workers have the
    last range: `make test` runs the tests that kill parts in one process, beside the workers of the unit tests.

    Raises:
        RuntimeError: all ports of the range are in use.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", f"gw{WORKERS - 1}").removeprefix("gw")) % WORKERS
    for _ in range(OF_A_WORKER):
        port = FIRST + worker * OF_A_WORKER + next(_given) % OF_A_WORKER
        if holder(port) is None:
            return port
    raise RuntimeError(f"worker {worker}: all ports from {FIRST + worker * OF_A_WORKER} on are held")


def listening_inodes(table: str, port: int) -> set[str]:
    """Inodes of the sockets that listen on `port`, from the text of /proc/net/tcp or tcp6."""
    inodes = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            inodes.add(fields[9])
    return inodes


def holder(port: int) -> tuple[int, str] | None:
    """Pid and name of the process that listens on `port`; (0, ...) if it is not visible; None if the port is free.

    Between fork and exec, a child process holds its parent's sockets, so the oldest process is returned.
    """
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            inodes |= listening_inodes(Path(table).read_text(), port)
    if not inodes:
        return None
    pids = {pid for pid, socket in _open_sockets() if socket in inodes}
    start_times = {pid: ticks for pid in pids if (ticks := processes.start_ticks(pid)) is not None}
    if not start_times:
        return 0, "a process of another user"
    oldest = min(start_times, key=lambda pid: start_times[pid])
    return oldest, _name(oldest)


def _open_sockets() -> Iterator[tuple[int, str]]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            for target in _open_files(process):
                if target.startswith("socket:["):
                    yield int(process.name), target[8:-1]


def _open_files(process: Path) -> Iterator[str]:
    """Open files of a process. Empty if it has ended or belongs to another user."""
    try:
        entries = list((process / "fd").iterdir())
    except OSError:
        return
    for entry in entries:
        try:
            target = os.readlink(entry)  # noqa: PTH115 - "socket:[1]" is no path
        except OSError:
            continue  # a busy process may have closed this file; its other files still count
        yield target


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a process that has ended"

"""Which process holds a TCP port, and which ports are free for the processes that tests start."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from dev.cluster.host import processes

LISTENING = "0A"
FIRST, OF_A_WORKER, WORKERS = 20_500, 1_000, 9
"""Below those that Linux gives by chance (net.ipv4.ip_local_port_range: from 32768) and those of NodePorts (from
30000), behind those of the cluster's own parts."""
_given = itertools.count(os.getpid())


def free_port() -> int:
    """A port for a process that is about to start: until then nobody else is given it.

    One that the system finds (port 0) is free only for as long as it is held: given back, it is soon another's. Each of
    pytest's workers has ports of its own, and gives one again only after all others.

    Raises:
        RuntimeError: all of them are held.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    for _ in range(OF_A_WORKER):
        port = FIRST + worker * OF_A_WORKER + next(_given) % OF_A_WORKER
        if holder(port) is None:
            return port
    raise RuntimeError(f"worker {worker}: all ports from {FIRST + worker * OF_A_WORKER} on are held")


def listening_inodes(table: str, port: int) -> set[str]:
    """The socket inodes that listen on `port`, from the text of /proc/net/tcp or tcp6."""
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            found.add(fields[9])
    return found


def holder(port: int) -> tuple[int, str] | None:
    """Pid and name of the process that listens on `port`; (0, ...) where it can't be seen; None if the port is free.

    A process that is just being started holds what its parent holds, until it runs its own program: the oldest counts.
    """
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            inodes |= listening_inodes(Path(table).read_text(), port)
    if not inodes:
        return None
    pids = {pid for pid, socket in _open_sockets() if socket in inodes}
    begun = {pid: ticks for pid in pids if (ticks := processes.start_ticks(pid)) is not None}
    if not begun:
        return 0, "a process of another user"
    oldest = min(begun, key=lambda pid: begun[pid])
    return oldest, _name(oldest)


def _open_sockets() -> Iterator[tuple[int, str]]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            for target in _open_files(process):
                if target.startswith("socket:["):
                    yield int(process.name), target[8:-1]


def _open_files(process: Path) -> Iterator[str]:
    """What a process has open; nothing of one that ended meanwhile, or that belongs to another user."""
    try:
        entries = list((process / "fd").iterdir())
    except OSError:
        return
    for entry in entries:
        try:
            target = os.readlink(entry)  # noqa: PTH115 - "socket:[1]" is no path
        except OSError:
            continue  # a busy process has closed it meanwhile, and still has the others
        yield target


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a process that has ended"

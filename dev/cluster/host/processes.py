"""Daemons: processes that outlive the command that started them, found again by reliable pid files.

A pid file contains the pid, the process's start time and the boot id, so a reused pid is never mistaken for ours.
It also contains a fingerprint of how the daemon was started, so that a changed setting or binary is detected.
"""

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.cluster import waiting
from dev.cluster.errors import ClusterError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Record:
    """Content of a pid file."""

    pid: int
    start_ticks: int
    boot_id: str
    fingerprint: str


def start_ticks(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot; None if it does not exist or is a zombie.

    A killed process counts as running while it has other threads, which hold its files and ports until they end.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in brackets may itself contain spaces and brackets, so parsing starts after the last bracket.
    fields = text.rpartition(")")[2].split()
    dead, threads = fields[0] in {"Z", "X"}, int(fields[17])
    return None if dead and threads <= 1 else int(fields[19])


def fingerprint(command: Sequence[str], env: Mapping[str, str], configs: Sequence[str] = ()) -> str:
    """A hash that changes when the command, its environment or the files that it reads change."""
    document = json.dumps([list(command), sorted(env.items()), list(configs)])
    return hashlib.sha256(document.encode()).hexdigest()[:16]


def find(pid_file: Path) -> Record | None:
    """The running daemon of `pid_file`; None if it does not run."""
    try:
        record = Record(**json.loads(pid_file.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ClusterError(
            f"{pid_file} is not a pid file: {error}", hint="see that nothing runs, then delete it"
        ) from error
    is_same = record.boot_id == BOOT_ID.read_text().strip() and start_ticks(record.pid) == record.start_ticks
    return record if is_same else None


def start(command: Sequence[str], *, env: Mapping[str, str], log: Path, pid_file: Path, mark: str) -> Record:
    """Start a daemon in its own session, and append its output to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    # If the daemon has already ended, the start time 0 matches no process, and the log shows the reason.
    record = Record(process.pid, start_ticks(process.pid) or 0, BOOT_ID.read_text().strip(), mark)
    part = pid_file.with_suffix(".part")
    part.write_text(json.dumps(asdict(record)))
    part.replace(pid_file)
    # The daemon may outlive this process. Without this, Python warns about a running child.
    process.returncode = 0
    return record


def stop(pid_file: Path, *, grace: float = 10) -> bool:
    """Stop the daemon of `pid_file`: SIGTERM, then SIGKILL after `grace` seconds. Returns whether it was running."""
    record = find(pid_file)
    if record is not None:
        _signal(record.pid, signal.SIGTERM)
        end = time.monotonic() + grace
        while not _ended(record) and time.monotonic() < end:
            time.sleep(0.05)
        if not _ended(record):
            _signal(record.pid, signal.SIGKILL)
            waiting.until(
                lambda: None if _ended(record) else "it is still there after SIGKILL",
                what=f"the end of process {record.pid} ({pid_file.stem})",
                timeout=20,
            )
    pid_file.unlink(missing_ok=True)
    return record is not None


def kill_all(pids: Sequence[int]) -> None:
    """Send SIGKILL to each of `pids` and wait until all have ended."""
    ticks = {pid: start_ticks(pid) for pid in pids}
    for pid in pids:
        _signal(pid, signal.SIGKILL)

    def left() -> str | None:
        alive = [
            pid
            for pid, ticks_at_start in ticks.items()
            if ticks_at_start is not None and start_ticks(pid) == ticks_at_start
        ]
        return f"processes {alive} are still there" if alive else None

    waiting.until(left, what="killing processes", timeout=20)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"


def _ended(record: Record) -> bool:
    _reap(record.pid)
    return start_ticks(record.pid) != record.start_ticks


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # not our child; its parent reaps it


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has already ended

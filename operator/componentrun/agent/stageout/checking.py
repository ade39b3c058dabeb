"""Checks CSV files in separate processes during the upload.

Checking holds the interpreter's lock and would stop uploads if it ran in a thread; a forked process costs a few MiB and
a millisecond. Processes are forked before the first thread starts. If that fails, the check runs in a thread.
"""

from __future__ import annotations

import json
import os
import queue
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, NoReturn, Self

from componentrun.agent.folder import shown
from componentrun.csv.text import check_rows
from componentrun.errors import PlatformError, Reason, UserError

if TYPE_CHECKING:
    from types import TracebackType

    from componentrun.agent.folder import Folder
    from componentrun.csv.dialect import Read
    from componentrun.csv.types import TypedColumn

__all__ = ["Checkers", "Task", "check"]

_MOST: Final = 2


@dataclass(frozen=True, slots=True)
class Task:
    """Rows of a file to check."""

    path: str
    """Path in the data folder."""
    start: int
    """Offset of the first row; a row boundary."""
    end: int
    columns: tuple[str, ...]
    typed: tuple[TypedColumn, ...] = ()
    """Columns whose values are checked against a type."""


def run_task(folder: Folder, task: Task) -> int:
    """Check rows in this process, and return their number.

    Raises:
        UserError: (OutputInvalid) the first malformed row.
    """
    with folder.open(task.path) as file:
        return check(file.read, task)


def check(read: Read, task: Task) -> int:
    """Check rows of an open file. Returns and raises the same as `run_task`."""
    if not task.typed:
        return check_rows(read, task.start, task.end, task.columns, shown(task.path))
    from componentrun.csv.types import check_typed_rows  # noqa: PLC0415 - few components need it

    return check_typed_rows(read, task.start, task.end, task.columns, shown(task.path), task.typed)


class Checkers:
    """Processes that check files; a context manager that ends them.

    Args:
        folder: the data folder.
        processes: number of processes; None: the number of processors, at most 2.
    """

    def __init__(self, folder: Folder, processes: int | None = None) -> None:
        """Fork the processes. No other thread may be running."""
        self._folder = folder
        self._idle: queue.SimpleQueue[socket.socket | None] = queue.SimpleQueue()
        self._children: list[tuple[int, socket.socket]] = []
        count = min(len(os.sched_getaffinity(0)), _MOST) if processes is None else processes
        for _ in range(count):
            self._fork()
        if not self._children:
            self._idle.put(None)
        self._threads = ThreadPoolExecutor(max(1, len(self._children)), thread_name_prefix="check")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes without waiting for a running check."""
        for _, connection in self._children:
            # The child reads the end of its input, or gets a broken pipe; a waiting thread is also released.
            connection.shutdown(socket.SHUT_RDWR)
        self._threads.shutdown(cancel_futures=True)
        for child, connection in self._children:
            connection.close()
            os.waitpid(child, 0)

    def submit(self, task: Task) -> Future[int]:
        """Start a check; the future holds the number of rows, or the error that `run_task` raises."""
        return self._threads.submit(self._run, task)

    def _run(self, task: Task) -> int:
        connection = self._idle.get()
        try:
            return run_task(self._folder, task) if connection is None else _ask(connection, task)
        finally:
            self._idle.put(connection)

    def _fork(self) -> None:
        parent_end, child_end = socket.socketpair()
        try:
            child = os.fork()
        except OSError:
            # The pod may have reached its limit of processes. Checking in a thread is slower, but correct.
            parent_end.close()
            child_end.close()
            return
        if child == 0:
            parent_end.close()
            for _, connection in self._children:
                connection.close()
            _serve(self._folder, child_end)
        child_end.close()
        self._children.append((child, parent_end))
        self._idle.put(parent_end)


def _ask(connection: socket.socket, task: Task) -> int:
    try:
        connection.sendall(json.dumps(asdict(task)).encode() + b"\n")
        with connection.makefile("rb") as answers:
            line = answers.readline()
    except OSError as error:
        raise PlatformError(f"{shown(task.path)}: the process that checks it is gone ({error.strerror})") from error
    if not line:
        raise PlatformError(
            f"{shown(task.path)}: the process that checks it ended early",
            advice="If the kernel killed it, raise the memory limit of stage-out.",
        )
    answer = json.loads(line)
    if "rows" in answer:
        return int(answer["rows"])
    kind = UserError if answer["user"] else PlatformError
    raise kind(answer["summary"], Reason(answer["reason"]), advice=answer["advice"])


def _serve(folder: Folder, connection: socket.socket) -> NoReturn:
    """Main loop of a child process: answer tasks until the input ends. Never returns to the parent's code."""
    code = 1
    try:
        with connection.makefile("rb") as tasks:
            for line in tasks:
                raw = json.loads(line)
                typed = tuple((place, kind, nullable) for place, kind, nullable in raw["typed"])
                task = Task(raw["path"], raw["start"], raw["end"], tuple(raw["columns"]), typed)
                connection.sendall(json.dumps(_answer(folder, task)).encode() + b"\n")
        code = 0
    except OSError:
        code = 0  # the parent has ended
    finally:
        os._exit(code)


def _answer(folder: Folder, task: Task) -> dict[str, object]:
    try:
        return {"rows": run_task(folder, task)}
    except UserError as error:
        return {"user": True, "summary": error.summary, "advice": error.advice, "reason": error.reason}
    except Exception as error:  # noqa: BLE001 - becomes an error in the parent
        return {
            "user": False,
            "summary": f"{shown(task.path)}: {type(error).__name__} in its check",
            "advice": "",
            "reason": Reason.INTERNAL,
        }

"""The full check of CSV in processes of its own, beside the upload.

Checking holds the interpreter's lock, so in a thread it would stop the uploads; a forked process costs a few MiB and a
millisecond. Forks happen before the first thread starts. Where none can be made, the check runs in a thread.
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
    """Below the data folder."""
    start: int
    """Bytes before the first row; a row border."""
    end: int
    columns: tuple[str, ...]
    typed: tuple[TypedColumn, ...] = ()
    """Columns whose values must be of a type."""


def run_task(folder: Folder, task: Task) -> int:
    """Check in this process: the number of rows.

    Raises:
        UserError: (OutputInvalid) at the first row that is malformed.
    """
    with folder.open(task.path) as file:
        return check(file.read, task)


def check(read: Read, task: Task) -> int:
    """The same for a file that is open. Raises as `run_task` does."""
    if not task.typed:
        return check_rows(read, task.start, task.end, task.columns, shown(task.path))
    from componentrun.csv.types import check_typed_rows  # noqa: PLC0415 - few components ask for it

    return check_typed_rows(read, task.start, task.end, task.columns, shown(task.path), task.typed)


class Checkers:
    """A few processes that check; a context manager that ends them.

    Args:
        folder: the data folder.
        processes: how many; None: as many as there are processors, at most 2.
    """

    def __init__(self, folder: Folder, processes: int | None = None) -> None:
        """Fork. No thread may be running yet."""
        self._folder = folder
        self._idle: queue.SimpleQueue[socket.socket | None] = queue.SimpleQueue()
        self._children: list[tuple[int, socket.socket]] = []
        wanted = min(len(os.sched_getaffinity(0)), _MOST) if processes is None else processes
        for _ in range(wanted):
            self._fork()
        if not self._children:
            self._idle.put(None)
        self._threads = ThreadPoolExecutor(max(1, len(self._children)), thread_name_prefix="check")

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; a check that is running is not waited for."""
        for _, connection in self._children:
            # The child sees the end of its input, or a broken pipe when it answers; a waiting thread sees it, too.
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
        ours, theirs = socket.socketpair()
        try:
            child = os.fork()
        except OSError:
            # The pod may have no more processes to give: checking in a thread is slower, not wrong.
            ours.close()
            theirs.close()
            return
        if child == 0:
            ours.close()
            for _, connection in self._children:
                connection.close()
            _serve(self._folder, theirs)
        theirs.close()
        self._children.append((child, ours))
        self._idle.put(ours)


def _ask(connection: socket.socket, task: Task) -> int:
    try:
        connection.sendall(json.dumps(asdict(task)).encode() + b"\n")
        with connection.makefile("rb") as answers:
            line = answers.readline()
    except OSError as error:
        raise PlatformError(f"{shown(task.path)}: the process that checks it is gone ({error.strerror})") from error
    if not line:
        told = f"{shown(task.path)}: the process that checks it ended early"
        raise PlatformError(f"{told}; was the agent short of memory?")
    answer = json.loads(line)
    if "rows" in answer:
        return int(answer["rows"])
    kind = UserError if answer["user"] else PlatformError
    raise kind(answer["message"], Reason(answer["reason"]))


def _serve(folder: Folder, connection: socket.socket) -> NoReturn:
    """The life of a child: answer tasks until there are no more. Never returns into the parent's code."""
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
        return {"user": True, "message": error.message, "reason": error.reason}
    except Exception as error:  # noqa: BLE001 - becomes an error in the parent
        return {
            "user": False,
            "message": f"{shown(task.path)}: {type(error).__name__} in its check",
            "reason": Reason.INTERNAL,
        }

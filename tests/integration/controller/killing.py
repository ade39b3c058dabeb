"""An operator of the work tree in a separate process that can kill itself at its n-th write.

Writes are changes that others can see: requests to the API server other than GET (except those for the Lease, which is
renewed periodically), stored and deleted objects, and requests to a loader. The process is forked from one that has
imported everything, because a run is tested with dozens of operators.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from componentrun.controller import app, logs, settings
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.process.kubernetes import client as kube
from componentrun.process.kubernetes.client import Kube
from componentrun.process.kubernetes.clock import ApiClock
from componentrun.process.launch import launch
from componentrun.storage.store.connection import Store
from tests.integration.forks import FORKS, ONE_AT_A_TIME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from componentrun.wire.loader import LoadAnswer, LoadRequest


@dataclass(frozen=True)
class Death:
    """When an operator kills itself.

    Attributes:
        at: number of the write, from 1.
        before: True if it dies before the write; False if the write is made and its response is not seen.
        of: count only these writes, as named by `writes`. Defaults to all.
    """

    at: int
    before: bool
    of: str = ""


def start(
    environment: dict[str, str], folder: Path, name: str, death: Death | None = None, ahead: timedelta = timedelta()
) -> BaseProcess:
    """Start an operator with its log in `<name>.log` and its writes in `<name>.writes`, both in the folder.

    Its clock is ahead of this machine's by `ahead`.
    """
    process = FORKS.Process(target=_work, args=(environment, folder / name, death, ahead), daemon=True)
    with ONE_AT_A_TIME:
        process.start()
    return process


def lives(process: BaseProcess) -> bool:
    """Whether an operator is still running. Safe for tests that use several of them in threads."""
    with ONE_AT_A_TIME:
        return process.is_alive()


def end(process: BaseProcess) -> int:
    """Send SIGTERM if the process is running, and return its exit code."""
    if lives(process):
        process.terminate()
    while lives(process):
        time.sleep(0.05)
    return process.exitcode or 0


def writes(folder: Path, name: str) -> list[str]:
    """Writes of an operator, in order."""
    path = folder / f"{name}.writes"
    return path.read_text().splitlines() if path.exists() else []


class _Counter:
    """Counts and records writes, and kills the process at the requested one."""

    def __init__(self, notes: Path, death: Death | None) -> None:
        self._notes = notes.open("a", buffering=1)
        self._death = death or Death(at=0, before=False)  # never
        self._begun = 0
        self._made = 0

    async def write(self, what: str, make: Callable[[], Awaitable[Any]]) -> Any:
        counts = self._death.of in {"", what}
        self._begun += counts
        if self._death.before and counts and self._begun == self._death.at:
            self._die(what)
        try:
            return await make()
        finally:
            self._made += counts
            if not self._death.before and counts and self._made == self._death.at:
                self._die(what)
            self._notes.write(f"{what}\n")

    def _die(self, what: str) -> None:
        self._notes.write(f"{what} +\n")
        os.kill(os.getpid(), signal.SIGKILL)


def _count(counter: _Counter) -> None:
    request, put, delete, load = Kube.request, Store._put, Store.delete, LoaderClient.load

    async def counted_request(self: Kube, method: str, path: str, **details: Any) -> dict[str, Any]:
        if method == "GET" or "/leases" in path:
            return await request(self, method, path, **details)
        made: dict[str, Any] = await counter.write(
            f"{method} {_kind_of(path)}", lambda: request(self, method, path, **details)
        )
        return made

    async def counted_put(self: Store, operation: str, key: str, data: bytes, **details: Any) -> str:
        stored = await counter.write(
            f"{operation} {_kind_of_key(self, key)}", lambda: put(self, operation, key, data, **details)
        )
        return str(stored)

    async def counted_delete(self: Store, keys: Sequence[str]) -> None:
        await counter.write("delete objects", lambda: delete(self, keys))

    async def counted_load(self: LoaderClient, request: LoadRequest, storage: str) -> LoadAnswer:
        answer: LoadAnswer = await counter.write("load", lambda: load(self, request, storage))
        return answer

    LoaderClient.load = counted_load  # type: ignore[method-assign]  # the point of it
    Kube.request, Store._put, Store.delete = counted_request, counted_put, counted_delete  # type: ignore[method-assign]  # the point of it


def _kind_of(path: str) -> str:
    """The path without object names, such as `pods` or `componentruns/status`."""
    _, _, rest = path.partition("/namespaces/")
    parts = rest.split("/")[1:]
    return "/".join(parts[::2])


def _kind_of_key(store: Store, key: str) -> str:
    """First and last part of a key, such as `runs/journal.json`."""
    parts = key.removeprefix(store.settings.prefix).strip("/").split("/")
    return f"{parts[0]}/{parts[-1]}"


def _work(environment: dict[str, str], base: Path, death: Death | None, ahead: timedelta) -> None:
    with base.with_suffix(".log").open("a", buffering=1) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        os.environ.update(environment)
        kube.ApiClock = lambda: ApiClock(lambda: datetime.now(UTC) + ahead)  # type: ignore[attr-defined, misc, assignment]  # likewise
        _count(_Counter(base.with_suffix(".writes"), death))
        try:
            code = launch(settings.Settings, app.run, set_up_logs=logs.set_up)
        except BaseException:  # tests look for any error in the log
            traceback.print_exc()
            raise
        sys.exit(code)

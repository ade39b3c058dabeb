"""An operator of the work tree in a process of its own that can kill itself at the n-th thing it writes.

Writes are what others can see: requests to the API server that are no GET (the Lease left out, which is renewed by the
clock), objects put into a store or deleted there, and loads that a loader is asked for. The process is forked from one
that has imported everything, because a run is tried with dozens of them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kubernetes.aio.config import kube_config

from componentrun.controller import app, logs, settings
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.process.kubernetes import client as kube
from componentrun.process.kubernetes.client import Kube
from componentrun.process.kubernetes.clock import ApiClock
from componentrun.process.launch import launch
from componentrun.storage.store.connection import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from componentrun.wire.loader import LoadAnswer, LoadRequest

_ONE_AT_A_TIME = threading.Lock()
"""A process' exit code can be read once: of two threads that look at the same moment one is told 255. And whoever
starts a process looks at all others."""
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["componentrun.controller.app", __name__])


@dataclass(frozen=True)
class Death:
    """When an operator kills itself.

    Attributes:
        at: the write, from 1.
        before: whether the write is not made any more, or was made and its answer not seen.
        of: count only these writes, as `writes` tells them; empty: all.
    """

    at: int
    before: bool
    of: str = ""


def start(
    environment: dict[str, str], folder: Path, name: str, death: Death | None = None, ahead: timedelta = timedelta()
) -> BaseProcess:
    """An operator that writes its log to `<name>.log` and what it wrote to `<name>.writes`, both below the folder.

    Its clock is ahead of this machine's by so much.
    """
    process = FORKS.Process(target=_work, args=(environment, folder / name, death, ahead), daemon=True)
    with _ONE_AT_A_TIME:
        process.start()
    return process


def lives(process: BaseProcess) -> bool:
    """Whether an operator has not ended; for tests that have several of them in threads."""
    with _ONE_AT_A_TIME:
        return process.is_alive()


def end(process: BaseProcess) -> int:
    """SIGTERM, where it is alive; its exit code."""
    if lives(process):
        process.terminate()
    while lives(process):
        time.sleep(0.05)
    return process.exitcode or 0


def writes(folder: Path, name: str) -> list[str]:
    """What an operator wrote, in order."""
    path = folder / f"{name}.writes"
    return path.read_text().splitlines() if path.exists() else []


class _Counter:
    """Counts writes, notes them, and ends the process at the one that was asked for."""

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
    """`pods`, or `componentruns/status`: the path without the names of objects."""
    _, _, rest = path.partition("/namespaces/")
    parts = rest.split("/")[1:]
    return "/".join(parts[::2])


def _kind_of_key(store: Store, key: str) -> str:
    """`runs/journal.json`: the first part of a key and its last."""
    parts = key.removeprefix(store.settings.prefix).strip("/").split("/")
    return f"{parts[0]}/{parts[-1]}"


def _work(environment: dict[str, str], base: Path, death: Death | None, ahead: timedelta) -> None:
    with base.with_suffix(".log").open("a", buffering=1) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        os.environ.update(environment)
        kube_config.KUBE_CONFIG_DEFAULT_LOCATION = environment["KUBECONFIG"]  # read when it was imported
        kube.ApiClock = lambda: ApiClock(lambda: datetime.now(UTC) + ahead)  # type: ignore[attr-defined, misc, assignment]  # likewise
        _count(_Counter(base.with_suffix(".writes"), death))
        try:
            code = launch(settings.from_environment, app.run, set_up_logs=logs.set_up)
        except BaseException:  # whatever it was, the log is where a test looks
            traceback.print_exc()
            raise
        sys.exit(code)

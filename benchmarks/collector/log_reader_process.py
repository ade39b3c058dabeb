"""`python -m benchmarks.collector.log_reader_process`: read finished containers' logs and print the cost.

A separate process, so that its CPU time is that of the reader only. It reads an `Order` as JSON from standard input.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from componentrun.api import names
from componentrun.collector.events.journal import Journal, container_key
from componentrun.collector.metrics import Metrics
from componentrun.collector.readers.api.follower import View
from componentrun.collector.readers.api.position import Position
from componentrun.collector.readers.choice import ReaderChoice
from componentrun.collector.readers.node.position import FilePosition
from componentrun.collector.readers.node.servers import NodeLogs
from componentrun.collector.readers.sink import ContainerSink, Inbox
from componentrun.collector.runs.facts import pod_facts, run_facts
from componentrun.collector.settings import NodeLogSettings
from componentrun.core.redact.redactor import Redactor
from componentrun.process.kubernetes.client import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.collector.readers.line import Line
    from componentrun.collector.runs.facts import PodFacts

_ENDED = View(ended=True, gone=False, never_ran=False, restarts=0, overdue=False)
_RUN = {"metadata": {"namespace": "n", "name": "r", "uid": "u"}, "spec": {"image": "i"}}
_SECRETS = ["a password that is not printed", "another one of the same kind"]


@dataclass(frozen=True)
class Order:
    """What to read."""

    pods: list[dict[str, Any]]
    """Pods as returned by the API server; the container `component` of each is read."""
    pipeline: bool
    """Whether to turn lines into events (grouped, redacted, encoded as segments that are discarded), instead of
    counting them."""
    server: dict[str, Any] | None = None
    """The pod of a log server; None to read over the API."""
    folder: str = ""
    """Folder with the token for the log server, and with its certificate below `tls`."""


class Counter:
    """Counts lines."""

    def __init__(self, position: Position | FilePosition) -> None:
        self._position = position

    @property
    def position(self) -> Position:
        """See `follower.Sink`."""
        assert isinstance(self._position, Position)
        return self._position

    def take(self, lines: Sequence[Line]) -> bool:
        """See `follower.Sink`."""
        self._position.add(lines)
        return True

    def settle(self) -> None:
        """Nothing to release."""

    async def room(self) -> None:
        """Return at once, because there is always room."""

    def lost(self, key: str, message: str) -> None:
        """Fail: no lines may be lost.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"{key}: {message}")


async def _read(order: Order) -> int:
    """Read all of them concurrently; return the number of lines."""
    metrics = Metrics()
    settings = NodeLogSettings("n", f"{order.folder}/token", f"{order.folder}/tls/ca.crt")
    async with await connect(metrics) as kube, NodeLogs(settings) as nodes:
        if order.server is not None:
            nodes.changed(order.server)
        choice = ReaderChoice(kube, nodes if order.server is not None else None)
        pods = [pod_facts(raw) for raw in order.pods]
        return sum(await asyncio.gather(*(_read_one(choice, pod, metrics, order) for pod in pods)))


async def _read_one(choice: ReaderChoice, pod: PodFacts, metrics: Metrics, order: Order) -> int:
    journal = Journal(run_facts(_RUN))
    inbox = Inbox(journal, asyncio.Event(), metrics)
    key = container_key(pod.uid, names.COMPONENT)
    position = FilePosition() if order.server is not None else Position()
    journal.begin(key, position)
    (container,) = pod.containers
    sink = ContainerSink(inbox, pod, names.COMPONENT, Redactor(_SECRETS)) if order.pipeline else Counter(position)
    follower = choice.follower(pod, container, lambda: _ENDED, sink, inbox)
    emptying = asyncio.create_task(_empty(inbox))
    await follower.run()
    sink.settle()
    emptying.cancel()
    return position.lines


async def _empty(inbox: Inbox) -> None:
    """Take each full segment, like a store that needs no time."""
    while True:
        await inbox.filled.wait()
        inbox.filled.clear()
        if inbox.journal.full:
            inbox.journal.take_segment().lines()
            inbox.emptied()


def main() -> None:
    """Read the logs, and print the number of lines, seconds, and CPU seconds."""
    order = Order(**json.load(sys.stdin))
    begun = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF)
    lines = asyncio.run(_read(order))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"lines": lines, "seconds": time.monotonic() - begun, "cpu": cpu}))


if __name__ == "__main__":
    main()

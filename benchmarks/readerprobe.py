"""`python -m benchmarks.readerprobe`: reads finished containers' logs one of the two ways, and says what that cost.

A process of its own, so that its CPU time is that of the reader. What it reads is told on stdin, see `Order`.
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
    """What is to be read."""

    pods: list[dict[str, Any]]
    """As the API server has them; container `component` of each."""
    pipeline: bool
    """Make events of the lines (grouped, redacted, encoded as segments that are thrown away), not only count them."""
    server: dict[str, Any] | None = None
    """The pod of a log server; None: over the API."""
    folder: str = ""
    """Where the token for it is, and below `tls` its certificate."""


class Counter:
    """Takes lines, and counts them."""

    def __init__(self, place: Position | FilePosition) -> None:
        self._place = place

    @property
    def position(self) -> Position:
        """See `follower.Sink`."""
        assert isinstance(self._place, Position)
        return self._place

    def take(self, lines: Sequence[Line]) -> bool:
        """See `follower.Sink`."""
        self._place.add(lines)
        return True

    def settle(self) -> None:
        """Nothing is held."""

    async def room(self) -> None:
        """There always is."""

    def lost(self, key: str, message: str) -> None:
        """Nothing may be.

        Raises:
            RuntimeError: something is.
        """
        raise RuntimeError(f"{key}: {message}")


async def _read(order: Order) -> int:
    """Read all of them at the same time; the number of lines."""
    metrics = Metrics()
    settings = NodeLogSettings("n", f"{order.folder}/token", f"{order.folder}/tls/ca.crt")
    async with await connect(metrics) as kube, NodeLogs(settings) as nodes:
        if order.server is not None:
            nodes.changed(order.server)
        ways = ReaderChoice(kube, nodes if order.server is not None else None)
        pods = [pod_facts(raw) for raw in order.pods]
        return sum(await asyncio.gather(*(_read_one(ways, pod, metrics, order) for pod in pods)))


async def _read_one(ways: ReaderChoice, pod: PodFacts, metrics: Metrics, order: Order) -> int:
    journal = Journal(run_facts(_RUN))
    inbox = Inbox(journal, asyncio.Event(), metrics)
    key = container_key(pod.uid, names.COMPONENT)
    place = FilePosition() if order.server is not None else Position()
    journal.begin(key, place)
    (container,) = pod.containers
    sink = ContainerSink(inbox, pod, names.COMPONENT, Redactor(_SECRETS)) if order.pipeline else Counter(place)
    follower = ways.follower(pod, container, lambda: _ENDED, sink, inbox)
    emptying = asyncio.create_task(_empty(inbox))
    await follower.run()
    sink.settle()
    emptying.cancel()
    return place.lines


async def _empty(inbox: Inbox) -> None:
    """ReadySegment a segment whenever there is one, as a store that takes no time."""
    while True:
        await inbox.filled.wait()
        inbox.filled.clear()
        if inbox.journal.full:
            inbox.journal.cut().lines()
            inbox.emptied()


def main() -> None:
    """Do it, and print lines, seconds, and CPU seconds."""
    order = Order(**json.load(sys.stdin))
    begun = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF)
    lines = asyncio.run(_read(order))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"lines": lines, "seconds": time.monotonic() - begun, "cpu": cpu}))


if __name__ == "__main__":
    main()

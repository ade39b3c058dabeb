"""Cost of a printed line from the bytes in a node's file to the bytes in a segment, without network and store."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness.interleave import figures, interleave
from componentrun.api import names
from componentrun.collector.events.journal import Journal, container_key
from componentrun.collector.metrics import Metrics
from componentrun.collector.readers.api.lines import SECOND, stamp_of
from componentrun.collector.readers.node.lines import CriReader
from componentrun.collector.readers.node.position import BEGINNING, FilePosition
from componentrun.collector.readers.sink import ContainerSink, Inbox
from componentrun.collector.runs.facts import pod_facts, run_facts
from componentrun.core.redact.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure

__all__ = ["pipeline"]

_LINES: Final = 200_000
_CHUNK: Final = 64 * 1024
_BEGIN: Final = 1_795_506_393 * SECOND
_SECRETS: Final = ("a password that is not printed", "another one of the same kind")
_RUN: Final[dict[str, Any]] = {
    "metadata": {"namespace": "n", "name": "r", "uid": "0a1b2c3d-0000-4000-8000-000000000001"},
    "spec": {},
}
_BEGINNINGS: Final = ("Processing batch", "Started with", "Total rows:", "ERROR in none of", "page", "[info] wrote")
_TRACE: Final = (
    "Traceback (most recent call last):",
    '  File "main.py", line 12, in <module>',
    "    run(parameters)",
    '  File "main.py", line 7, in run',
    "    raise ValueError(row)",
    "ValueError: row 1",
)
_POD: Final = {
    "metadata": {
        "namespace": "n",
        "name": "p",
        "uid": "p",
        "labels": {names.RUN_LABEL: "r", names.RUN_UID_LABEL: _RUN["metadata"]["uid"]},
    },
    "spec": {},
    "status": {"phase": "Running"},
}


def pipeline(_: Testbed, repeats: int) -> list[Figure]:
    """CPU seconds for a million lines: of plain text, and of text with JSON and stack traces in it."""
    texts = {"plain": list(_plain()), "mixed": list(_mixed())}
    measures = [partial(_measure, name, _file(lines), len(lines)) for name, lines in texts.items()]
    return figures(interleave(measures, repeats), "s")


def _plain() -> Iterator[str]:
    for number in range(_LINES):
        yield f"line {number} of a component that has much to say ".ljust(99, ".")


def _mixed() -> Iterator[str]:
    """Of a hundred messages, five are JSON objects and one is a stack trace."""
    for number in range(_LINES):
        if number % 20 == 0:
            yield json.dumps({"level": "info", "message": f"row {number} was read", "rows": number, "table": "orders"})
        elif number % 100 == 1:
            yield from _TRACE
        else:
            begin = _BEGINNINGS[number % len(_BEGINNINGS)]
            yield f"{begin} {number} of a component that has much to say ".ljust(99, ".")


def _file(texts: list[str]) -> bytes:
    """Return a log file as the runtime writes it, with 100,000 lines a second."""
    stamps = (stamp_of(_BEGIN + number * 10_007 + 1)[:-1].rstrip("0") for number in range(len(texts)))
    return "".join(f"{stamp}Z stdout F {text}\n" for stamp, text in zip(stamps, texts, strict=True)).encode()


def _measure(name: str, data: bytes, lines: int) -> dict[str, float]:
    journal = Journal(run_facts(_RUN))
    inbox = Inbox(journal, asyncio.Event(), Metrics())
    pod = pod_facts(_POD)
    journal.begin(container_key(pod.uid, names.COMPONENT), FilePosition())
    sink = ContainerSink(inbox, pod, names.COMPONENT, Redactor(_SECRETS))
    reader = CriReader(BEGINNING)
    reader.begin("0-2026-11-24T07:46:33.8662Z", 0)
    begun = time.process_time()
    events = 0
    for at in range(0, len(data), _CHUNK):
        for batch in reader.feed(data[at : at + _CHUNK]):
            if not sink.take(batch):
                events += _cut(inbox)
    sink.settle()
    events += _cut(inbox)
    spent = time.process_time() - begun
    if not 0 < events <= lines:
        raise RuntimeError(f"{events:,} events of {lines:,} lines")
    return {f"collector.pipeline.{name}": spent / lines * 1e6}


def _cut(inbox: Inbox) -> int:
    """Encode a segment; return its number of events."""
    if inbox.journal.empty:
        return 0
    segment = inbox.journal.take_segment()
    segment.lines()
    inbox.emptied()
    return segment.count

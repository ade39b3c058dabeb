"""Lines into a journal, the way a follower hands them in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from componentrun.api import names
from componentrun.collector.events.journal import container_key
from componentrun.collector.metrics import Metrics
from componentrun.collector.readers.api.response import Answer
from componentrun.collector.readers.sink import ContainerSink, Inbox
from componentrun.collector.runs.facts import pod_facts
from componentrun.core.redact.redactor import Redactor
from tests.unit.collector.runs import raw_pod

if TYPE_CHECKING:
    from componentrun.collector.events.journal import Journal
    from tests.unit.collector.node import NodeLog

KEY = container_key("pod-uid", names.COMPONENT)


def sink_of(journal: Journal, container: str = names.COMPONENT, redactor: Redactor | None = None) -> ContainerSink:
    inbox = Inbox(journal, asyncio.Event(), Metrics())
    return ContainerSink(inbox, pod_facts(raw_pod(uid="pod-uid")), container, redactor or Redactor())


def read(node: NodeLog, journal: Journal) -> Answer:
    """Make one request and read its answer to the end."""
    sink = sink_of(journal)
    answer = Answer(sink.position)
    for lines in answer.feed(node.answer(sink.position.floor)):
        sink.take(lines)
    sink.settle()
    return answer

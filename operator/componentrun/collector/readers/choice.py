"""Chooses the reader of a container's log.

A log is read to its end by the reader that began it, if possible: the positions of the two readers can't be converted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from componentrun.api import names
from componentrun.collector.events.journal import container_key
from componentrun.collector.readers.api.end import Pace
from componentrun.collector.readers.api.follower import Follower
from componentrun.collector.readers.api.lines import SECOND, stamp_of
from componentrun.collector.readers.api.position import Position
from componentrun.collector.readers.node.follower import FileFollower, Source
from componentrun.collector.readers.node.position import FilePosition

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.collector.readers.api.follower import Sink, View
    from componentrun.collector.readers.node.servers import NodeLogs
    from componentrun.collector.readers.sink import Inbox
    from componentrun.collector.runs.facts import ContainerFacts, PodFacts
    from componentrun.process.kubernetes.client import Kube

__all__ = ["LogFollower", "ReaderChoice"]

_OLD: Final = timedelta(seconds=10)


class LogFollower(Protocol):
    """Reads one container's log to its end."""

    @property
    def open(self) -> bool:
        """Whether a request is open, and all received lines were passed on."""

    @property
    def heard(self) -> float:
        """When the last byte arrived."""

    def has_read_all(self, since: float) -> bool:
        """Whether a check after this time found no unread line, and nothing arrived since; else, start a check."""

    def tick(self, ended_for: float) -> None:
        """Called periodically once the container has ended, with the seconds since then."""

    def nudge(self) -> None:
        """Check the state of the container again."""

    async def run(self) -> None:
        """Read the log to its end."""


@dataclass(frozen=True, slots=True)
class ReaderChoice:
    """Makes followers."""

    kube: Kube
    nodes: NodeLogs | None = None
    """None if logs are read over the Kubernetes API."""
    pace: Pace = field(default_factory=Pace)
    """Limits how often silent logs are checked."""

    def follower(
        self, pod: PodFacts, container: ContainerFacts, view: Callable[[], View], sink: Sink, inbox: Inbox
    ) -> LogFollower:
        """A follower that continues where this container's log was read to."""
        key = container_key(pod.uid, container.name)
        position = inbox.journal.known_position(key)
        # Log servers serve containers of runs only.
        nodes = self.nodes if pod.build is None else None
        if nodes is not None and not (isinstance(position, Position) and position.lines):
            if not isinstance(position, FilePosition):
                position = FilePosition()
                inbox.journal.begin(key, position)
            where = (pod.namespace, pod.name, pod.uid, container.name)
            source = Source(nodes, pod.node, where, _started(container))
            return FileFollower(source, view, sink, position, inbox.metrics)
        if isinstance(position, FilePosition):
            _change(key, pod, container, position, inbox)
        return Follower(
            self.kube,
            (pod.namespace, pod.name, container.name),
            view,
            sink,
            inbox.metrics,
            late=inbox.journal.position(key).lines > 0 or _is_old(container),
            # The agents write each line together with its newline.
            ends_lines=pod.build is None and not names.is_program(container.name),
            pace=self.pace,
        )


def _change(key: str, pod: PodFacts, container: ContainerFacts, position: FilePosition, inbox: Inbox) -> None:
    """Continue over the API after the time of the last line, because the log servers were removed."""
    inbox.journal.begin(key, Position.behind(position.newest, position.lines))
    if position.lines:
        inbox.problem(
            f"changed {key}",
            f"lines of container `{container.name}` of pod `{pod.name}` within a few milliseconds of "
            f"{stamp_of(position.newest)} may be missing: from there on the log is read over the Kubernetes API, as "
            "`collector.reader` was changed while it was read from its node",
        )


def _is_old(container: ContainerFacts) -> bool:
    """Whether it was started some time ago."""
    return container.started_at is not None and datetime.now(UTC) - container.started_at > _OLD


def _started(container: ContainerFacts) -> int:
    if container.started_at is None or container.restarts:
        return 0
    return int(container.started_at.timestamp()) * SECOND

"""The two ways to read a container's log, and which one is taken.

What was begun one way is ended that way where it can be: a position of one way says nothing to the other.
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
        """Whether it listens to the container now, and has given on all that came."""

    @property
    def heard(self) -> float:
        """When the last byte came."""

    def has_read_all(self, since: float) -> bool:
        """Whether the log was looked at after this time, had no line that was not read, and nothing came since.

        A look begins if there was none.
        """

    def tick(self, ended_for: float) -> None:
        """Called now and then, once the container has ended: so many seconds ago."""

    def nudge(self) -> None:
        """Something has changed about the container."""

    async def run(self) -> None:
        """Read to the end."""


@dataclass(frozen=True, slots=True)
class ReaderChoice:
    """Makes followers."""

    kube: Kube
    nodes: NodeLogs | None = None
    """None: logs are read over the Kubernetes API."""
    pace: Pace = field(default_factory=Pace)
    """When silent logs are looked at."""

    def follower(
        self, pod: PodFacts, container: ContainerFacts, view: Callable[[], View], sink: Sink, inbox: Inbox
    ) -> LogFollower:
        """One that goes on where this container's log was read to."""
        key = container_key(pod.uid, container.name)
        place = inbox.journal.place(key)
        if self.nodes is not None and not (isinstance(place, Position) and place.lines):
            if not isinstance(place, FilePosition):
                place = FilePosition()
                inbox.journal.begin(key, place)
            where = (pod.namespace, pod.name, pod.uid, container.name)
            source = Source(self.nodes, pod.node, where, _started(container))
            return FileFollower(source, view, sink, place, inbox.metrics)
        if isinstance(place, FilePosition):
            _change(key, pod, container, place, inbox)
        return Follower(
            self.kube,
            (pod.namespace, pod.name, container.name),
            view,
            sink,
            inbox.metrics,
            late=inbox.journal.position(key).lines > 0 or _is_old(container),
            # The agents are ours: each of their lines is written with its newline at once.
            ends_lines=container.name != names.COMPONENT,
            pace=self.pace,
        )


def _change(key: str, pod: PodFacts, container: ContainerFacts, place: FilePosition, inbox: Inbox) -> None:
    """Go on over the API behind the time of the last line: the log servers were taken away."""
    inbox.journal.begin(key, Position.behind(place.newest, place.lines))
    if place.lines:
        inbox.problem(
            f"changed {key}",
            f"lines of container `{container.name}` of pod `{pod.name}` within a few milliseconds of "
            f"{stamp_of(place.newest)} may be missing: from there on the log is read over the Kubernetes API, as "
            "`collector.reader` was changed while it was read from its node",
        )


def _is_old(container: ContainerFacts) -> bool:
    """Whether it has run for a while without being followed."""
    return container.started_at is not None and datetime.now(UTC) - container.started_at > _OLD


def _started(container: ContainerFacts) -> int:
    if container.started_at is None or container.restarts:
        return 0
    return int(container.started_at.timestamp()) * SECOND

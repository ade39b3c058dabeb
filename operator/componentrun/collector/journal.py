"""Events that wait for their segment, and the checkpoint that goes with them. Pure.

A line changes the journal in one step: it becomes an event, and the position of its container moves behind it. So
whenever the journal is cut, what the checkpoint says was read is exactly what this segment and those before it hold.

Containers are read side by side, so what came first is not always said first: within a segment events stand in the
order of their times, and those of one source in the order in which it gave them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.collector.lastwords import LastWords
from componentrun.collector.lifecycle import SOURCE
from componentrun.collector.lines import stamp_of
from componentrun.collector.position import Position
from componentrun.collector.structure import Said, cut, said
from componentrun.storage.events import MAX_SEGMENT_EVENTS, Event

if TYPE_CHECKING:
    from componentrun.collector.facts import RunFacts
    from componentrun.collector.lifecycle import Told
    from componentrun.collector.lines import Line
    from componentrun.core.redactor import Redactor

__all__ = ["SEGMENT_BYTES", "Cut", "Journal", "container_key"]

SEGMENT_BYTES: Final = 256 * 1024
_CHECKPOINT_FORMAT: Final = 1
_OVERHEAD: Final = 200
"""Bytes of an event without message, params, component and configuration."""
_MOST_PROBLEMS: Final = 20
_LAST: Final = 2**63
"""Behind every time."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One segment, ready to be written."""

    first_seq: int
    events: tuple[Event, ...]
    checkpoint: dict[str, Any]
    size: int
    """Bytes, about."""
    oldest: int
    """Time of the oldest line in it, nanoseconds; 0: it holds no line."""


def container_key(pod_uid: str, container: str) -> str:
    """What a container is called in the checkpoint."""
    return f"{pod_uid}/{container}"


class Journal:
    """One run's events that are not written yet, and all that the next segment's checkpoint must say.

    Attributes:
        next_seq: number of the next event.
        size: bytes of the events that wait, about.
        finished: the last event was said.
        problems: what could not be delivered, in sentences.
    """

    def __init__(self, run: RunFacts) -> None:
        """Begin with a run's first event; `resume` goes on with a later one."""
        self._run = run
        self.next_seq = 1
        self.size = 0
        self.finished = False
        self.problems: list[str] = []
        self._waiting: list[tuple[int, int, Said, str, int | None]] = []
        """Place, time, what, source and attempt of each event. Its place is its time, or that of a later one before it
        from the same source."""
        self._latest: dict[str, int] = {}
        self._oldest = 0
        self._positions: dict[str, Position] = {}
        self._done: set[str] = set()
        self._told: set[str] = set()
        self._words = LastWords()

    @property
    def full(self) -> bool:
        """Whether nothing should be added before the next cut."""
        return self.size >= SEGMENT_BYTES or len(self._waiting) >= MAX_SEGMENT_EVENTS

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._waiting

    def position(self, key: str) -> Position:
        """How far a container's log was read."""
        return self._positions.setdefault(key, Position())

    def done(self, key: str) -> bool:
        """Whether all of a container's lines are in."""
        return key in self._done

    def has_done(self, pod_uid: str) -> bool:
        """Whether the log of any container of a pod was read to its end, and none only in part."""
        return any(key.startswith(container_key(pod_uid, "")) for key in self._done) and not any(
            key.startswith(container_key(pod_uid, "")) for key in self._positions
        )

    def line(self, key: str, source: str, line: Line, redactor: Redactor, *, attempt: int | None = None) -> Said:
        """A line of a container becomes an event."""
        what = said(line.text, redactor)
        if source == names.COMPONENT:
            self._words.add(key, what.message)
        self._append(line.time, what, source, attempt)
        self.position(key).add(line)
        self._oldest = min(self._oldest or line.time, line.time)
        return what

    def last_words(self, pod_uid: str | None) -> str | None:
        """The end of what the component of this pod printed, as far as it was read here; None: nothing.

        Not in the checkpoint: a collector that took over knows what it has read itself.
        """
        return self._words.of(container_key(pod_uid or "", names.COMPONENT))

    def told(self, told: Told, redactor: Redactor, *, last: bool = False) -> bool:
        """Something about the run becomes an event, unless it was said before. Returns whether it was new."""
        if told.key in self._told:
            return False
        self._told.add(told.key)
        params = redactor.value(told.params)
        what = Said(told.type, cut(redactor.text(told.message)), params)
        self._append(told.time, what, SOURCE, told.attempt, last=last)
        return True

    def problem(self, told: Told) -> None:
        """Lines are missing, or may be: an event says so, and the run's status will."""
        if told.key not in self._told:
            self._told.add(told.key)
            self._append(told.time, Said(told.type, cut(told.message), told.params), SOURCE, told.attempt)
            if len(self.problems) < _MOST_PROBLEMS:
                self.problems.append(told.message)

    def finish_container(self, key: str) -> None:
        """All of a container's lines are in; its position is of no use any more."""
        self._done.add(key)
        self._positions.pop(key, None)

    def finish(self, told: Told, redactor: Redactor) -> None:
        """The run's last event."""
        self.told(told, redactor, last=True)
        self.finished = True

    def cut(self) -> Cut:
        """Take all events out; there must be some."""
        first = self.next_seq - len(self._waiting)
        ordered = sorted(self._waiting, key=lambda item: item[0])
        events = tuple(self._event(seq, *item[1:]) for seq, item in enumerate(ordered, first))
        segment = Cut(first, events, self.checkpoint(), self.size, self._oldest)
        self._waiting, self.size, self._oldest = [], 0, 0
        self._latest.clear()
        return segment

    def checkpoint(self) -> dict[str, Any]:
        """All that is needed to go on behind the events so far."""
        return {
            "format": _CHECKPOINT_FORMAT,
            "containers": {key: position.to_json() for key, position in sorted(self._positions.items())},
            "done": sorted(self._done),
            "told": sorted(self._told),
            "problems": list(self.problems),
            "finished": self.finished,
        }

    @classmethod
    def resume(cls, run: RunFacts, next_seq: int, checkpoint: dict[str, Any]) -> Journal:
        """Go on behind a segment.

        Raises:
            ValueError: the checkpoint is of a later release.
        """
        if checkpoint.get("format") != _CHECKPOINT_FORMAT:
            raise ValueError(f"the checkpoint has format {checkpoint.get('format')!r}; expected {_CHECKPOINT_FORMAT}")
        self = cls(run)
        self.next_seq = next_seq
        self.finished = bool(checkpoint["finished"])
        self.problems = list(checkpoint["problems"])
        self._positions = {key: Position.from_json(item) for key, item in checkpoint["containers"].items()}
        self._done, self._told = set(checkpoint["done"]), set(checkpoint["told"])
        return self

    def _event(self, seq: int, time: int, what: Said, source: str, attempt: int | None) -> Event:
        run = self._run
        return Event(
            id=f"{run.uid}-{seq}",
            seq=seq,
            time=stamp_of(time),
            run=run.uid,
            component=run.component,
            configuration=run.configuration,
            type=what.type,
            message=what.message,
            params=what.params,
            source=source,
            attempt=attempt,
        )

    def _append(self, time: int, what: Said, source: str, attempt: int | None, *, last: bool = False) -> None:
        run = self._run
        place = _LAST if last else max(time, self._latest.get(source, 0))
        self._latest[source] = place
        self._waiting.append((place, time, what, source, attempt))
        self.next_seq += 1
        params = len(json.dumps(what.params)) if what.params else 0
        self.size += _OVERHEAD + len(what.message) + params + len(run.component) + len(run.configuration)

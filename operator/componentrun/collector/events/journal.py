"""Events that wait for their segment, and the checkpoint that goes with them. Pure.

Lines change the journal in one step: they become events, and the position of their container moves behind them. So
whenever a segment is taken, what the checkpoint says was read is exactly what this segment and those before it hold.

A run may have so many events and bytes of messages (`Limits`). What its component prints beyond them is read and
counted, and an event says so when it begins, and how much it was at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.collector.events.buildlines import BuildLinesTaken
from componentrun.collector.events.pending import Entry, PendingEvents, PlainEvents
from componentrun.collector.events.segment import ReadySegment
from componentrun.collector.readers.api.position import Position
from componentrun.collector.readers.grouping import Block, Group
from componentrun.collector.readers.node.position import FilePosition
from componentrun.collector.readers.structure import EventContent, limit_params, parse_groups, truncate
from componentrun.collector.runs.lastwords import LastWords
from componentrun.collector.runs.lifecycle import SOURCE, LifecycleEvent
from componentrun.core.podstatus.results import counted
from componentrun.core.redact.lines import LineRedactor
from componentrun.core.redact.masks import REFUSALS, Masks
from componentrun.storage.events.segments import MAX_SEGMENT_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.collector.readers.line import Line
    from componentrun.collector.runs.facts import RunFacts
    from componentrun.core.redact.lines import AnyRedactor

__all__ = ["SEGMENT_BYTES", "Journal", "Limits", "container_key"]

SEGMENT_BYTES: Final = 256 * 1024
_SEGMENT_EVENTS: Final = MAX_SEGMENT_EVENTS * 3 // 4
"""So that what several containers hand in at the same time still has room."""
_CHECKPOINT_FORMAT: Final = 1
_OVERHEAD: Final = 200
"""Bytes of an event without message, params, component and configuration."""
_MOST_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Maximum that a run's component may print. Further lines are only counted."""

    events: int = 5_000_000
    bytes: int = 2**30
    """Of printed lines."""


_DEFAULT_LIMITS: Final = Limits()


def container_key(pod_uid: str, container: str) -> str:
    """Key of a container in the checkpoint."""
    return f"{pod_uid}/{container}"


class Journal:
    """The events of one run that are not written yet, and the checkpoint of the next segment.

    Attributes:
        next_seq: number of the next event.
        size: approximate bytes of the pending events.
        room: bytes of pending events that the memory budget allows.
        finished: whether the run's last event was added.
        problems: what could not be delivered, in sentences; the most important first.
        masks: values that lines of the run asked to redact.
        builds: how many lines of builds the run has.
    """

    def __init__(self, run: RunFacts, limits: Limits = _DEFAULT_LIMITS) -> None:
        """Begin with a run's first event; `resume` goes on with a later one."""
        self._run, self._limits = run, limits
        self.next_seq = 1
        self.size = 0
        self.room = SEGMENT_BYTES
        self.finished = False
        self.problems: list[str] = []
        self._waiting = PendingEvents()
        self._overhead = _OVERHEAD + len(run.component) + len(run.configuration)
        self._oldest = 0
        self._positions: dict[str, Position | FilePosition] = {}
        self._done: set[str] = set()
        self._lifecycle_keys: set[str] = set()
        self.masks = Masks()
        self._key_lines: dict[str, int] = {}
        """Of each container in the middle of a private key, how many lines of it may still follow."""
        self._words = LastWords()
        self._printed = 0
        """Bytes of the component's lines that became events."""
        self._left_lines = 0
        self._left_bytes = 0
        """What the component printed beyond the limits."""
        self.builds = BuildLinesTaken()

    @property
    def full(self) -> bool:
        """Whether a segment should be taken before anything is added."""
        return self.size >= self.room or self._waiting.count >= _SEGMENT_EVENTS

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._waiting.count

    def position(self, key: str) -> Position:
        """How far a container's log was read over the API."""
        found = self._positions.setdefault(key, Position())
        if not isinstance(found, Position):
            raise TypeError(f"{key} is read from the files of its node")
        return found

    def known_position(self, key: str) -> Position | FilePosition | None:
        """How far a container's log was read, by either reader; None if it was not requested yet."""
        return self._positions.get(key)

    def begin(self, key: str, position: Position | FilePosition) -> None:
        """Read a container's log from this position on."""
        self._positions[key] = position

    def done(self, key: str) -> bool:
        """Whether all of a container's lines are in."""
        return key in self._done

    def has_done(self, pod_uid: str) -> bool:
        """Whether the log of any container of a pod was read to its end, and none only in part."""
        return any(key.startswith(container_key(pod_uid, "")) for key in self._done) and not any(
            key.startswith(container_key(pod_uid, "")) for key in self._positions
        )

    def take(
        self,
        key: str,
        groups: Sequence[Group | Block],
        lines: Sequence[Line],
        redactor: AnyRedactor,
        *,
        source: str,
        attempt: int | None = None,
        limited: bool = False,
    ) -> None:
        """Lines of a container become events.

        Args:
            key: of the container.
            groups: what becomes an event each, or of a block an event for each line.
            lines: the lines of all groups, in the order in which they stand in the log.
            redactor: takes secrets out.
            source: where they come from.
            attempt: the attempt that they belong to.
            limited: they count for the run's limits, and are left out beyond them.
        """
        size = sum([len(line.text) for line in lines]) if limited else 0
        if limited and self._is_beyond_limits(groups[0].time, attempt):
            self._left_lines += len(lines)
            self._left_bytes += size
        else:
            contents = parse_groups(groups, redactor)
            self._append_all(groups, contents, source, attempt)
            if isinstance(redactor, LineRedactor):
                self._note_lines(key, redactor, groups[-1].time, attempt)
            if names.is_program(source):
                self._words.extend(key, _messages(contents))
            self._printed += size
            oldest = min([group.oldest for group in groups])
            self._oldest = min(self._oldest or oldest, oldest)
        (self._positions.get(key) or self.position(key)).add(lines)

    def take_build(
        self, key: str, groups: Sequence[Group | Block], lines: Sequence[Line], redactor: LineRedactor, *, step: str
    ) -> None:
        """Lines of a build become events of a run that waits for it, see `take`.

        They count for a limit of their own: builds must not take the room of what the run's component prints.

        Args:
            key: of the container.
            groups: what becomes an event each, or of a block an event for each line.
            lines: the lines of all groups.
            redactor: takes secrets out.
            step: of the build.
        """
        if self.builds.take(lines):
            for group, what in zip(groups, parse_groups(groups, redactor), strict=True):
                for time, content in _build_events(group, what):
                    params = limit_params({**content.params, "step": step})
                    self._append(time, EventContent(content.type, content.message, params), names.BUILD, None)
            self._note_lines(key, redactor, groups[-1].time, None)
            if redactor.has_masks:
                self.builds.masked.add(key.partition("/")[0])
            oldest = min([group.oldest for group in groups])
            self._oldest = min(self._oldest or oldest, oldest)
        else:
            self.problem(LifecycleEvent("build limit", groups[0].time, "warn", self.builds.limit_message))
        (self._positions.get(key) or self.position(key)).add(lines)

    def key_lines(self, key: str) -> int:
        """See `LineRedactor.key_lines`: how it was when the last line of the container was taken."""
        return self._key_lines.get(key, 0)

    def _note_lines(self, key: str, redactor: LineRedactor, time: int, attempt: int | None) -> None:
        """What the lines that were just taken mean for later ones."""
        if redactor.key_lines:
            self._key_lines[key] = redactor.key_lines
        else:
            self._key_lines.pop(key, None)
        for why in redactor.refused():
            message = f"a value in an `::add-mask::` line is not hidden: {REFUSALS[why]}"
            self.add_lifecycle(LifecycleEvent(f"mask {why}", time, "warn", message, {}, attempt), redactor)

    def is_at_limits(self, lines: Sequence[Line], held: tuple[int, int], step: str = "") -> bool:
        """Whether the last event or byte that the run may have is among these lines, or those of which it is held.

        Args:
            lines: the next lines.
            held: number and size of the lines that are held before them.
            step: of the build that has printed them; empty: a container of the run has.
        """
        if step:
            return self.builds.ends_in(lines, held)
        events, size = self._limits.events + 1 - self.next_seq, self._limits.bytes - self._printed
        if events <= 0 or size <= 0:
            return False  # all of them are beyond
        return len(lines) + held[0] > events or sum([line.size for line in lines]) + held[1] >= size

    def _append_all(
        self,
        groups: Sequence[Group | Block],
        contents: Sequence[EventContent | Block],
        source: str,
        attempt: int | None,
    ) -> None:
        count, size = self._waiting.count, 0
        for group, what in zip(groups, contents, strict=True):
            if isinstance(what, Block):
                self._waiting.add(PlainEvents(what.times, what.texts, source, attempt))
                size += sum(map(len, what.texts))
            elif what.params or what.type != "info":
                self._waiting.add(Entry(group.time, what, source, attempt))
                # What the params take is about what they took in the line.
                size += group.characters if what.params and isinstance(group, Group) else len(what.message)
            else:
                self._waiting.add_plain(group.time, what.message, source, attempt)
                size += len(what.message)
        count = self._waiting.count - count
        self.next_seq += count
        self.size += size + self._overhead * count

    def _is_beyond_limits(self, time: int, attempt: int | None) -> bool:
        limits = self._limits
        if self.next_seq <= limits.events and self._printed < limits.bytes:
            return False
        most = f"{limits.events:,} events" if self.next_seq > limits.events else f"{limits.bytes:,} bytes of lines"
        message = (
            f"the run has {most}, the most that a run may have: what the component prints from here on is left out"
        )
        self.problem(LifecycleEvent("limit", time, "warn", message, {}, attempt))
        return True

    def last_words(self, pod_uid: str | None, container: str = names.COMPONENT) -> str | None:
        """The end of what a program of this pod printed, as far as it was read here; None: nothing.

        Not in the checkpoint: a collector that took over knows what it has read itself.
        """
        return self._words.of(container_key(pod_uid or "", container))

    def add_lifecycle(self, event: LifecycleEvent, redactor: AnyRedactor, *, last: bool = False) -> bool:
        """Add a life-cycle event, unless one with its key was added before. Returns whether it was added."""
        if event.key in self._lifecycle_keys or event.former_key in self._lifecycle_keys:
            return False
        self._lifecycle_keys.add(event.key)
        params = limit_params(redactor.value(event.params))
        what = EventContent(event.type, truncate(redactor.text(event.message)), params)
        self._append(event.time, what, SOURCE, event.attempt, last=last)
        return True

    def problem(self, event: LifecycleEvent, *, first: bool = False) -> None:
        """Add an event about missing lines. The run's status repeats it, as the first problem if `first` is set."""
        if event.key not in self._lifecycle_keys:
            self._lifecycle_keys.add(event.key)
            self._append(
                event.time, EventContent(event.type, truncate(event.message), event.params), SOURCE, event.attempt
            )
            if first:
                self.problems.insert(0, event.message)
            elif len(self.problems) < _MOST_PROBLEMS:
                self.problems.append(event.message)

    def finish_container(self, key: str) -> None:
        """All of a container's lines are in; its position is of no use any more."""
        self._done.add(key)
        self._key_lines.pop(key, None)
        self._positions.pop(key, None)

    def finish(self, event: LifecycleEvent, redactor: AnyRedactor) -> None:
        """Add the run's last event, preceded by one about lines beyond the limits."""
        if self.builds.left_lines:
            params = {"lines": self.builds.left_lines, "bytes": self.builds.left_bytes}
            self.problem(LifecycleEvent("build left out", event.time, "warn", self.builds.left_message, params))
        if self._left_lines:
            size = f"{counted(self._left_lines, 'line')} of {self._left_bytes:,} bytes"
            message = f"{size} were left out: the run printed too much"
            params = {"lines": self._left_lines, "bytes": self._left_bytes}
            self.problem(LifecycleEvent("left out", event.time, "warn", message, params), first=True)
        self.add_lifecycle(event, redactor, last=True)
        self.finished = True

    def take_segment(self) -> ReadySegment:
        """Take all pending events as a segment. There must be some."""
        first = self.next_seq - self._waiting.count
        segment = ReadySegment(first, self._run, self._waiting.take(), self.checkpoint(), self.size, self._oldest)
        self.size, self._oldest = 0, 0
        return segment

    def checkpoint(self) -> dict[str, Any]:
        """All that is needed to go on behind the events so far."""
        return {
            "format": _CHECKPOINT_FORMAT,
            "containers": {key: position.to_json() for key, position in sorted(self._positions.items())},
            "done": sorted(self._done),
            "told": sorted(self._lifecycle_keys),
            "problems": list(self.problems),
            "finished": self.finished,
            "printed": self._printed,
            "left": [self._left_lines, self._left_bytes],
            "masks": self.masks.to_json(),
            "keys": dict(sorted(self._key_lines.items())),
            "builds": self.builds.to_json(),
        }

    @classmethod
    def resume(
        cls, run: RunFacts, next_seq: int, checkpoint: dict[str, Any], limits: Limits = _DEFAULT_LIMITS
    ) -> Journal:
        """Go on behind a segment.

        Raises:
            ValueError: the checkpoint is of a later release.
        """
        if checkpoint.get("format") != _CHECKPOINT_FORMAT:
            raise ValueError(f"the checkpoint has format {checkpoint.get('format')!r}; expected {_CHECKPOINT_FORMAT}")
        self = cls(run, limits)
        self.next_seq = next_seq
        self.finished = bool(checkpoint["finished"])
        self.problems = list(checkpoint["problems"])
        self._positions = {key: _position_of(item) for key, item in checkpoint["containers"].items()}
        self._done, self._lifecycle_keys = set(checkpoint["done"]), set(checkpoint["told"])
        # Checkpoints of earlier releases know of no limits.
        self._printed = int(checkpoint.get("printed", 0))
        self._left_lines, self._left_bytes = (int(value) for value in checkpoint.get("left", (0, 0)))
        self.masks = Masks(checkpoint.get("masks"))
        self._key_lines = {key: int(lines) for key, lines in checkpoint.get("keys", {}).items()}
        self.builds = BuildLinesTaken.from_json(checkpoint.get("builds") or {})
        return self

    def _append(self, time: int, what: EventContent, source: str, attempt: int | None, *, last: bool = False) -> None:
        self._waiting.add(Entry(time, what, source, attempt), last=last)
        self.next_seq += 1
        self.size += self._overhead + len(what.message)
        if what.params:
            self.size += _size(what.params)


def _build_events(group: Group | Block, what: EventContent | Block) -> Iterator[tuple[int, EventContent]]:
    """The events of a group with their times, each by itself."""
    if isinstance(what, Block):
        for time, text in zip(what.times, what.texts, strict=True):
            yield time, EventContent("info", text)
    else:
        yield group.time, what


def _position_of(document: dict[str, Any]) -> Position | FilePosition:
    return FilePosition.from_json(document) if "file" in document else Position.from_json(document)


def _messages(contents: Sequence[EventContent | Block]) -> list[str]:
    messages: list[str] = []
    for what in contents:
        messages += what.texts if isinstance(what, Block) else (what.message,)
    return messages


def _size(value: Any) -> int:
    """Bytes of a JSON value, about."""
    if isinstance(value, str):
        return len(value) + 4
    if isinstance(value, dict):
        return sum(_size(key) + _size(item) for key, item in value.items()) + 2
    if isinstance(value, list):
        return sum(map(_size, value)) + 2
    return 8

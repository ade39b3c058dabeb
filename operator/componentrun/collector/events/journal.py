"""Events that wait for their segment, and the checkpoint that goes with them. Pure.

Lines change the journal in one step: they become events, and the position of their container moves behind them. So
whenever the journal is cut, what the checkpoint says was read is exactly what this segment and those before it hold.

A run may have so many events and bytes of messages (`Limits`). What its component prints beyond them is read and
counted, and an event says so when it begins, and how much it was at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.collector.events.pending import Entry, Plain, Waiting
from componentrun.collector.events.segment import ReadySegment
from componentrun.collector.readers.api.position import Position
from componentrun.collector.readers.grouping import Block, Group
from componentrun.collector.readers.node.position import FilePosition
from componentrun.collector.readers.structure import Said, cut, limited, said_by_all
from componentrun.collector.runs.lastwords import LastWords
from componentrun.collector.runs.lifecycle import SOURCE, Told
from componentrun.core.podstatus.results import counted
from componentrun.core.redact.lines import LineRedactor
from componentrun.core.redact.masks import REFUSALS, Masks
from componentrun.storage.events.segments import MAX_SEGMENT_EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """What a run's component may print; what is beyond it is only counted."""

    events: int = 5_000_000
    bytes: int = 2**30
    """Of printed lines."""


_DEFAULT_LIMITS: Final = Limits()


def container_key(pod_uid: str, container: str) -> str:
    """What a container is called in the checkpoint."""
    return f"{pod_uid}/{container}"


class Journal:
    """One run's events that are not written yet, and all that the next segment's checkpoint must say.

    Attributes:
        next_seq: number of the next event.
        size: bytes of the events that wait, about.
        room: bytes that may wait; whoever gives the memory sets it.
        finished: the last event was said.
        problems: what could not be delivered, in sentences; what weighs most stands first.
        masks: values that lines of the run asked to have hidden.
    """

    def __init__(self, run: RunFacts, limits: Limits = _DEFAULT_LIMITS) -> None:
        """Begin with a run's first event; `resume` goes on with a later one."""
        self._run, self._limits = run, limits
        self.next_seq = 1
        self.size = 0
        self.room = SEGMENT_BYTES
        self.finished = False
        self.problems: list[str] = []
        self._waiting = Waiting()
        self._overhead = _OVERHEAD + len(run.component) + len(run.configuration)
        self._oldest = 0
        self._positions: dict[str, Position | FilePosition] = {}
        self._done: set[str] = set()
        self._told: set[str] = set()
        self.masks = Masks()
        self._key_lines: dict[str, int] = {}
        """Of each container in the middle of a private key, how many lines of it may still follow."""
        self._words = LastWords()
        self._printed = 0
        """Bytes of the component's lines that became events."""
        self._left_lines = 0
        self._left_bytes = 0
        """What the component printed beyond the limits."""

    @property
    def full(self) -> bool:
        """Whether nothing should be added before the next cut."""
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

    def place(self, key: str) -> Position | FilePosition | None:
        """How far a container's log was read, by whichever way; None: nothing was asked for yet."""
        return self._positions.get(key)

    def begin(self, key: str, place: Position | FilePosition) -> None:
        """A container's log is read from there on."""
        self._positions[key] = place

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
            told = said_by_all(groups, redactor)
            self._append_all(groups, told, source, attempt)
            if isinstance(redactor, LineRedactor):
                self._note_lines(key, redactor, groups[-1].time, attempt)
            if source == names.COMPONENT:
                self._words.extend(key, _messages(told))
            self._printed += size
            oldest = min([group.oldest for group in groups])
            self._oldest = min(self._oldest or oldest, oldest)
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
            self.told(Told(f"mask {why}", time, "warn", message, {}, attempt), redactor)

    def is_at_limits(self, lines: Sequence[Line], held: tuple[int, int]) -> bool:
        """Whether the last event or byte that the run may have is among these lines, or those of which it is held."""
        events, size = self._limits.events + 1 - self.next_seq, self._limits.bytes - self._printed
        if events <= 0 or size <= 0:
            return False  # all of them are beyond
        return len(lines) + held[0] > events or sum([line.size for line in lines]) + held[1] >= size

    def _append_all(
        self, groups: Sequence[Group | Block], told: Sequence[Said | Block], source: str, attempt: int | None
    ) -> None:
        count, size = self._waiting.count, 0
        for group, what in zip(groups, told, strict=True):
            if isinstance(what, Block):
                self._waiting.add(Plain(what.times, what.texts, source, attempt))
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
        self.problem(Told("limit", time, "warn", message, {}, attempt))
        return True

    def last_words(self, pod_uid: str | None) -> str | None:
        """The end of what the component of this pod printed, as far as it was read here; None: nothing.

        Not in the checkpoint: a collector that took over knows what it has read itself.
        """
        return self._words.of(container_key(pod_uid or "", names.COMPONENT))

    def told(self, told: Told, redactor: AnyRedactor, *, last: bool = False) -> bool:
        """Something about the run becomes an event, unless it was said before. Returns whether it was new."""
        if told.key in self._told:
            return False
        self._told.add(told.key)
        params = limited(redactor.value(told.params))
        what = Said(told.type, cut(redactor.text(told.message)), params)
        self._append(told.time, what, SOURCE, told.attempt, last=last)
        return True

    def problem(self, told: Told, *, first: bool = False) -> None:
        """Lines are missing, or may be: an event says so, and the run's status will, `first` where it weighs most."""
        if told.key not in self._told:
            self._told.add(told.key)
            self._append(told.time, Said(told.type, cut(told.message), told.params), SOURCE, told.attempt)
            if first:
                self.problems.insert(0, told.message)
            elif len(self.problems) < _MOST_PROBLEMS:
                self.problems.append(told.message)

    def finish_container(self, key: str) -> None:
        """All of a container's lines are in; its position is of no use any more."""
        self._done.add(key)
        self._key_lines.pop(key, None)
        self._positions.pop(key, None)

    def finish(self, told: Told, redactor: AnyRedactor) -> None:
        """The run's last event, and before it what was left out."""
        if self._left_lines:
            size = f"{counted(self._left_lines, 'line')} of {self._left_bytes:,} bytes"
            message = f"{size} were left out: the run printed too much"
            params = {"lines": self._left_lines, "bytes": self._left_bytes}
            self.problem(Told("left out", told.time, "warn", message, params), first=True)
        self.told(told, redactor, last=True)
        self.finished = True

    def cut(self) -> ReadySegment:
        """Take all events out; there must be some."""
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
            "told": sorted(self._told),
            "problems": list(self.problems),
            "finished": self.finished,
            "printed": self._printed,
            "left": [self._left_lines, self._left_bytes],
            "masks": self.masks.to_json(),
            "keys": dict(sorted(self._key_lines.items())),
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
        self._done, self._told = set(checkpoint["done"]), set(checkpoint["told"])
        # Checkpoints of earlier releases know of no limits.
        self._printed = int(checkpoint.get("printed", 0))
        self._left_lines, self._left_bytes = (int(value) for value in checkpoint.get("left", (0, 0)))
        self.masks = Masks(checkpoint.get("masks"))
        self._key_lines = {key: int(lines) for key, lines in checkpoint.get("keys", {}).items()}
        return self

    def _append(self, time: int, what: Said, source: str, attempt: int | None, *, last: bool = False) -> None:
        self._waiting.add(Entry(time, what, source, attempt), last=last)
        self.next_seq += 1
        self.size += self._overhead + len(what.message)
        if what.params:
            self.size += _size(what.params)


def _position_of(document: dict[str, Any]) -> Position | FilePosition:
    return FilePosition.from_json(document) if "file" in document else Position.from_json(document)


def _messages(told: Sequence[Said | Block]) -> list[str]:
    messages: list[str] = []
    for what in told:
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

"""A segment, ready to be written: what its events say, and the checkpoint that goes with them. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from componentrun.collector.lines import stamp_of
from componentrun.storage.eventlines import line_writer
from componentrun.storage.events import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.collector.facts import RunFacts
    from componentrun.collector.structure import Said

__all__ = ["Cut"]


@dataclass(frozen=True, slots=True)
class Cut:
    """One segment, ready to be written."""

    first_seq: int
    run: RunFacts
    said: tuple[tuple[int, Said, str, int | None], ...]
    """Time, what, source and attempt of each event, in their order."""
    checkpoint: dict[str, Any]
    size: int
    """Bytes, about."""
    oldest: int
    """Time of the oldest line in it, nanoseconds; 0: it holds no line."""

    @property
    def last_seq(self) -> int:
        """Number of the last event."""
        return self.first_seq + len(self.said) - 1

    @property
    def events(self) -> tuple[Event, ...]:
        """All of them as objects."""
        return tuple(self._event(at) for at in range(len(self.said)))

    def said_by(self, wanted: Callable[[str], bool]) -> tuple[Event, ...]:
        """Those of wanted sources as objects."""
        return tuple(self._event(at) for at, (_, _, source, _) in enumerate(self.said) if wanted(source))

    @property
    def ends(self) -> tuple[Event, Event]:
        """The first event, and the one with the latest time."""
        return self._event(0), self._event(max(range(len(self.said)), key=lambda at: self.said[at][0]))

    @property
    def counts(self) -> Counter[str]:
        """How many events there are of each type."""
        return Counter(what.type for _, what, _, _ in self.said)

    def lines(self) -> bytes:
        """All of them as they are stored."""
        run = self.run
        line = line_writer(run.uid, run.component, run.configuration)
        return "".join(
            [
                line(seq, stamp_of(time), what.type, what.message, what.params, source, attempt)
                for seq, (time, what, source, attempt) in enumerate(self.said, self.first_seq)
            ]
        ).encode(errors="backslashreplace")

    def _event(self, at: int) -> Event:
        run, seq = self.run, self.first_seq + at
        time, what, source, attempt = self.said[at]
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

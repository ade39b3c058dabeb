"""Keys of the index of runs with events. Pure.

    open/<component>/<configuration>/<run uid>       runs whose last event is not in Storage yet
    ended/all/<length>/<entry>                       runs whose events are complete, the one that ended last first
    ended/component/<component>/<length>/<entry>
    ended/configuration/<component>/<configuration>/<length>/<entry>
    unsent/<receiver>/<run uid>                      runs with events that a receiver has not received
    dead-letters/<receiver>/<run uid>                their events that it does not accept

An entry is `<end>-<begin>-<info>.<success>.<warn>.<error>-<run uid>`: the position in time of the run's last event
(inverted, so that a listing, which has only one direction, begins with the newest run) and of its first one, both in
milliseconds, and the number of events of each type. So a listing alone shows which runs are worth reading. The objects
contain the same as JSON, with component and configuration, for the sweeper and for people.

Runs are in folders by their length (`LENGTHS`). A run with events at some time ended at most its length later, so the
runs with events before a time are found by listings that begin there, however many runs ended since.

Names of components and configurations are base64, or a hash if they are too long for a part of a key.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LENGTHS", "TYPES", "EndedRun", "EventIndex"]

TYPES: Final = ("info", "success", "warn", "error")
"""Event types, in their order in entries."""
LENGTHS: Final[Mapping[str, timedelta | None]] = {
    "15m": timedelta(minutes=15),
    "6h": timedelta(hours=6),
    "6d": timedelta(days=6),
    "long": None,
}
"""Folders of ended runs, and the maximum time from the first to the last event of their runs; None: unlimited.

Each limit is about twenty times the one before. So the number of runs that a listing passes over before it reaches
those of the wanted time is at most about twenty times the number of runs that were in progress at the same time.
"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 10**13 - 1
"""Milliseconds since 1970 from which inverted times are subtracted: in the year 2286."""
_ENTRY: Final = re.compile(
    r"([0-9]{13})-([0-9]{13})-([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)-([A-Za-z0-9_-][A-Za-z0-9._-]*)"
)
_NOTHING: Final = "-"
"""Represents no configuration; shorter than any base64."""
_LONGEST_NAME: Final = 180
"""Maximum length in bytes: as base64 it is one part of a key, which file systems and MinIO limit to 255."""
_HASHED: Final = "sha256."


@dataclass(frozen=True, slots=True, order=True)
class EndedRun:
    """A run whose events are complete, from a key of the index."""

    end: datetime
    """Position in time of its last event, rounded up to a millisecond."""
    begin: datetime
    """Position in time of its first event, rounded down to a millisecond."""
    run: str
    """Uid of the run."""
    counts: Mapping[str, int] = field(compare=False)
    """Number of events of each type."""
    entered: datetime | None = field(default=None, compare=False)
    """When it was added to the index, by the store's clock; None if it does not come from a listing."""

    @property
    def rounded(self) -> EndedRun:
        """The run as its key describes it."""
        return replace(self, end=_time(_milliseconds(self.end, up=True)), begin=_time(_milliseconds(self.begin)))

    @property
    def length(self) -> str:
        """The folder of its length."""
        took = self.end - self.begin
        return next(name for name, limit in LENGTHS.items() if limit is None or took <= limit)

    @property
    def entry(self) -> str:
        """The last part of its keys."""
        counts = ".".join(str(self.counts.get(kind, 0)) for kind in TYPES)
        end, begin = _milliseconds(self.end, up=True), _milliseconds(self.begin)
        return f"{_LAST - end:013d}-{begin:013d}-{counts}-{self.run}"

    @classmethod
    def of_key(cls, key: str, entered: datetime | None = None) -> EndedRun | None:
        """Return the run of a key; None if the key has another form."""
        found = _ENTRY.fullmatch(key.rpartition("/")[2])
        if found is None:
            return None
        end, begin, *counts, run = found.groups()
        kinds = dict(zip(TYPES, map(int, counts), strict=True))
        return cls(_time(_LAST - int(end)), _time(int(begin)), run, kinds, entered)

    def to_json(self, component: str, configuration: str) -> dict[str, Any]:
        """Return the content of the objects."""
        return {
            "run": self.run,
            "component": component,
            "configuration": configuration,
            "begin": self.begin.isoformat(),
            "end": self.end.isoformat(),
            "counts": {kind: self.counts.get(kind, 0) for kind in TYPES},
        }


@dataclass(frozen=True, slots=True)
class EventIndex:
    """Builds the keys. `root` is the index's prefix; all prefixes end with a slash."""

    root: str

    def open(self, component: str | None = None, configuration: str | None = None) -> str:
        """Prefix of incomplete runs: of a configuration, of a component, or all."""
        names = [_word(name) for name in (component, configuration) if name is not None]
        return "/".join([f"{self.root}open", *names, ""])

    def open_run(self, component: str, configuration: str, run: str) -> str:
        """Key of an incomplete run."""
        return self.open(component, configuration) + run

    def open_run_of(self, key: str) -> str | None:
        """Return the uid in a key below `open`; None if it has another form."""
        parts = key.removeprefix(self.open()).split("/")
        return parts[2] if len(parts) == 3 and all(parts) else None  # noqa: PLR2004 - component, configuration, run

    def ended(self, component: str | None = None, configuration: str | None = None) -> str:
        """Prefix of complete runs: of a configuration, of a component, or all. Folders by length are below it."""
        if component is None:
            return f"{self.root}ended/all/"
        if configuration is None:
            return f"{self.root}ended/component/{_word(component)}/"
        return f"{self.root}ended/configuration/{_word(component)}/{_word(configuration)}/"

    def ended_run(self, run: EndedRun, component: str, configuration: str) -> tuple[str, ...]:
        """Return all keys of a complete run.

        The sweeper uses the first key, below `component`, which is written first and deleted last.
        """
        prefixes = self.ended(component), self.ended(component, configuration), self.ended()
        return tuple(f"{prefix}{run.rounded.length}/{run.entry}" for prefix in prefixes)

    def forward_marks(self, receiver: str | None = None) -> str:
        """Prefix of runs with events that a receiver has not received; None: of the folders of all receivers."""
        return f"{self.root}unsent/" if receiver is None else f"{self.root}unsent/{_word(receiver)}/"

    def dead_letters(self, receiver: str | None = None) -> str:
        """Prefix of runs with events that a receiver does not accept; None: of the folders of all receivers."""
        return f"{self.root}dead-letters/" if receiver is None else f"{self.root}dead-letters/{_word(receiver)}/"

    def components(self) -> str:
        """Prefix of the folders of all components with complete runs."""
        return f"{self.root}ended/component/"

    @staticmethod
    def ended_before(prefix: str, time: datetime, plus: timedelta = timedelta()) -> str:
        """Start of a listing of a folder of complete runs: the keys that sort after it ended before `time + plus`."""
        end = min(_milliseconds(time, up=True) + plus // timedelta(milliseconds=1), _LAST)
        return f"{prefix}{_LAST - end:013d}-~"


def _milliseconds(time: datetime, *, up: bool = False) -> int:
    since, unit = time - _EPOCH, timedelta(milliseconds=1)
    whole = -(-since // unit) if up else since // unit
    return min(max(whole, 0), _LAST)


def _time(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _word(text: str) -> str:
    data = text.encode()
    if not data:
        return _NOTHING
    if len(data) > _LONGEST_NAME:
        return _HASHED + hashlib.sha256(data).hexdigest()
    return urlsafe_b64encode(data).decode().rstrip("=")

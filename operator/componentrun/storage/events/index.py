"""Where runs with events are found, and the keys by which they are. Pure.

    open/<component>/<configuration>/<run uid>       runs whose last event is not in Storage yet
    ended/all/<entry>                                runs whose events are complete, the one that ended last first
    ended/component/<component>/<entry>
    ended/configuration/<component>/<configuration>/<entry>
    unsent/<receiver>/<run uid>                      runs whose events a receiver has not got all
    dead-letters/<receiver>/<run uid>                events of these that it does not accept

An entry is `<end>-<begin>-<info>.<success>.<warn>.<error>-<run uid>`: the place in time of the run's last event
(counted from the other end, so that a listing, which goes one way only, begins with the newest run) and of its first
one, both in milliseconds, and how many events of each type it has. So a listing alone tells which runs are worth
reading. The objects hold the same as JSON, with component and configuration, for the sweeper and for people.

Names of components and configurations are base64, and those that are too long for a part of a key a hash.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TYPES", "EndedRun", "EventIndex"]

TYPES: Final = ("info", "success", "warn", "error")
"""Of events, in the order in which entries count them."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 10**13 - 1
"""Milliseconds since 1970 of which times are counted back: in the year 2286."""
_ENTRY: Final = re.compile(
    r"([0-9]{13})-([0-9]{13})-([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)-([A-Za-z0-9_-][A-Za-z0-9._-]*)"
)
_NOTHING: Final = "-"
"""Stands for no configuration; no base64 is as short."""
_LONGEST_NAME: Final = 180
"""Bytes: as base64 one part of a key, for which file systems and MinIO take 255."""
_HASHED: Final = "sha256."


@dataclass(frozen=True, slots=True, order=True)
class EndedRun:
    """A run whose events are complete, as a key of the index tells it."""

    end: datetime
    """Place in time of its last event, rounded up to a millisecond."""
    begin: datetime
    """Place in time of its first event, rounded down to a millisecond."""
    run: str
    """Uid."""
    counts: Mapping[str, int] = field(compare=False)
    """Events of each type."""

    @property
    def entry(self) -> str:
        """The last part of its keys."""
        counts = ".".join(str(self.counts.get(kind, 0)) for kind in TYPES)
        return f"{_LAST - _milliseconds(self.end, up=True):013d}-{_milliseconds(self.begin):013d}-{counts}-{self.run}"

    @classmethod
    def of_key(cls, key: str) -> EndedRun | None:
        """The run of a key; None where it has another form."""
        found = _ENTRY.fullmatch(key.rpartition("/")[2])
        if found is None:
            return None
        end, begin, *counts, run = found.groups()
        kinds = dict(zip(TYPES, map(int, counts), strict=True))
        return cls(_time(_LAST - int(end)), _time(int(begin)), run, kinds)

    def to_json(self, component: str, configuration: str) -> dict[str, Any]:
        """What the objects hold."""
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
    """Builds the keys. `root` is the index's prefix, with a slash at its end; so are all prefixes given back."""

    root: str

    def open(self, component: str | None = None, configuration: str | None = None) -> str:
        """Prefix of the runs that are not complete: of a configuration, of a component, or all."""
        names = [_word(name) for name in (component, configuration) if name is not None]
        return "/".join([f"{self.root}open", *names, ""])

    def open_run(self, component: str, configuration: str, run: str) -> str:
        """Key of a run that is not complete."""
        return self.open(component, configuration) + run

    def open_run_of(self, key: str) -> str | None:
        """The uid in a key below `open`; None where it has another form."""
        parts = key.removeprefix(self.open()).split("/")
        return parts[2] if len(parts) == 3 and all(parts) else None  # noqa: PLR2004 - component, configuration, run

    def ended(self, component: str | None = None, configuration: str | None = None) -> str:
        """Prefix of the runs that are complete, newest first: of a configuration, of a component, or all."""
        if component is None:
            return f"{self.root}ended/all/"
        if configuration is None:
            return f"{self.root}ended/component/{_word(component)}/"
        return f"{self.root}ended/configuration/{_word(component)}/{_word(configuration)}/"

    def ended_run(self, run: EndedRun, component: str, configuration: str) -> tuple[str, ...]:
        """All keys of a run that is complete.

        The sweeper goes by the first, below `component`: it is written first and deleted last.
        """
        return tuple(
            prefix + run.entry for prefix in (self.ended(component), self.ended(component, configuration), self.ended())
        )

    def unsent(self, receiver: str | None = None) -> str:
        """Prefix of the runs whose events a receiver has not got all; None: of the folders of all receivers."""
        return f"{self.root}unsent/" if receiver is None else f"{self.root}unsent/{_word(receiver)}/"

    def dead_letters(self, receiver: str | None = None) -> str:
        """Prefix of the runs with events that a receiver does not accept; None: of the folders of all receivers."""
        return f"{self.root}dead-letters/" if receiver is None else f"{self.root}dead-letters/{_word(receiver)}/"

    def components(self) -> str:
        """Prefix of the folders of all components that have complete runs."""
        return f"{self.root}ended/component/"

    @staticmethod
    def ended_before(prefix: str, time: datetime) -> str:
        """Where in a listing of complete runs those begin that ended before a time: list what sorts behind this."""
        return f"{prefix}{_LAST - _milliseconds(time, up=True):013d}-~"


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

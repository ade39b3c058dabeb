"""Which attempts are in a table, and which were abandoned, according to its snapshots and properties. Pure.

Loading or abandoning a run first checks this, so the information must outlive the snapshot. The commit that removes a
snapshot writes a mark of a few bytes into a property of the table: a digest of the run's uid, and the attempt.

A load asserts the snapshot that it is based on, so only one load at a time rewrites `properties.MARKS`. A commit of
maintenance does not change the current snapshot and conflicts with no other commit. Therefore it adds a property of
its own. A load merges these into `properties.MARKS` if it removes snapshots itself, or if there are many of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError, Reason
from componentrun.loader.catalog import properties

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["added_marks", "attempt_in", "has_many_parts", "is_fenced", "merged_marks", "snapshot_of"]

_LEAST_HOURS: Final = 24
"""Age up to which every mark is kept. The same as for snapshots (`maintenance.history.LEAST_HISTORY`)."""
_MOST_HOURS: Final = 72
"""Age up to which marks are kept if there are fewer than `_MANY`. No load takes this long."""
_MANY: Final = 10_000
_MANY_PARTS: Final = 25
"""Number of properties added by maintenance that a load merges even if it removes no snapshots."""
_DIGEST_BYTES: Final = 9
"""72 bits: 12 characters of base64 without padding."""
_HOUR: Final = timedelta(hours=1) / timedelta(milliseconds=1)
_PUBLISHED: Final = "."
_FENCED: Final = "!"


def snapshot_of(table: Table, run: str) -> Snapshot | None:
    """The snapshot with the load of a run; None: the run was not loaded, or the snapshot was removed."""
    return next(
        (snapshot for snapshot in reversed(table.metadata.snapshots) if _says(snapshot, properties.RUN) == run), None
    )


def attempt_in(table: Table, run: str) -> int | None:
    """The attempt of a run that was published to a table; None if there is none."""
    snapshot = snapshot_of(table, run)
    if snapshot is not None:
        return int(_says(snapshot, properties.ATTEMPT) or 0)
    if table.properties.get(properties.RUN) == run:
        return int(table.properties.get(properties.ATTEMPT) or 0)
    return max(_marked(table.properties, run, _PUBLISHED), default=None)


def is_fenced(table: Table, run: str, attempt: int) -> bool:
    """Whether an attempt was abandoned."""
    fenced = [
        int(_says(snapshot, properties.FENCED_ATTEMPT) or 0)
        for snapshot in table.metadata.snapshots
        if _says(snapshot, properties.FENCED_RUN) == run
    ]
    return max([*fenced, *_marked(table.properties, run, _FENCED)], default=-1) >= attempt


def has_many_parts(table_properties: Mapping[str, str]) -> bool:
    """Whether maintenance has added so many properties to a table that the next load must merge them."""
    return sum(_is_marks(name) and name != properties.MARKS for name in table_properties) >= _MANY_PARTS


def merged_marks(
    table_properties: Mapping[str, str], removed: Iterable[Snapshot], now: float
) -> tuple[dict[str, str], list[str]]:
    """Merge all marks of a table into one property, for a commit that changes the current snapshot.

    Args:
        table_properties: the table's properties.
        removed: the snapshots that the commit removes.
        now: seconds since 1970.

    Returns:
        The properties to set, and the names of those to remove.

    Raises:
        PlatformError: (PublishFailed) a property can't be parsed.
    """
    names = [name for name in table_properties if _is_marks(name)]
    hours: dict[int, set[str]] = {}
    for name in names:
        for hour, marks in _read(name, table_properties[name]).items():
            hours.setdefault(hour, set()).update(marks)
    _add(hours, removed)
    return {properties.MARKS: _written(_young(hours, now))}, [name for name in names if name != properties.MARKS]


def added_marks(removed: Iterable[Snapshot], now: float) -> dict[str, str]:
    """A property with the marks of snapshots, for a commit that does not change the current snapshot.

    Empty if the snapshots have no marks.

    Args:
        removed: the snapshots that the commit removes.
        now: seconds since 1970.
    """
    hours: dict[int, set[str]] = {}
    _add(hours, removed)
    young = _young(hours, now)
    return {f"{properties.MARKS}.{uuid.uuid4().hex[:12]}": _written(young)} if young else {}


def _marked(table_properties: Mapping[str, str], run: str, kind: str) -> list[int]:
    """The attempts of a run that have a mark of a kind (`_PUBLISHED` or `_FENCED`)."""
    pattern = re.compile(re.escape(_digest(run) + kind) + r"(\d+)")
    return [
        int(attempt) for name, text in table_properties.items() if _is_marks(name) for attempt in pattern.findall(text)
    ]


def _add(hours: dict[int, set[str]], removed: Iterable[Snapshot]) -> None:
    kinds = ((properties.RUN, properties.ATTEMPT, _PUBLISHED),
             (properties.FENCED_RUN, properties.FENCED_ATTEMPT, _FENCED))  # fmt: skip
    for snapshot in removed:
        for run_name, attempt_name, kind in kinds:
            if (run := _says(snapshot, run_name)) is not None:
                mark = f"{_digest(run)}{kind}{int(_says(snapshot, attempt_name) or 0)}"
                hours.setdefault(int(snapshot.timestamp_ms // _HOUR), set()).add(mark)


def _young(hours: Mapping[int, set[str]], now: float) -> dict[int, set[str]]:
    """The marks that may still be needed. The age of an hour's marks is counted from the end of the hour."""
    current = int(now * 1000 // _HOUR)
    result: dict[int, set[str]] = {}
    count = 0
    for hour in sorted(hours, reverse=True):
        age = current - hour - 1
        if age < _LEAST_HOURS or (age < _MOST_HOURS and count < _MANY):
            result[hour] = hours[hour]
            count += len(hours[hour])
    return result


def _read(name: str, text: str) -> dict[int, list[str]]:
    try:
        return {int(hour): marks.split() for hour, marks in json.loads(text).items()}
    except (ValueError, AttributeError):
        raise PlatformError(
            f"the property `{name}` of the table is not what ComponentRun writes there",
            Reason.PUBLISH_FAILED,
            advice="Remove the property. Then a run that was published within the last day may be published again if "
            "its operator asks once more.",
        ) from None


def _written(hours: Mapping[int, set[str]]) -> str:
    return json.dumps({str(hour): " ".join(sorted(hours[hour])) for hour in sorted(hours)}, separators=(",", ":"))


def _is_marks(name: str) -> bool:
    return name == properties.MARKS or name.startswith(f"{properties.MARKS}.")


def _digest(run: str) -> str:
    return base64.urlsafe_b64encode(hashlib.blake2b(run.encode(), digest_size=_DIGEST_BYTES).digest()).decode()


def _says(snapshot: Snapshot, name: str) -> str | None:
    return snapshot.summary[name] if snapshot.summary is not None else None

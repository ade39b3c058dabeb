"""ComponentRun's properties of tables and of snapshot summaries.

table       run, attempt     the attempt that loaded the table last
            primary-key      JSON list of column names
            columns          JSON list with descriptions of columns
            metadata         JSON object with metadata of the table as a whole
            timestamp        the largest `_timestamp` of a load, in microseconds since 1970
            created          time of the first load, ISO 8601
            state            `new` until the first load is committed; until then readers find no table. `dropped`
                             from a drop to the next load or restore
            dropping         when maintenance began to drop the table, in milliseconds since 1970
            marks, marks.*   JSON: loads and fences whose snapshots were removed, see `marks`
            events.*         in the table of events: marks of Storages, see `eventtable.table`
            events-retention.*   there, too: how long their events are kept, see `eventtable.retentions`
            kept-until       until when no increment is removed from the history, in milliseconds since 1970
snapshot    run, attempt     the attempt that wrote this load
            rows, bytes      size of the load
            title, component name of the run and its component, for display
            change           `load`, `increment`, `restore` or `drop`; not set by other programs
            primary-key      JSON list, as of this snapshot
            who              the person who made the change manually
            restored         number of the version that was restored
            fenced-run, fenced-attempt   an attempt that must never be published
            maintenance      `rewrite`: the same rows as the parent, in other files; `drop`: the table is dropped
            last-change      only for a rewrite: when the rows last changed, in milliseconds since 1970
            files-since      the sequence number since which no file was removed from the table, see `lineage`
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABSENT",
    "ATTEMPT",
    "BYTES",
    "CHANGE",
    "COLUMNS",
    "COMPONENT",
    "CREATED",
    "DROP",
    "DROPPED",
    "DROPPING",
    "EVENTS",
    "EVENTS_RETENTION",
    "FENCED_ATTEMPT",
    "FENCED_RUN",
    "FILES_SINCE",
    "INCREMENT",
    "KEPT_UNTIL",
    "LAST_CHANGE",
    "LOAD",
    "LOADED",
    "MAINTENANCE",
    "MARKS",
    "METADATA",
    "NEW",
    "PRIMARY_KEY",
    "RESTORE",
    "RESTORED",
    "REWRITE",
    "ROWS",
    "RUN",
    "STATE",
    "TIMESTAMP",
    "TIMESTAMP_COLUMN",
    "TITLE",
    "WHO",
]

_OURS: Final = "componentrun."
RUN: Final = f"{_OURS}run"
ATTEMPT: Final = f"{_OURS}attempt"
PRIMARY_KEY: Final = f"{_OURS}primary-key"
COLUMNS: Final = f"{_OURS}columns"
METADATA: Final = f"{_OURS}metadata"
TIMESTAMP: Final = f"{_OURS}timestamp"
CREATED: Final = f"{_OURS}created"
STATE: Final = f"{_OURS}state"
NEW: Final = "new"
LOADED: Final = "loaded"
DROPPED: Final = "dropped"
DROPPING: Final = f"{_OURS}dropping"
MARKS: Final = f"{_OURS}marks"
KEPT_UNTIL: Final = f"{_OURS}kept-until"
EVENTS: Final = f"{_OURS}events"
EVENTS_RETENTION: Final = f"{_OURS}events-retention"
ABSENT: Final = frozenset({NEW, DROPPED})
"""States in which readers find no table."""
CHANGE: Final = f"{_OURS}change"
LOAD: Final = "load"
INCREMENT: Final = "increment"
RESTORE: Final = "restore"
DROP: Final = "drop"
WHO: Final = f"{_OURS}who"
RESTORED: Final = f"{_OURS}restored"
ROWS: Final = f"{_OURS}rows"
BYTES: Final = f"{_OURS}bytes"
TITLE: Final = f"{_OURS}title"
COMPONENT: Final = f"{_OURS}component"
FENCED_RUN: Final = f"{_OURS}fenced-run"
FENCED_ATTEMPT: Final = f"{_OURS}fenced-attempt"

MAINTENANCE: Final = f"{_OURS}maintenance"
REWRITE: Final = "rewrite"
LAST_CHANGE: Final = f"{_OURS}last-change"
FILES_SINCE: Final = f"{_OURS}files-since"

TIMESTAMP_COLUMN: Final = "_timestamp"
"""Column of every table with the time at which the row was loaded. It increases strictly with each load."""

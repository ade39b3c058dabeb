"""What the properties of a table and the summaries of its snapshots say in the name of ComponentRun.

table       run, attempt     who loaded it last
            primary-key      JSON list of column names
            columns          JSON list: what is known of columns
            metadata         JSON object: what is known of the table as a whole
            timestamp        the largest `_timestamp` of a load, in microseconds since 1970
            created          when the table was loaded first, ISO 8601
            state            `new` until its first load is committed: until then there is no such table; `dropped`
                             from a drop to the next load or restore
            dropping         when maintenance began to drop it, in milliseconds since 1970
snapshot    run, attempt     whose load it is
            rows, bytes      what the load brought
            title, component who it was, for people
            change           `load`, `increment`, `restore` or `drop`; a snapshot of others has none
            primary-key      JSON list, as of this snapshot
            who              the person who did it by hand
            restored         number of the version that was restored
            fenced-run, fenced-attempt   an attempt that is never published any more
            maintenance      `rewrite`: the rows are those of its parent, in other files; `drop`: the table goes
            last-change      of a rewrite: when the rows were changed, in milliseconds since 1970
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
    "FENCED_ATTEMPT",
    "FENCED_RUN",
    "INCREMENT",
    "LAST_CHANGE",
    "LOAD",
    "LOADED",
    "MAINTENANCE",
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

TIMESTAMP_COLUMN: Final = "_timestamp"
"""Column of every table: when its row was loaded. Strictly later with each load of the table."""

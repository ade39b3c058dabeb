"""What the properties of a table and the summaries of its snapshots say in the name of ComponentRun.

table       run, attempt     who loaded it last
            primary-key      JSON list of column names
            columns          JSON list: what is known of columns
            metadata         JSON object: what is known of the table as a whole
            timestamp        the largest `_timestamp` of a load, in microseconds since 1970
            created          when the table was loaded first, ISO 8601
            state            `new` until its first load is committed: until then there is no such table
snapshot    run, attempt     whose load it is
            rows, bytes      what the load brought
            title, component who it was, for people
            fenced-run, fenced-attempt   an attempt that is never published any more
            maintenance     `rewrite`: the rows are those of its parent, in other files; `drop`: the table goes
            last-change     of a rewrite: when the rows were changed, in milliseconds since 1970
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ATTEMPT",
    "BYTES",
    "COLUMNS",
    "COMPONENT",
    "CREATED",
    "DROP",
    "DROPPED",
    "DROPPING",
    "FENCED_ATTEMPT",
    "FENCED_RUN",
    "LAST_CHANGE",
    "LOADED",
    "MAINTENANCE",
    "METADATA",
    "NEW",
    "PRIMARY_KEY",
    "REWRITE",
    "ROWS",
    "RUN",
    "STATE",
    "TIMESTAMP",
    "TIMESTAMP_COLUMN",
    "TITLE",
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
DROP: Final = "drop"
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

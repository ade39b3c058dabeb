"""Runs as lines of a table: what `list` shows.

It reads the objects as the API server sends them. The models would take most of the command's time, and a run of a
later release is shown like any other.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from componentrun.cli.terminal.render import Cell, Row, styled
from componentrun.cli.terminal.words import age, count, duration, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.cli.session import Session
    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = ["listing"]

_HEADER = ("NAME", "PHASE", "REASON", "COMPONENT", "DURATION", "AGE")
_WIDE_HEADER = ("NODE", "TRIES", "EXIT", "ROWS IN", "ROWS OUT", "MESSAGE")


def listing(session: Session, runs: Sequence[JsonObject], *, wide: bool, namespaces: bool) -> None:
    """Print a line for each run."""
    now = session.now()
    header = (("NAMESPACE",) if namespaces else ()) + _HEADER + (_WIDE_HEADER if wide else ())
    rows: list[Row] = []
    for run in runs:
        metadata, spec, status = run["metadata"], run.get("spec") or {}, run.get("status") or {}
        cells: list[Cell | str] = [
            metadata["name"],
            styled(status.get("phase") or "Queued"),
            _reason(status),
            spec.get("component") or (spec.get("image") or "-").rpartition("/")[2],
            Cell(duration(_time(status, "startTime"), _time(status, "completionTime"), now), right=True),
            Cell(age(_time(metadata, "creationTimestamp"), now), right=True),
        ]
        namespace: list[Cell | str] = [metadata.get("namespace", "")] if namespaces else []
        rows.append(namespace + cells + (_more(status) if wide else []))
    session.output.table(header, rows)


def _time(fields: Mapping[str, Any], name: str) -> datetime | None:
    text = fields.get(name)
    return None if text is None else datetime.fromisoformat(text)


def _reason(status: Mapping[str, Any]) -> str:
    """The reason; of a queued run, what it waits for and its position."""
    queue = status.get("queue")
    if not queue:
        return status.get("reason") or "-"
    position = queue.get("position")
    cause = str(queue.get("waitingFor") or "-")
    return cause if position is None else f"{cause} #{position}"


def _more(status: Mapping[str, Any]) -> list[Cell | str]:
    attempts, exit_code = status.get("attempts") or (), status.get("exitCode")
    node = next((attempt["node"] for attempt in reversed(attempts) if attempt.get("node")), "-")
    return [
        node,
        Cell(str(len(attempts)), right=True),
        Cell("-" if exit_code is None else str(exit_code), right=True),
        Cell(_rows(status.get("inputTables")), right=True),
        Cell(_rows(status.get("outputTables")), right=True),
        first_line(status.get("message") or "-"),
    ]


def _rows(tables: Sequence[Mapping[str, Any]] | None) -> str:
    return "-" if tables is None else count(sum(table.get("rows") or 0 for table in tables))

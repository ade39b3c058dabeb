"""stage-in with something to apply, against DuckDB alone with the same query on a file that is there already."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from benchmarks import local, tables
from benchmarks.agents import bench
from benchmarks.turns import figures, in_turns
from componentrun.storage.access.reading import Wish
from componentrun.wire.agents import Where

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.lab import Lab
    from benchmarks.record import Figure

__all__ = ["some"]

AGENT: Final = "mapped.agent"
ALONE: Final = "mapped.duckdb"
_COLUMNS: Final = ("id", "text", "amount")
_DAYS: Final = ("2026-03-01", "2026-07-01")
_ALONE: Final = """
import sys, duckdb
source, target = sys.argv[1:]
duckdb.execute(
    f"COPY (SELECT id, text, amount FROM read_csv('{source}', all_varchar = true)"
    f" WHERE day IN ('2026-03-01', '2026-07-01')) TO '{target}' (FORMAT csv)"
)
"""
"""Its own defaults: all processors, most of the memory, the dialect guessed."""


def some(lab: Lab, repeats: int) -> list[Figure]:
    """Three of five columns and a sixth of the rows of one table of 1 GiB."""
    size = round(tables.HUGE_BYTES * lab.scale)
    file = tables.large(size)
    with bench(lab, [file]) as made:
        target = made.work / "alone.csv"
        wish = Wish(_COLUMNS, Where("day", "eq", _DAYS))

        def agent() -> Mapping[str, float]:
            ended = made.stage_in(wish)
            return {AGENT: ended.seconds, f"{AGENT}.cpu": ended.cpu}

        def alone() -> Mapping[str, float]:
            target.unlink(missing_ok=True)
            command = [sys.executable, "-c", _ALONE, str(file), str(target)]
            ended = local.run(command, {"PATH": os.defpath, "LANG": "C.UTF-8"})
            return {ALONE: ended.seconds, f"{ALONE}.cpu": ended.cpu}

        values = in_turns([agent, alone], repeats)
        (brought,) = made.brought()
        assert _rows(brought) == _rows(target), "the two did not do the same"
    return figures(values, "s", {AGENT: ALONE, f"{AGENT}.cpu": f"{ALONE}.cpu"})


def _rows(file: Path) -> bytes:
    return file.read_bytes().partition(b"\n")[2]

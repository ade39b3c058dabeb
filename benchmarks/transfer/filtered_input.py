"""stage-in with selected columns and rows, compared with DuckDB running the same query on a local file."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from benchmarks.harness import csvfiles, timed_process
from benchmarks.harness.agent_runner import agent_runner
from benchmarks.harness.interleave import figures, interleave
from componentrun.storage.access.reading import Wish
from componentrun.wire.agents import Where

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure

__all__ = ["columns_and_rows"]

AGENT: Final = "transfer.filtered.agent"
ALONE: Final = "transfer.filtered.duckdb"
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
"""DuckDB with its defaults: all processors, most of the memory, detection of the dialect."""


def columns_and_rows(testbed: Testbed, repeats: int) -> list[Figure]:
    """Three of five columns and a sixth of the rows of one table of 1 GiB."""
    size = round(csvfiles.HUGE_BYTES * testbed.scale)
    file = csvfiles.large(size)
    with agent_runner(testbed, [file]) as runner:
        target = runner.work / "alone.csv"
        wish = Wish(_COLUMNS, Where("day", "eq", _DAYS))

        def agent() -> Mapping[str, float]:
            ended = runner.stage_in(wish)
            return {AGENT: ended.seconds, f"{AGENT}.cpu": ended.cpu}

        def alone() -> Mapping[str, float]:
            target.unlink(missing_ok=True)
            command = [sys.executable, "-c", _ALONE, str(file), str(target)]
            ended = timed_process.run(command, {"PATH": os.defpath, "LANG": "C.UTF-8"})
            return {ALONE: ended.seconds, f"{ALONE}.cpu": ended.cpu}

        values = interleave([agent, alone], repeats)
        (input_file,) = runner.input_files()
        assert _rows(input_file) == _rows(target), "the two did not do the same"
    return figures(values, "s", {AGENT: ALONE, f"{AGENT}.cpu": f"{ALONE}.cpu"})


def _rows(file: Path) -> bytes:
    return file.read_bytes().partition(b"\n")[2]

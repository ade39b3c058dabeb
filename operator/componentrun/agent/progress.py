"""Prints lines that the collector converts to events: one JSON object a line.

Lines never contain a URL, a key or a value of a table: everyone who can read the run can read them.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Param = str | float | Sequence[Mapping[str, str | int]]

__all__ = ["WORTH_A_LINE", "Level", "amount", "say"]

Level = Literal["info", "warn", "error"]

WORTH_A_LINE: Final = 64 * 2**20
"""Minimum bytes for a line that announces a transfer."""
_UNIT: Final = 1024


def say(level: Level, message: str, **params: Param | None) -> None:
    """Print one line with a single write, so that lines of several threads are not mixed."""
    fields = {name: value for name, value in params.items() if value is not None}
    line = json.dumps({"level": level, "message": message, **fields}, ensure_ascii=False)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def amount(tables: int, size: int, files: int = 0) -> str:
    """The amount of data in words: `3 tables, 2 files, 517.1 MiB`."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < _UNIT:
            break
        value, unit = value / _UNIT, larger
    number = f"{value:.1f}" if unit != "B" else str(size)
    parts = [f"{tables} table{'' if tables == 1 else 's'}"] if tables or not files else []
    parts += [f"{files} file{'' if files == 1 else 's'}"] if files else []
    return ", ".join([*parts, f"{number} {unit}"])

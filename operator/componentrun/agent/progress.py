"""Lines on stdout that the collector turns into events: one JSON object a line.

Never a URL, a key or a value of a table: whatever is put in here is read by everybody who may see the run.
"""

from __future__ import annotations

import json
import sys
from typing import Literal

__all__ = ["Level", "say"]

Level = Literal["info", "warn", "error"]


def say(level: Level, message: str, **params: str | float | None) -> None:
    """Print one line. It is written at once and as a whole, so that lines of several threads don't mix."""
    line = json.dumps({"level": level, "message": message, "params": params}, ensure_ascii=False)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()

"""The operator's log lines are those of any process (`componentrun.process.logs`), but for what kopf says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from componentrun.process import logs

if TYPE_CHECKING:
    from componentrun.process.settings import LogFormat, LogLevel

__all__ = ["set_up"]


class _OneOutageOneLine(logging.Filter):
    """kopf tells of every try of every watch as an error; one line in a while says as much."""

    _every_seconds: Final = 10.0

    def __init__(self) -> None:
        """Nothing was told yet."""
        super().__init__()
        self._told_at = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a line pass, as a warning in our words; the standard library calls this."""
        if not str(record.msg).startswith("Request attempt #"):
            return True
        if record.created - self._told_at < self._every_seconds:
            return False
        self._told_at = record.created
        said = record.getMessage().rpartition(" -> ")[2] or "no answer"
        record.msg, record.args = "a watch is broken, trying again: %s", (said,)
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def set_up(level: LogLevel, form: LogFormat) -> None:
    """Send all log lines to stderr in this form."""
    logs.set_up(level, form, [_OneOutageOneLine()])

"""Log lines in the format of all processes (`componentrun.process.logs`), with fewer repeated errors of kopf."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from componentrun.process import logs

if TYPE_CHECKING:
    from componentrun.process.settings import LogFormat, LogLevel

__all__ = ["set_up"]


class _OneOutageOneLine(logging.Filter):
    """kopf logs each attempt of a failed request as an error. This filter passes one such line every 10 s."""

    _every_seconds: Final = 10.0

    def __init__(self) -> None:
        """Let the first line pass."""
        super().__init__()
        self._told_at = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log a record, which is rewritten as a warning. Called by the standard library."""
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
    """Write all log lines to stderr in this format."""
    logs.set_up(level, form, [_OneOutageOneLine()])

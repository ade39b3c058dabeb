"""Log lines: one event each, with the namespace and name of the run if there is one.

Secrets of runs are never passed to a logger: no URLs of grants, values of Secrets, bodies of requests or output of
components. Libraries that log URLs are set to WARNING.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    from componentrun.process.settings import LogFormat, LogLevel

__all__ = ["RunLogger", "set_up"]

_TALKATIVE: Final = ("aiohttp", "asyncio", "kopf", "urllib3")


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that adds the run to each line."""

    def __init__(self, logger: logging.Logger, namespace: str, name: str) -> None:
        """All lines go to `logger`."""
        super().__init__(logger, {"namespace": namespace, "run": name})

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run; called by the standard library."""
        kwargs["extra"] = {"subject": self.extra}
        return msg, kwargs


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        document |= getattr(record, "subject", None) or {}
        if record.exc_info:
            document["error"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


class _TextFormatter(logging.Formatter):
    """For people: time, level, run, message."""

    def format(self, record: logging.LogRecord) -> str:
        subject = getattr(record, "subject", None) or {}
        run = f"{subject['namespace']}/{subject['run']}: " if subject else ""
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        message = record.getMessage().replace("\n", " | ")  # an event is a line, also if its message has several
        text = f"{moment} {record.levelname:<7} {run}{message}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def set_up(level: LogLevel, form: LogFormat, filters: Iterable[logging.Filter] = ()) -> None:
    """Send all log lines that pass the filters to stderr in this format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.filters[:] = filters
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)

"""What a printed line says: its type, message and parameters. Pure.

A line that is a JSON object with a message is a structured event: `message`, `msg` or GELF's `short_message`; its
level is in `level` or `severity` (a word, or a syslog number in GELF); the other fields become `params`. Agents print
such lines. Any other line is an `info` event whose message is the line.

The event's time is always the log's: it orders events, and a component can't forge it. A time that the line claims
itself stays among the params.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun import contract

if TYPE_CHECKING:
    from componentrun.core.redactor import Redactor

__all__ = ["CUT_MARK", "PARAMS_LIMIT", "EventType", "Said", "cut", "said"]

EventType = Literal["info", "success", "warn", "error"]

CUT_MARK: Final = " [cut: {} more characters]"
PARAMS_LIMIT: Final = contract.EVENT_SIZE_LIMIT - 8 * contract.EVENT_MESSAGE_LIMIT
"""Bytes of the params: what an event may have, less what a message of escaped characters and the other fields take."""

_MESSAGE_FIELDS: Final = ("message", "msg", "short_message")
_LEVEL_FIELDS: Final = ("level", "severity", "levelname")
_TYPES: Final[dict[str, EventType]] = {
    "success": "success",
    "warn": "warn", "warning": "warn",
    "error": "error", "err": "error", "critical": "error", "crit": "error", "fatal": "error", "alert": "error",
    "emerg": "error", "emergency": "error", "panic": "error", "exception": "error",
}  # fmt: skip
_SYSLOG_ERROR: Final = 3
_SYSLOG_WARNING: Final = 4


@dataclass(frozen=True, slots=True)
class Said:
    """What one line says, without secrets and within the limits."""

    type: EventType
    message: str
    params: dict[str, Any] = field(default_factory=dict)


def said(text: bytes, redactor: Redactor) -> Said:
    """Read one line."""
    line = text.decode(errors="replace")
    if line.startswith("{") and line.rstrip().endswith("}"):
        document = _json_object(line)
        name = next((name for name in _MESSAGE_FIELDS if isinstance(document.get(name), str)), None)
        if name is not None:
            return _structured(document, name, redactor)
    return Said("info", cut(redactor.text(line)))


def _json_object(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line, parse_float=_finite, parse_constant=str)
    except (ValueError, RecursionError):
        return {}  # not JSON after all: it is shown as the text it is
    return document if isinstance(document, dict) else {}


def _finite(text: str) -> float | str:
    """Infinity and NaN are no JSON, though Python reads and writes them."""
    value = float(text)
    return value if math.isfinite(value) else text


def _structured(document: dict[str, Any], name: str, redactor: Redactor) -> Said:
    level = next((field for field in _LEVEL_FIELDS if isinstance(document.get(field), str | int)), None)
    kind: EventType = "info" if level is None else _type(document[level], gelf=name == "short_message")
    rest = {key: value for key, value in document.items() if key not in {name, level}}
    return Said(kind, cut(redactor.text(document[name])), _limited(redactor.value(rest)))


def _type(level: str | int, *, gelf: bool) -> EventType:
    if isinstance(level, str):
        return _TYPES.get(level.strip().lower(), "info")
    if gelf and level <= _SYSLOG_ERROR:
        return "error"
    return "warn" if gelf and level == _SYSLOG_WARNING else "info"


def _limited(params: dict[str, Any]) -> dict[str, Any]:
    if not params:
        return params
    size = len(json.dumps(params, ensure_ascii=True))
    return (
        params
        if size <= PARAMS_LIMIT
        else {"left_out": f"{len(params)} fields of {size} bytes, more than {PARAMS_LIMIT}"}
    )


def cut(message: str) -> str:
    """The message within the limit of characters, with a mark where it was longer."""
    if len(message) <= contract.EVENT_MESSAGE_LIMIT:
        return message
    kept = contract.EVENT_MESSAGE_LIMIT - len(CUT_MARK.format(len(message)))
    return message[:kept] + CUT_MARK.format(len(message) - kept)

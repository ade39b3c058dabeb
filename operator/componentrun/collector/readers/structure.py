"""What a printed text says: its type, message and parameters. Pure.

A text that is a JSON object with a message is a structured event. The message is in one of `_MESSAGE_FIELDS` or, beside
a level, in structlog's `event` or OpenTelemetry's `body`; the level in one of `_LEVEL_FIELDS`, as a word or a number.
The other fields become `params`, and so does the level where the event's type says less than it. Agents print such
lines. Any other text is an `info` event whose message is the text.

The event's time is always the log's: it orders events, and a component can't forge it. A time that the line claims
itself stays among the params.
"""

from __future__ import annotations

import json
import math
import re
import string
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from componentrun import contract
from componentrun.collector.readers.grouping import Block
from componentrun.core.podstatus.printed import plain_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.collector.readers.grouping import Group
    from componentrun.core.redact.lines import AnyRedactor
    from componentrun.storage.events.events import EventType

__all__ = ["PARAMS_LIMIT", "TRUNCATION_MARK", "EventContent", "limit_params", "parse_groups", "parse_text", "truncate"]

TRUNCATION_MARK: Final = " [cut: {} more characters]"
PARAMS_LIMIT: Final = contract.EVENT_SIZE_LIMIT - 8 * contract.EVENT_MESSAGE_LIMIT
"""Bytes of the params: what an event may have, less what a message of escaped characters and the other fields take."""
LEFT_OUT: Final = "left_out"
"""The param that lists fields that did not fit."""
_LOOKED_AT: Final = 4 * contract.EVENT_MESSAGE_LIMIT
"""Characters of a text: where secrets are taken out it becomes shorter, and still fills a message mostly."""
_TOKEN_CHARACTERS: Final = string.ascii_letters + string.digits + "_-./+=%"
"""What secrets that are known by their form are made of."""
_MOST_OF_TOKEN: Final = 4_096
_PLAIN: Final = frozenset({str, int, bool, type(None)})
_WORST_ESCAPING: Final = 12
"""Bytes that one character may take in JSON."""
_MOST_NAMES: Final = 20
_LONGEST_NAME: Final = 60
_ROOM_FOR_NAMES: Final = _MOST_NAMES * (_LONGEST_NAME * _WORST_ESCAPING + 30)

_MESSAGE_FIELDS: Final = ("short_message", "message", "msg", "@m", "@mt", "Message")
"""The first of these is the message. GELF's comes first, as its clients add fields of their own."""
_ENVELOPES: Final = ("fields", "record")
"""Objects in which Rust's tracing and Python's loguru put the message, and loguru also the level."""
_BESIDE_A_LEVEL: Final = ("event", "body")
"""Fields that are a message only if there is a level."""
_LEVEL_FIELDS: Final = (
    "level", "severity", "lvl", "loglevel", "log_level", "levelname", "log.level", "level_name", "@l",
    "severityText", "severity_text", "LogLevel", "Level",
)  # fmt: skip
_TYPES: Final[dict[str, EventType]] = {
    "success": "success",
    "warn": "warn", "warning": "warn", "wrn": "warn",
    "error": "error", "err": "error", "critical": "error", "crit": "error", "fatal": "error", "alert": "error",
    "emerg": "error", "emergency": "error", "panic": "error", "dpanic": "error", "severe": "error",
    "exception": "error",
}  # fmt: skip
_SAME: Final = frozenset({"info", "success", "warn", "warning", "error", "err"})
"""Levels that are the same as the type."""
_SYSLOG_ERROR: Final = 3
_SYSLOG_WARNING: Final = 4
_SYSLOG_DEBUG: Final = 7
_BUNYAN_ERROR: Final = 50
_BUNYAN_WARNING: Final = 40
_MONOLOG_ERROR: Final = 400
_MONOLOG_WARNING: Final = 300
_MONOLOG_DEBUG: Final = 100
_BYTES: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\x([0-9a-f]{2})")
"""What `readable` shows for a byte that is not UTF-8; JSON has no such escape."""


class EventContent(NamedTuple):
    """Type, message and parameters of an event, redacted and within the limits."""

    type: EventType
    message: str
    params: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it


def parse_text(
    text: str, redactor: AnyRedactor, *, is_truncated: bool = False, missing: int = 0, clean: bool = False
) -> EventContent:
    """Parse a text that `text.readable` has made of one line, or of several that belong together.

    Args:
        text: the text.
        redactor: redacts secrets.
        is_truncated: whether the end of the text is missing.
        missing: number of missing characters.
        clean: whether the text is known to contain no secret (`Redactor.untouched`).
    """
    if text[:1] == "{" and text.rstrip()[-1:] == "}":
        document = _json_object(text)
        name = _message_field(document)
        if name is None:
            document, name = _unwrap(document)
        if name is not None:
            if "\\" in text:
                document = plain_value(document)
                clean = False
            return _structured(document, name, redactor, len(text), clean=clean)
    if clean and not is_truncated:
        return EventContent("info", truncate(text))
    return EventContent("info", _message(text, redactor, is_truncated=is_truncated, missing=missing))


def parse_groups(groups: Sequence[Group | Block], redactor: AnyRedactor) -> list[EventContent | Block]:
    """Parse each group. Most lines contain no secret, and are searched together.

    All lines of a group are searched: one of them may mask a value in later groups, or begin a private key.
    """
    texts = [group.text if isinstance(group, Block) or group.texts is None else group.message for group in groups]
    clean = redactor.untouched("\n".join(texts))
    return [
        _block(group, redactor, clean=clean) if isinstance(group, Block) else _parse_group(group, redactor, clean=clean)
        for group in groups
    ]


def _block(block: Block, redactor: AnyRedactor, *, clean: bool) -> Block:
    return block if clean else block._replace(texts=[_message(text, redactor) for text in block.texts])


def _parse_group(group: Group, redactor: AnyRedactor, *, clean: bool) -> EventContent:
    if group.texts is not None:
        return parse_text(group.message, redactor)
    text = group.text
    if clean and not group.is_truncated and text[:1] != "{" and len(text) <= contract.EVENT_MESSAGE_LIMIT:
        return EventContent("info", text)
    return parse_text(text, redactor, is_truncated=group.is_truncated, missing=group.missing, clean=clean)


def _json_object(text: str) -> dict[str, Any]:
    for candidate in (text, _BYTES.sub(r"\1\\\\x\2", text)) if "\\x" in text else (text,):
        try:
            document = _DECODER.decode(candidate)
        except (ValueError, RecursionError):
            continue  # not JSON after all: it is shown as text
        return document if isinstance(document, dict) else {}
    return {}


def _finite(text: str) -> float | str:
    """A number, or its text: Infinity and NaN are not valid JSON, although Python reads and writes them."""
    value = float(text)
    return value if math.isfinite(value) else text


_DECODER: Final = json.JSONDecoder(parse_float=_finite, parse_constant=str)


def _message_field(document: dict[str, Any]) -> str | None:
    for name in _MESSAGE_FIELDS:
        if isinstance(document.get(name), str):
            return name
    if not any(field in document for field in _LEVEL_FIELDS):
        return None
    texts = (name for name in _BESIDE_A_LEVEL if isinstance(document.get(name), str))
    return next(texts, None) or next((name for name in _MESSAGE_FIELDS if document.get(name) is not None), None)


def _unwrap(document: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The document with message and level moved out of an inner object, and the name of the message's field."""
    for name in _ENVELOPES:
        inner = document.get(name)
        if not isinstance(inner, dict) or not isinstance(inner.get("message"), str):
            continue
        rest = dict(inner)
        found = {**document, name: rest, "message": rest.pop("message")}
        level = rest.get("level")
        if isinstance(level, dict) and isinstance(level.get("name"), str):
            found["level"] = level["name"]
        if _is_level(found.get("level")):
            return found, "message"
    return document, None


def _structured(document: dict[str, Any], name: str, redactor: AnyRedactor, size: int, *, clean: bool) -> EventContent:
    level = next((field for field in _LEVEL_FIELDS if _is_level(document.get(field))), None)
    kind: EventType = "info"
    if level is not None:
        kind = _type(document[level])
        if str(document[level]).strip().lower() in _SAME:
            del document[level]
    if isinstance(document[name], str):
        text = document.pop(name)
        message = truncate(text) if clean else _message(text, redactor)
    else:  # some loggers log objects; it stays among the params, where there is more room
        message = truncate(json.dumps(redactor.value(document[name]), ensure_ascii=False))
    params = _params(document, redactor, clean=clean)
    return EventContent(kind, message, params if size * _WORST_ESCAPING <= PARAMS_LIMIT else limit_params(params))


def _params(document: dict[str, Any], redactor: AnyRedactor, *, clean: bool) -> dict[str, Any]:
    """The redacted fields. A fraction may have other digits than were printed."""
    if clean:
        return {name: value if type(value) in _PLAIN else redactor.value(value) for name, value in document.items()}
    params: dict[str, Any] = redactor.value(document)
    return params


def _is_level(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _type(level: str | int) -> EventType:
    """From words of common loggers, or numbers of syslog (0 to 7), bunyan and pino (10 to 60), Monolog (100 to 600)."""
    if isinstance(level, str):
        word = level.strip().lower()
        if not word.isdecimal():
            return _TYPES.get(word.partition("+")[0], "info")  # Go's slog: `ERROR+4`
        level = int(word[:9])
    if level < 0:
        return "info"  # debug in Go's slog and zap
    if level <= _SYSLOG_DEBUG:
        return "error" if level <= _SYSLOG_ERROR else "warn" if level == _SYSLOG_WARNING else "info"
    if level >= _MONOLOG_DEBUG:
        return "error" if level >= _MONOLOG_ERROR else "warn" if level >= _MONOLOG_WARNING else "info"
    return "error" if level >= _BUNYAN_ERROR else "warn" if level >= _BUNYAN_WARNING else "info"


def limit_params(params: dict[str, Any]) -> dict[str, Any]:
    """The fields that fit, smallest first, and the names of the others."""
    sizes = {key: len(json.dumps({key: value})) for key, value in params.items()}
    if sum(sizes.values()) <= PARAMS_LIMIT:
        return params
    room = PARAMS_LIMIT - _ROOM_FOR_NAMES
    kept: set[str] = set()
    for key in sorted(sizes, key=lambda key: sizes[key]):
        room -= sizes[key]
        if room < 0:
            break
        kept.add(key)
    return {key: value for key, value in params.items() if key in kept} | {
        LEFT_OUT: "; ".join(_names_of_left_out(sizes, kept))
    }


def _names_of_left_out(sizes: dict[str, int], kept: set[str]) -> Iterator[str]:
    left = [key for key in sizes if key not in kept]
    for key in left[:_MOST_NAMES]:
        yield f"{key[:_LONGEST_NAME]}: {sizes[key]} bytes"
    if len(left) > _MOST_NAMES:
        yield f"{len(left) - _MOST_NAMES} more fields"


def _message(text: str, redactor: AnyRedactor, *, is_truncated: bool = False, missing: int = 0) -> str:
    """The redacted message. Only the beginning of a very long text is searched, to bound the time that it takes."""
    head = text if len(text) <= _LOOKED_AT else _without_last_token(text[:_LOOKED_AT])
    more = len(text) - len(head)
    message = redactor.text(head, cut_behind=is_truncated or more > 0)
    return truncate(message, more + missing if more or len(message) > contract.EVENT_MESSAGE_LIMIT else 0)


def _without_last_token(head: str) -> str:
    """The text without its last word, which may be a part of a secret that is not recognised by its form."""
    return head[: max(len(head.rstrip(_TOKEN_CHARACTERS)), len(head) - _MOST_OF_TOKEN)]


def truncate(message: str, more: int = 0) -> str:
    """Truncate a message to the limit of characters, with a mark that says how many are missing.

    Args:
        message: the message.
        more: number of characters that are missing already.
    """
    if len(message) <= contract.EVENT_MESSAGE_LIMIT and not more:
        return message
    kept = contract.EVENT_MESSAGE_LIMIT - len(TRUNCATION_MARK.format(len(message) + more))
    kept = min(kept, len(message))
    return message[:kept] + TRUNCATION_MARK.format(len(message) - kept + more)

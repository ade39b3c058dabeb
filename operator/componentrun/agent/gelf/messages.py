"""Converts a GELF message, as a client sent it, to a printed line. Pure.

GELF 1.1 (https://go2docs.graylog.org/current/getting_in_log_data/gelf.html): a JSON object, optionally compressed with
gzip or zlib, with `short_message`, a syslog `level`, and additional fields of the client that begin with `_`.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from componentrun import contract

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MESSAGE_LIMIT", "BadMessageError", "complaint", "parse_visibility", "printed"]

MESSAGE_LIMIT: Final = 1024 * 1024
"""Maximum bytes of a message after decompression. Events hold far less; a larger one is a mistake or an attack."""
_LINE_LIMIT: Final = contract.EVENT_SIZE_LIMIT - 8 * contract.EVENT_MESSAGE_LIMIT
"""Maximum bytes of a printed line; the collector would have to split a longer one."""
_GZIP: Final = b"\x1f\x8b"
_ZLIB_METHOD: Final = 8
_ANY_WINDOW: Final = 47
"""zlib's `wbits` that accepts both gzip and zlib."""
_UNSAID_LEVEL: Final = contract.GELF_LEVELS["info"]
_CAMOUFLAGE: Final = "Application error"
_NORMAL_FIELDS: Final = ("short_message", "level", "timestamp")
_LEVEL_NAMES: Final = {number: name for name, number in contract.GELF_LEVELS.items()}


class BadMessageError(ValueError):
    """The input is not a GELF message; the text says what it is instead."""


def printed(data: bytes, visibility: Mapping[str, str]) -> bytes | None:
    """The line to print for a message; None if messages of its level are hidden.

    Args:
        data: the message, compressed or not.
        visibility: level name to `none`, `camouflage`, `normal` or `verbose`.

    Raises:
        BadMessageError: it can't be decompressed, is too long, is not a JSON object, or has no `short_message`.
    """
    message = _document(_plain(data))
    level = _level(message.get("level"))
    shown = visibility[_LEVEL_NAMES[level]]
    if shown == "none":
        return None
    if shown == "camouflage":
        return _line({"short_message": _CAMOUFLAGE, "level": level})
    message["level"] = level
    if shown == "normal":
        return _line({name: message[name] for name in _NORMAL_FIELDS if name in message})
    message.pop("version", None)
    return _line(message)


def complaint(problem: str) -> bytes:
    """The line for a message that could not be parsed: a warning."""
    return _line({"short_message": f"a GELF message was not understood: {problem}", "level": 4})


def parse_visibility(text: str) -> dict[str, str]:
    """Parse `debug=none,error=verbose`; levels that are not mentioned keep their defaults.

    Raises:
        ValueError: unknown level or visibility.
    """
    result = dict(contract.GELF_VISIBILITY)
    for item in filter(None, text.split(",")):
        level, _, shown = item.partition("=")
        if level not in contract.GELF_LEVELS or shown not in contract.GELF_VISIBILITIES:
            raise ValueError(f"`{item}`: expected a level and how much of it is seen, such as `debug=none`")
        result[level] = shown
    return result


def _plain(data: bytes) -> bytes:
    """Decompress a message, up to the size limit."""
    if data.startswith(_GZIP) or _is_zlib(data):
        engine = zlib.decompressobj(wbits=_ANY_WINDOW)
        try:
            plain = engine.decompress(data, MESSAGE_LIMIT + 1)
        except zlib.error as error:
            raise BadMessageError(f"its compressed bytes are damaged ({error})") from error
        if len(plain) <= MESSAGE_LIMIT and not engine.eof:
            raise BadMessageError("its compressed bytes end too early")
    else:
        plain = data
    if len(plain) > MESSAGE_LIMIT:
        raise BadMessageError(f"it is longer than {MESSAGE_LIMIT} bytes")
    return plain


def _is_zlib(data: bytes) -> bool:
    """Whether data is zlib (RFC 1950): compression method in the first byte, checksum over the first two."""
    return len(data) > 1 and data[0] & 0x0F == _ZLIB_METHOD and (data[0] << 8 | data[1]) % 31 == 0


def _document(plain: bytes) -> dict[str, Any]:
    try:
        # Some clients add the null byte, which ends messages over TCP, to datagrams and HTTP requests as well.
        document = json.loads(plain.rstrip(b"\0"))
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"it is not valid JSON ({len(plain)} bytes that begin with {plain[:20]!r})") from error
    if not isinstance(document, dict):
        raise BadMessageError(f"it is a JSON {type(document).__name__}, expected an object")
    text = document.get("short_message")
    if not isinstance(text, str) or not text:
        raise BadMessageError("its `short_message` is missing, empty or no text")
    return document


def _level(value: Any) -> int:
    """Parse a syslog level: a number, a number as text, or a name, because clients differ."""
    try:
        number = int(contract.GELF_LEVELS.get(value.strip().lower(), value) if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return _UNSAID_LEVEL
    return min(max(number, 0), max(_LEVEL_NAMES))


def _line(message: dict[str, Any]) -> bytes:
    line = _encode(message)
    if len(line) <= _LINE_LIMIT:
        return line
    short = {
        "short_message": message["short_message"][: contract.EVENT_MESSAGE_LIMIT],
        "level": message["level"],
        "left_out": f"{len(line)} bytes of fields, more than {_LINE_LIMIT}",
    }
    return _encode(short)


def _encode(message: dict[str, Any]) -> bytes:
    """Encode as one line: JSON escapes newlines. ASCII, so that unpaired surrogates can be encoded."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"

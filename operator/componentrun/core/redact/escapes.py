r"""Decode the escapes in a text, so that an escaped value is found. Pure.

Programs escape values for JSON, URLs, HTML, shells and source code, each in a slightly different way (`\u00e4`,
`\u{e4}`, `\xc3\xa4`, `\303\244`, `%C3%A4`, `&auml;`, `&#228;`). They escape all characters or only some, and may nest
escapes (such as JSON in JSON). Therefore a list of a value's escaped forms is never complete, but decoding all of
them yields the value. A text with several kinds of escapes has several readings: each kind is decoded separately, and
the results are decoded again.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Reading", "readings", "spells"]

_MOST_READINGS: Final = 10
"""Maximum number of readings of one text. Enough for three levels of nested escapes of two kinds, in any order."""
_MOST_CHARACTERS: Final = 600_000
"""Maximum number of characters in all readings of one text. Decoding this many escapes takes a tenth of a second."""

_BACKSLASHED: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8}"
    r"|x[0-9a-fA-F]{2}(?:\\x[0-9a-fA-F]{2})*|[0-3][0-7]{2}(?:\\[0-3][0-7]{2})*|[^\w]|[abefnrtv0])",
    re.ASCII,
)
_PERCENT: Final = re.compile(r"%[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*")
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});")
_HEX: Final = "(?:3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|2[56]|5[cC])"
_SPELLED: Final = re.compile(
    rf"\\(?:(?:u00|x){_HEX}|u\{{|U|0[67][0-7]|1[0-7]{{2}}|04[56])|%{_HEX}|&(?:#|amp;|bsol;|percnt;)"
)
"""An escaped ASCII letter or digit, or the escaped first character of a nested escape."""
_CONTROLS: Final = dict(zip("abefnrtv0", "\a\b\x1b\f\n\r\t\v\0", strict=True))
_HIGHEST: Final = 0x10FFFF
_OCTAL: Final = len(r"\000")
_NO_UTF8: Final = {0xDC80 + byte: chr(0x80 + byte) for byte in range(0x80)}
"""Bytes that are not valid UTF-8 are decoded as Latin-1, as Python escapes characters below 256."""


class _Kind(NamedTuple):
    sign: str
    """A character that every text with such escapes contains."""
    escape: re.Pattern[str]
    character: Callable[[str], str]
    """Decodes an escape of one character."""
    data: Callable[[str], bytes]
    """Decodes an escape of one or more bytes; returns nothing for other escapes."""

    def undone(self, escape: str) -> str:
        """Decode a match."""
        data = self.data(escape)
        return data.decode(errors="surrogateescape").translate(_NO_UTF8) if data else self.character(escape)


class _Piece(NamedTuple):
    """An escape and the position of its decoded text."""

    begin: int
    end: int
    """End of the escape in the text with escapes."""
    at: int
    """Position at which the decoded text begins."""
    size: int


class Reading:
    """A text with some of its escapes decoded."""

    __slots__ = ("_before", "_kind", "_pieces", "text")

    def __init__(self, text: str, before: Reading | None = None, kind: _Kind | None = None) -> None:
        """Create the original text, or a reading in which one more kind of escapes is decoded."""
        self.text, self._before, self._kind = text, before, kind
        self._pieces: list[_Piece] | None = None

    def original(self, begin: int, end: int) -> tuple[int, int]:
        """The span in the original text of the characters from `begin` to `end` (at least one) of this reading."""
        if self._before is None or self._kind is None:
            return begin, end
        if self._pieces is None:
            self._pieces = list(_pieces(self._before.text, self._kind))
        first = _place(self._pieces, begin)
        last = _place(self._pieces, end - 1)
        return self._before.original(first[0], last[1])


def spells(text: str) -> bool:
    """Whether the text may contain escaped ASCII letters or digits. Hardly any program escapes them."""
    return _SPELLED.search(text) is not None


def readings(text: str) -> Iterator[Reading]:
    """The text itself and its readings, without duplicates and up to the limits of this module."""
    seen, characters = {text}, 0
    waiting = deque([Reading(text)])
    while waiting:
        reading = waiting.popleft()
        yield reading
        for kind in _KINDS:
            if kind.sign not in reading.text or len(seen) >= _MOST_READINGS or characters > _MOST_CHARACTERS:
                continue
            characters += len(reading.text)
            decoded = kind.escape.sub(lambda match, kind=kind: kind.undone(match[0]), reading.text)  # type: ignore[misc]  # a default of a lambda
            if decoded not in seen:
                seen.add(decoded)
                waiting.append(Reading(decoded, reading, kind))


def _place(pieces: list[_Piece], index: int) -> tuple[int, int]:
    """Begin and end, in the text with escapes, of the decoded character at `index`."""
    number = bisect_right(pieces, index, key=lambda piece: piece.at) - 1
    if number < 0:
        return index, index + 1
    piece = pieces[number]
    if index < piece.at + piece.size:
        return piece.begin, piece.end
    begin = piece.end + index - piece.at - piece.size
    return begin, begin + 1


def _pieces(text: str, kind: _Kind) -> Iterator[_Piece]:
    shift = 0
    for match in kind.escape.finditer(text):
        begin = match.start()
        for size, length in _characters(match[0], kind):
            yield _Piece(begin, begin + size, begin + shift, length)
            shift += length - size
            begin += size


def _characters(escape: str, kind: _Kind) -> Iterator[tuple[int, int]]:
    """For each character of a match, the length of its escape and of its decoded text."""
    data = kind.data(escape)
    if not data:
        yield len(escape), len(kind.character(escape))
        return
    width = len(escape) // len(data)
    for character in data.decode(errors="surrogateescape"):
        yield width * len(character.encode(errors="surrogateescape")), 1


def _bytes(escape: str) -> bytes:
    if escape[1] == "x":
        return bytes.fromhex(escape.replace("\\x", ""))
    if escape[1] in "0123" and len(escape) >= _OCTAL:
        return bytes(int(octal, 8) for octal in escape[1:].split("\\"))
    return b""


def _character(escape: str) -> str:
    sign = escape[1]
    if sign not in "uU" or len(escape) <= _OCTAL:
        return _CONTROLS.get(sign, sign)
    digits = escape[2:].strip("{}")
    if "\\" in digits:  # a pair of surrogates
        high, low = (int(half, 16) for half in digits.split("\\u"))
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
    code = int(digits, 16)
    return chr(code) if code <= _HIGHEST else escape


_KINDS: Final = (
    _Kind("\\", _BACKSLASHED, _character, _bytes),
    _Kind("%", _PERCENT, str, lambda escape: bytes.fromhex(escape.replace("%", ""))),
    _Kind("&", _ENTITY, html.unescape, lambda _: b""),
)

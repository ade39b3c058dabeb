r"""A text as it reads once its escapes are undone: what a program has escaped, in whatever way, reads as it was. Pure.

Programs escape a value for JSON, URLs, HTML, shells and the source text of their language, each a little
differently (`\u00e4`, `\u{e4}`, `\xc3\xa4`, `\303\244`, `%C3%A4`, `&auml;`, `&#228;`), all characters or only some,
and one escape within another (a log of JSON in JSON). So no list of a value's escaped forms is complete; but undone,
all of them are the value. A text that uses several kinds at once has several readings: each kind is undone by itself,
then within that again.
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
"""Of one text; three kinds within each other, in any order, need no more where a text uses two of them."""
_MOST_CHARACTERS: Final = 600_000
"""Of all readings of one text: so many characters of escapes take a tenth of a second."""

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
"""An escaped letter or digit of ASCII, or the sign of an escape within an escape."""
_CONTROLS: Final = dict(zip("abefnrtv0", "\a\b\x1b\f\n\r\t\v\0", strict=True))
_HIGHEST: Final = 0x10FFFF
_OCTAL: Final = len(r"\000")
_NO_UTF8: Final = {0xDC80 + byte: chr(0x80 + byte) for byte in range(0x80)}
"""Bytes that are not UTF-8 read as Latin-1, as Python shows characters below 256."""


class _Kind(NamedTuple):
    sign: str
    """In every text with such escapes."""
    escape: re.Pattern[str]
    character: Callable[[str], str]
    """What one escape stands for."""
    data: Callable[[str], bytes]
    """Where the match may be several escaped bytes in a row, those; else nothing."""

    def undone(self, escape: str) -> str:
        """What a match reads as."""
        data = self.data(escape)
        return data.decode(errors="surrogateescape").translate(_NO_UTF8) if data else self.character(escape)


class _Piece(NamedTuple):
    """An escape and what it reads as."""

    begin: int
    end: int
    """In the text with escapes."""
    at: int
    """Where what it reads as begins."""
    size: int


class Reading:
    """One way to read a text."""

    __slots__ = ("_before", "_kind", "_pieces", "text")

    def __init__(self, text: str, before: Reading | None = None, kind: _Kind | None = None) -> None:
        """The text itself, or a reading with one kind of escapes undone."""
        self.text, self._before, self._kind = text, before, kind
        self._pieces: list[_Piece] | None = None

    def original(self, begin: int, end: int) -> tuple[int, int]:
        """Where in the text itself that stands which is read from `begin` to `end` (at least one character)."""
        if self._before is None or self._kind is None:
            return begin, end
        if self._pieces is None:
            self._pieces = list(_pieces(self._before.text, self._kind))
        first = _place(self._pieces, begin)
        last = _place(self._pieces, end - 1)
        return self._before.original(first[0], last[1])


def spells(text: str) -> bool:
    """Whether letters or digits of ASCII may be escaped in the text: hardly any program does that."""
    return _SPELLED.search(text) is not None


def readings(text: str) -> Iterator[Reading]:
    """The text itself, and all that it may read as; each text once, and not more than is worth its time."""
    seen, spent = {text}, 0
    waiting = deque([Reading(text)])
    while waiting:
        reading = waiting.popleft()
        yield reading
        for kind in _KINDS:
            if kind.sign not in reading.text or len(seen) >= _MOST_READINGS or spent > _MOST_CHARACTERS:
                continue
            spent += len(reading.text)
            undone = kind.escape.sub(lambda match, kind=kind: kind.undone(match[0]), reading.text)  # type: ignore[misc]
            if undone not in seen:
                seen.add(undone)
                waiting.append(Reading(undone, reading, kind))


def _place(pieces: list[_Piece], index: int) -> tuple[int, int]:
    """Begin and end, with its escapes, of the character that is read at `index`."""
    found = bisect_right(pieces, index, key=lambda piece: piece.at) - 1
    if found < 0:
        return index, index + 1
    piece = pieces[found]
    if index < piece.at + piece.size:
        return piece.begin, piece.end
    begin = piece.end + index - piece.at - piece.size
    return begin, begin + 1


def _pieces(text: str, kind: _Kind) -> Iterator[_Piece]:
    shift = 0
    for match in kind.escape.finditer(text):
        begin = match.start()
        for size, undone in _characters(match[0], kind):
            yield _Piece(begin, begin + size, begin + shift, undone)
            shift += undone - size
            begin += size


def _characters(escape: str, kind: _Kind) -> Iterator[tuple[int, int]]:
    """How long each escaped character of a match is, and how long what it reads as."""
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

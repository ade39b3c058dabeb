"""CSV dialects: files whose fields are not separated by commas and enclosed by double quotes. Pure.

A file in another dialect is read through a *view*: a reader that swaps bytes one for one, so that the delimiter becomes
a comma, the enclosure a double quote, and those two something else. Offsets, lines and UTF-8 do not change, so code
for plain CSV (`csv.text`) works on the view; only values have to be converted back. Delimiter and enclosure are single
ASCII characters, which are never part of another UTF-8 character.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["DELIMITER_NAMES", "PLAIN", "Dialect", "Read"]

Read = Callable[[int, int], bytes]
"""`read(length, offset)` returns bytes of a file; fewer than `length` only at its end."""

DELIMITER_NAMES: Final = {",": "a comma", "\t": "a tab", " ": "a space", ";": "a semicolon", "|": "a pipe"}
_NOTHING: Final = "\0"
"""Stands for the enclosure if there is none; a file that contains it is an error."""
_LAST_ASCII: Final = 127


@dataclass(frozen=True, slots=True)
class Dialect:
    """A delimiter and an enclosure; `PLAIN` is the dialect in which tables are stored."""

    delimiter: str = ","
    enclosure: str = '"'
    """If empty, fields are not enclosed, so no value contains a delimiter or a line break."""

    def check(self) -> None:
        """Reject an invalid dialect.

        Raises:
            ValueError: the message names `delimiter` or `enclosure`.
        """
        if not _is_sign(self.delimiter):
            raise ValueError(f"`delimiter` is {self.delimiter!r}; expected one ASCII character, as `;` or a tab")
        if self.enclosure and not _is_sign(self.enclosure):
            raise ValueError(f"`enclosure` is {self.enclosure!r}; expected one ASCII character, or none")
        if self.enclosure == self.delimiter:
            raise ValueError(f"`delimiter` and `enclosure` are both {self.delimiter!r}; expected two characters")

    @property
    def is_plain(self) -> bool:
        """Whether files are in the dialect in which tables are stored."""
        return self == PLAIN

    @property
    def delimiter_name(self) -> str:
        """The delimiter, as messages call it."""
        return DELIMITER_NAMES.get(self.delimiter, f"`{self.delimiter}`")

    @property
    def enclosure_name(self) -> str:
        """The enclosure, as messages call it, without an article."""
        return "quote" if self.enclosure in {'"', ""} else f"`{self.enclosure}`"

    def view(self, read: Read) -> Read:
        """A reader of the file as plain CSV, with swapped bytes in values. Offsets do not change."""
        if self.is_plain:
            return read
        table = _tables(self)[0]
        return lambda length, offset: read(length, offset).translate(table)

    def back(self, data: bytes) -> bytes:
        """Convert bytes of the view back to bytes of the file."""
        return data if self.is_plain else data.translate(_tables(self)[1])

    def value(self, text: str) -> str:
        """Convert a value of the view back to the value in the file."""
        if self.is_plain:
            return text
        reverse = _tables(self)[1]
        return text.translate({sign: reverse[sign] for sign in range(_LAST_ASCII + 1)})

    def plain(self, rows: bytes) -> bytes:
        """Convert well-formed rows of the view to plain CSV. Fields are enclosed if they were, or if necessary."""
        if self.is_plain:
            return rows
        pattern, disguised = _patterns(self)
        if b'"' not in rows and not disguised.search(rows):
            return rows
        reverse = _tables(self)[1]

        def field(match: re.Match[bytes]) -> bytes:
            start, quoted_text, bare = match.groups()
            if quoted_text is not None:
                return bytes(start + b'"' + _doubled(quoted_text.replace(b'""', b'"').translate(reverse)) + b'"')
            value = bare.translate(reverse)
            return bytes(start + (b'"' + _doubled(value) + b'"' if b"," in value or b'"' in value else value))

        return pattern.sub(field, rows)


PLAIN: Final = Dialect()


def _is_sign(text: str) -> bool:
    return len(text) == 1 and ord(text) <= _LAST_ASCII and text not in "\r\n\0"


def _doubled(value: bytes) -> bytes:
    return value.replace(b'"', b'""')


@functools.cache
def _tables(dialect: Dialect) -> tuple[bytes, bytes]:
    """Tables for `bytes.translate`: from file to view, and from view to file."""
    roles = (dialect.delimiter, dialect.enclosure or _NOTHING)
    others = sorted({",", '"', *roles} - set(roles))
    free = sorted({",", '"', *roles} - {",", '"'})
    forward, reverse = bytearray(range(256)), bytearray(range(256))
    for sign, stand_in in zip((*roles, *others), (",", '"', *free), strict=True):
        forward[ord(sign)], reverse[ord(stand_in)] = ord(stand_in), ord(sign)
    return bytes(forward), bytes(reverse)


@functools.cache
def _patterns(dialect: Dialect) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Patterns of a field to convert, after fields that need no conversion, and of any swapped character."""
    reverse = _tables(dialect)[1]
    signs = bytes(sign for sign in range(256) if reverse[sign] != sign and sign not in b',"')
    # Without swapped characters nothing matches; an empty character class is not valid.
    disguised = b"[" + b"".join(re.escape(bytes([sign])) for sign in signs) + b"]" if signs else b"(?!)"
    inner = b"".join(re.escape(bytes([sign])) for sign in signs)
    pattern = (
        rb'((?:[^",\r\n' + inner + rb"]*+[,\r\n])*+)"
        rb'(?:"([^"]*+(?:""[^"]*+)*+)"|([^",\r\n]*+))'
    )
    return re.compile(pattern), re.compile(disguised)

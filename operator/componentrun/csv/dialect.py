"""How a CSV file separates and encloses its fields, where that is not by comma and double quote. Pure.

A file of another dialect is looked at through a *view*: a reader that exchanges bytes one for one, so that the
delimiter reads as a comma, the enclosure as a double quote, and those two as something else. Offsets, lines and UTF-8
stay as they are, so everything that knows plain CSV (`csvtext`) finds its way in the view; only values have to be
turned back. Delimiter and enclosure are single ASCII characters, which stand inside no other character of UTF-8.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["DELIMITER_NAMES", "PLAIN", "Dialect", "Read"]

Read = Callable[[int, int], bytes]
"""`read(length, offset)`: the bytes there; fewer only at the end of the file."""

DELIMITER_NAMES: Final = {",": "a comma", "\t": "a tab", " ": "a space", ";": "a semicolon", "|": "a pipe"}
_NOTHING: Final = "\0"
"""Plays the enclosure where there is none; a file that holds one is refused."""
_LAST_ASCII: Final = 127


@dataclass(frozen=True, slots=True)
class Dialect:
    """A delimiter and an enclosure; `PLAIN` is the platform's own."""

    delimiter: str = ","
    enclosure: str = '"'
    """Empty: fields are not enclosed, so no value holds a delimiter or a line break."""

    def check(self) -> None:
        """Refuse what can't be.

        Raises:
            ValueError: naming `delimiter` or `enclosure`.
        """
        if not _is_sign(self.delimiter):
            raise ValueError(f"`delimiter` is {self.delimiter!r}; expected one ASCII character, as `;` or a tab")
        if self.enclosure and not _is_sign(self.enclosure):
            raise ValueError(f"`enclosure` is {self.enclosure!r}; expected one ASCII character, or none")
        if self.enclosure == self.delimiter:
            raise ValueError(f"`delimiter` and `enclosure` are both {self.delimiter!r}; expected two characters")

    @property
    def is_plain(self) -> bool:
        """Whether files are what the platform stores."""
        return self == PLAIN

    @property
    def delimiter_name(self) -> str:
        """The delimiter in a sentence."""
        return DELIMITER_NAMES.get(self.delimiter, f"`{self.delimiter}`")

    @property
    def enclosure_name(self) -> str:
        """The enclosure in a sentence, without an article."""
        return "quote" if self.enclosure in {'"', ""} else f"`{self.enclosure}`"

    def view(self, read: Read) -> Read:
        """The file as if it were plain CSV, with values in disguise. Its bytes have the same places."""
        if self.is_plain:
            return read
        table = _tables(self)[0]
        return lambda length, offset: read(length, offset).translate(table)

    def back(self, data: bytes) -> bytes:
        """Bytes of the view as they stand in the file."""
        return data if self.is_plain else data.translate(_tables(self)[1])

    def value(self, text: str) -> str:
        """A value of the view as it stands in the file."""
        if self.is_plain:
            return text
        back = _tables(self)[1]
        return text.translate({sign: back[sign] for sign in range(_LAST_ASCII + 1)})

    def plain(self, rows: bytes) -> bytes:
        """Well-formed rows of the view as plain CSV. Fields that are enclosed stay so; others are where they must."""
        if self.is_plain:
            return rows
        pattern, disguised = _patterns(self)
        if b'"' not in rows and not disguised.search(rows):
            return rows
        back = _tables(self)[1]

        def field(match: re.Match[bytes]) -> bytes:
            before, inside, bare = match.groups()
            if inside is not None:
                return bytes(before + b'"' + _doubled(inside.replace(b'""', b'"').translate(back)) + b'"')
            value = bare.translate(back)
            return bytes(before + (b'"' + _doubled(value) + b'"' if b"," in value or b'"' in value else value))

        return pattern.sub(field, rows)


PLAIN: Final = Dialect()


def _is_sign(text: str) -> bool:
    return len(text) == 1 and ord(text) <= _LAST_ASCII and text not in "\r\n\0"


def _doubled(value: bytes) -> bytes:
    return value.replace(b'"', b'""')


@functools.cache
def _tables(dialect: Dialect) -> tuple[bytes, bytes]:
    """Tables for `bytes.translate`: file to view, view to file."""
    roles = (dialect.delimiter, dialect.enclosure or _NOTHING)
    others = sorted({",", '"', *roles} - set(roles))
    free = sorted({",", '"', *roles} - {",", '"'})
    there, back = bytearray(range(256)), bytearray(range(256))
    for sign, seen in zip((*roles, *others), (",", '"', *free), strict=True):
        there[ord(sign)], back[ord(seen)] = ord(seen), ord(sign)
    return bytes(there), bytes(back)


@functools.cache
def _patterns(dialect: Dialect) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """A field to turn back, behind those that need not be; and any disguised sign."""
    back = _tables(dialect)[1]
    signs = bytes(sign for sign in range(256) if back[sign] != sign and sign not in b',"')
    # Without a disguised sign there is nothing to find; an empty class would be no pattern.
    disguised = b"[" + b"".join(re.escape(bytes([sign])) for sign in signs) + b"]" if signs else b"(?!)"
    inner = b"".join(re.escape(bytes([sign])) for sign in signs)
    pattern = (
        rb'((?:[^",\r\n' + inner + rb"]*+[,\r\n])*+)"
        rb'(?:"([^"]*+(?:""[^"]*+)*+)"|([^",\r\n]*+))'
    )
    return re.compile(pattern), re.compile(disguised)

"""Edits JSON as text, keeping the order of keys, the format of numbers and white space. Pure.

Python's own scanner finds the values, so that a megabyte of text takes milliseconds. Only the changed parts of the text
are replaced.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.wire.documents import NO_TEXT, is_text, parse_portable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Entry", "Kind", "entries", "insertion", "kind_at", "kind_of", "parse_object", "trimmed"]

Kind = Literal["object", "list", "text", "true or false", "null", "number"]
_KINDS: Final[dict[str, Kind]] = {
    "{": "object", "[": "list", '"': "text", "t": "true or false", "f": "true or false", "n": "null",
}  # fmt: skip
_SPACES: Final = " \t\r\n"
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_BOM: Final = "\ufeff"
_FOUND: Final = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of an object or of a list, with its position in the text."""

    key: str
    """Key, or index in a list."""
    begin: int
    end: int


def trimmed(text: str) -> str:
    """Return the text without a byte order mark and surrounding white space."""
    return text.removeprefix(_BOM).strip(_SPACES)


def parse_object(text: str) -> dict[str, Any]:
    """Parse a text that must be an object.

    Raises:
        ValueError: it is not an object, or contains a duplicate key, half of a surrogate pair, or what `parse_portable`
        refuses.
    """
    try:
        found = parse_portable(text, refuse_twice=True)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    if not isinstance(found, dict):
        raise ValueError(f"it holds {kind_of(found)}; expected a JSON object")  # noqa: TRY004 - wrong data
    if _SURROGATE.search(text) and not is_text(found):
        raise ValueError(NO_TEXT)
    return found


def kind_of(value: Any) -> str:
    """Return the type of a JSON value, in words."""
    return _FOUND.get(type(value), "a number")


def kind_at(text: str, place: int) -> Kind:
    """Return the value that begins there."""
    return _KINDS.get(text[place], "number")


def entries(text: str, place: int) -> Iterator[Entry]:
    """Yield the values of the object or list that begins at `place`, in order. The text must be valid JSON."""
    is_object = text[place] == "{"
    place = _next(text, place + 1)
    number = 0
    while text[place] not in "}]":
        key = str(number)
        if is_object:
            key, place = _DECODER.raw_decode(text, place)
            place = _next(text, _next(text, place) + 1)
        end = _DECODER.raw_decode(text, place)[1]
        yield Entry(key, place, end)
        number += 1
        place = _next(text, end)
        if text[place] == ",":
            place = _next(text, place + 1)


def insertion(key: str, value: Any, *, first: bool) -> str:
    """Return the text that adds a key at the end of an object."""
    return f"{'' if first else ', '}{json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"


def _next(text: str, place: int) -> int:
    while text[place] in _SPACES:
        place += 1
    return place

"""JSON that has to stay the text that it is: order of keys, form of numbers and white space included. Pure.

Values are found by Python's own scanner, so that a text of a megabyte is read in milliseconds; what is changed is cut
out of the text and put in, and nothing else is written anew.
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
    """One value of an object or of a list, by its place in the text."""

    key: str
    """Of a list: the position."""
    begin: int
    end: int


def trimmed(text: str) -> str:
    """The text without what may surround a document: a byte order mark and white space."""
    return text.removeprefix(_BOM).strip(_SPACES)


def parse_object(text: str) -> dict[str, Any]:
    """The object that a text holds.

    Raises:
        ValueError: it holds something else, a key twice, half of a surrogate pair, or what `parse_portable` refuses.
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
    """What a value of JSON is, in words."""
    return _FOUND.get(type(value), "a number")


def kind_at(text: str, place: int) -> Kind:
    """What begins there."""
    return _KINDS.get(text[place], "number")


def entries(text: str, place: int) -> Iterator[Entry]:
    """The values of the object or the list that begins at `place`, in their order. The text is valid JSON."""
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
    """What stands in an object for another key behind the others."""
    return f"{'' if first else ', '}{json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"


def _next(text: str, place: int) -> int:
    while text[place] in _SPACES:
        place += 1
    return place

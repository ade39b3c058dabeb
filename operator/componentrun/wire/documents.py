"""Frozen dataclasses as JSON and back. Without pydantic, because the agents must start in milliseconds.

`to_json` and `from_json` are inverse. A document that lacks a field raises `ValueError` naming it; fields it does not
know are ignored, so that an operator and an agent one release apart understand each other.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from typing import Any, Final, NoReturn, TypeVar

__all__ = ["MAX_DEPTH", "NO_TEXT", "from_json", "is_text", "is_too_deep", "parse_portable", "to_json"]

MAX_DEPTH: Final = 150
"""Levels of lists and objects in what people and components write. pydantic reads 200 and writes 255, and what is kept
stands some levels deeper: a document that can be written and not be read would be lost to everybody."""
_TOO_DEEP: Final = f"it is nested too deeply; expected at most {MAX_DEPTH} lists and objects in each other"

NO_TEXT: Final = "it holds half of a surrogate pair (an escape such as `\\ud800` alone), which is no text"
"""What is wrong with a document that is not `is_text`."""

MAX_VALUES: Final = 500_000
"""In such a document. Each takes its reader up to 200 bytes of memory however short it is, and the operator reads what
components write: a few MiB of empty objects would take all that it has."""

Document = TypeVar("Document")


def to_json(document: Any) -> str:
    """One line of JSON for a dataclass of plain values, tuples and other such dataclasses."""
    return json.dumps(dataclasses.asdict(document), ensure_ascii=False, separators=(",", ":"))


def from_json(kind: type[Document], text: str | bytes) -> Document:
    """Read a document back.

    Raises:
        ValueError: the text is no JSON object, or a field is missing or of the wrong shape (named in the message).
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{kind.__name__}: not JSON: {error}") from error
    return typing.cast("Document", _build(kind, raw, kind.__name__))


def parse_portable(text: str | bytes, *, refuse_twice: bool = False) -> Any:
    """JSON that people and components write, and that every reader understands in the same way.

    Args:
        text: the JSON.
        refuse_twice: whether an object that has a key twice is an error; else the last one counts.

    Raises:
        ValueError: it is no JSON, says a number that is none or is too large for others to read, or is too deep or too
            full.
    """
    pairs = _each_key_once if refuse_twice else None
    try:
        document = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if is_too_deep(document):
        raise ValueError(_TOO_DEEP)
    if (found := _values(document)) > MAX_VALUES:
        raise ValueError(f"it holds {found} values; expected at most {MAX_VALUES}")
    return document


def is_text(document: Any) -> bool:
    """Whether JSON that was read can be written as UTF-8. Escapes can say what no text can hold: half a pair."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def is_too_deep(document: Any) -> bool:
    """Whether lists and objects lie within each other on more than `MAX_DEPTH` levels."""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return any(isinstance(item, dict | list) for item in level)


def _values(document: Any) -> int:
    """Lists, objects, and what stands in them."""
    found, left = 1, [document] if isinstance(document, dict | list) else []
    while left:
        item = left.pop()
        found += len(item)
        left += [part for part in (item.values() if isinstance(item, dict) else item) if isinstance(part, dict | list)]
    return found


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the key `{twice[:100]}` twice in one object; expected each key once")
    return found


def _refuse_constant(name: str) -> NoReturn:
    # Python writes and reads `NaN` and `Infinity`; other readers do not, and some make `null` of them.
    raise ValueError(f"it holds `{name}`, which JSON does not know; expected a number, `null` or a text")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"it holds `{text[:40]}`, which is larger than any number that others can read")
    return number


def _build(kind: Any, raw: Any, where: str) -> Any:
    """Turn plain JSON into `kind`: a dataclass, a tuple of something, an optional, or a plain value."""
    origin = typing.get_origin(kind)
    if origin in {types.UnionType, typing.Union}:
        inner = [option for option in typing.get_args(kind) if option is not type(None)]
        return None if raw is None else _build(inner[0], raw, where)
    if origin is tuple:
        if not isinstance(raw, list):
            raise ValueError(f"{where}: expected a list, found {type(raw).__name__}")
        return tuple(_build(typing.get_args(kind)[0], item, f"{where}[{i}]") for i, item in enumerate(raw))
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, raw, where)
    expected = origin or kind
    if expected is float and isinstance(raw, int):
        return float(raw)
    if expected is not Any and (not isinstance(raw, expected) or (expected is int and isinstance(raw, bool))):
        raise ValueError(f"{where}: expected {expected.__name__}, found {type(raw).__name__}")
    return raw


def _build_dataclass(kind: Any, raw: Any, where: str) -> Any:
    if not isinstance(raw, dict):
        raise ValueError(f"{where}: expected an object, found {type(raw).__name__}")  # noqa: TRY004 - wrong data, not a wrong call
    hints = _hints(kind)
    values = {}
    for item in dataclasses.fields(kind):
        if item.name in raw:
            values[item.name] = _build(hints[item.name], raw[item.name], f"{where}.{item.name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}.{item.name}: missing")
    return kind(**values)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    # Evaluating the annotations anew for each of 1,000 tables takes a quarter of a second.
    return typing.get_type_hints(kind)

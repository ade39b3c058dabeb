"""Converts frozen dataclasses to JSON and back, without pydantic, because the agents must start in milliseconds.

`to_json` and `from_json` are inverse. If a document lacks a field, a `ValueError` names it. Unknown fields are ignored,
so that an operator and an agent of adjacent releases understand each other.
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
"""Maximum nesting of lists and objects in JSON from people and components. pydantic reads 200 levels and writes 255,
and stored JSON is some levels deeper: a document that can be written but not read would be lost."""
_TOO_DEEP: Final = f"it is nested too deeply; expected at most {MAX_DEPTH} lists and objects in each other"

NO_TEXT: Final = "it holds half of a surrogate pair (an escape such as `\\ud800` alone), which is no text"
"""Error message for a document that is not `is_text`."""

MAX_VALUES: Final = 500_000
"""Maximum number of values in such a document. Each needs up to 200 bytes of memory, however short it is, so a few MiB
of empty objects from a component would exhaust the operator's memory."""

Document = TypeVar("Document")


def to_json(document: Any) -> str:
    """Return one line of JSON for a dataclass of plain values, tuples and other such dataclasses."""
    return json.dumps(dataclasses.asdict(document), ensure_ascii=False, separators=(",", ":"))


def from_json(kind: type[Document], text: str | bytes) -> Document:
    """Parse a document.

    Raises:
        ValueError: the text is not a JSON object, or a field is missing or malformed (named in the message).
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{kind.__name__}: not JSON: {error}") from error
    return typing.cast("Document", _build(kind, raw, kind.__name__))


def parse_portable(text: str | bytes, *, refuse_twice: bool = False) -> Any:
    """Parse JSON from people and components, restricted to what every reader understands in the same way.

    Args:
        text: the JSON.
        refuse_twice: whether a duplicate key in an object is an error; otherwise the last one counts.

    Raises:
        ValueError: it is not JSON, contains an invalid number or one that is too large for other readers, is nested too
        deeply, or has too many values.
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
    """Whether parsed JSON can be written as UTF-8, which half of a surrogate pair in an escape can't."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def is_too_deep(document: Any) -> bool:
    """Whether lists and objects are nested on more than `MAX_DEPTH` levels."""
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
    """Return the number of values, lists and objects included."""
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
    # Python writes and reads `NaN` and `Infinity`; other readers refuse them or read `null`.
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
    # Evaluating the annotations for each of 1,000 tables takes 250 ms.
    return typing.get_type_hints(kind)

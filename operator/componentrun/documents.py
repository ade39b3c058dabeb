"""Frozen dataclasses as JSON and back. Without pydantic, because the agents must start in milliseconds.

`to_json` and `from_json` are inverse. A document that lacks a field raises `ValueError` naming it; fields it does not
know are ignored, so that an operator and an agent one release apart understand each other.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from typing import Any, NoReturn, TypeVar

__all__ = ["from_json", "refuse_constant", "to_json"]

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


def refuse_constant(name: str) -> NoReturn:
    """For `json.loads(text, parse_constant=...)` of what people and components write.

    Python writes and reads `NaN` and `Infinity`; other readers do not, and some make `null` of them.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"it holds `{name}`, which JSON does not know; expected a number, `null` or a text")


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

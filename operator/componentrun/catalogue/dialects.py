"""Configuration schemas that are no valid JSON Schema, as valid ones that mean the same. Pure.

Forms in which public schemas differ from JSON Schema: `"type": "button"` for an element of the form that has no value,
`"required": true` on a property (draft 3), `"enum": []` for a list that the form fills by an action, PHP's `[]` for an
object, numbers as text. A schema with one of them is refused by a validator, or accepts nothing.

A value that a form needs and JSON Schema does not allow is kept under the same key with the prefix `x-`. All other keys
are kept as they are and in their order, because forms depend on both.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.wire.jsontext import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["HINT_PREFIX", "Change", "normalized_schema"]

HINT_PREFIX: Final = "x-"
"""Prefix of keys that keep what only a form understands."""

_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_OTHER_NAMES: Final = {
    "bool": "boolean", "date": "string", "datetime": "string", "dict": "object", "double": "number",
    "float": "number", "int": "integer", "list": "array", "map": "object", "password": "string", "str": "string",
    "text": "string",
}  # fmt: skip
_SCHEMA_MAPS: Final = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
_SCHEMA_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMAS: Final = frozenset({
    "additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then",
    "unevaluatedItems", "unevaluatedProperties",
})  # fmt: skip
_COUNTS: Final = frozenset({
    "maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength", "minProperties",
})  # fmt: skip
_BOUNDS: Final = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})
_LIMITS: Final = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?")
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between a schema and its normalized form."""

    path: str
    """JSON pointer; empty for the whole schema."""
    message: str

    def __str__(self) -> str:
        """The change as one clause."""
        return f"`{self.path or '/'}`: {self.message}"


def normalized_schema(schema: Any) -> tuple[dict[str, Any], tuple[Change, ...]]:
    """A schema without the dialects, and what was changed. The schema itself is not modified.

    Normalizing the result again changes nothing. The nesting of the schema must be limited by the caller.
    """
    changes: list[Change] = []
    normal = _schema(schema, "", lambda path, message: changes.append(Change(path, message)))
    if isinstance(normal, bool):
        changes.append(Change("", f"found {str(normal).lower()}, which forms can't show; written as an object"))
        normal = {} if normal else {"not": {}}
    return normal, tuple(changes)


def _schema(node: Any, path: str, tell: Callable[[str, str], None]) -> Any:
    """One schema and those inside it."""
    if isinstance(node, bool):
        return node
    if not isinstance(node, dict):
        if node not in ([], None):
            tell(path, f"found {kind_of(node)}, expected a schema; it now accepts every value")
        return {}
    normal: dict[str, Any] = {}
    required: list[str] = []
    for key, value in node.items():
        place = f"{path}/{_escaped(key)}"
        if key in _SCHEMA_MAPS:
            normal[key] = _schema_map(value, place, tell, required if key == "properties" else None)
        elif key in _SCHEMA_LISTS:
            normal |= _schema_list(key, value, place, tell)
        elif key in _SCHEMAS:
            normal[key] = _items(value, place, tell) if key == "items" else _schema(value, place, tell)
        else:
            normal |= _keyword(key, value, node, place, tell)
    return _with_required(normal, required)


def _keyword(
    key: str, value: Any, node: Mapping[str, Any], path: str, tell: Callable[[str, str], None]
) -> dict[str, Any]:
    """What a keyword that holds no schema becomes."""
    if key == "type":
        return _type(value, path, tell)
    if key == "enum":
        return _enum(value, path, tell)
    if key == "required":
        return _required(value, path, tell)
    if key in _COUNTS or key in _BOUNDS:
        return _number(key, value, node, path, tell)
    if key == "uniqueItems" and not isinstance(value, bool):
        tell(path, f"found {_shown(value)}, expected true or false; left out")
        return {}
    return {key: value}


def _schema_map(value: Any, path: str, tell: Callable[[str, str], None], required: list[str] | None) -> dict[str, Any]:
    """An object whose values are schemas. Names of required properties are added to `required`, if that is given."""
    if not isinstance(value, dict):
        if value not in ([], None):
            tell(path, f"found {kind_of(value)}, expected an object of schemas; left out")
        return {}
    normal = {}
    for name, schema in value.items():
        place = f"{path}/{_escaped(name)}"
        if required is not None and isinstance(schema, dict) and isinstance(schema.get("required"), bool):
            if schema["required"]:
                required.append(name)
                tell(f"{place}/required", f"found true; `{name}` is now in the list `required` of the object")
            schema = {key: item for key, item in schema.items() if key != "required"}  # noqa: PLW2901 - without it
        normal[name] = _schema(schema, place, tell)
    return normal


def _schema_list(key: str, value: Any, path: str, tell: Callable[[str, str], None]) -> dict[str, Any]:
    if isinstance(value, dict):
        tell(path, "found an object, expected a list of schemas; its values are the list")
        value = list(value.values())
    if not isinstance(value, list) or not value:
        tell(path, f"found {_shown(value)}, expected a list of schemas; left out")
        return {}
    return {key: [_schema(item, f"{path}/{i}", tell) for i, item in enumerate(value)]}


def _items(value: Any, path: str, tell: Callable[[str, str], None]) -> Any:
    """`items`: one schema, or one for each item as drafts before 2020-12 write it."""
    if isinstance(value, list) and value:
        return [_schema(item, f"{path}/{i}", tell) for i, item in enumerate(value)]
    return _schema(value, path, tell)


def _type(value: Any, path: str, tell: Callable[[str, str], None]) -> dict[str, Any]:
    """`type`, with the names that JSON Schema knows; one that it can't express goes to `x-type`."""
    names = value if isinstance(value, list) else [value]
    if value in ([], "", None):
        tell(path, f"found {_shown(value)}, expected a type of JSON; left out")
        return {}
    known: list[str] = []
    for name in names:
        word = str(name).lower() if isinstance(name, str) else ""
        plain = word if word in _TYPES else _OTHER_NAMES.get(word)
        if plain is not None and plain not in known:
            known.append(plain)
    if known == names or (isinstance(value, str) and known == [value]):
        return {"type": value}
    if known:
        types = known if isinstance(value, list) else known[0]
        tell(path, f"found {_shown(value)}, expected types of JSON; now {_shown(types)}")
        return {"type": types}
    tell(path, f"found {_shown(value)}, which is no type of JSON; now `{HINT_PREFIX}type`, and every value is accepted")
    return {f"{HINT_PREFIX}type": value}


def _enum(value: Any, path: str, tell: Callable[[str, str], None]) -> dict[str, Any]:
    if isinstance(value, dict):
        tell(path, "found an object, expected a list; its values are the list")
        value = list(value.values())
    if not isinstance(value, list):
        tell(path, f"found {_shown(value)}, expected a list; left out")
        return {}
    if not value:
        tell(path, f"found an empty list, which accepts no value; now `{HINT_PREFIX}enum`, and every value is accepted")
        return {f"{HINT_PREFIX}enum": []}
    texts = [json.dumps(item, sort_keys=True) for item in value]
    if len(set(texts)) < len(texts):
        tell(path, "found the same value several times; each is now there once")
        return {"enum": [item for i, item in enumerate(value) if texts[i] not in texts[:i]]}
    return {"enum": value}


def _required(value: Any, path: str, tell: Callable[[str, str], None]) -> dict[str, Any]:
    """`required` of an object. On a property, `_schema_map` has handled true and false."""
    if isinstance(value, bool):
        tell(path, f"found {str(value).lower()} outside a property, where it has no meaning; left out")
        return {}
    if isinstance(value, str):
        tell(path, "found a text, expected a list; it is now a list of this one name")
        return {"required": [value]}
    if not isinstance(value, list):
        tell(path, f"found {_shown(value)}, expected a list of names; left out")
        return {}
    names = list(dict.fromkeys(name for name in value if isinstance(name, str)))
    if names != value:
        tell(path, "found values that are no names, or names several times; each name is now there once")
    return {"required": names}


def _number(
    key: str, value: Any, node: Mapping[str, Any], path: str, tell: Callable[[str, str], None]
) -> dict[str, Any]:
    if isinstance(value, bool) and key in _LIMITS:
        bound = node.get(_LIMITS[key])
        if value and isinstance(bound, int | float) and not isinstance(bound, bool):
            tell(path, f"found true, as in draft 4; now the number {bound}")
            return {key: bound}
        return {}
    number = _as_number(value)
    is_count = key in _COUNTS
    if number is None or (is_count and (number < 0 or number != int(number))) or (key == "multipleOf" and number <= 0):
        expected = "a whole number that is not negative" if is_count else "a number"
        tell(path, f"found {_shown(value)}, expected {expected}; left out")
        return {}
    if isinstance(value, str):
        tell(path, f"found the text {_shown(value)}; now the number {number}")
    return {key: number if isinstance(value, str) else value}


def _as_number(value: Any) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return None
    number: int | float = json.loads(value)
    return number


def _with_required(normal: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The schema with more required properties."""
    if not names:
        return normal
    listed = normal.get("required", [])
    return normal | {"required": [*listed, *(name for name in names if name not in listed)]}


def _escaped(key: str) -> str:
    """A key as part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text[:_SHOWN]}`{' (cut)' if len(text) > _SHOWN else ''}"

"""What a keyword of a JSON Schema expects, in words. Texts are those of the schema, never of the checked document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["expected", "nouns_of_types"]

_NOUNS: Final = {
    "string": "a text", "integer": "a whole number", "number": "a number", "boolean": "`true` or `false`",
    "object": "an object", "array": "a list", "null": "`null`",
}  # fmt: skip
_LIMITS: Final = {
    "minimum": "at least {}", "maximum": "at most {}", "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}", "minLength": "at least {} characters", "maxLength": "at most {} characters",
    "minItems": "at least {} items", "maxItems": "at most {} items", "minProperties": "at least {} keys",
    "maxProperties": "at most {} keys", "additionalItems": "at most {} items",
}  # fmt: skip
_SENTENCES: Final = {
    "uniqueItems": "a list without duplicates", "contains": "a list with an item that the schema requires",
    "anyOf": "a value that matches one of the alternatives of the schema",
    "oneOf": "a value that matches exactly one of the alternatives of the schema",
    "not": "a value that does not match what the schema excludes", "propertyNames": "keys that the schema allows",
    "false": "no value", "falseSchema": "no value",
}  # fmt: skip
_MOST_OPTIONS: Final = 20
_LONGEST: Final = 100
"""Characters of a text of the schema that a message shows."""


def nouns_of_types(types: list[str]) -> str:
    """The types in words: "a text or a number"."""
    return " or ".join(_NOUNS.get(name, f"`{name}`") for name in types)


def expected(keyword: str, details: dict[str, Any]) -> str:
    """What a keyword expects.

    Args:
        keyword: name of the keyword, e.g. `minimum`.
        details: its values, by the names of jsonschema-rs.
    """
    if keyword in _LIMITS and "limit" in details:
        return _limit(_LIMITS[keyword], details["limit"])
    words = _WORDS.get(keyword)
    return words(details) if words is not None else _SENTENCES.get(keyword, f"what `{keyword}` of the schema requires")


def _limit(template: str, limit: float) -> str:
    text = template.format(limit)
    return text.removesuffix("s") if limit == 1 else text


def _options(details: dict[str, Any]) -> str:
    options = details["options"]
    more = len(options) - _MOST_OPTIONS
    return f"one of {', '.join(map(_shown, options[:_MOST_OPTIONS]))}{f' and {more} more' if more > 0 else ''}"


_WORDS: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "type": lambda details: nouns_of_types([str(name) for name in details["types"]]),
    "enum": _options,
    "const": lambda details: _shown(details["expected_value"]),
    "pattern": lambda details: f"a text that matches the pattern {_shown(details['pattern'])}",
    "multipleOf": lambda details: f"a multiple of {details['multiple_of']}",
}


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{text[:_LONGEST]}`{' (cut)' if len(text) > _LONGEST else ''}"

"""What is wrong with an object, for the person who wrote it: path, what was found, what was expected, what to do.

The models' own validator says what it compared. Here its findings become sentences, one for each field.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["EXPECTED", "found", "problems"]

EXPECTED: Final = {
    r"^(\d+(?:\.\d+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$": "a quantity such as `500m`, `2` or `256Mi`",
    r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$": "a duration such as `90s`, `15m` or `1h30m`",
    r"^(in|out)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$": "a table id such as `in.c-main.customers`",
    r"^(in|out)\.[A-Za-z0-9_-]+$": "a bucket such as `out.c-main`",
    r"^[A-Za-z0-9_][A-Za-z0-9_. -]*$": "a file name such as `customers.csv`",
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$": "a name of small letters, digits, `-` and `.`",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "a name of small letters, digits and `-`, such as `release`",
    r"^(adaptive|(\d+h)?(\d+m)?(\d+s)?"
    r"|-?\d{1,6} ?(second|minute|hour|day|week)s?"
    r"|\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?)$": (
        "a time such as `2026-01-31T00:00:00Z`, how long ago such as `36h` or `-2 days`, or `adaptive`"
    ),
    r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$": "letters, digits, `_`, `.` and `-`, such as `daily-42`",
    r"^[A-Za-z][A-Za-z0-9_-]*$": "a word of letters, digits, `_` and `-`, such as `run`",
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$": "a tag of letters, digits, `_`, `.` and `-`, such as `1.4`",
    r"^[A-Za-z0-9]([A-Za-z0-9_./@-]*[A-Za-z0-9])?$": "letters, digits, `_`, `.`, `/`, `@` and `-`",
    r"^[^/\s][^\s]*$": "an object's key without spaces and without a slash at its start, such as `files/customers.csv`",
    r"^([^.\\]|\\[.\\])+(\.([^.\\]|\\[.\\])+)*$": "a path such as `db.#password`, where `\\.` is a dot in a key",
    r"^[\x01-\x09\x0b\x0c\x0e-\x7f]$": "one ASCII character that ends no line, such as `;`",
    r"^[\x01-\x09\x0b\x0c\x0e-\x7f]$|^$": "one ASCII character that ends no line, or nothing",
    r"^[0-9a-fA-F:.]+/[0-9]{1,3}$": "a block of addresses such as `203.0.113.7/32`",
    r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$": "a file's id, as `componentrun file ls` shows it",
    r"^[^/\x00-\x1f\x7f]+$": "a name without slashes and control characters",
    r"^[^\x00-\x1f\x7f]+$": "a text without control characters",
}
"""The models' patterns, for people."""

_ADVICE: Final = {
    "input.tables[].columns": "leave it out to get all columns",
    "input.tables[].limit": "leave it out to get all rows",
    "input.tables[].where.values": "leave `where` out to get all rows",
    "output.tables[].columns": "leave it out if the file has a header line",
    "output.tables[].schema": "leave it out if nothing is known of the columns",
    "output.tables[].deleteWhere.values": "leave `deleteWhere` out to delete nothing",
}
"""What to do about a field, where that is not plain from what was expected."""
_NOUNS: Final = {"columns": "column", "schema": "column", "values": "value", "primaryKey": "column", "tags": "tag"}
_SHOWN: Final = 80
"""Characters of what was found; a line's worth."""
_KINDS: Final = {
    "string_type": "a text", "bool_type": "`true` or `false`", "bool_parsing": "`true` or `false`",
    "int_type": "a whole number", "int_parsing": "a whole number", "int_from_float": "a whole number",
    "tuple_type": "a list", "list_type": "a list", "dict_type": "an object", "model_type": "an object",
    "model_attributes_type": "an object", "dataclass_type": "an object",
}  # fmt: skip
_EMPTY_KINDS: Final[dict[type, str]] = {str: "an empty text", list: "an empty list", dict: "an object"}
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most"),
    "greater_than": ("gt", "more than"), "less_than": ("lt", "less than"),
}  # fmt: skip


def problems(error: ValidationError) -> list[str]:
    """A sentence for each field that is wrong, with its path."""
    details = error.errors(include_url=False)
    places = [item["loc"] for item in details]
    return [
        f"`{path_of(item['loc'])}`: {_sentence(item)}"
        for item in details
        # A list whose items are wrong is taken for an empty one: the items are what has to be changed.
        if not (item["type"] == "too_short" and any(_is_below(place, item["loc"]) for place in places))
    ]


def found(value: Any) -> str:
    """What was found, in the words of JSON and never longer than a line."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str) and value:
        return f"`{value[:_SHOWN]}`{' (cut)' if len(value) > _SHOWN else ''}"
    if isinstance(value, list | tuple) and value:
        return f"a list of {len(value)}"
    return _EMPTY_KINDS.get(type(value), "nothing")


def path_of(location: Sequence[str | int]) -> str:
    """`spec.input.tables[0].limit`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def _is_below(place: Sequence[str | int], root: Sequence[str | int]) -> bool:
    return len(place) > len(root) and tuple(place[: len(root)]) == tuple(root)


def _sentence(item: ErrorDetails) -> str:
    advice = _advice(item)
    if item["type"] == "missing":
        return f"missing; expected {_wanted(item)}{advice}"
    return f"found {found(item['input'])}, expected {_expected(item)}{advice}"


def _expected(item: ErrorDetails) -> str:
    kind, context = item["type"], item.get("ctx") or {}
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {context[key]}"
    if kind.endswith(("too_short", "too_long")):
        return _size(item, context)
    if kind == "string_pattern_mismatch":
        return EXPECTED.get(context["pattern"], f"what the pattern `{context['pattern']}` describes")
    if kind == "literal_error":
        return "one of " + re.sub(r"'([^']*)'", r"`\1`", str(context["expected"])).replace(" or ", ", ")
    message = str(item["msg"])
    return _KINDS.get(kind, f"something else: {message[:1].lower()}{message[1:]}")


def _size(item: ErrorDetails, context: Mapping[str, Any]) -> str:
    is_short, is_text = item["type"].endswith("short"), item["type"].startswith("string")
    number = context["min_length" if is_short else "max_length"]
    noun = "character" if is_text else _NOUNS.get(str(item["loc"][-1]), "item")
    has = f" (it has {len(item['input'])})" if is_text else ""
    return f"{'at least' if is_short else 'at most'} {number} {noun}{'' if number == 1 else 's'}{has}"


def _wanted(item: ErrorDetails) -> str:
    name = str(item["loc"][-1])
    return f"a list of at least 1 {_NOUNS[name]}" if name in _NOUNS else "a value"


def _advice(item: ErrorDetails) -> str:
    value = item["input"]
    if item["type"] == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        return f'; write it in quotes: `"{value}"`'
    if item["type"] == "string_type" and isinstance(value, bool):
        return f'; write it in quotes: `"{str(value).lower()}"`'
    place = re.sub(r"\[\d+\]", "[]", path_of(item["loc"])).removeprefix("spec.")
    return f"; {_ADVICE[place]}" if place in _ADVICE and not item["type"].endswith(("_type", "too_long")) else ""

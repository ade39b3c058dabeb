"""Parses values in manifests: JSON as components in several languages write it, and errors about it. Pure."""

from __future__ import annotations

import json
from typing import Any

from componentrun.errors import Reason, UserError
from componentrun.wire.documents import NO_TEXT, is_text

__all__ = [
    "kind_of",
    "manifest_flag",
    "manifest_names",
    "manifest_object",
    "without_gaps",
    "wrong",
]


def manifest_object(text: bytes, name: str) -> dict[str, Any]:
    """Parse the JSON object in a manifest.

    Raises:
        UserError: (OutputInvalid) it is not valid JSON, or not an object.
    """
    try:
        raw = json.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise wrong(name, "it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise wrong(name, f"it is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except ValueError as error:
        raise wrong(name, "it holds a number of thousands of digits") from error
    except RecursionError as error:
        raise wrong(name, "its JSON is nested too deeply") from error
    if raw == []:
        # PHP writes an empty object as an empty list.
        return {}
    if not isinstance(raw, dict):
        raise wrong(name, f"it is {kind_of(raw)}, expected an object")
    if not is_text(raw):
        raise wrong(name, NO_TEXT)
    return raw


def manifest_names(raw: dict[str, Any], key: str, name: str) -> tuple[str, ...] | None:
    """A list of names in a manifest; None if the key is not set. Raises the errors of `manifest_object`.

    Integers are accepted as names: PHP writes array keys as integers, and pandas does so for columns without names.
    """
    value = without_gaps(raw.get(key))
    if value is None:
        return None
    if not isinstance(value, list):
        raise wrong(name, f"`{key}` is {kind_of(value)}, expected a list of names")
    for i, item in enumerate(value):
        if not isinstance(item, str | int) or isinstance(item, bool):
            raise wrong(name, f"`{key}[{i}]` is {kind_of(item)}, expected a name")
    return tuple(str(item) for item in value)


def without_gaps(value: Any) -> Any:
    """The value; an object with integer keys is converted to a list, because PHP writes lists with gaps that way."""
    if isinstance(value, dict) and all(key.isdecimal() for key in value):
        return list(value.values())
    return value


def manifest_flag(raw: dict[str, Any], key: str, name: str) -> bool | None:
    """A boolean in a manifest; None if the key is not set. Raises the errors of `manifest_object`."""
    value = raw.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool | int) and value in {0, 1}:
        return bool(value)
    raise wrong(name, f"`{key}` is {kind_of(value)}, expected true or false")


def kind_of(value: Any) -> str:
    """The type of a value in words, for messages."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def wrong(name: str, problem: str) -> UserError:
    """The error for a manifest.

    Args:
        name: the file, as messages call it.
        problem: what was found and what was expected.
    """
    return UserError(f"{name}: {problem}", Reason.OUTPUT_INVALID)

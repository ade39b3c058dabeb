"""What a component says about a table it wrote: `<file>.manifest`, in its old form and its new one. Pure.

    old   {"destination", "columns": [...], "primary_key": [...], "incremental", ...}
    new   {"manifest_type": "out", "has_header", "schema": [{"name", "primary_key", ...}], ...}

Keys that change nothing about the stored table (metadata, data types, descriptions) are accepted and not used. What
would change how the file is read and can't be done yet is refused, never done wrongly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from componentrun.agent.folder import shown
from componentrun.csvtext import check_columns
from componentrun.errors import Reason, UserError
from componentrun.exchange import Where
from componentrun.tablesql import check_where

__all__ = ["Manifest", "is_text", "manifest_flag", "manifest_object", "parse_manifest"]

_SUPPORTED: Final = {"delimiter": ",", "enclosure": '"'}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest, in whichever form it came. None: it does not say."""

    destination: str | None = None
    columns: tuple[str, ...] | None = None
    primary_key: tuple[str, ...] | None = None
    incremental: bool | None = None
    write_always: bool = False
    has_header: bool | None = None
    delete_where: Where | None = None


def parse_manifest(text: bytes, file: str) -> Manifest:
    """Read a manifest.

    Args:
        text: content of the file.
        file: its name, for messages.

    Raises:
        UserError: (OutputInvalid) it is no JSON object, a value is of the wrong kind, or it asks for too much.
    """
    name = shown(file)
    raw = manifest_object(text, name)
    for key, only in _SUPPORTED.items():
        value = raw.get(key) or only
        if value != only:
            raise _wrong(name, f"`{key}` is {raw[key]!r}; only {only!r} is supported in this version")
    columns, primary_key = _schema(raw, name) if raw.get("schema") else _old_form(raw, name)
    if columns is not None:
        check_columns(columns, name)
    destination = raw.get("destination") or None
    if destination is not None and not isinstance(destination, str):
        raise _wrong(name, f"`destination` is {_kind(destination)}, expected a text")
    return Manifest(
        destination=destination,
        columns=columns,
        primary_key=primary_key,
        incremental=manifest_flag(raw, "incremental", name),
        write_always=bool(manifest_flag(raw, "write_always", name)),
        has_header=manifest_flag(raw, "has_header", name),
        delete_where=_delete_where(raw, name),
    )


def _delete_where(raw: dict[str, Any], name: str) -> Where | None:
    column = raw.get("delete_where_column")
    if not column:
        return None
    values = raw.get("delete_where_values")
    if not isinstance(column, str):
        raise _wrong(name, f"`delete_where_column` is {_kind(column)}, expected the name of a column")
    if not isinstance(values, list) or not all(isinstance(item, str | int) for item in values):
        raise _wrong(name, f"`delete_where_values` is {_kind(values)}, expected a list of values")
    where = Where(column, raw.get("delete_where_operator") or "eq", tuple(str(item) for item in values))
    if where.operator not in {"eq", "ne"}:
        raise _wrong(name, f"`delete_where_operator` is {where.operator!r}; expected 'eq' or 'ne'")
    try:
        check_where(where)
    except ValueError as error:
        raise _wrong(name, f"`delete_where_values`: {error}") from error
    return where


def manifest_object(text: bytes, name: str) -> dict[str, Any]:
    """The JSON object in a manifest. Raises as `parse_manifest` does."""
    try:
        raw = json.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _wrong(name, "it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise _wrong(name, f"it is no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise _wrong(name, "its JSON is nested too deeply") from error
    if not isinstance(raw, dict):
        raise _wrong(name, f"it is {_kind(raw)}, expected an object")
    if not is_text(raw):
        raise _wrong(name, "it holds half of a surrogate pair (an escape such as `\\ud800` alone), which is no text")
    return raw


def is_text(document: Any) -> bool:
    """Whether JSON that was read can be written as UTF-8. Escapes can say what no text can hold: half a pair."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _old_form(raw: dict[str, Any], name: str) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    columns = _names(raw, "columns", name)
    primary_key = _names(raw, "primary_key", name)
    # `[""]` and `[]` are how old components say "none"; for columns that means the file brings its header.
    return columns or None, None if primary_key is None else tuple(key for key in primary_key if key)


def _schema(raw: dict[str, Any], name: str) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    schema = raw["schema"]
    if not isinstance(schema, list):
        raise _wrong(name, f"`schema` is {_kind(schema)}, expected a list of columns")
    columns, key = [], []
    for i, column in enumerate(schema):
        if not isinstance(column, dict) or not isinstance(column.get("name"), str):
            raise _wrong(name, f"`schema[{i}]` is no column; expected an object with a `name`")
        columns.append(column["name"])
        if column.get("primary_key") is True:
            key.append(column["name"])
    return tuple(columns), tuple(key) or _names(raw, "primary_key", name)


def _names(raw: dict[str, Any], key: str, name: str) -> tuple[str, ...] | None:
    value = raw.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, f"`{key}` is {_kind(value)}, expected a list of names")
    return tuple(value)


def manifest_flag(raw: dict[str, Any], key: str, name: str) -> bool | None:
    """True or false in a manifest; None where it does not say. Raises as `parse_manifest` does."""
    value = raw.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool | int) and value in {0, 1}:
        return bool(value)
    raise _wrong(name, f"`{key}` is {_kind(value)}, expected true or false")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _wrong(name: str, problem: str) -> UserError:
    return UserError(f"{name}: {problem}", Reason.OUTPUT_INVALID)

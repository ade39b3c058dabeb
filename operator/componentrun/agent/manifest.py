"""What a component says about a table it wrote: `<file>.manifest`, in its old form and its new one. Pure.

    old   {"columns": [...], "primary_key": [...], "metadata": [...], "column_metadata": {...}, ...}
    new   {"manifest_type": "out", "has_header", "schema": [{"name", "data_type", ...}], "table_metadata": {...}, ...}

Both may say `destination`, `incremental`, `write_always`, `delimiter`, `enclosure`, `description` and which rows to
delete. Keys that nobody knows are passed over; what would change the table and can't be done is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from componentrun.agent.folder import shown
from componentrun.columnfacts import DESCRIPTION_KEY, ColumnFacts, from_metadata, from_schema, read_metadata, texts
from componentrun.csvdialect import Dialect
from componentrun.csvtext import check_columns
from componentrun.errors import Reason, UserError
from componentrun.exchange import Where
from componentrun.tablesql import check_where

__all__ = ["NO_TEXT", "Manifest", "is_text", "manifest_flag", "manifest_names", "manifest_object", "parse_manifest"]

NO_TEXT: Final = "it holds half of a surrogate pair (an escape such as `\\ud800` alone), which is no text"
"""What is wrong with a document that is not `is_text`."""

_FILTER: Final = frozenset({"where_filters", "column", "operator", "values_from_set"})
_NO_SINGLE_FILTER: Final = (
    "`delete_where` is not one filter with `column`, `operator` and `values_from_set`; nothing else is supported in "
    "this version"
)


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
    delimiter: str | None = None
    enclosure: str | None = None
    """Empty: fields are not enclosed."""
    facts: tuple[ColumnFacts, ...] = ()
    """Columns of which it says something."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What it says of the table as a whole."""
    warning: str | None = None
    """What of it was passed over that may matter."""


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
    delimiter, enclosure = _dialect(raw, name)
    columns, primary_key, facts = _schema(raw, name) if raw.get("schema") else _old_form(raw, name)
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
        delimiter=delimiter,
        enclosure=enclosure,
        facts=tuple(item for item in facts if item.says_something),
        metadata=_metadata(raw, name),
        warning=_passed_over(raw, name),
    )


def _dialect(raw: dict[str, Any], name: str) -> tuple[str | None, str | None]:
    delimiter, enclosure = raw.get("delimiter") or None, raw.get("enclosure")
    for key, value in (("delimiter", delimiter), ("enclosure", enclosure)):
        if value is not None and not isinstance(value, str):
            raise _wrong(name, f"`{key}` is {_kind(value)}, expected a text")
    try:
        Dialect(delimiter or ",", '"' if enclosure is None else enclosure).check()
    except ValueError as error:
        raise _wrong(name, str(error)) from error
    return delimiter, enclosure


def _passed_over(raw: dict[str, Any], name: str) -> str | None:
    """Manifests of the first years may say `escaped_by`; many of their files hold nothing that is escaped."""
    if not raw.get("escaped_by"):
        return None
    return f"{name}: its `escaped_by` was passed over: nothing is escaped here; an enclosure inside a value is doubled."


def _metadata(raw: dict[str, Any], name: str) -> dict[str, str]:
    """Of the table: a list of `key` and `value`, an object, a description, or several of these."""
    told: dict[str, str] = {}
    try:
        # PHP writes an empty object as an empty list.
        told |= read_metadata(raw.get("metadata") or [])
        table = raw.get("table_metadata") or {}
        if not isinstance(table, dict):
            raise _wrong(name, f"`table_metadata` is {_kind(table)}, expected an object")
        told |= texts(table, "table_metadata")
        told |= texts({DESCRIPTION_KEY: raw.get("description") or None}, "description")
    except ValueError as error:
        raise _wrong(name, f"`metadata`: {error}") from error
    return told


def _delete_where(raw: dict[str, Any], name: str) -> Where | None:
    raw = _single_filter(raw, name)
    column = raw.get("delete_where_column")
    if not column:
        return None
    values = _without_gaps(raw.get("delete_where_values"))
    if not isinstance(column, str):
        raise _wrong(name, f"`delete_where_column` is {_kind(column)}, expected the name of a column")
    if not isinstance(values, list):
        raise _wrong(name, f"`delete_where_values` is {_kind(values)}, expected a list of values")
    for i, value in enumerate(values):
        # What true is as text depends on who wrote the table: `true`, `True` or `1`.
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise _wrong(name, f"`delete_where_values[{i}]` is {_kind(value)}, expected a text or a number")
    operator = raw.get("delete_where_operator") or "eq"
    # What stands there may be a list, for which no set can be asked.
    if operator not in ("eq", "ne"):
        raise _wrong(name, f"`delete_where_operator` is {operator!r}; expected 'eq' or 'ne'")
    where = Where(column, operator, tuple(str(item) for item in values))
    try:
        check_where(where)
    except ValueError as error:
        raise _wrong(name, f"`delete_where_values`: {error}") from error
    return where


def _single_filter(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """The newer `delete_where`, a list of lists of filters, in the words of the older keys."""
    wanted = raw.get("delete_where")
    if not wanted:
        return raw
    try:
        ((whole, (only,)),) = [(item, item["where_filters"]) for item in wanted]
        column, values = only["column"], only["values_from_set"]
        # Whatever else is said (`changed_since`, `values_from_workspace`) names fewer rows, so it can't be passed over.
        further = sorted(key for key in {**whole, **only} if (whole | only)[key] and key not in _FILTER)
    except (TypeError, KeyError, ValueError) as error:
        raise _wrong(name, _NO_SINGLE_FILTER) from error
    if further:
        raise _wrong(name, f"{_NO_SINGLE_FILTER}: found `{further[0]}`")
    return {
        "delete_where_column": column,
        "delete_where_values": values,
        "delete_where_operator": only.get("operator"),
    }


def manifest_object(text: bytes, name: str) -> dict[str, Any]:
    """The JSON object in a manifest. Raises as `parse_manifest` does."""
    try:
        raw = json.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _wrong(name, "it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise _wrong(name, f"it is no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except ValueError as error:
        raise _wrong(name, "it holds a number of thousands of digits") from error
    except RecursionError as error:
        raise _wrong(name, "its JSON is nested too deeply") from error
    if not isinstance(raw, dict):
        raise _wrong(name, f"it is {_kind(raw)}, expected an object")
    if not is_text(raw):
        raise _wrong(name, NO_TEXT)
    return raw


def is_text(document: Any) -> bool:
    """Whether JSON that was read can be written as UTF-8. Escapes can say what no text can hold: half a pair."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


_Told = tuple[tuple[str, ...] | None, tuple[str, ...] | None, list[ColumnFacts]]
"""Columns, primary key, and what is said of columns."""


def _old_form(raw: dict[str, Any], name: str) -> _Told:
    columns = manifest_names(raw, "columns", name)
    metadata = raw.get("column_metadata") or {}
    if not isinstance(metadata, dict):
        raise _wrong(name, f"`column_metadata` is {_kind(metadata)}, expected an object of lists")
    facts = []
    for column, told in metadata.items():
        try:
            facts.append(from_metadata(column, told or []))
        except ValueError as error:
            raise _wrong(name, f"`column_metadata` of `{column}`: {error}") from error
    # `[""]` and `[]` are how old components say "none"; for columns that means the file brings its header.
    if columns in {(), ("",)}:
        columns = None
    return columns, _primary_key(raw, name), facts


def _schema(raw: dict[str, Any], name: str) -> _Told:
    schema = _without_gaps(raw["schema"])
    if not isinstance(schema, list):
        raise _wrong(name, f"`schema` is {_kind(schema)}, expected a list of columns")
    facts, key = [], []
    for i, column in enumerate(schema):
        if not isinstance(column, dict) or not isinstance(column.get("name"), str):
            raise _wrong(name, f"`schema[{i}]` is no column; expected an object with a `name`")
        try:
            facts.append(from_schema(column))
        except ValueError as error:
            raise _wrong(name, f"`schema[{i}]` (`{column['name']}`): {error}") from error
        if manifest_flag(column, "primary_key", f"{name}: `schema[{i}]`"):
            key.append(column["name"])
    return tuple(item.name for item in facts), tuple(key) or _primary_key(raw, name), facts


def _primary_key(raw: dict[str, Any], name: str) -> tuple[str, ...] | None:
    names = manifest_names(raw, "primary_key", name)
    return None if names is None else tuple(dict.fromkeys(key for key in names if key))


def manifest_names(raw: dict[str, Any], key: str, name: str) -> tuple[str, ...] | None:
    """Names in a manifest; None where it does not say. Raises as `parse_manifest` does.

    A whole number is a name, too: so PHP writes the keys of an array, and pandas the columns of a frame without names.
    """
    value = _without_gaps(raw.get(key))
    if value is None:
        return None
    if not isinstance(value, list):
        raise _wrong(name, f"`{key}` is {_kind(value)}, expected a list of names")
    for i, item in enumerate(value):
        if not isinstance(item, str | int) or isinstance(item, bool):
            raise _wrong(name, f"`{key}[{i}]` is {_kind(item)}, expected a name")
    return tuple(str(item) for item in value)


def _without_gaps(value: Any) -> Any:
    """The value, as a list where it is one with gaps: PHP writes that as an object with numbers as keys."""
    if isinstance(value, dict) and all(key.isdecimal() for key in value):
        return list(value.values())
    return value


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

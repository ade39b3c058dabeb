"""The `storage` of an exported configuration as the input and output of a run. Pure.

Parts that have no equivalent are reported with their paths and left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from componentrun.wire.jsontext import kind_of
from componentrun.wire.phpvalues import EMPTY, flag_at, list_at, object_at, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from componentrun.wire.phpvalues import Tell

__all__ = ["input_of", "output_of"]

_NO_EFFECT: Final = frozenset({"overwrite", "where_operator", "delete_where_operator"})
"""Keys without an effect on runs."""
_TABLE: Final = re.compile(r"(in|out)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_IN_TABLE: Final = frozenset({
    "source", "destination", "columns", "column_types", "where_column", "where_values", "changed_since", "days",
    "limit",
})  # fmt: skip
_OUT_TABLE: Final = frozenset({
    "source", "destination", "incremental", "primary_key", "delete_where_column", "delete_where_values", "write_always",
    "delimiter", "enclosure", "columns", "schema",
})  # fmt: skip
_IN_FILE: Final = frozenset({"tags", "source", "limit", "file_ids"})
_OUT_FILE: Final = frozenset({"source", "tags", "is_permanent"})


def input_of(storage: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """`spec.input`; empty if nothing goes in."""
    mapping = object_at(storage.get("input"), "storage.input", tell)
    _others(mapping, frozenset({"tables", "files"}), "storage.input", tell)
    tables = [
        entry
        for path, table in _items(mapping, "storage.input.tables", tell)
        if (entry := _input_table(table, path, tell))
    ]
    files = [
        entry for path, file in _items(mapping, "storage.input.files", tell) for entry in _input_files(file, path, tell)
    ]
    return _filled({"tables": tables, "files": files})


def output_of(storage: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """`spec.output`; empty if there is no output mapping."""
    mapping = object_at(storage.get("output"), "storage.output", tell)
    _others(mapping, frozenset({"tables", "files", "default_bucket"}), "storage.output", tell)
    tables = [
        entry
        for path, table in _items(mapping, "storage.output.tables", tell)
        if (entry := _output_table(table, path, tell))
    ]
    files = [_output_file(file, path, tell) for path, file in _items(mapping, "storage.output.files", tell)]
    return _filled({"tables": tables, "files": files, "defaultBucket": mapping.get("default_bucket")})


def _items(mapping: Mapping[str, Any], path: str, tell: Tell) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in the list at a path, each with its own path."""
    for number, item in enumerate(list_at(mapping.get(path.rpartition(".")[2]), path, tell)):
        where = f"{path}[{number}]"
        if isinstance(item, dict):
            yield where, item
        else:
            tell(where, f"found {kind_of(item)}, expected an object")


def _input_table(table: Mapping[str, Any], path: str, tell: Tell) -> dict[str, Any] | None:
    source = table.get("source")
    if not isinstance(source, str) or not _TABLE.fullmatch(source):
        reason = "its table is found by a search" if "source_search" in table else "`source` is no id of a table"
        tell(path, f"{reason}; name the table, e.g. `in.c-main.customers`")
        return None
    _others(table, _IN_TABLE, path, tell)
    columns = list_at(table.get("columns"), f"{path}.columns", tell)
    if types := list(_items(table, f"{path}.column_types", tell)):
        columns = columns or [item.get("source") for _, item in types]
        tell(f"{path}.column_types", "only the names of columns are kept: values are delivered as text")
    return _filled(
        {
            "source": source,
            "destination": table.get("destination"),
            "columns": columns,
            "where": _where(table, "where", path, tell),
            "changedSince": table.get("changed_since") or _days(table.get("days")),
            "limit": whole_number(table.get("limit")),
        }
    )


def _output_table(table: Mapping[str, Any], path: str, tell: Tell) -> dict[str, Any] | None:
    destination = table.get("destination")
    if not isinstance(destination, str) or not _TABLE.fullmatch(destination):
        tell(path, "`destination` is no id of a table; name it, e.g. `out.c-main.customers`")
        return None
    _others(table, _OUT_TABLE, path, tell)
    schema = [_column(column, where, tell) for where, column in _items(table, f"{path}.schema", tell)]
    entry = _filled(
        {
            "source": table.get("source"),
            "destination": destination,
            "primaryKey": table.get("primary_key"),
            "deleteWhere": _where(table, "delete_where", path, tell),
            "writeAlways": flag_at(table.get("write_always"), f"{path}.write_always", tell),
            "delimiter": table.get("delimiter"),
            "enclosure": table.get("enclosure"),
            "columns": table.get("columns"),
            "schema": schema,
        }
    )
    return entry | _said("incremental", flag_at(table.get("incremental"), f"{path}.incremental", tell))


def _column(column: Mapping[str, Any], path: str, tell: Tell) -> dict[str, Any]:
    keys = frozenset({"name", "data_type", "nullable", "primary_key", "description"})
    _others(column, keys, path, tell)
    types = object_at(column.get("data_type"), f"{path}.data_type", tell)
    _others(types, frozenset({"base"}), f"{path}.data_type", tell)
    base = object_at(types.get("base"), f"{path}.data_type.base", tell)
    entry = _filled(
        {
            "name": column.get("name"),
            "type": base.get("type"),
            "length": _text(base.get("length")),
            "default": _text(base.get("default")),
            "primaryKey": flag_at(column.get("primary_key"), f"{path}.primary_key", tell),
            "description": column.get("description"),
        }
    )
    return entry | _said("nullable", flag_at(column.get("nullable"), f"{path}.nullable", tell))


def _input_files(file: Mapping[str, Any], path: str, tell: Tell) -> list[dict[str, Any]]:
    _others(file, _IN_FILE, path, tell)
    if ids := list_at(file.get("file_ids"), f"{path}.file_ids", tell):
        tell(f"{path}.file_ids", f"ids of files are other ones here ({len(ids)} named); choose files by name or tags")
        return []
    tags = list_at(file.get("tags"), f"{path}.tags", tell)
    source = object_at(file.get("source"), f"{path}.source", tell)
    for where, entry in _items(source, f"{path}.source.tags", tell):
        if entry.get("match", "include") == "include":
            tags = [*tags, entry.get("name")]
        else:
            tell(where, "files can't be chosen by tags that they do not have")
    if not tags:
        tell(path, "it names no tags; choose files by `name`, `glob` or `tags`")
        return []
    return [_filled({"tags": tags, "limit": whole_number(file.get("limit"))})]


def _output_file(file: Mapping[str, Any], path: str, tell: Tell) -> dict[str, Any]:
    _others(file, _OUT_FILE, path, tell)
    entry = _filled({"source": file.get("source"), "tags": file.get("tags")})
    return entry | _said("permanent", flag_at(file.get("is_permanent"), f"{path}.is_permanent", tell))


def _where(table: Mapping[str, Any], prefix: str, path: str, tell: Tell) -> dict[str, Any] | None:
    column = table.get(f"{prefix}_column")
    values = list_at(table.get(f"{prefix}_values"), f"{path}.{prefix}_values", tell)
    if not column:
        return None
    if not values:
        tell(f"{path}.{prefix}_column", f"`{prefix}_values` is missing or empty, so the run has no such condition")
        return None
    operator = table.get(f"{prefix}_operator") or "eq"
    return {"column": column, "operator": operator, "values": [_text(value) for value in values]}


def _days(days: Any) -> str | None:
    days = whole_number(days)
    return f"-{days} days" if isinstance(days, int) and days > 0 else None


def _said(key: str, flag: bool | None) -> dict[str, bool]:
    return {} if flag is None else {key: flag}


def _others(value: Mapping[str, Any], keys: frozenset[str], path: str, tell: Tell) -> None:
    """Report every unknown key with a value."""
    for key, item in value.items():
        if key not in keys | _NO_EFFECT and item not in EMPTY:
            tell(f"{path}.{key}", "a run has no such setting")


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item not in EMPTY}


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

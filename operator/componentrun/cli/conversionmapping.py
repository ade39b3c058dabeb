"""The `storage` of an exported configuration as the input and output of a run. Pure.

What has no place in a run is told with its path, line by line, and left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Tell", "input_of", "output_of"]

Tell = Callable[[str, str], None]
"""Takes a path and why what is there is left out."""

_NO_EFFECT: Final = frozenset({"overwrite", "where_operator", "delete_where_operator"})
"""Says nothing by itself, or nothing that does not hold here anyway."""
_TABLE: Final = re.compile(r"(in|out)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {}, False)
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
    mapping = _object(storage.get("input"))
    _others(mapping, frozenset({"tables", "files"}), "storage.input", tell)
    tables = [
        found
        for number, table in enumerate(_list(mapping.get("tables")))
        if (found := _input_table(_object(table), f"storage.input.tables[{number}]", tell))
    ]
    files = [
        found
        for number, file in enumerate(_list(mapping.get("files")))
        for found in _input_files(_object(file), f"storage.input.files[{number}]", tell)
    ]
    return _filled({"tables": tables, "files": files})


def output_of(storage: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """`spec.output`; empty if nothing is said of what comes out."""
    mapping = _object(storage.get("output"))
    _others(mapping, frozenset({"tables", "files", "default_bucket"}), "storage.output", tell)
    tables = [
        found
        for number, table in enumerate(_list(mapping.get("tables")))
        if (found := _output_table(_object(table), f"storage.output.tables[{number}]", tell))
    ]
    files = [
        _output_file(_object(file), f"storage.output.files[{number}]", tell)
        for number, file in enumerate(_list(mapping.get("files")))
    ]
    return _filled({"tables": tables, "files": files, "defaultBucket": mapping.get("default_bucket")})


def _input_table(table: Mapping[str, Any], path: str, tell: Tell) -> dict[str, Any] | None:
    source = table.get("source")
    if not isinstance(source, str) or not _TABLE.fullmatch(source):
        reason = "its table is found by a search" if "source_search" in table else "`source` is no id of a table"
        tell(path, f"{reason}; name the table, e.g. `in.c-main.customers`")
        return None
    _others(table, _IN_TABLE, path, tell)
    columns = _list(table.get("columns"))
    if types := _list(table.get("column_types")):
        columns = columns or [_object(item).get("source") for item in types]
        tell(f"{path}.column_types", "only the names of columns are kept: values are delivered as text")
    return _filled(
        {
            "source": source,
            "destination": table.get("destination"),
            "columns": columns,
            "where": _where(table, "where"),
            "changedSince": table.get("changed_since") or _days(table.get("days")),
            "limit": table.get("limit"),
        }
    )


def _output_table(table: Mapping[str, Any], path: str, tell: Tell) -> dict[str, Any] | None:
    destination = table.get("destination")
    if not isinstance(destination, str) or not _TABLE.fullmatch(destination):
        tell(path, "`destination` is no id of a table; name it, e.g. `out.c-main.customers`")
        return None
    _others(table, _OUT_TABLE, path, tell)
    schema = [
        _column(_object(column), f"{path}.schema[{number}]", tell)
        for number, column in enumerate(_list(table.get("schema")))
    ]
    found = _filled(
        {
            "source": table.get("source"),
            "destination": destination,
            "primaryKey": table.get("primary_key"),
            "deleteWhere": _where(table, "delete_where"),
            "writeAlways": table.get("write_always"),
            "delimiter": table.get("delimiter"),
            "enclosure": table.get("enclosure"),
            "columns": table.get("columns"),
            "schema": schema,
        }
    )
    return found | ({"incremental": table["incremental"]} if isinstance(table.get("incremental"), bool) else {})


def _column(column: Mapping[str, Any], path: str, tell: Tell) -> dict[str, Any]:
    known = frozenset({"name", "data_type", "nullable", "primary_key", "description"})
    _others(column, known, path, tell)
    types = _object(column.get("data_type"))
    _others(types, frozenset({"base"}), f"{path}.data_type", tell)
    base = _object(types.get("base"))
    found = _filled(
        {
            "name": column.get("name"),
            "type": base.get("type"),
            "length": _text(base.get("length")),
            "default": _text(base.get("default")),
            "primaryKey": column.get("primary_key"),
            "description": column.get("description"),
        }
    )
    return found | ({"nullable": column["nullable"]} if isinstance(column.get("nullable"), bool) else {})


def _input_files(file: Mapping[str, Any], path: str, tell: Tell) -> list[dict[str, Any]]:
    _others(file, _IN_FILE, path, tell)
    if ids := _list(file.get("file_ids")):
        tell(f"{path}.file_ids", f"ids of files are other ones here ({len(ids)} named); choose files by name or tags")
        return []
    tags = _list(file.get("tags"))
    for number, tag in enumerate(_list(_object(file.get("source")).get("tags"))):
        entry = _object(tag)
        if entry.get("match", "include") == "include":
            tags = [*tags, entry.get("name")]
        else:
            tell(f"{path}.source.tags[{number}]", "files can't be chosen by tags that they do not have")
    if not tags:
        tell(path, "it names no tags; choose files by `name`, `glob` or `tags`")
        return []
    return [_filled({"tags": tags, "limit": file.get("limit")})]


def _output_file(file: Mapping[str, Any], path: str, tell: Tell) -> dict[str, Any]:
    _others(file, _OUT_FILE, path, tell)
    found = _filled({"source": file.get("source"), "tags": file.get("tags")})
    return found | ({"permanent": file["is_permanent"]} if isinstance(file.get("is_permanent"), bool) else {})


def _where(table: Mapping[str, Any], prefix: str) -> dict[str, Any] | None:
    column, values = table.get(f"{prefix}_column"), _list(table.get(f"{prefix}_values"))
    if not column or not values:
        return None
    operator = table.get(f"{prefix}_operator") or "eq"
    return {"column": column, "operator": operator, "values": [_text(value) for value in values]}


def _days(days: Any) -> str | None:
    return f"-{days} days" if isinstance(days, int) and days > 0 else None


def _others(value: Mapping[str, Any], known: frozenset[str], path: str, tell: Tell) -> None:
    """Tell of every key that is not known and says something."""
    for key, item in value.items():
        if key not in known | _NO_EFFECT and item not in _EMPTY:
            tell(f"{path}.{key}", "a run has no such setting")


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item not in _EMPTY}


def _object(value: Any) -> dict[str, Any]:
    """An object; PHP writes an empty one as a list."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

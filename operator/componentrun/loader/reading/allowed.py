"""What a query may use of DuckDB: functions that read nothing but their arguments. Pure.

The connection of a query has signed URLs, which grant access to files for hours, in its settings and in the definitions
of its views. A result may be saved or shared, so a query must not read them, nor run other SQL that is given as a text.
Files and addresses are refused by DuckDB itself (`querying.lock`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_functions", "local_names", "nodes_of", "refused", "table_names"]

TABLE_FUNCTIONS: Final = frozenset({
    "generate_series", "icu_calendar_names", "json_each", "json_tree", "pg_timezone_names", "range", "repeat",
    "repeat_row", "unnest",
})  # fmt: skip
"""The table functions that may be used. All others are refused, also those of later releases."""
REFUSED_FUNCTIONS: Final = frozenset({
    "current_setting", "getenv", "getvariable", "pg_get_constraintdef", "pg_get_viewdef", "write_log",
})  # fmt: skip
"""Other functions that reveal settings, variables or definitions, or write."""
_INTERNAL: Final = re.compile(r"(duckdb|pg|pragma|sqlite)_.*", re.IGNORECASE)
"""Names of DuckDB's internal views that need no schema. A local name of a query must not look like one of them, because
it may be visible only in a part of the query."""
INFORMATION: Final = frozenset({
    "information_schema.columns", "information_schema.schemata", "information_schema.tables",
})  # fmt: skip
"""System tables without definitions."""


def check_functions(document: dict[str, Any]) -> None:
    """Refuse functions that a query may not use.

    Args:
        document: a query as DuckDB's parser returns it.

    Raises:
        UserError: (InvalidSpec) the message names the function.
    """
    for node in nodes_of(document):
        name = str(node.get("function_name") or "").lower()
        if name in REFUSED_FUNCTIONS:
            raise refused(f"`{name}()` can't be used here")
        if node.get("type") == "TABLE_FUNCTION":
            name = str((node.get("function") or {}).get("function_name") or "").lower()
            if name not in TABLE_FUNCTIONS:
                raise refused(f"`{name}()` can't be used here; table functions are {_listed(TABLE_FUNCTIONS)}")
    for name in local_names(document):
        if _INTERNAL.fullmatch(name):
            raise refused(f"`{name}` is a name of DuckDB; give the `with` query another one")


def table_names(document: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The tables that a query names, each as the parts of its name. Local names and `INFORMATION` are left out."""
    local = {(name,) for name in local_names(document)}
    for node in nodes_of(document):
        if node.get("type") != "BASE_TABLE":
            continue
        parts = tuple(str(node[part]) for part in ("catalog_name", "schema_name", "table_name") if node.get(part))
        name = tuple(part.lower() for part in parts)
        if name not in local and ".".join(name) not in INFORMATION:
            yield parts


def local_names(document: dict[str, Any]) -> set[str]:
    """The names of the query's `with` queries, in lower case."""
    return {
        str(entry["key"]).lower()
        for node in nodes_of(document)
        if "cte_map" in node
        for entry in node["cte_map"]["map"]
    }


def nodes_of(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a document."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(reversed(node.values()))
        elif isinstance(node, list):
            stack.extend(reversed(node))


def refused(message: str) -> UserError:
    """The error about a query that can't be run."""
    return UserError(f"the query can't be run: {message}", Reason.INVALID_SPEC)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))

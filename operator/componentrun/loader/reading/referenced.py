"""Which tables a query names, as DuckDB's own parser reads it. Nothing is looked up and nothing is executed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import duckdb

from componentrun.errors import Reason, UserError
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["referenced_tables"]

_DIALECT: Final = 'table ids stand in double quotes, as in `select * from "in.c-main.customers"`'


def referenced_tables(query: str) -> tuple[str, ...]:
    """The ids of the tables that a query reads, each once.

    Args:
        query: one statement that only reads.

    Raises:
        UserError: (InvalidSpec) a syntax error, in DuckDB's words; several statements; a statement that is no query; a
            name that is no table id; two ids that differ only in case.
    """
    with duckdb.connect(":memory:") as connection:
        statements = _statements(connection, query)
        if len(statements) != 1:
            raise _refused(f"found {len(statements)} statements; expected one query")
        answer = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    document = json.loads(answer[0]) if answer is not None else {}
    if document.get("error"):
        raise _refused(
            "expected a query: `select`, `from`, `with`, `values`, `describe` or `summarize`. Nothing can be changed"
        )
    names = tuple(dict.fromkeys(_table_ids(document)))
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(name.lower(), name)) != name:
            raise _refused(
                f"`{other}` and `{name}` differ only in case, and DuckDB takes them for one; query one of them"
            )
    return names


def _statements(connection: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    try:
        return list(connection.extract_statements(query))
    except duckdb.Error as error:
        hint = f"\n{_DIALECT}" if "." in query and '"' not in query else ""
        raise _refused(f"{str(error).strip()}{hint}") from None


def _table_ids(document: dict[str, Any]) -> Iterator[str]:
    own = {
        str(entry["key"]).lower() for node in _nodes(document) if "cte_map" in node for entry in node["cte_map"]["map"]
    }
    for node in _nodes(document):
        if node.get("type") != "BASE_TABLE":
            continue
        parts = [str(node[part]) for part in ("catalog_name", "schema_name", "table_name") if node.get(part)]
        name = ".".join(parts)
        if name.lower() in own or parts[0].lower() in _SYSTEM:
            continue
        if not _is_id(name):
            raise _refused(f'`{name}` is no table id; expected such as `"in.c-main.customers"`')
        if len(parts) > 1:
            raise _refused(f'`{name}` has to stand in one pair of double quotes: `"{name}"`')
        yield name


_SYSTEM: Final = frozenset({"information_schema", "pg_catalog"})


def _is_id(name: str) -> bool:
    try:
        TableId.parse(name)
    except UserError:
        return False
    return True


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """All objects in a document."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(reversed(found.values()))
        elif isinstance(found, list):
            waiting.extend(reversed(found))


def _refused(message: str) -> UserError:
    return UserError(f"the query can't be run: {message}", Reason.INVALID_SPEC)

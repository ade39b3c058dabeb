"""Find the tables that a query names, with DuckDB's parser. Nothing is looked up or executed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import duckdb

from componentrun.errors import Reason, UserError
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parsed_query", "referenced_tables"]

_DIALECT: Final = 'table ids stand in double quotes, as in `select * from "in.c-main.customers"`'


def referenced_tables(query: str) -> tuple[str, ...]:
    """The ids of the tables that a query reads, without duplicates.

    Args:
        query: one statement that only reads.

    Raises:
        UserError: (InvalidSpec) a syntax error (the message is DuckDB's), several statements, a statement that is not a
            query, a name that is not a table id, or two ids that differ only in case.
    """
    document = parsed_query(query)
    names = tuple(dict.fromkeys(_table_ids(document)))
    spellings: dict[str, str] = {}
    for name in names:
        if (spelling := spellings.setdefault(name.lower(), name)) != name:
            raise _refused(
                f"`{spelling}` and `{name}` differ only in case, and DuckDB treats them as one; query one of them"
            )
    return names


def parsed_query(query: str) -> dict[str, Any]:
    """A query as DuckDB's parser returns it.

    Raises:
        UserError: (InvalidSpec) a syntax error (the message is DuckDB's), several statements, or a statement that is
            not a query.
    """
    with duckdb.connect(":memory:") as connection:
        statements = _statements(connection, query)
        if len(statements) != 1:
            raise _refused(f"found {len(statements)} statements; expected one query")
        answer = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    document: dict[str, Any] = json.loads(answer[0]) if answer is not None else {}
    if document.get("error"):
        raise _refused(
            "expected a query: `select`, `from`, `with`, `values`, `describe` or `summarize`. Nothing can be changed"
        )
    return document


def _statements(connection: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    try:
        return list(connection.extract_statements(query))
    except duckdb.Error as error:
        hint = f"\n{_DIALECT}" if "." in query and '"' not in query else ""
        raise _refused(f"{str(error).strip()}{hint}") from None


def _table_ids(document: dict[str, Any]) -> Iterator[str]:
    local_names = {
        str(entry["key"]).lower() for node in _nodes(document) if "cte_map" in node for entry in node["cte_map"]["map"]
    }
    for node in _nodes(document):
        if node.get("type") != "BASE_TABLE":
            continue
        parts = [str(node[part]) for part in ("catalog_name", "schema_name", "table_name") if node.get(part)]
        name = ".".join(parts)
        if name.lower() in local_names or parts[0].lower() in _SYSTEM:
            continue
        if not _is_id(name):
            raise _refused(f'`{name}` is not a table id; expected such as `"in.c-main.customers"`')
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
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(reversed(node.values()))
        elif isinstance(node, list):
            stack.extend(reversed(node))


def _refused(message: str) -> UserError:
    return UserError(f"the query can't be run: {message}", Reason.INVALID_SPEC)

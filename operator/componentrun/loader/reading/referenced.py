"""Find the tables that a query names, with DuckDB's parser. Nothing is looked up or executed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import duckdb

from componentrun.errors import UserError
from componentrun.loader.reading.allowed import check_functions, refused, table_names
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
            query, a function that may not be used, a name that is not a table id, or two ids that differ only in case.
    """
    document = parsed_query(query)
    names = tuple(dict.fromkeys(_table_ids(document)))
    spellings: dict[str, str] = {}
    for name in names:
        if (spelling := spellings.setdefault(name.lower(), name)) != name:
            raise refused(
                f"`{spelling}` and `{name}` differ only in case, and DuckDB treats them as one; query one of them"
            )
    return names


def parsed_query(query: str) -> dict[str, Any]:
    """A query as DuckDB's parser returns it.

    Raises:
        UserError: (InvalidSpec) a syntax error (the message is DuckDB's), several statements, or a statement that is
            not a query; a function that may not be used.
    """
    with duckdb.connect(":memory:") as connection:
        statements = _statements(connection, query)
        if len(statements) != 1:
            raise refused(f"found {len(statements)} statements; expected one query")
        answer = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    document: dict[str, Any] = json.loads(answer[0]) if answer is not None else {}
    if document.get("error"):
        raise refused(
            "expected a query: `select`, `from`, `with`, `values`, `describe` or `summarize`. Nothing can be changed"
        )
    check_functions(document)
    return document


def _statements(connection: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    try:
        return list(connection.extract_statements(query))
    except duckdb.Error as error:
        hint = f"\n{_DIALECT}" if "." in query and '"' not in query else ""
        raise refused(f"{str(error).strip()}{hint}") from None


def _table_ids(document: dict[str, Any]) -> Iterator[str]:
    for parts in table_names(document):
        name = ".".join(parts)
        if not _is_id(name):
            raise refused(f'`{name}` is not a table id; expected such as `"in.c-main.customers"`')
        if len(parts) > 1:
            raise refused(f'`{name}` has to stand in one pair of double quotes: `"{name}"`')
        yield name


def _is_id(name: str) -> bool:
    try:
        TableId.parse(name)
    except UserError:
        return False
    return True

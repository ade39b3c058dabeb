"""`table query` and `table sql-setup`: SQL over the tables of a Storage, here and in other engines."""

import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from componentrun.cli import options
from componentrun.cli.commands.table import session_and_tables
from componentrun.cli.errors import BadRequestError
from componentrun.cli.session import Session
from componentrun.cli.storage.store import Engine
from componentrun.cli.storage.tablestore import QueryAnswer
from componentrun.cli.terminal.render import Cell
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import count, size

__all__ = ["register"]

_SHOWN_ROWS = 100


class ResultFormat(StrEnum):
    """How the rows of a query are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(query)
    app.command()(sql_setup)


def query(
    ctx: typer.Context,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="The query. `-` reads it from stdin.")],
    output: Annotated[
        ResultFormat | None,
        typer.Option(
            "--output", "-o", metavar="table|csv|json|parquet", help="Defaults to FILE's ending, else to `table`."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="File to write. Defaults to stdout.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=0, metavar="NUMBER", help="Maximum number of rows. Defaults to 100 for `table`, else to all."
        ),
    ] = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Query tables by SQL, all of them as of one moment.

    Write table ids in double quotes: `select * from "in.c-main.customers"`. DuckDB runs the query on this machine. It
    can't change anything. The column `_timestamp` of every table says when a row was loaded.
    """
    form = _format(output, file)
    session, tables = session_and_tables(ctx, namespace, context, storage, endpoint)
    with tables.query(sys.stdin.read() if sql == "-" else sql) as answer:
        for column in answer.left_out:
            session.output.note(f"left out, as it can't be read here: {column}")
        if form is ResultFormat.TABLE:
            _show(session, answer, _SHOWN_ROWS if limit is None else limit)
        elif file is None:
            _copy(answer, form, limit, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            rows = save(file, lambda opened: _copy(answer, form, limit, opened))
            session.output.note(f"`{file}` has {count(rows, 'row')} ({size(file.stat().st_size)})")


def _format(output: ResultFormat | None, file: Path | None) -> ResultFormat:
    by_ending = {f".{form.value}": form for form in ResultFormat if form is not ResultFormat.TABLE}
    chosen = output or (ResultFormat.TABLE if file is None else by_ending.get(file.suffix.lower()))
    if chosen is None or (chosen is ResultFormat.TABLE and file is not None):
        raise BadRequestError(
            f"`{file}` is no `.csv`, `.json` or `.parquet`", "choose a format by `-o csv|json|parquet`"
        )
    if chosen is ResultFormat.PARQUET and file is None and sys.stdout.isatty():
        raise BadRequestError("Parquet is not written to a terminal", "name a file: `--file result.parquet`")
    return chosen


def _show(session: Session, answer: QueryAnswer, limit: int) -> None:
    rows = answer.rows(limit + 1)
    header = [name for name, _ in answer.columns]
    kinds = [Cell(kind.lower(), "dim", right=_is_number(kind)) for _, kind in answer.columns]
    lines = [
        [
            Cell("NULL", "dim") if value is None else Cell(_in_line(value), right=_is_number(kind))
            for value, (_, kind) in zip(row, answer.columns, strict=True)
        ]
        for row in rows[:limit]
    ]
    session.output.table([_in_line(name) for name in header], [kinds, *lines])
    if len(rows) > limit:
        session.output.note(
            f"only the first {count(limit, 'row')} are shown; `--limit` shows more, `--file` writes all"
        )


def _is_number(kind: str) -> bool:
    return kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")) or kind.endswith("INT") or kind == "INTEGER"


def _in_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _copy(answer: QueryAnswer, form: ResultFormat, limit: int | None, target: IO[bytes]) -> int:
    path, rows = answer.save(form.value, limit)
    with Path(path).open("rb") as source:
        shutil.copyfileobj(source, target)
    return rows


def sql_setup(
    ctx: typer.Context,
    table_id: Annotated[
        str, typer.Argument(metavar="TABLE_ID", help="Table to name.", show_default=True)
    ] = "out.c-main.bar",
    engine: Annotated[Engine, typer.Option("--engine", help="Engine to print lines for.")] = Engine.DUCKDB,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Print the lines that attach the Storage's catalog in another engine, with the name of a table there.

    Credentials are not printed: the lines name the environment variables that hold them.
    """
    from componentrun.cli.storage.sqlsetup import setup_of  # noqa: PLC0415 - loads pydantic

    session = Session.of(ctx, context=context, namespace=namespace)
    access = session.store(storage, endpoint).catalog_access()
    session.output.raw(setup_of(access, engine, table_id))

"""`table query` and `table sql-setup`: SQL over the tables of a Storage, here and in other engines."""

import sys
from typing import Annotated

import typer

from componentrun.cli import options
from componentrun.cli.queryresults import ResultFile, ResultFormat, RowLimit, chosen_format, write_answer
from componentrun.cli.session import Session
from componentrun.client.storage.store import Engine

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(query)
    app.command()(sql_setup)


@options.with_session(storage=True)
def query(
    session: Session,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="Query. `-` reads it from stdin.")],
    output: Annotated[
        ResultFormat | None,
        typer.Option(
            "--output",
            "-o",
            metavar="table|csv|json|parquet",
            help="Output format. Defaults to the ending of FILE, or to `table`.",
        ),
    ] = None,
    file: ResultFile = None,
    limit: RowLimit = None,
) -> None:
    """Query tables with SQL. All tables are read as of one moment.

    Write table ids in double quotes: `select * from "in.c-main.customers"`. DuckDB runs the query on this machine,
    read-only. The column `_timestamp` of every table says when a row was loaded.
    """
    form = chosen_format(output, file)
    tables = session.tables()
    with tables.query(sys.stdin.read() if sql == "-" else sql) as answer:
        for column in answer.left_out:
            session.output.note(f"left out, as it can't be read here: {column}")
        write_answer(session, answer, form, file, limit)


@options.with_session(storage=True)
def sql_setup(
    session: Session,
    table_id: Annotated[
        str,
        typer.Argument(
            metavar="TABLE_ID", help="Table whose name is printed. `events`: the table of events.", show_default=True
        ),
    ] = "out.c-main.bar",
    engine: Annotated[Engine, typer.Option("--engine", help="Engine to print statements for.")] = Engine.DUCKDB,
) -> None:
    """Print the statements that attach the catalog of the Storage in another engine, and the name of a table there.

    Credentials are not printed: the statements refer to environment variables.
    """
    from componentrun.cli.storage.sqlsetup import setup_of  # noqa: PLC0415 - loads pydantic

    access = session.store().catalog_access()
    session.output.raw(setup_of(access, engine, table_id))

"""`table`: tables of a Storage from and to this machine, without a run. Versions of a table: `versions`."""

import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated

import typer

from componentrun.cli import options
from componentrun.cli.commands.events import number_or_namespace
from componentrun.cli.errors import BadRequestError
from componentrun.cli.request.sources import local_file
from componentrun.cli.session import Session
from componentrun.cli.storage.tablestore import TableInfo, TableStore
from componentrun.cli.terminal.asking import ask
from componentrun.cli.terminal.progress import bar
from componentrun.cli.terminal.render import Cell, Row, document
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import age, count, size

__all__ = ["TableId", "app", "session_and_tables"]

app = typer.Typer(
    help="Tables of a Storage with a catalog: load, get, query, list, look at, restore, delete, compact.",
    epilog="These commands need the extra `loader`: `pip install 'componentrun[loader]'`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_ROWS = 10
_BUCKET = re.compile(r"(in|out)\.[A-Za-z0-9_-]+")
_ENDINGS = (".parquet", ".csv")
TableId = Annotated[str, typer.Argument(metavar="TABLE_ID", help="Id of the table: `in.c-main.customers`.")]


def session_and_tables(
    ctx: typer.Context, namespace: str | None, context: str | None, storage: str | None, endpoint: str | None
) -> tuple[Session, TableStore]:
    """The session of a command about tables, and those of the Storage that its options say."""
    session = Session.of(ctx, context=context, namespace=namespace)
    return session, session.store(storage, endpoint).tables


@app.command()
def put(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV in UTF-8 with a header line; `-`: stdin.")],
    table_id: TableId,
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Add the rows instead of replacing the table.")
    ] = False,
    primary_key: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Column of the primary key. May be repeated.")
    ] = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Load a CSV file into a table: at once and completely, or not at all."""
    with local_file(file, "a CSV file") as path:
        session, tables = session_and_tables(ctx, namespace, context, storage, endpoint)
        with bar(session.output, f"put {table_id}", path.stat().st_size) as progress:
            key = primary_key or ()
            table = tables.put(path, table_id, incremental=incremental, primary_key=key, progress=progress)
    session.output.note(f"`{table.id}` has {count(table.rows, 'row')} ({size(table.bytes)}), version {table.version}")


@app.command()
def get(
    ctx: typer.Context,
    table_id: TableId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write. Defaults to `-`, stdout.")
    ] = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Write a table as CSV with a header line."""
    session, tables = session_and_tables(ctx, namespace, context, storage, endpoint)
    if output is None or str(output) == "-":
        table = _copy(session, tables, table_id, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        table = save(output, lambda file: _copy(session, tables, table_id, file))
        session.output.note(f"`{output}` has {count(table.rows, 'row')} ({size(table.bytes)} without its header)")


def _copy(session: Session, tables: TableStore, table_id: str, target: IO[bytes]) -> TableInfo:
    with bar(session.output, f"get {table_id}", None, quiet=target.isatty()) as progress:
        return tables.get(table_id, target, progress)


@app.command()
def export(
    ctx: typer.Context,
    table_id: TableId,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="File to write: `*.parquet` (zstd), or `*.csv` as `table get` writes it."),
    ],
    text: Annotated[
        bool, typer.Option("--text", help="Write all columns as text, whatever types the table says.")
    ] = False,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Write a table to a CSV or Parquet file.

    In Parquet, columns have the types that the table says, else they are text. If a value is not of its column's type,
    the command fails and names the value. An empty value is an empty text, or NULL in a column of another type.
    """
    ending = file.suffix.lower()
    if ending not in _ENDINGS:
        raise BadRequestError(
            f"`{file}` ends with `{file.suffix or file.name}`; expected `.parquet` or `.csv`", "name the file so"
        )
    session, tables = session_and_tables(ctx, namespace, context, storage, endpoint)
    if ending == ".csv":
        rows = save(file, lambda opened: _copy(session, tables, table_id, opened)).rows
    else:
        rows = save(file, lambda opened: tables.export(table_id, Path(opened.name), text=text))
    session.output.note(f"`{file}` has {count(rows, 'row')} ({size(file.stat().st_size)})")


@app.command()
def ls(
    ctx: typer.Context,
    bucket: Annotated[
        str | None, typer.Argument(metavar="BUCKET", help="Only tables of this bucket: `in.c-main`.")
    ] = None,
    output: options.Output = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """List tables."""
    if bucket is not None and not _BUCKET.fullmatch(bucket):
        raise BadRequestError(
            f"`{bucket}` is no bucket; expected such as `in.c-main`", "leave it out to see all tables"
        )
    session, tables = session_and_tables(ctx, namespace, context, storage, endpoint)
    found = sorted(tables.all(bucket), key=lambda table: table.id)
    if output is not None:
        session.output.raw(document([_plain(table) for table in found], output))
    elif found:
        now = session.now()
        rows: list[Row] = [
            [
                table.id,
                Cell(count(table.rows), right=True),
                Cell(size(table.bytes), right=True),
                Cell(str(len(table.columns)), right=True),
                Cell(age(table.changed, now), right=True),
                ",".join(table.primary_key) or "-",
            ]
            for table in found
        ]
        session.output.table(("TABLE", "ROWS", "SIZE", "COLUMNS", "CHANGED", "PRIMARY KEY"), rows)
    else:
        session.output.note(f"no tables in {f'bucket `{bucket}` of ' if bucket else ''}Storage `{tables.storage}`")


def _plain(table: TableInfo) -> dict[str, object]:
    """A table for programs."""
    raw = asdict(table)
    changed = raw.pop("changed")
    return raw | {
        "columns": list(table.columns),
        "primary_key": list(table.primary_key),
        "changed": changed and changed.isoformat(),
    }


@app.command()
def head(
    ctx: typer.Context,
    table_id: TableId,
    rows: Annotated[
        str,
        typer.Option("--rows", "-n", metavar="NUMBER", help="Number of rows. A name here is taken for the namespace."),
    ] = "10",
    output: options.Output = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.LongNamespace = None,
    context: options.Context = None,
) -> None:
    """Show the first rows of a table."""
    wanted, namespace = number_or_namespace(rows, namespace)
    session, tables = session_and_tables(ctx, namespace, context, storage, endpoint)
    preview = tables.head(table_id, _ROWS if wanted is None else wanted)
    if output is not None:
        session.output.raw(document([dict(zip(preview.columns, row, strict=False)) for row in preview.rows], output))
        return
    lines = [[Cell(_in_line(value)) for value in row] for row in preview.rows]
    session.output.table([_in_line(name) for name in preview.columns], lines)


def _in_line(text: str) -> str:
    """A value or a name without line breaks, which would break the columns."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


@app.command()
def rm(
    ctx: typer.Context,
    table_id: TableId,
    yes: options.Yes = False,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Delete a table. `table restore` brings it back until its last version expires."""
    session, tables = session_and_tables(ctx, namespace, context, storage, endpoint)
    ask(f"table `{table_id}` of Storage `{tables.storage}` will be deleted", yes=yes)
    version = tables.remove(table_id, who=session.who())
    if version is None:
        raise BadRequestError(
            f"there is no table `{table_id}` in Storage `{tables.storage}`",
            "`componentrun table ls` shows the tables that are there",
        )
    session.output.note(
        f"`{table_id}` deleted; `componentrun table restore {table_id} --version {version}` brings it back"
    )

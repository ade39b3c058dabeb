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
from componentrun.cli.terminal.asking import ask
from componentrun.cli.terminal.progress import bar
from componentrun.cli.terminal.render import Cell, Row, document
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import age, count, on_one_line, size
from componentrun.client.storage.tablestore import TableInfo, TableStore

__all__ = ["TableId", "app"]

app = typer.Typer(
    help="Manage tables of a Storage with a catalog.",
    epilog="These commands need the extra `loader`: `pip install 'componentrun[loader]'`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_ROWS = 10
_BUCKET = re.compile(r"(in|out)\.[A-Za-z0-9_-]+")
_ENDINGS = (".parquet", ".csv")
TableId = Annotated[str, typer.Argument(metavar="TABLE_ID", help="Id of the table, such as `in.c-main.customers`.")]


@app.command()
@options.with_session(storage=True)
def put(
    session: Session,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV file in UTF-8 with a header line. `-` reads stdin.")
    ],
    table_id: TableId,
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Add the rows instead of replacing the table.")
    ] = False,
    primary_key: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Column of the primary key. Can be repeated.")
    ] = None,
) -> None:
    """Load a CSV file into a table in one transaction."""
    with local_file(file, "a CSV file") as path:
        tables = session.tables()
        with bar(session.output, f"put {table_id}", path.stat().st_size) as progress:
            key = primary_key or ()
            table = tables.put(path, table_id, incremental=incremental, primary_key=key, progress=progress)
    session.output.note(f"`{table.id}` has {count(table.rows, 'row')} ({size(table.bytes)}), version {table.version}")


@app.command()
@options.with_session(storage=True)
def get(
    session: Session,
    table_id: TableId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File to write. Defaults to `-`, stdout.")
    ] = None,
) -> None:
    """Write a table as CSV with a header line."""
    tables = session.tables()
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
@options.with_session(storage=True)
def export(
    session: Session,
    table_id: TableId,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="File to write: `*.parquet` (zstd), or `*.csv` as `table get` writes it."),
    ],
    text: Annotated[
        bool, typer.Option("--text", help="Write all columns as text instead of the types of the table.")
    ] = False,
) -> None:
    """Write a table to a CSV or Parquet file.

    Parquet columns have the types of the table; columns without a type are text. If a value does not fit the type of
    its column, the command fails and names the value. An empty value is an empty text, or NULL in other types.
    """
    ending = file.suffix.lower()
    if ending not in _ENDINGS:
        raise BadRequestError(
            f"`{file}` ends with `{file.suffix or file.name}`; expected `.parquet` or `.csv`",
            "Give the file a name with one of these endings.",
        )
    tables = session.tables()
    if ending == ".csv":
        rows = save(file, lambda target: _copy(session, tables, table_id, target)).rows
    else:
        rows = save(file, lambda target: tables.export(table_id, Path(target.name), text=text))
    session.output.note(f"`{file}` has {count(rows, 'row')} ({size(file.stat().st_size)})")


@app.command()
@options.with_session(storage=True)
def ls(
    session: Session,
    bucket: Annotated[
        str | None, typer.Argument(metavar="BUCKET", help="Only tables of this bucket: `in.c-main`.")
    ] = None,
    output: options.Output = None,
) -> None:
    """List tables."""
    if bucket is not None and not _BUCKET.fullmatch(bucket):
        raise BadRequestError(
            f"`{bucket}` is no bucket; expected such as `in.c-main`", "Leave it out to list all tables."
        )
    tables = session.tables()
    listing = sorted(tables.all(bucket), key=lambda table: table.id)
    if output is not None:
        session.output.raw(document([_plain(table) for table in listing], output))
    elif listing:
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
            for table in listing
        ]
        session.output.table(("TABLE", "ROWS", "SIZE", "COLUMNS", "CHANGED", "PRIMARY KEY"), rows)
    else:
        session.output.note(f"no tables in {f'bucket `{bucket}` of ' if bucket else ''}Storage `{tables.storage}`")


def _plain(table: TableInfo) -> dict[str, object]:
    """A table for programs."""
    raw = asdict(table)
    change_time = raw.pop("changed")
    return raw | {
        "columns": list(table.columns),
        "primary_key": list(table.primary_key),
        "changed": change_time and change_time.isoformat(),
    }


@app.command()
@options.with_session(storage=True, short_namespace=False)
def head(
    session: Session,
    table_id: TableId,
    rows: Annotated[
        str,
        typer.Option("--rows", "-n", metavar="NUMBER", help="Number of rows. A name is taken for the namespace."),
    ] = "10",
    output: options.Output = None,
) -> None:
    """Print the first rows of a table."""
    row_count, session = number_or_namespace(rows, session)
    tables = session.tables()
    preview = tables.head(table_id, _ROWS if row_count is None else row_count)
    if output is not None:
        session.output.raw(document([dict(zip(preview.columns, row, strict=False)) for row in preview.rows], output))
        return
    lines = [[Cell(on_one_line(value)) for value in row] for row in preview.rows]
    session.output.table([on_one_line(name) for name in preview.columns], lines)


@app.command()
@options.with_session(storage=True)
def rm(
    session: Session,
    table_id: TableId,
    yes: options.Yes = False,
) -> None:
    """Delete a table. `table restore` restores it until its last version expires."""
    tables = session.tables()
    ask(f"table `{table_id}` of Storage `{tables.storage}` will be deleted", yes=yes)
    version = tables.remove(table_id, who=session.who())
    if version is None:
        raise BadRequestError(
            f"there is no table `{table_id}` in Storage `{tables.storage}`",
            "`componentrun table ls` lists the tables.",
        )
    session.output.note(
        f"`{table_id}` deleted; `componentrun table restore {table_id} --version {version}` brings it back"
    )

"""`table info`, `table history`, `table restore`: details and versions of a table."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from componentrun.cli import options
from componentrun.cli.commands.table import TableId
from componentrun.cli.session import Session
from componentrun.cli.terminal.asking import ask
from componentrun.cli.terminal.render import INDENT, Cell, Row, document
from componentrun.cli.terminal.words import count, moment, size
from componentrun.client.storage.tablestore import TableDetails, TableVersion

__all__ = ["register"]

_NEWEST = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(info)
    app.command()(history)
    app.command()(restore)


@options.with_session(storage=True)
def info(
    session: Session,
    table_id: TableId,
    output: options.Output = None,
) -> None:
    """Show the details of a table: columns, size, last change, versions."""
    tables = session.tables()
    details = tables.details(table_id)
    if output is not None:
        session.output.raw(document(_plain(details), output))
        return
    for label, text in _facts(session, tables.storage, details):
        session.output.fact(label, text)
    session.output.line(Cell("Columns:", "bold"))
    rows: list[Row] = [
        [column.name, column.type or "text", "key" if column.name in details.primary_key else ""]
        for column in details.columns
    ]
    session.output.table((), rows, indent=INDENT)


def _facts(session: Session, storage: str, details: TableDetails) -> Iterator[tuple[str, str]]:
    current, now = details.current, session.now()
    yield "Table", details.id
    yield "Storage", storage
    yield "Version", str(current.number)
    yield "Created", moment(details.created, now)
    yield "Last change", f"{moment(current.time, now)}: {current.what} by {_who(current)}"
    yield "Primary key", ", ".join(details.primary_key) or "none"
    yield "In catalog", f"{details.catalog_name}, snapshot {current.snapshot or 'none'}"
    yield "Rows", count(current.rows)
    deletes = f" and {count(details.delete_files, 'delete file')}" if details.delete_files else ""
    yield "Size", f"{size(current.bytes)} in {count(details.files, 'data file')}{deletes}"
    yield "Earlier", _kept(details.kept)


def _kept(numbers: Sequence[int]) -> str:
    return f"{count(len(numbers), 'version')}, the oldest is {numbers[0]}" if numbers else "no version is kept"


@options.with_session(storage=True)
def history(
    session: Session,
    table_id: TableId,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="NUMBER", help="Maximum number of versions to list.")
    ] = _NEWEST,
    output: options.Output = None,
) -> None:
    """List the versions of a table, newest first. Also lists those of a deleted table."""
    tables = session.tables()
    versions = tables.history(table_id, limit)
    if output is not None:
        session.output.raw(document([_plain(version) for version in versions], output))
        return
    rows: list[Row] = [
        [
            Cell(str(version.number), right=True),
            f"{version.time:%Y-%m-%d %H:%M:%S}",
            version.what,
            Cell(count(version.rows), right=True),
            Cell(size(version.bytes), right=True),
            _who(version),
        ]
        for version in versions
    ]
    session.output.table(("VERSION", "TIME (UTC)", "WHAT", "ROWS", "SIZE", "BY"), rows)


@options.with_session(storage=True)
def restore(
    session: Session,
    table_id: TableId,
    version: Annotated[
        int, typer.Option("--version", metavar="NUMBER", help="Number of the version, as `table history` lists it.")
    ],
    yes: options.Yes = False,
) -> None:
    """Restore a table to an earlier version. Also restores a deleted table."""
    tables = session.tables()
    ask(f"table `{table_id}` of Storage `{tables.storage}` will be what it was at version {version}", yes=yes)
    table = tables.restore(table_id, version, who=session.who())
    session.output.note(
        f"`{table.id}` is what it was at version {version}: {count(table.rows, 'row')} ({size(table.bytes)}), "
        f"now version {table.version}"
    )


def _who(version: TableVersion) -> str:
    return version.who or version.title or version.run or "unknown"


def _plain(facts: TableDetails | TableVersion) -> dict[str, Any]:
    """Facts for programs."""
    plain: dict[str, Any] = _value(asdict(facts))
    return plain


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value

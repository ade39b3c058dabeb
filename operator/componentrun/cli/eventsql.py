"""`events --sql`: its options, and the query over the table of events."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from componentrun.cli.errors import BadRequestError
from componentrun.cli.eventoptions import moment
from componentrun.cli.queryresults import ResultFormat, chosen_format, write_answer
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Format
from componentrun.client.storage.tablestore import EventAnswer

__all__ = ["Chosen", "EventFormat", "File", "Limit", "Output", "Sql", "query", "text_format"]


class EventFormat(StrEnum):
    """Output format of events, or of a query over them."""

    JSON = "json"
    YAML = "yaml"
    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"


Sql = Annotated[
    str | None,
    typer.Option(
        "--sql",
        metavar="SQL",
        help="Query the table `events` of the catalog. It has the runs that ended before today (UTC). `-`: read stdin.",
    ),
]
File = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="File for the rows of a query by `--sql`. Defaults to stdout."),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=0,
        metavar="NUMBER",
        help="Maximum number of rows of a query by `--sql`. Defaults to 100 for `table`, else to all.",
    ),
]
Output = Annotated[
    EventFormat | None,
    typer.Option(
        "--output",
        "-o",
        metavar="json|yaml|table|csv|parquet",
        help="Output format: `json` or `yaml`; with `--sql`: `table` (default), `csv`, `json` or `parquet`.",
    ),
]


@dataclass(frozen=True)
class Chosen:
    """Options that apply to a query."""

    since: str | None
    until: str | None
    output: EventFormat | None
    file: Path | None
    limit: int | None


def query(session: Session, sql: str, chosen: Chosen, others: Mapping[str, object]) -> None:
    """Execute a query, and print its rows or write them to a file.

    Args:
        session: the session.
        sql: the query; `-`: read it from stdin.
        chosen: options for it.
        others: values of arguments and options that select events without SQL.

    Raises:
        UserError: the query is invalid, one of `others` is given, or the Storage has no table of events.
    """
    if given := [name for name, value in others.items() if value]:
        raise BadRequestError(
            f"`--sql` and `{given[0]}` exclude each other",
            "Put conditions into the query. `--since` and `--until` may be combined with it.",
        )
    if chosen.output is EventFormat.YAML:
        raise BadRequestError("rows of a query are not written as YAML", "Use `-o table|csv|json|parquet`.")
    output = ResultFormat(chosen.output.value) if chosen.output is not None else None
    form = chosen_format(output, chosen.file)
    now = session.now()
    since, until = moment("--since", chosen.since, now), moment("--until", chosen.until, now)
    text = sys.stdin.read() if sql == "-" else sql
    with session.tables().query_events(text, since, until) as found:
        write_answer(session, found.answer, form, chosen.file, chosen.limit)
        _note_time(session, found)


def text_format(output: EventFormat | None, file: Path | None, limit: int | None) -> Format | None:
    """The format of events that are printed without SQL.

    Raises:
        UserError: an option is for queries only.
    """
    allowed = {None: None, EventFormat.JSON: Format.JSON, EventFormat.YAML: Format.YAML}
    if output not in allowed or file is not None or limit is not None:
        option = f"-o {output.value}" if output not in allowed and output is not None else "--file and --limit"
        raise BadRequestError(
            f"`{option}`: only for queries with `--sql`",
            "Without SQL, use `-o json|yaml`, `-n NUMBER` and `--export FILE`.",
        )
    return allowed[output]


def _note_time(session: Session, found: EventAnswer) -> None:
    if found.until is None:
        session.output.note("maintenance has not yet added all events of the past to the table")
    else:
        session.output.note(f"`events` has the runs that ended before {found.until:%Y-%m-%d %H:%M} UTC")

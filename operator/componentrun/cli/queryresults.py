"""Results of SQL queries: options for their format, and how they are printed or written."""

import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from componentrun.cli.errors import BadRequestError
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Cell
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import count, on_one_line, size
from componentrun.client.storage.tablestore import QueryAnswer

__all__ = ["ResultFile", "ResultFormat", "RowLimit", "chosen_format", "write_answer"]

_SHOWN_ROWS = 100


class ResultFormat(StrEnum):
    """Output format of a query."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


ResultFile = Annotated[Path | None, typer.Option("--file", metavar="FILE", help="File to write. Defaults to stdout.")]
RowLimit = Annotated[
    int | None,
    typer.Option(
        "--limit", min=0, metavar="NUMBER", help="Maximum number of rows. Defaults to 100 for `table`, else to all."
    ),
]


def write_answer(
    session: Session, answer: QueryAnswer, form: ResultFormat, file: Path | None, limit: int | None
) -> None:
    """Print the rows of a query, or write them to a file."""
    if form is ResultFormat.TABLE:
        _show(session, answer, _SHOWN_ROWS if limit is None else limit)
    elif file is None:
        _copy(answer, form, limit, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        rows = save(file, lambda opened: _copy(answer, form, limit, opened))
        session.output.note(f"`{file}` has {count(rows, 'row')} ({size(file.stat().st_size)})")


def chosen_format(output: ResultFormat | None, file: Path | None) -> ResultFormat:
    """The format that was asked for, or that the ending of the file stands for.

    Raises:
        UserError: it is not known, or does not suit the output.
    """
    by_ending = {f".{form.value}": form for form in ResultFormat if form is not ResultFormat.TABLE}
    chosen = output or (ResultFormat.TABLE if file is None else by_ending.get(file.suffix.lower()))
    if chosen is None or (chosen is ResultFormat.TABLE and file is not None):
        raise BadRequestError(
            f"`{file}` does not end with `.csv`, `.json` or `.parquet`", "Choose a format by `-o csv|json|parquet`."
        )
    if chosen is ResultFormat.PARQUET and file is None and sys.stdout.isatty():
        raise BadRequestError("Parquet is not written to a terminal", "Name a file: `--file result.parquet`.")
    return chosen


def _show(session: Session, answer: QueryAnswer, limit: int) -> None:
    rows = answer.rows(limit + 1)
    header = [name for name, _ in answer.columns]
    kinds = [Cell(kind.lower(), "dim", right=_is_number(kind)) for _, kind in answer.columns]
    lines = [
        [
            Cell("NULL", "dim") if value is None else Cell(on_one_line(value), right=_is_number(kind))
            for value, (_, kind) in zip(row, answer.columns, strict=True)
        ]
        for row in rows[:limit]
    ]
    session.output.table([on_one_line(name) for name in header], [kinds, *lines])
    if len(rows) > limit:
        session.output.note(
            f"only the first {count(limit, 'row')} are shown; `--limit` shows more, `--file` writes all"
        )


def _is_number(kind: str) -> bool:
    return kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")) or kind.endswith("INT") or kind == "INTEGER"


def _copy(answer: QueryAnswer, form: ResultFormat, limit: int | None, target: IO[bytes]) -> int:
    path, rows = answer.save(form.value, limit)
    with Path(path).open("rb") as source:
        shutil.copyfileobj(source, target)
    return rows

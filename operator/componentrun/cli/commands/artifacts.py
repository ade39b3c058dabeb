"""`artifacts`: files that a run left beside its tables and files."""

from functools import partial
from pathlib import Path
from typing import IO, Annotated

import typer

from componentrun.cli import options
from componentrun.cli.errors import BadRequestError
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Cell, Row, document
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import count, size
from componentrun.client.storage.store import KeptFile, Store

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("artifacts", short_help="List or download the artifacts of a run.")(artifacts)


@options.with_session(storage=True)
def artifacts(
    session: Session,
    run: options.Run,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Download the files to this folder, which is created.")
    ] = None,
    attempt: Annotated[
        int | None,
        typer.Option("--attempt", min=1, metavar="NUMBER", help="Attempt of the run. Defaults to the last one."),
    ] = None,
    output: options.Output = None,
) -> None:
    """List or download the artifacts of a run: result.json, usage.json and `artifacts/`.

    They are kept as long as the data of the run: until nothing in Storage refers to it and it is swept.
    """
    found = session.run(run)
    attempts = [item.number for item in found.status.attempts]
    number = attempt or (attempts[-1] if attempts else None)
    store = session.store(found.status.storage or found.spec.storage)
    files = [] if number is None else store.kept(found.metadata.uid, number)
    if to is not None and number is not None:
        _fetch(store, found.metadata.uid, number, files, to)
    if output is not None:
        session.output.raw(document([{"path": item.path, "size": item.size} for item in files], output))
    elif not files:
        session.output.note(f"`{found.metadata.name}` has no artifacts")
    elif to is not None:
        session.output.note(f"{count(len(files), 'file')} in `{to}`")
    else:
        rows: list[Row] = [[item.path, Cell(size(item.size), right=True)] for item in files]
        session.output.table(("PATH", "SIZE"), rows)


def _fetch(store: Store, run: str, attempt: int, files: list[KeptFile], folder: Path) -> None:
    """Download the files. Names that lead out of the folder are refused."""
    for item in files:
        target = folder / item.path
        if item.path.startswith("/") or ".." in item.path.split("/"):
            raise BadRequestError(
                f"`{item.path}` leads out of the folder; it was not written", "Look at the object in the store."
            )
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadRequestError(
                f"can't write `{target}`: {error.strerror}", "Choose another folder with `--to`."
            ) from error
        save(target, partial(_write, store, run, attempt, item.path))


def _write(store: Store, run: str, attempt: int, path: str, file: IO[bytes]) -> None:
    store.get_kept(run, attempt, path, file)

"""`artifacts`: what a run left beside its tables and files."""

from functools import partial
from pathlib import Path
from typing import IO, Annotated

import typer

from componentrun.cli import options
from componentrun.cli.errors import BadRequestError
from componentrun.cli.session import Session
from componentrun.cli.storage.store import KeptFile, Store
from componentrun.cli.terminal.render import Cell, Row, document
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import count, size

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("artifacts", short_help="List or fetch what a run left beside its tables.")(artifacts)


def artifacts(
    ctx: typer.Context,
    run: options.Run,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Write the files below this folder, which is made.")
    ] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", min=1, metavar="NUMBER", help="Of this attempt, not of the last one.")
    ] = None,
    output: options.Output = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """List or fetch what a run left beside its tables: result.json, usage.json and artifacts.

    They are there as long as the run's data is: until nothing in Storage names it any more and the sweeper comes.
    """
    session = Session.of(ctx, context=context, namespace=namespace)
    found = session.run(run)
    attempts = [item.number for item in found.status.attempts]
    number = attempt or (attempts[-1] if attempts else None)
    store = session.store(storage or found.status.storage or found.spec.storage, endpoint)
    files = [] if number is None else store.kept(found.metadata.uid, number)
    if to is not None and number is not None:
        _fetch(store, found.metadata.uid, number, files, to)
    if output is not None:
        session.output.raw(document([{"path": item.path, "size": item.size} for item in files], output))
    elif not files:
        session.output.note(f"`{found.metadata.name}` left nothing beside its tables")
    elif to is not None:
        session.output.note(f"{count(len(files), 'file')} in `{to}`")
    else:
        rows: list[Row] = [[item.path, Cell(size(item.size), right=True)] for item in files]
        session.output.table(("PATH", "SIZE"), rows)


def _fetch(store: Store, run: str, attempt: int, files: list[KeptFile], folder: Path) -> None:
    """Write the files; never outside of the folder, whatever they are called."""
    for item in files:
        target = folder / item.path
        if item.path.startswith("/") or ".." in item.path.split("/"):
            raise BadRequestError(
                f"`{item.path}` leads out of the folder; it was not written", "look at it in the store"
            )
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadRequestError(
                f"can't write `{target}`: {error.strerror}", "choose another place with `--to`"
            ) from error
        save(target, partial(_write, store, run, attempt, item.path))


def _write(store: Store, run: str, attempt: int, path: str, file: IO[bytes]) -> None:
    store.get_kept(run, attempt, path, file)

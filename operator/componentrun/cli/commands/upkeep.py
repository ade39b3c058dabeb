"""`storage sweep` and `table compact`: by hand what maintenance does on schedule."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from componentrun.cli import options
from componentrun.cli.commands.table import TableId, session_and_tables
from componentrun.cli.errors import BadRequestError
from componentrun.cli.kubernetes.cluster import RUNS
from componentrun.cli.session import Session
from componentrun.cli.storage.tablestore import FilesRewritten
from componentrun.cli.terminal.render import Output, document
from componentrun.cli.terminal.words import count, size

if TYPE_CHECKING:
    from componentrun.storage.cleanup.sweep import Swept
    from componentrun.storage.events.retention import Retention
    from componentrun.storage.events.sweep import SweptEvents

__all__ = ["app", "register"]

app = typer.Typer(help="Storages: sweep.", no_args_is_help=True, rich_markup_mode=None)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]


@app.command()
def sweep(
    ctx: typer.Context,
    dry_run: DryRun = False,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="How long to keep data that nothing names any more. Defaults to 48h, the minimum."
        ),
    ] = None,
    events: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long to keep events of runs, such as 30d. Defaults to what the Storage and Components say.",
        ),
    ] = None,
    output: options.Output = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Delete what has expired, what nothing names and what outlived its run. Safe while runs work."""
    kept_for = _duration("--keep", keep)
    session = Session.of(ctx, context=context, namespace=namespace)
    store = session.store(storage, endpoint)
    retention = session.retention(storage) if events is None else _retention(events)
    existing = [run["metadata"]["uid"] for run in session.cluster.list(RUNS)]
    done = store.sweep(kept_for, dry_run=dry_run)
    gone = store.sweep_events(retention, existing, dry_run=dry_run)
    if output is not None:
        session.output.raw(document(asdict(done) | {"events": asdict(gone), "dry_run": dry_run}, output))
    else:
        _tell_sweep(session.output, store.name, done, gone, dry_run=dry_run)


def _tell_sweep(output: Output, name: str, done: "Swept", gone: "SweptEvents", *, dry_run: bool) -> None:
    verb = "would be deleted from" if dry_run else "deleted from"
    parts = [
        f"{count(done.objects, 'object')} ({size(done.bytes)}) that nothing named",
        f"{count(done.files, 'expired file')}",
        f"{count(done.documents, 'document')} of runs that are over",
    ]
    if done.hidden:
        parts.append(f"{count(done.hidden, 'hidden version')} of objects")
    if done.uploads:
        parts.append(f"{count(done.uploads, 'unfinished upload')}")
    if gone.runs:
        parts.append(f"the events of {count(gone.runs, 'run')} ({size(gone.bytes)})")
    output.note(f"{verb} Storage `{name}`: {', '.join(parts)}")
    if done.refused:
        output.note(f"whether its bucket keeps old versions was not to be learned: {done.refused}")
    if done.waiting:
        output.note(f"{count(done.waiting, 'prefix').replace('prefixs', 'prefixes')} below `data/` wait for their time")


def compact(
    ctx: typer.Context,
    table_id: TableId,
    dry_run: DryRun = False,
    output: options.Output = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Rewrite the small files of a table as few large ones, so that it reads faster. Safe while runs work."""
    session, tables = session_and_tables(ctx, namespace, context, storage, endpoint)
    done = tables.compact(table_id, dry_run=dry_run)
    if output is not None:
        session.output.raw(document(asdict(done), output))
    else:
        session.output.note(_told(done))


def _told(done: FilesRewritten) -> str:
    before = f"{count(done.files, 'file')} ({size(done.bytes)})"
    return {
        "rewritten": f"`{done.table}`: {before} became {done.new_files} ({size(done.new_bytes)})",
        "wouldRewrite": f"`{done.table}`: {before} would become {done.new_files}",
        "notNeeded": f"`{done.table}` reads as fast as it can",
        "changedMeanwhile": f"`{done.table}` was changed by others meanwhile and is left as it is; try again",
        "unsupported": f"`{done.table}` can't be rewritten here: {done.reason}",
        "tooLarge": f"`{done.table}` has files that belong together and are too large to be rewritten here; "
        "`componentrun table sql-setup --engine spark` attaches an engine that has `rewrite_data_files`",
    }[done.outcome]


def _retention(events: str) -> "Retention":
    from componentrun.api.common import long_duration_seconds  # noqa: PLC0415 - loads pydantic
    from componentrun.storage.events.retention import Retention  # noqa: PLC0415 - likewise

    try:
        return Retention(timedelta(seconds=long_duration_seconds(events)))
    except ValueError as error:
        raise BadRequestError(
            f"--events is `{events}`; expected days, hours, minutes and seconds", "`30d`, `12h`"
        ) from error


def _duration(option: str, text: str | None) -> timedelta | None:
    from componentrun.api.common import duration_seconds  # noqa: PLC0415 - loads pydantic

    if text is None:
        return None
    try:
        return timedelta(seconds=duration_seconds(text))
    except ValueError as error:
        raise BadRequestError(f"{option} is `{text}`; expected hours, minutes and seconds", "`72h`, `1h30m`") from error


def register(table: typer.Typer) -> None:
    """Add `compact` to the commands of `table`."""
    table.command()(compact)

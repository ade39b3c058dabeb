"""`storage sweep` and `table compact`: maintenance by hand."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from componentrun.api.durations import duration_seconds, retention_seconds
from componentrun.cli import options
from componentrun.cli.commands.table import TableId
from componentrun.cli.errors import BadRequestError, NotAllowedError
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Output, document
from componentrun.cli.terminal.words import count, size
from componentrun.client.storage.tablestore import FilesRewritten

if TYPE_CHECKING:
    from componentrun.cli.storage.eventplace import EventPlace
    from componentrun.storage.cleanup.sweep import Swept
    from componentrun.storage.events.retention import Retention
    from componentrun.storage.events.sweep import SweptEvents

__all__ = ["app", "register"]

app = typer.Typer(help="Clean up Storages.", no_args_is_help=True, rich_markup_mode=None)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")]


@app.command()
@options.with_session(storage=True)
def sweep(
    session: Session,
    dry_run: DryRun = False,
    keep: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="How long to keep unreferenced data. Defaults to 48h, the minimum."),
    ] = None,
    events: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long to keep events of runs: `30d`, or `forever`. Defaults to `spec.events.keep` of the Storage "
            "and its Components.",
        ),
    ] = None,
    output: options.Output = None,
) -> None:
    """Delete expired files, unreferenced data and data of deleted runs. Safe while runs are in progress.

    Other namespaces may store events in the same bucket and prefix. So events are deleted only if you may list
    ClusterComponents and the Storages of all namespaces, and also their Components and runs if another one has such
    a Storage.
    """
    kept_for = _duration("--keep", keep)
    store = session.store()
    chosen = None if events is None else _retention(events)
    place, problem = _event_place(session, is_needed=chosen is not None)
    swept_events = None
    if place is not None:
        # Right after the runs were listed: the events of a run that is not in the list may be deleted.
        swept_events = store.sweep_events(chosen or place.retention, place.runs, dry_run=dry_run)
    result = store.sweep(kept_for, dry_run=dry_run)
    if output is not None:
        about_events = None if swept_events is None else asdict(swept_events)
        session.output.raw(document(asdict(result) | {"events": about_events, "dry_run": dry_run}, output))
    else:
        _tell_sweep(session.output, store.name, result, swept_events, dry_run=dry_run)
    if problem is not None:
        session.output.note(f"no events are deleted: {problem.summary}, and others may store events in this bucket")
        session.output.note(problem.advice)
    elif place is not None and place.others:
        names = ", ".join(f"`{name}`" for name in place.others)
        how = "their retention and their runs count" if chosen is None else "`--events` applies to their events as well"
        session.output.note(f"other namespaces store events in this bucket and prefix ({names}): {how}")


def _event_place(session: Session, *, is_needed: bool) -> tuple["EventPlace | None", NotAllowedError | None]:
    """Everything that stores events in the Storage's bucket; None and the reason if that can't be found out.

    Raises:
        BadRequestError: the same, if it is needed.
    """
    try:
        return session.event_place(), None
    except NotAllowedError as error:
        if is_needed:
            raise BadRequestError(
                f"`--events` can't be used: {error.summary}, and others may store events in this bucket", error.advice
            ) from error
        return None, error


def _tell_sweep(
    output: Output, name: str, result: "Swept", swept_events: "SweptEvents | None", *, dry_run: bool
) -> None:
    verb = "would be deleted from" if dry_run else "deleted from"
    parts = [
        f"{count(result.objects, 'object')} ({size(result.bytes)}) without a reference",
        f"{count(result.files, 'expired file')}",
        f"{count(result.documents, 'document')} of finished runs",
    ]
    if result.hidden:
        parts.append(f"{count(result.hidden, 'hidden version')} of objects")
    if result.uploads:
        parts.append(f"{count(result.uploads, 'unfinished upload')}")
    if swept_events is not None and swept_events.runs:
        parts.append(f"the events of {count(swept_events.runs, 'run')} ({size(swept_events.bytes)})")
    output.note(f"{verb} Storage `{name}`: {', '.join(parts)}")
    if result.refused:
        output.note(f"cannot find out whether its bucket keeps old versions: {result.refused}")
    if result.waiting:
        output.note(f"{count(result.waiting, 'prefix').replace('prefixs', 'prefixes')} below `data/` are not due yet")


@options.with_session(storage=True)
def compact(
    session: Session,
    table_id: TableId,
    dry_run: DryRun = False,
    output: options.Output = None,
) -> None:
    """Merge the small files of a table into larger ones, to read it faster. Safe while runs are in progress."""
    tables = session.tables()
    result = tables.compact(table_id, dry_run=dry_run)
    if output is not None:
        session.output.raw(document(asdict(result), output))
    else:
        session.output.note(_told(result))


def _told(result: FilesRewritten) -> str:
    old_files = f"{count(result.files, 'file')} ({size(result.bytes)})"
    return {
        "rewritten": f"`{result.table}`: {old_files} became {result.new_files} ({size(result.new_bytes)})",
        "wouldRewrite": f"`{result.table}`: {old_files} would become {result.new_files}",
        "notNeeded": f"`{result.table}` needs no rewrite",
        "changedMeanwhile": f"`{result.table}` was changed during the rewrite and is left unchanged; try again",
        "unsupported": f"`{result.table}` can't be rewritten here: {result.reason}",
        "tooLarge": f"`{result.table}` has files that belong together and are too large to be rewritten here; "
        "`componentrun table sql-setup --engine spark` attaches an engine that has `rewrite_data_files`",
    }[result.outcome]


def _retention(events: str) -> "Retention":
    from componentrun.storage.events.retention import Retention  # noqa: PLC0415 - likewise

    try:
        seconds = retention_seconds(events)
    except ValueError as error:
        raise BadRequestError(
            f"--events is `{events}`; expected days, hours, minutes and seconds, or `forever`",
            "For example: `30d`, `12h`.",
        ) from error
    return Retention(None if seconds is None else timedelta(seconds=seconds))


def _duration(option: str, text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return timedelta(seconds=duration_seconds(text))
    except ValueError as error:
        raise BadRequestError(
            f"{option} is `{text}`; expected hours, minutes and seconds", "For example: `72h`, `1h30m`."
        ) from error


def register(table: typer.Typer) -> None:
    """Add `compact` to the commands of `table`."""
    table.command()(compact)

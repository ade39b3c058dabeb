"""`events` and `logs`: events of runs, and the lines of their components."""

import re
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from componentrun.cli import eventoptions, eventsql, options
from componentrun.cli.errors import BadRequestError, NotFoundError
from componentrun.cli.eventoptions import Question
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Format, document, json_text
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import clock, count, size
from componentrun.client.storage.store import EventRecord, Store

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun
    from componentrun.storage.events.query import EventQuery

__all__ = ["number_or_namespace", "register"]

COMPONENT: Final = "component"
"""Source of the lines that the component printed."""
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MANY: Final = 100
"""Default number of events of several runs."""

Follow = Annotated[
    bool,
    typer.Option(
        "--follow", "-f", help="Stream new events until the run has ended and all of its events are delivered."
    ),
]
Lines = Annotated[
    str | None,
    typer.Option(
        "--lines",
        "-n",
        metavar="NUMBER",
        help="Number of recent lines to print. Defaults to all. A name is taken for the namespace.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("events", short_help="Print the events of a run, or of all runs of a component.")(events)
    app.command("logs", short_help="Print the log of a run's component.")(logs)


def number_or_namespace(text: str | None, session: Session) -> tuple[int | None, Session]:
    """The value of `-n`: a number of lines; or a namespace, which it means everywhere else, in the session."""
    if text is None:
        return None, session
    if text.isascii() and text.isdigit():
        return int(text), session
    if not _NAMESPACE.fullmatch(text) or session.namespace is not None:
        raise BadRequestError(f"`-n {text}`: expected a number of lines", "For example: `-n 10`.")
    return None, session.in_namespace(text)


@options.with_session(storage=True, short_namespace=False)
def events(
    session: Session,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Name of the run, or uid of a deleted one. `@latest` is the newest run of the namespace.",
        ),
    ] = None,
    component: eventoptions.Component = None,
    configuration: eventoptions.Configuration = None,
    since: eventoptions.Since = None,
    until: eventoptions.Until = None,
    types: eventoptions.Types = None,
    grep: eventoptions.Grep = None,
    source: eventoptions.Source = None,
    since_id: eventoptions.SinceId = None,
    max_id: eventoptions.MaxId = None,
    follow: Follow = False,
    lines: Lines = None,
    export: eventoptions.Export = None,
    sql: eventsql.Sql = None,
    file: eventsql.File = None,
    rows: eventsql.Limit = None,
    output: eventsql.Output = None,
) -> None:
    """Print events, oldest first: lines of the component, and messages about the run.

    With RUN: all events of the run, or the last NUMBER. Without RUN: the last 100 (or NUMBER) events of all runs in the
    Storage, or of the runs of a component or configuration. For programs: a JSON object per line, or a Parquet file.

    With `--sql`, query the table `events` in the Storage's catalog: `select type, count(*) from events group by 1`.
    Maintenance adds the runs of a day after its end (UTC). A note says up to when the table is complete.
    """
    if sql is not None:
        others = {
            "RUN": run, "--follow": follow, "-n": lines, "--export": export, "--component": component,
            "--configuration": configuration, "--type": types, "--grep": grep, "--source": source,
            "--since-id": since_id, "--max-id": max_id,
        }  # fmt: skip
        eventsql.query(session, sql, eventsql.Chosen(since, until, output, file, rows), others)
        return
    limit, session = number_or_namespace(lines, session)
    question = Question(component, configuration, since, until, types, grep, source, since_id, max_id)
    form = eventsql.text_format(output, file, rows)
    _check(run, question, export, form, follow=follow)
    if run is None:
        store = session.store()
        query = question.query(store, session.now())
        if export is not None:
            _export(session, store, query, None, limit, export)
        else:
            _show_many(_printer(session, form, run=True), store, query, limit)
        return
    reader = _Reader(session, run, question, limit)
    if export is not None:
        _export(session, reader.store, reader.query, reader.uid, limit, export)
    else:
        reader.show(_printer(session, form), follow=follow)


def _check(run: str | None, question: Question, export: Path | None, output: Format | None, *, follow: bool) -> None:
    """Refuse options that exclude each other."""
    if run is not None and (question.component is not None or question.configuration is not None):
        raise BadRequestError("a run has one component and configuration", "Leave out RUN or these two options.")
    if run is None and follow:
        raise BadRequestError("one run can be followed at a time", "Name the run: `componentrun events RUN --follow`.")
    if question.configuration is not None and question.component is None:
        raise BadRequestError("a configuration is one of a component", "Give `--component` with `--configuration`.")
    if export is not None and (follow or output is not None):
        raise BadRequestError("`--export` writes what is there to a file", "Leave out `--follow` and `--output`.")
    if export is not None and export.suffix != ".parquet":
        raise BadRequestError(
            f"`{export}` ends with `{export.suffix or export.name}`; expected `.parquet`",
            "Name the file `NAME.parquet`.",
        )


def _show_many(show: Callable[[EventRecord], None], store: Store, query: "EventQuery", limit: int | None) -> None:
    """Print the last events of several runs."""
    for event in store.last_events(query, _MANY if limit is None else limit):
        show(event)


def _export(
    session: Session, store: Store, query: "EventQuery", uid: str | None, limit: int | None, target: Path
) -> None:
    rows = save(target, lambda opened: store.export_events(Path(opened.name), query, uid, limit))
    session.output.note(f"`{target}` has {count(rows, 'event')} ({size(target.stat().st_size)})")


@options.with_session(storage=True, short_namespace=False)
def logs(
    session: Session,
    run: options.Run,
    follow: Follow = False,
    lines: Lines = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Print the time of day before each line.")] = False,
) -> None:
    """Print the log of a run's component, also after its pod was deleted."""
    limit, session = number_or_namespace(lines, session)

    def show(event: EventRecord) -> None:
        session.output.line(f"{clock(event.time)} " if timestamps else "", event.message)

    question = Question(source=COMPONENT)
    _Reader(session, run, question, limit).show(show, follow=follow)


class _Reader:
    """Events of one run.

    Attributes:
        store: where they are.
        uid: of the run.
        query: which of them.
    """

    def __init__(self, session: Session, run: str, question: Question, limit: int | None) -> None:
        self._session = session
        self._run = self._find(run)
        # The Storage of the run: another one may be the default by now.
        of_run = (self._run.status.storage or self._run.spec.storage) if self._run is not None else None
        store = session.store(of_run)
        uid = self._run.metadata.uid if self._run is not None else run
        self.store, self.uid = store, uid or run
        self.query = question.query(store, session.now())
        self._feed, self._limit = store.events(self.uid, self.query, limit), limit

    def _find(self, name: str) -> "ComponentRun | None":
        """The run; None if only its events are left."""
        try:
            return self._session.run(name)
        except NotFoundError:
            if _UID.fullmatch(name):
                return None
            raise

    def show(self, show: Callable[[EventRecord], None], *, follow: bool) -> None:
        """Print existing events; with `follow`, also new ones."""
        from componentrun.cli.follow import Follower, follow_or_leave  # noqa: PLC0415 - loads the models

        if follow and self._run is not None:
            follow_or_leave(Follower(self._session, self._run, self._feed, show=show, phases=False))
            return
        with closing(self._feed.read()) as events:
            if self._limit is None:
                shown: Iterable[EventRecord] = events
            else:
                # A feed returns the last events, and those that were written meanwhile.
                shown = list(events)[-self._limit :] if self._limit else ()
            for event in shown:
                show(event)


def _printer(session: Session, output: Format | None, *, run: bool = False) -> Callable[[EventRecord], None]:
    """Return the function that prints an event."""
    from componentrun.cli.follow import print_event  # noqa: PLC0415 - loads the models

    if output is Format.JSON:
        return lambda event: session.output.raw(json_text(event.raw) + "\n")
    if output is Format.YAML:
        return lambda event: session.output.raw("---\n" + document(event.raw, Format.YAML))
    return lambda event: print_event(session, event, run=run)

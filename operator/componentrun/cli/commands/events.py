"""`events` and `logs`: what a run said, and what its component printed."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from componentrun.cli import eventoptions, options
from componentrun.cli.errors import BadRequestError, NotFoundError
from componentrun.cli.eventoptions import Question
from componentrun.cli.session import Session
from componentrun.cli.storage.store import EventRecord, Store
from componentrun.cli.terminal.render import Format, document, json_text
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import clock, count, size

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun
    from componentrun.storage.events.query import EventQuery

__all__ = ["number_or_namespace", "register"]

COMPONENT: Final = "component"
"""Source of the lines that the component printed."""
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MANY: Final = 100
"""Events of several runs, where nobody says how many."""

Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on as more comes, until the run is over and everything is there.")
]
Lines = Annotated[
    str | None,
    typer.Option(
        "--lines", "-n", metavar="NUMBER", help="Only the last so many. A name here is taken for the namespace."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("events", short_help="Print what a run, or all runs of a component, said.")(events)
    app.command("logs", short_help="Print what a run's component printed.")(logs)


def number_or_namespace(text: str | None, namespace: str | None) -> tuple[int | None, str | None]:
    """What stands behind `-n`: a number of lines; or a namespace, which it means everywhere else."""
    if text is None:
        return None, namespace
    if text.isascii() and text.isdigit():
        return int(text), namespace
    if not _NAMESPACE.fullmatch(text) or namespace is not None:
        raise BadRequestError(f"`-n {text}`: expected a number of lines", "for example `-n 10`")
    return None, text


def events(
    ctx: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Name of the run, or its uid where it was deleted; `@latest` is the newest one of the namespace.",
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
    output: options.Output = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.LongNamespace = None,
    context: options.Context = None,
) -> None:
    """Print events, the oldest first: every line of a component, and what happened around it.

    Of one run: all of them, or the last NUMBER. Without RUN: the last 100 (or NUMBER) of all runs of the Storage, or of
    those of a component or configuration. For programs: one JSON object a line, or a Parquet file.
    """
    limit, namespace = number_or_namespace(lines, namespace)
    session = Session.of(ctx, context=context, namespace=namespace)
    question = Question(component, configuration, since, until, types, grep, source, since_id, max_id)
    _check(run, question, export, output, follow=follow)
    where = _Where(storage, endpoint)
    if run is None:
        store = session.store(storage, endpoint)
        query = question.query(store, session.now())
        if export is not None:
            _export(session, store, query, None, limit, export)
        else:
            _show_many(_printer(session, output, run=True), store, query, limit)
        return
    reader = _Reader(session, run, question, where, limit)
    if export is not None:
        _export(session, reader.store, reader.query, reader.uid, limit, export)
    else:
        reader.show(_printer(session, output), follow=follow)


def _check(run: str | None, question: Question, export: Path | None, output: Format | None, *, follow: bool) -> None:
    """Refuse what does not go together."""
    if run is not None and (question.component is not None or question.configuration is not None):
        raise BadRequestError("a run has one component and configuration", "leave out RUN, or these two options")
    if run is None and follow:
        raise BadRequestError("one run can be followed at a time", "`componentrun events RUN --follow`")
    if question.configuration is not None and question.component is None:
        raise BadRequestError("a configuration is one of a component", "give `--component` with `--configuration`")
    if export is not None and (follow or output is not None):
        raise BadRequestError("`--export` writes what is there to a file", "leave out `--follow` and `--output`")
    if export is not None and export.suffix != ".parquet":
        raise BadRequestError(
            f"`{export}` ends with `{export.suffix or export.name}`; expected `.parquet`", "name the file so"
        )


def _show_many(show: Callable[[EventRecord], None], store: Store, query: "EventQuery", limit: int | None) -> None:
    """The last events of all runs that are asked for."""
    for event in store.last_events(query, _MANY if limit is None else limit):
        show(event)


def _export(
    session: Session, store: Store, query: "EventQuery", uid: str | None, limit: int | None, target: Path
) -> None:
    rows = save(target, lambda opened: store.export_events(Path(opened.name), query, uid, limit))
    session.output.note(f"`{target}` has {count(rows, 'event')} ({size(target.stat().st_size)})")


def logs(
    ctx: typer.Context,
    run: options.Run,
    follow: Follow = False,
    lines: Lines = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Put the time of day before each line.")] = False,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.LongNamespace = None,
    context: options.Context = None,
) -> None:
    """Print what a run's component printed, and nothing else; also long after its pod is gone."""
    limit, namespace = number_or_namespace(lines, namespace)
    session = Session.of(ctx, context=context, namespace=namespace)

    def show(event: EventRecord) -> None:
        session.output.line(f"{clock(event.time)} " if timestamps else "", event.message)

    question = Question(source=COMPONENT)
    _Reader(session, run, question, _Where(storage, endpoint), limit).show(show, follow=follow)


@dataclass(frozen=True)
class _Where:
    """Which store, where that is not the run's own."""

    storage: str | None
    endpoint: str | None


class _Reader:
    """Events of one run.

    Attributes:
        store: where they are.
        uid: of the run.
        query: which of them.
    """

    def __init__(self, session: Session, run: str, question: Question, where: _Where, limit: int | None) -> None:
        self._session = session
        self._run = self._find(run)
        # What the run names, or else the default Storage when it began: another one may be the default by now.
        of_run = (self._run.status.storage or self._run.spec.storage) if self._run is not None else None
        store = session.store(where.storage or of_run, where.endpoint)
        uid = self._run.metadata.uid if self._run is not None else run
        self.store, self.uid = store, uid or run
        self.query = question.query(store, session.now())
        self._feed, self._limit = store.events(self.uid, self.query, limit), limit

    def _find(self, name: str) -> "ComponentRun | None":
        """The run; None where only its events are left."""
        try:
            return self._session.run(name)
        except NotFoundError:
            if _UID.fullmatch(name):
                return None
            raise

    def show(self, show: Callable[[EventRecord], None], *, follow: bool) -> None:
        """Show what is there, and what comes if `follow`."""
        from componentrun.cli.follow import Follower, follow_or_leave  # noqa: PLC0415 - loads the models

        if follow and self._run is not None:
            follow_or_leave(Follower(self._session, self._run, self._feed, show=show, phases=False))
            return
        events = self._feed.read()
        if self._limit is not None:
            # A feed begins with the last ones, and goes on with what was written meanwhile.
            events = iter(list(events)[-self._limit :] if self._limit else ())
        for event in events:
            show(event)


def _printer(session: Session, output: Format | None, *, run: bool = False) -> Callable[[EventRecord], None]:
    """How one event is printed."""
    from componentrun.cli.follow import print_event  # noqa: PLC0415 - loads the models

    if output is Format.JSON:
        return lambda event: session.output.raw(json_text(event.raw) + "\n")
    if output is Format.YAML:
        return lambda event: session.output.raw("---\n" + document(event.raw, Format.YAML))
    return lambda event: print_event(session, event, run=run)

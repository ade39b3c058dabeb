"""`events` and `logs`: what a run said, and what its component printed."""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Annotated, Final

import typer

from componentrun.cli import options
from componentrun.cli.errors import BadRequestError
from componentrun.cli.render import Format, document
from componentrun.cli.session import Session
from componentrun.cli.store import EventFeed, EventRecord
from componentrun.cli.words import clock

__all__ = ["number_or_namespace", "register"]

COMPONENT: Final = "component"
"""Source of the lines that the component printed."""
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

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
    app.command("events", short_help="Print what a run and its component said.")(events)
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
    run: options.Run,
    follow: Follow = False,
    lines: Lines = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only from this source: `component`, `stage-in`, `stage-out`, `operator`."),
    ] = None,
    output: options.Output = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.LongNamespace = None,
    context: options.Context = None,
) -> None:
    """Print a run's events: every line of its component, and what happened around it.

    For programs: one JSON object a line.
    """
    limit, namespace = number_or_namespace(lines, namespace)
    session = Session.of(ctx, context=context, namespace=namespace)
    reader = _Reader(session, run, source, storage, endpoint)
    reader.show(_printer(session, output), limit, follow=follow)


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

    _Reader(session, run, COMPONENT, storage, endpoint).show(show, limit, follow=follow)


class _Reader:
    """The events of one run, from one source or from all."""

    def __init__(
        self, session: Session, run: str, source: str | None, storage: str | None, endpoint: str | None
    ) -> None:
        self._session = session
        self._run = session.run(run)
        store = session.store(storage or self._run.spec.storage, endpoint)
        self._feed = _Filtered(store.events(self._run.metadata.uid), source)

    def show(self, show: Callable[[EventRecord], None], limit: int | None, *, follow: bool) -> None:
        """Show what is there (the last `limit` of it), and what comes if `follow`."""
        from componentrun.cli.follow import Follower, follow_or_leave  # noqa: PLC0415 - loads the models

        for event in self._feed.read() if limit is None else deque(self._feed.read(), limit):
            show(event)
        if follow:
            follow_or_leave(Follower(self._session, self._run, self._feed, show=show, phases=False))


class _Filtered:
    """A feed of one source only."""

    def __init__(self, feed: EventFeed, source: str | None) -> None:
        self._feed = feed
        self._source = source

    def read(self) -> Iterator[EventRecord]:
        """New events of the source."""
        for event in self._feed.read():
            if self._source is None or event.source.partition("/")[0] == self._source:
                yield event


def _printer(session: Session, output: Format | None) -> Callable[[EventRecord], None]:
    """How one event is printed."""
    from componentrun.cli.follow import print_event  # noqa: PLC0415 - loads the models

    if output is Format.JSON:
        return lambda event: session.output.raw(json.dumps(event.raw, ensure_ascii=False) + "\n")
    if output is Format.YAML:
        return lambda event: session.output.raw("---\n" + document(event.raw, Format.YAML))
    return lambda event: print_event(session, event)

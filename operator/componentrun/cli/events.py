"""`events`: what a run and its component said."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from componentrun.cli import options
from componentrun.cli.errors import BadRequestError
from componentrun.cli.render import Format, document
from componentrun.cli.session import Session
from componentrun.cli.store import EventFeed, EventRecord

__all__ = ["number_of_rows", "register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("events", short_help="Print what a run and its component said.")(events)


def number_of_rows(text: str | int) -> int:
    """The number behind `-n`, with a word for those who meant a namespace."""
    try:
        number = int(text)
    except ValueError as error:
        raise BadRequestError(
            f"`-n {text}`: expected a number of lines", f"for a namespace write `--namespace {text}`"
        ) from error
    if number < 0:
        raise BadRequestError(f"`-n {text}`: expected a number of lines, not less than 0", "`-n 10` shows ten")
    return number


def events(
    ctx: typer.Context,
    run: options.Run,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show events as they come, until the run is over and all are there.")
    ] = False,
    lines: Annotated[
        str | None, typer.Option("--lines", "-n", metavar="NUMBER", help="Only the last so many; all where not given.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only from this source: `component`, `stage-in`, `stage-out`.")
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
    from componentrun.cli.follow import Follower, follow_or_leave  # noqa: PLC0415 - loads the models

    limit = number_of_rows(lines) if lines is not None else None
    session = Session.of(ctx, context=context, namespace=namespace)
    found = session.run(run)
    store = session.store(storage or found.spec.storage, endpoint)
    feed = _Filtered(store.events(found.metadata.uid), source)
    show = _printer(session, output)
    for event in deque(feed.read(), limit):
        show(event)
    if follow:
        follow_or_leave(Follower(session, found, feed, show=show, phases=False))


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

"""Wait for a run and follow it: a loop that polls the run and its events every 500 ms.

It ends when the run is over and, where events are shown, all of them are delivered. Until then it says what it waits
for. How long that is, is the operator's decision: it keeps the pod for the collector, and says in the condition
EventsDelivered when it does so no longer.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import typer

from componentrun.cli.errors import (
    EXIT_FAULT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USER,
    EnvironmentFault,
    NotFoundError,
    WaitTimeoutError,
)
from componentrun.cli.terminal.interrupts import interrupts
from componentrun.cli.terminal.render import Cell, styled
from componentrun.cli.terminal.words import clock, count, duration, size, stamp
from componentrun.client.models import parse_run
from componentrun.contract import EVENTS_WAIT_SECONDS
from componentrun.core.lifecycle.conditions import EVENTS_DELIVERED, find
from componentrun.errors import PlatformError, TransientError, without_advice
from componentrun.process.kubernetes.resources import RUNS
from componentrun.reasons import USER_REASONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.api.componentrun import ComponentRun, PhaseTime
    from componentrun.cli.session import Session
    from componentrun.client.storage.store import EventFeed, EventRecord

__all__ = ["Follower", "exit_code", "exit_code_of_reason", "follow_or_leave", "is_over", "print_event", "print_outcome"]

PAUSE_SECONDS: Final = 0.5
"""The collector writes a segment every second, so an event is shown within two seconds of being printed."""
PATIENCE: Final = timedelta(seconds=60)
"""How long the cluster and the store may be unavailable while a run is followed."""
QUIET_WAIT: Final = timedelta(seconds=5)
"""Time after the end of a run before the wait for its last events is reported; most arrive within two seconds."""
LONGEST_WAIT: Final = timedelta(seconds=EVENTS_WAIT_SECONDS) + PATIENCE
"""Maximum wait for the last events if no operator reports on their delivery."""

_FINAL: Final = frozenset({"Succeeded", "Failed", "Cancelled"})
"""Same as `core.lifecycle.ending.TERMINAL`, whose module takes 0.1 s to load; a test compares them."""


def is_over(run: ComponentRun) -> bool:
    """Whether the run has ended."""
    return run.status.phase in _FINAL


def exit_code(run: ComponentRun) -> int:
    """0 if the run succeeded, 1 if its user can fix it, 2 otherwise."""
    if run.status.phase == "Succeeded":
        return EXIT_OK
    return exit_code_of_reason(run.status.reason)


def exit_code_of_reason(reason: str | None) -> int:
    """1 if the author of the run or of the component can fix it, 2 otherwise."""
    return EXIT_USER if reason in USER_REASONS else EXIT_FAULT


@dataclass
class Follower:
    """Follows one run until it has ended."""

    session: Session
    run: ComponentRun
    feed: EventFeed | None = None
    """Events to show; None: none."""
    events_optional: bool = False
    """Whether to continue without events if the Storage can't be read from this machine."""
    phases: bool = True
    """Whether to print each phase on stderr."""
    deadline: datetime | None = None
    """When to stop waiting; None: never."""
    show: Callable[[EventRecord], None] | None = None
    """Handler of an event; None: print it as a line."""
    _shown_phases: set[tuple[str, datetime]] = field(default_factory=set)
    _away_since: datetime | None = None
    _over_since: datetime | None = None
    _reported_wait: str = ""

    def follow(self) -> ComponentRun:
        """Return the run when it has ended.

        Raises:
            WaitTimeoutError: it has not ended by the deadline.
            NotFoundError: it was deleted.
            PlatformError: the cluster or the store was unavailable for longer than `PATIENCE`.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        with interrupts() as is_interrupted:
            while True:
                complete = self._patiently(self._look)
                if complete:
                    return self.run
                if self.deadline is not None and self.session.now() >= self.deadline:
                    raise self._too_late()
                self.session.makers.sleep(PAUSE_SECONDS)
                if is_interrupted():
                    raise KeyboardInterrupt

    def _look(self) -> bool:
        """Poll the run and its events once. Returns whether there will be no more of them."""
        try:
            self.run = self._read_run()
            # Decided before the events are read, so that all delivered events are read below.
            complete = is_over(self.run) and self._delivered()
        except NotFoundError:
            if not is_over(self.run):
                raise
            complete = True  # its TTL expired: how it ended is known, and its events are stored
        if self.phases:
            self._tell_phases()
        self._show_events()
        return complete

    def _show_events(self) -> None:
        try:
            if self.feed is not None:
                with closing(self.feed.read()) as events:
                    for event in events:
                        self._show(event)
        except PlatformError as error:
            if not self.events_optional:
                raise
            self.feed = None
            self.session.output.note(
                Cell("warning: ", "yellow"), f"{error.summary}; the run is followed without its events"
            )

    def _show(self, event: EventRecord) -> None:
        if self.show is None:
            print_event(self.session, event)
        else:
            self.show(event)

    def _read_run(self) -> ComponentRun:
        name, uid = self.run.metadata.name, self.run.metadata.uid
        advice = "Nothing more can be learned about it. Its tables are as it left them."
        try:
            run = parse_run(self.session.cluster.get(RUNS, name))
        except NotFoundError as error:
            raise NotFoundError(f"ComponentRun `{name}` was deleted while it was followed", advice) from error
        if uid and run.metadata.uid != uid:
            raise NotFoundError(f"ComponentRun `{name}` was deleted and created again while it was followed", advice)
        return run

    def _delivered(self) -> bool:
        events, now = self.run.status.events, self.session.now()
        if self.feed is None or (events is not None and events.delivered):
            return True
        self._over_since = self._over_since or now
        elapsed = now - self._over_since
        condition = find(self.run.status.conditions, EVENTS_DELIVERED)
        if condition is not None and condition.status == "False":
            return self._without_last_events(condition.message)
        if elapsed >= LONGEST_WAIT or (self.deadline is not None and now >= self.deadline):
            return self._without_last_events(f"they did not arrive within {elapsed.seconds}s after its end.")
        if elapsed >= QUIET_WAIT:
            self._tell_wait(condition.message if condition is not None and condition.status == "Unknown" else "")
        return False

    def _without_last_events(self, cause: str) -> bool:
        """Report that the last events are missing and no longer waited for."""
        name = self.run.metadata.name
        self.session.output.note(
            Cell("warning: ", "yellow"),
            f"the last events of `{name}` are not delivered: {cause} `componentrun doctor` shows whether the collector "
            f"runs; `componentrun events {name}` shows those that arrived since",
        )
        return True

    def _tell_wait(self, cause: str) -> None:
        """Report what is waited for, once for each reason."""
        reason = cause or "the collector has not delivered them yet."
        if reason != self._reported_wait:
            self._reported_wait = reason
            self.session.output.note(
                f"the run has ended; waiting for its last events: {reason} Ctrl-C stops waiting, and does not affect it"
            )

    def _tell_phases(self) -> None:
        for phase in self.run.status.phases:
            key = (phase.phase, phase.start_time)
            if key not in self._shown_phases:
                self._shown_phases.add(key)
                self.session.output.note(
                    Cell(clock(phase.start_time), "dim"), " ", styled(phase.phase), *self._detail(phase)
                )

    def _detail(self, phase: PhaseTime) -> list[str]:
        status = self.run.status
        is_current = phase is status.phases[-1] and phase.phase not in _FINAL and status.message
        return [f": {status.message}"] if is_current else []

    def _patiently(self, look: Callable[[], bool]) -> bool:
        """Tolerate an unavailable cluster or store for a while."""
        try:
            complete = look()
        except (EnvironmentFault, TransientError) as error:
            now = self.session.now()
            if self._away_since is None:
                self._away_since = now
                self.session.output.note(
                    Cell("warning: ", "yellow"), f"{error.summary}; trying again for {PATIENCE.seconds}s"
                )
            if now - self._away_since >= PATIENCE:
                raise
            return False
        self._away_since = None
        return complete

    def _too_late(self) -> WaitTimeoutError:
        name, status = self.run.metadata.name, self.run.status
        message = f" ({status.message})" if status.message else ""
        return WaitTimeoutError(
            f"ComponentRun `{name}` is not over yet: it is `{status.phase or 'Queued'}`{message}",
            f"The run goes on. `componentrun wait {name}` waits again; `componentrun cancel {name}` stops it.",
        )


def print_event(session: Session, event: EventRecord, *, run: bool = False) -> None:
    """Print an event as a line. `run`: with its day and run, for events of several runs."""
    style = {"warn": "yellow", "error": "red", "success": "green"}.get(event.type, "")
    lines = event.message.split("\n")
    session.output.line(
        Cell(stamp(event.time) if run else clock(event.time), "dim"),
        " ",
        Cell(f"{event.type:<7}", style),
        " ",
        Cell(f"{event.run} {event.source}: " if run else f"{event.source}: ", "dim"),
        Cell(lines[0], style),
    )
    for line in lines[1:]:
        session.output.line(" " * (32 if run else 21), Cell(line, style))


def print_outcome(session: Session, run: ComponentRun) -> None:
    """Print how a run ended on stderr: a sentence, then the tables that it wrote."""
    status, output = run.status, session.output
    elapsed = duration(status.start_time or run.metadata.creation_timestamp, status.completion_time, session.now())
    cause = f" ({status.reason})" if status.reason and status.reason != status.phase else ""
    message = without_advice(status.message or "", status.advice or "")
    ending = f": {message}" if message else ""
    output.note(
        f"ComponentRun `{run.metadata.name}` ", styled(status.phase or "Queued"), f"{cause} after {elapsed}{ending}"
    )
    if status.advice:
        output.note(Cell("hint: ", "cyan"), status.advice)
    for warning in status.warnings or ():
        output.note(Cell("warning: ", "yellow"), warning)
    for table in status.output_tables or ():
        output.note(f"  {table.table}: {count(table.rows, 'row')}, {size(table.bytes)}")
    if (files := status.output_files) is not None:
        output.note(f"  {count(files.count, 'file')}, {size(files.bytes)}")
    # The message of a user error contains the last words.
    if status.last_words and status.phase == "Failed" and status.last_words.strip() not in (status.message or ""):
        output.note("last words:")
        for line in status.last_words.rstrip("\n").split("\n"):
            output.note("  | ", line)


def follow_or_leave(follower: Follower) -> ComponentRun:
    """Follow a run to its end; Ctrl-C leaves it running and says how to stop it."""
    try:
        return follower.follow()
    except KeyboardInterrupt as error:
        session, name = follower.session, follower.run.metadata.name
        namespace = f" --namespace {session.cluster.namespace}"
        session.output.note()
        if is_over(follower.run):
            print_outcome(session, follower.run)
            session.output.note(
                f"its last events had not arrived yet; `componentrun events {name}{namespace}` shows them"
            )
            raise typer.Exit(EXIT_INTERRUPTED) from error
        session.output.note(f"ComponentRun `{name}` goes on; `componentrun cancel {name}{namespace}` stops it")
        raise typer.Exit(EXIT_INTERRUPTED) from error

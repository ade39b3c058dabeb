"""What is known of a run that is followed, and when there is nothing more to learn. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from componentrun.client.errors import NotFoundError, WaitTimeoutError
from componentrun.client.models import parse_run
from componentrun.client.outcome import is_over
from componentrun.contract import EVENTS_WAIT_SECONDS
from componentrun.core.lifecycle.conditions import EVENTS_DELIVERED, find

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun
    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = ["EVENTS_PAUSE_SECONDS", "PATIENCE_SECONDS", "Observation", "are_events_complete", "seconds_of", "too_late"]

PATIENCE_SECONDS: Final = 60.0
"""How long the cluster may be unavailable while a run is followed."""
EVENTS_PAUSE_SECONDS: Final = 0.5
"""Pause between two reads of a run's events, which a store can't announce. The collector writes once a second."""
_LONGEST_WAIT_SECONDS: Final = EVENTS_WAIT_SECONDS + PATIENCE_SECONDS
"""Maximum wait for the last events if no operator reports on their delivery."""


class Observation:
    """The last known state of one run.

    Attributes:
        run: the run.
        version: resource version to watch from.
        is_deleted: whether it is gone.
    """

    def __init__(self, run: ComponentRun) -> None:
        """Start with a state that was read."""
        self.run = run
        self.version = run.metadata.resource_version
        self.is_deleted = False

    @property
    def is_final(self) -> bool:
        """Whether the run has ended, or was deleted."""
        return self.is_deleted or is_over(self.run)

    def event(self, event: JsonObject) -> None:
        """Take over a watch event."""
        raw: dict[str, Any] = event["object"]
        self.version = str(raw["metadata"]["resourceVersion"])
        if event["type"] == "BOOKMARK":
            return
        if raw["metadata"]["uid"] != self.run.metadata.uid or event["type"] == "DELETED":
            self.is_deleted = True
        else:
            self.run = parse_run(raw)

    def read(self, raw: JsonObject) -> None:
        """Take over what was read."""
        self.event({"type": "MODIFIED", "object": raw})

    def need(self) -> None:
        """Check that the end of the run is, or will be, known.

        Raises:
            NotFoundError: it was deleted before it ended.
        """
        if self.is_deleted and not is_over(self.run):
            raise NotFoundError(
                f"ComponentRun `{self.run.metadata.name}` was deleted before it ended",
                "Nothing more can be learned about it. Its tables are as it left them.",
            )


def are_events_complete(run: ComponentRun, since_end: float) -> bool:
    """Whether there will be no more events of an ended run.

    Args:
        run: the run.
        since_end: seconds since its end was observed.
    """
    if not is_over(run):
        return False
    events = run.status.events
    condition = find(run.status.conditions, EVENTS_DELIVERED)
    has_given_up = condition is not None and condition.status == "False"
    return (events is not None and events.delivered) or has_given_up or since_end >= _LONGEST_WAIT_SECONDS


def seconds_of(timeout: timedelta | float | None) -> float | None:
    """A timeout in seconds; None: unlimited."""
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout


def too_late(run: ComponentRun) -> WaitTimeoutError:
    """The error of a wait that took too long."""
    status = run.status
    message = f" ({status.message})" if status.message else ""
    return WaitTimeoutError(
        f"ComponentRun `{run.metadata.name}` is not over yet: it is `{status.phase or 'Queued'}`{message}",
        "The run goes on. `wait()` waits again; `cancel()` stops it.",
    )

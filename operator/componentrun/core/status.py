"""The next ComponentRunStatus. Pure; `status.events` belongs to the collector and is only ever copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus, TableStatus
    from componentrun.core.actions import KubernetesEvent
    from componentrun.core.effective import EffectiveRun
    from componentrun.core.observed import Limits
    from componentrun.errors import ComponentRunError

__all__ = [
    "attempt_started",
    "is_terminal",
    "lifecycle_event",
    "publish_failed",
    "published",
    "start_failed",
    "without_events",
]


def is_terminal(status: ComponentRunStatus) -> bool:
    """Whether the run has ended; nothing but its clean-up follows."""
    raise NotImplementedError


def without_events(status: ComponentRunStatus) -> dict[str, Any]:
    """The status document to write: camelCase JSON, all but `events`."""
    raise NotImplementedError


def attempt_started(
    run: ComponentRun,
    effective: EffectiveRun,
    *,
    number: int,
    pod_uid: str,
    input_tables: Sequence[TableStatus],
    now: datetime,
) -> ComponentRunStatus:
    """The attempt's pod exists: phase Pending. Called again for the same attempt it changes nothing that is known."""
    raise NotImplementedError


def start_failed(run: ComponentRun, error: ComponentRunError, *, limits: Limits, now: datetime) -> ComponentRunStatus:
    """The attempt could not be started. Still Queued (try again) after a TransientError within `limits.start_retry`, else Failed."""
    raise NotImplementedError


def published(
    run: ComponentRun, *, tables: Sequence[TableStatus], warnings: Sequence[str], now: datetime
) -> ComponentRunStatus:
    """The tables are switched over: the final status, of a run that succeeded or of one that failed but wrote always."""
    raise NotImplementedError


def publish_failed(run: ComponentRun, error: ComponentRunError, *, limits: Limits, now: datetime) -> ComponentRunStatus:
    """Publishing failed. Still Publishing (try again) after a TransientError within `limits.start_retry`, else Failed."""
    raise NotImplementedError


def lifecycle_event(before: ComponentRunStatus, after: ComponentRunStatus) -> KubernetesEvent | None:
    """What `kubectl describe` should tell about this change; None for most changes."""
    raise NotImplementedError

"""Retry policy of a run: when a failed attempt is followed by another one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from componentrun.api.common import ApiModel, Duration

__all__ = ["AfterStart", "Backoff", "Retry"]

AfterStart = Literal[
    "ApplicationError", "DiskFull", "Evicted", "NodeLost", "OutOfMemory", "PodDeleted", "StageOutFailed",
    "StorageUnavailable", "Timeout",
]  # fmt: skip


class Backoff(ApiModel):
    """Delay before the next attempt. It doubles with each attempt; up to half of it is random."""

    initial: Duration = "10s"
    """Delay before the second attempt. Defaults to `10s`."""
    max: Duration = "5m"
    """Maximum delay before any attempt. Defaults to `5m`; maximum `1h`."""


class Retry(ApiModel):
    """When a failed attempt is followed by another one. No attempt starts later than 12 hours after the first."""

    limit: Annotated[int, Field(ge=0, le=10)] = 3
    """Maximum number of attempts after the first one; 0 for none. Defaults to 3."""
    backoff: Backoff = Field(default_factory=Backoff)
    """Delay between attempts."""
    after_start: Annotated[tuple[AfterStart, ...], Field(max_length=16)] = ()
    """Reasons for which the component is started again although it has already started. Only for components that can
    safely run twice. Defaults to none. Attempts that fail before the component has started are retried in any case."""

"""When a run that failed gets another attempt."""

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
    """How long is waited before the next attempt. It doubles with each one; up to half of it is left to chance."""

    initial: Duration = "10s"
    """Before the second attempt."""
    max: Duration = "5m"
    """Before any attempt; at most an hour."""


class Retry(ApiModel):
    """When another attempt follows one that failed. No attempt begins later than 12 hours after the first."""

    limit: Annotated[int, Field(ge=0, le=10)] = 3
    """How many attempts may follow the first one. 0: none."""
    backoff: Backoff = Field(default_factory=Backoff)
    """How long is waited in between."""
    after_start: Annotated[tuple[AfterStart, ...], Field(max_length=16)] = ()
    """Reasons for which the component is started again though it has started before. Only for components that may be
    run twice. Where not given: none; what fails before the component has started is retried in any case."""

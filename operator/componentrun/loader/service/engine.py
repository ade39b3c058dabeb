"""Interface between the loader's server and its operations. The server makes one call for each slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from componentrun.wire.loader import (
        CheckAnswer,
        CheckRequest,
        FenceAnswer,
        FenceRequest,
        LoadAnswer,
        LoadRequest,
        PlanAnswer,
        PlanRequest,
    )

__all__ = ["Engine", "LoadObserver"]


class Engine(Protocol):
    """Executes requests. Each request may be repeated, and may be sent to several loaders at the same time.

    A method either returns an answer, which may contain a `Failure`, or raises an error of `componentrun.errors`, which
    the server returns as a `Failure`. Blocking work must run in a thread, because the same event loop answers probes. A
    method is cancelled only when the process ends.
    """

    async def load(self, request: LoadRequest) -> LoadAnswer:
        """Publish an attempt's tables: all of them or none."""

    async def fence(self, request: FenceRequest) -> FenceAnswer:
        """Ensure that an attempt is never published."""

    async def plan(self, request: PlanRequest) -> PlanAnswer:
        """List the files that contain the rows of tables, as a consistent snapshot of all of them."""

    async def check(self, request: CheckRequest) -> CheckAnswer:
        """Check whether a Storage's catalog supports what publishing needs."""


class LoadObserver(Protocol):
    """Receives events of an engine. Its methods may be called from any thread."""

    def conflict_retried(self) -> None:
        """Called when another writer changed a table first, and the commit is retried on the new state."""

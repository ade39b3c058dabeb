"""What the loader does with a request. `server` calls it, one call for each slot; `load` and its neighbours do it."""

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
    """Carries out requests. Any of them may be repeated, and made at several loaders at the same time.

    A method either returns an answer, which may hold a `Failure`, or raises an error of `componentrun.errors`, which
    the server answers as a `Failure`. Work that blocks belongs into a thread: probes are answered by the same event
    loop. A method is cancelled only when the process ends.
    """

    async def load(self, request: LoadRequest) -> LoadAnswer:
        """Publish an attempt's tables: all of them or none."""

    async def fence(self, request: FenceRequest) -> FenceAnswer:
        """Make certain that an attempt is never published."""

    async def plan(self, request: PlanRequest) -> PlanAnswer:
        """Say which files hold the rows of tables, as of one moment."""

    async def check(self, request: CheckRequest) -> CheckAnswer:
        """Try whether a Storage's catalog can do what publishing needs."""


class LoadObserver(Protocol):
    """What an engine reports beside its answers. Call it from any thread."""

    def conflict_retried(self) -> None:
        """Somebody else changed a table first, and the commit is tried again on the new state."""

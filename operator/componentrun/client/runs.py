"""One run, for synchronous callers."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Self

from componentrun.client.following import EVENTS_PAUSE_SECONDS, are_events_complete, seconds_of, too_late
from componentrun.client.models import parse_run
from componentrun.client.outcome import RunResult, error_of, is_over, result_of
from componentrun.client.watching import RunWatch
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.resources import RUNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta
    from types import TracebackType

    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.client.kubernetes.client import KubeCluster
    from componentrun.client.storage.store import EventRecord, Store

__all__ = ["Run"]


class Run:
    """One run. Within `with`, an exception, such as Ctrl-C, cancels it."""

    def __init__(self, cluster: KubeCluster, store: Callable[[str | None], Store], model: ComponentRun) -> None:
        """`Client` makes it. `store` opens the Storage of a name."""
        self._cluster = cluster
        self._store = store
        self.model = model

    def __repr__(self) -> str:
        """Which run, and its phase."""
        return f"Run({self.name!r}, {self.phase!r})"

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.model.metadata.name

    @property
    def status(self) -> ComponentRunStatus:
        """The last known status."""
        return self.model.status

    @property
    def phase(self) -> str:
        """The last known phase."""
        return self.status.phase or "Queued"

    @property
    def is_over(self) -> bool:
        """Whether the run is known to have ended."""
        return is_over(self.model)

    @property
    def result(self) -> RunResult:
        """How the run ended.

        Raises:
            BadRequestError: it is not known to have ended.
        """
        return result_of(self.model)

    def refresh(self) -> Self:
        """Read the run again."""
        self.model = parse_run(self._cluster.get(RUNS, self.name))
        return self

    def wait(self, timeout: timedelta | float | None = None) -> Self:
        """Wait until the run has ended, however it ended.

        Args:
            timeout: maximum time, a number in seconds; None: unlimited.

        Raises:
            WaitTimeoutError: it has not ended in time. It goes on.
            NotFoundError: it was deleted before it ended.
        """
        seconds = seconds_of(timeout)
        deadline = None if seconds is None else time.monotonic() + seconds
        if is_over(self.model):
            return self
        with RunWatch(self._cluster, self.model) as watch:
            while not is_over(self.model):
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    raise too_late(self.model)
                self.model = watch.await_change(self.model, remaining)
        return self

    def raise_for_status(self) -> Self:
        """Raise an error if the run did not succeed.

        Raises:
            RunFailedError: of the subclass that its reason belongs to.
            BadRequestError: it is not known to have ended.
        """
        if (error := error_of(self.result)) is not None:
            raise error
        return self

    def events(self, *, follow: bool = True) -> Iterator[EventRecord]:
        """Events of the run, oldest first: lines of the component, and messages about the run.

        Args:
            follow: wait for new events, until the run has ended and all of them are delivered.

        Raises:
            NotFoundError: it was deleted before it ended.
        """
        feed = self._store(self.status.storage or self.model.spec.storage).events(self.model.metadata.uid)
        if not follow:
            with closing(feed.read()) as events:
                yield from events
            return
        over_since: float | None = None
        with RunWatch(self._cluster, self.model) as watch:
            while True:
                self.model = watch.current()
                over_since = over_since or (time.monotonic() if watch.is_final else None)
                elapsed = time.monotonic() - over_since if over_since is not None else 0.0
                # Decided before the events are read, so that all delivered events are read below.
                is_complete = watch.is_deleted or are_events_complete(self.model, elapsed)
                with closing(feed.read()) as events:
                    yield from events
                if is_complete:
                    return
                watch.await_change(self.model, EVENTS_PAUSE_SECONDS)

    def cancel(self) -> Self:
        """Cancel the run. Nothing is published. A run that has ended is not affected."""
        self.model = parse_run(self._cluster.patch(RUNS, self.name, {"spec": {"cancel": True}}))
        return self

    def delete(self) -> None:
        """Delete the run. If it has not ended, it is cancelled. Tables and events are kept."""
        self._cluster.delete(RUNS, self.name, uid=self.model.metadata.uid)

    def __enter__(self) -> Self:
        """Nothing to do: the run goes on."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the run if the block failed and the run is not known to have ended."""
        if error is None or self.is_over:
            return
        try:
            self.cancel()
        except ComponentRunError as failure:
            error.add_note(f"ComponentRun `{self.name}` could not be cancelled: {failure.message}")

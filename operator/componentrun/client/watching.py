"""Watches one run in a thread, so that the caller can wait for it with a timeout and be interrupted."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Self

from componentrun.client.errors import EnvironmentFault, NotFoundError
from componentrun.client.following import PATIENCE_SECONDS, Observation
from componentrun.errors import ComponentRunError, TransientError
from componentrun.process.kubernetes.resources import RUNS

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun
    from componentrun.client.kubernetes.client import KubeCluster

__all__ = ["RunWatch"]

_PAUSE_SECONDS: Final = 0.5
"""Pause before a watch that has ended is opened again."""
_STOP_SECONDS: Final = 5.0


class RunWatch:
    """Within `with`, the current state of a run."""

    def __init__(self, cluster: KubeCluster, run: ComponentRun) -> None:
        """Nothing is sent yet."""
        self._cluster = cluster
        self._observation = Observation(run)
        self._connection = cluster.watch_connection()
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._error: ComponentRunError | None = None
        self._thread = threading.Thread(target=self._watch, name=f"watch-{run.metadata.name}", daemon=True)

    def __enter__(self) -> Self:
        """Start watching."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._stopped.set()
        self._connection.abort()
        self._thread.join(_STOP_SECONDS)

    def current(self) -> ComponentRun:
        """The last known state.

        Raises:
            NotFoundError: the run was deleted before it ended.
            ComponentRunError: the cluster was unavailable for too long, or refused the watch.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            self._observation.need()
            return self._observation.run

    @property
    def is_final(self) -> bool:
        """Whether the run has ended, or was deleted."""
        return self._observation.is_final

    @property
    def is_deleted(self) -> bool:
        """Whether the run was deleted."""
        return self._observation.is_deleted

    def await_change(self, known: ComponentRun, seconds: float | None) -> ComponentRun:
        """Wait until the run differs from its known state, at most so many seconds. Returns its state."""
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or self._is_news(known), seconds)
        return self.current()

    def _is_news(self, known: ComponentRun) -> bool:
        return self._observation.run is not known or self._observation.is_deleted

    def _watch(self) -> None:
        away_since: float | None = None
        while not self._stopped.is_set() and not self._observation.is_deleted:
            try:
                self._follow()
                away_since = None
            except NotFoundError:
                self._tell(deleted=True)
            except (EnvironmentFault, TransientError) as error:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since >= PATIENCE_SECONDS:
                    self._tell(error=error)
                    return
            except ComponentRunError as error:
                self._tell(error=error)
                return
            self._stopped.wait(_PAUSE_SECONDS)

    def _follow(self) -> None:
        name = self._observation.run.metadata.name
        for event in self._cluster.watch(RUNS, name, self._observation.version, self._connection):
            with self._changed:
                self._observation.event(event)
                self._changed.notify_all()
            if self._observation.is_deleted or self._stopped.is_set():
                return

    def _tell(self, *, error: ComponentRunError | None = None, deleted: bool = False) -> None:
        with self._changed:
            if not self._stopped.is_set():
                self._error = error
            self._observation.is_deleted = self._observation.is_deleted or deleted
            self._changed.notify_all()

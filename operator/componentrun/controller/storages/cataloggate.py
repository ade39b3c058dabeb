"""A circuit breaker for the catalog of each Storage, in addition to that of its store (`controller.storages.gate`).

The loader sends requests to catalogs. If a catalog does not respond, each step costs a timeout, and a slot of the
loader that other tenants could use. So after three consecutive steps without a response, runs that need the catalog
wait. One run at a time probes the catalog; when a probe succeeds, all runs are added to the work queue. Runs that need
no tables continue.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from componentrun.controller.storages.gate import StoreDownError
from componentrun.controller.storages.identity import StoreId
from componentrun.controller.storages.loaderclient import CatalogAwayError, UnansweredCommitError
from componentrun.core.storages.breaker import Breaker, BreakerSettings, Evidence
from componentrun.errors import ComponentRunError, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from componentrun.api.storage import Storage
    from componentrun.controller.watching.caches import Key
    from componentrun.controller.work.queue import WorkQueue

__all__ = ["CatalogDownError", "CatalogGate"]

_log = logging.getLogger(__name__)


class CatalogDownError(StoreDownError):
    """The catalog does not respond, so no request was sent."""


@dataclass(slots=True)
class _CatalogState:
    """State of one Storage's catalog that is in use or does not respond."""

    store: StoreId
    breaker: Breaker
    running: int = 0
    waiting: dict[Key, None] = field(default_factory=dict)
    """Runs that wait for the catalog, in order."""
    since: datetime | None = None
    """Time of the first of consecutive failures."""
    timer: asyncio.TimerHandle | None = None


class CatalogGate:
    """Breakers of all catalogs. Not thread-safe: call it only from the event loop's thread."""

    def __init__(
        self, queue: WorkQueue[Key], clock: Callable[[], datetime], settings: BreakerSettings | None = None
    ) -> None:
        """Start with all breakers closed.

        Args:
            queue: the work queue of runs.
            clock: current time for messages.
            settings: settings of the breakers.
        """
        self._queue = queue
        self._clock = clock
        self._settings = settings or BreakerSettings()
        self._states: dict[StoreId, _CatalogState] = {}

    @asynccontextmanager
    async def using(self, storage: Storage, key: Key) -> AsyncIterator[None]:
        """Use a catalog for a run.

        Args:
            storage: the Storage of the catalog.
            key: the run, which is added to the work queue when the catalog responds again.

        Raises:
            CatalogDownError: the catalog does not respond.
        """
        store = StoreId.of(storage)
        self._forget_older(store)
        state = self._states.setdefault(store, _CatalogState(store, Breaker(self._settings)))
        now = self._now()
        if not state.breaker.admits(now):
            self._wait(state, key)
            raise _down_error(state)
        state.waiting.pop(key, None)
        operation = state.breaker.begin(now)
        state.running += 1
        evidence = Evidence.NOTHING
        try:
            yield
            evidence = Evidence.ANSWERED
        except (CatalogAwayError, UnansweredCommitError):
            evidence = Evidence.NO_ANSWER
            if state.breaker.is_fresh:
                state.since = self._clock()
            raise
        except ComponentRunError as error:
            evidence = Evidence.NOTHING if error.reason == Reason.LOADER_UNAVAILABLE else Evidence.ANSWERED
            raise
        finally:
            state.running -= 1
            if state.breaker.end(operation, evidence, self._now()):
                self._report(state)
            if evidence is Evidence.NO_ANSWER and state.breaker.is_open:
                self._wait(state, key)
            self._tend(state)

    def _forget_older(self, store: StoreId) -> None:
        """Drop the state of earlier versions of the Storage's spec, because an edit may have fixed the problem."""
        for known in [known for known in self._states if known.key == store.key and known != store]:
            state = self._states.pop(known)
            self._requeue(state, len(state.waiting))
            if state.timer is not None:
                state.timer.cancel()

    def _wait(self, state: _CatalogState, key: Key) -> None:
        """Let the key wait. If the spec has changed meanwhile, the key is retried as after any error."""
        if self._states.get(state.store) is state:
            state.waiting.setdefault(key)
            self._tend(state)

    def _tend(self, state: _CatalogState) -> None:
        """Queue all waiting runs if the catalog responds, or one of them when a probe is due."""
        if self._states.get(state.store) is not state:
            return
        breaker, now = state.breaker, self._now()
        if not breaker.is_open:
            self._requeue(state, len(state.waiting))
        elif breaker.retry_at is not None and breaker.retry_at <= now:
            self._requeue(state, 1)
        elif breaker.retry_at is not None and state.waiting and state.timer is None:
            state.timer = asyncio.get_running_loop().call_at(breaker.retry_at, self._probe_is_due, state)
        if not (state.running or state.waiting) and breaker.is_fresh:
            del self._states[state.store]

    def _probe_is_due(self, state: _CatalogState) -> None:
        state.timer = None
        self._tend(state)

    def _requeue(self, state: _CatalogState, count: int) -> None:
        for key in list(state.waiting)[:count]:
            del state.waiting[key]
            self._queue.add(key)

    def _report(self, state: _CatalogState) -> None:
        if state.breaker.is_open:
            _log.warning("the catalog of Storage %s does not respond", state.store.key)
        else:
            _log.info("the catalog of Storage %s responds again", state.store.key)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _down_error(state: _CatalogState) -> CatalogDownError:
    since = f" since {state.since:%Y-%m-%dT%H:%M:%SZ}" if state.since is not None else ""
    return CatalogDownError(
        f"the catalog of Storage `{state.store.name}` has given no answer{since}",
        Reason.STORAGE_UNAVAILABLE,
        advice="Check the catalog and `catalog.uri` of the Storage.",
    )

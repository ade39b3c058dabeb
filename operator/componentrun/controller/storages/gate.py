"""Limits operations on object stores: a number of slots for each Storage, and a circuit breaker.

An operation is all requests to a store that one step of a run makes: to start an attempt, to publish it, or to find out
what the store supports. During an operation, the run's key holds no worker, so a store that hangs does not use up the
workers. If no slot is free, the key waits here, and is added to the work queue again when a slot is reserved for it.

Slots and breaker belong to one version of a Storage (decision 0038); after a change of its spec, new ones are used.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from componentrun.controller.storages.loaderclient import CatalogAwayError
from componentrun.controller.watching.caches import Key
from componentrun.core.storages.breaker import Breaker, BreakerSettings, Evidence
from componentrun.errors import ComponentRunError, Reason, TransientError
from componentrun.storage.store.errors import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun
    from componentrun.controller.metrics import Metrics
    from componentrun.controller.storages.identity import StoreId
    from componentrun.controller.storages.references import References
    from componentrun.controller.watching.caches import Caches
    from componentrun.controller.work.queue import WorkQueue

__all__ = ["RequeuedError", "StoreDownError", "StoreGate"]

_log = logging.getLogger(__name__)

_ANSWERED_REASONS: Final = frozenset({Reason.STORAGE_UNAVAILABLE, Reason.STORAGE_BUCKET_NOT_FOUND})
"""Reasons of errors which show that the store has responded."""

_REPORT_BATCH: Final = 20
_REPORT_INTERVAL_SECONDS: Final = 0.25
"""Interval at which waiting runs report an outage: a thousand status writes at once would block the event loop."""


class RequeuedError(Exception):
    """The step was not carried out, and nothing failed. The gate adds the key to the work queue again."""


class StoreDownError(TransientError):
    """The store or the catalog does not respond, so no request was sent."""


@dataclass(slots=True)
class _StoreState:
    """State of one Storage that is in use, has waiting runs, or does not respond."""

    store: StoreId
    breaker: Breaker
    running: int = 0
    waiting: dict[Key, None] = field(default_factory=dict)
    """Keys that wait for a slot, in order."""
    reserved: int = 0
    """Slots reserved for keys that were added to the work queue again and have not been processed yet."""
    since: datetime | None = None
    """Time of the first of consecutive failures."""
    cause: str = ""
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _RunningOperation:
    """An operation in progress, for one key."""

    task: asyncio.Task[object] | None
    interruptible: bool
    interrupted: bool = False


class StoreGate:
    """Slots and breakers of all Storages. Not thread-safe: call it only from the event loop's thread."""

    def __init__(
        self,
        queue: WorkQueue[Key],
        caches: Caches,
        references: References,
        metrics: Metrics,
        clock: Callable[[], datetime],
        *,
        slots: int = 32,
        settings: BreakerSettings | None = None,
    ) -> None:
        """Start without any state.

        Args:
            queue: the work queue of runs.
            caches: used to see whether a run was cancelled or deleted.
            references: resolves a run's Storage.
            metrics: gauges of Storages that don't respond.
            clock: current time for messages.
            slots: maximum number of concurrent operations on one Storage.
            settings: settings of the breakers.
        """
        self._queue = queue
        self._caches = caches
        self._references = references
        self._metrics = metrics
        self._clock = clock
        self._slots = slots
        self._settings = settings or BreakerSettings()
        self._states: dict[StoreId, _StoreState] = {}
        self._reservations: dict[Key, _StoreState] = {}
        self._operations: dict[Key, _RunningOperation] = {}
        self.on_change: Callable[[Key], object] = lambda _: None
        """Called with a Storage's key when its breaker opens or closes."""
        queue.on_added_while_detached = self._on_added_while_detached

    @property
    def waiting(self) -> int:
        """Number of keys that wait for a slot."""
        return sum(len(state.waiting) for state in self._states.values())

    def is_down(self, store: StoreId) -> bool:
        """Whether this Storage's store does not respond."""
        state = self._states.get(store)
        return state is not None and state.breaker.is_open

    @asynccontextmanager
    async def using(self, run: ComponentRun, *, interruptible: bool = False) -> AsyncIterator[None]:
        """Hold a slot of the run's Storage instead of a worker, until the key is done.

        Args:
            run: the run whose step uses the store.
            interruptible: cancel the operation if the run is cancelled or deleted.

        Raises:
            RequeuedError: all slots are in use, or the operation was interrupted.
            StoreDownError: the store does not respond.
        """
        key = Key(run.metadata.namespace, run.metadata.name)
        state = self._state_of(self._references.store_id(key.namespace, run.status.storage or run.spec.storage))
        self._use_reservation(key, state)
        if not state.breaker.admits(self._now()):
            self._wait_for_slot(state, key)
            raise _down_error(state)
        if not state.breaker.is_open and state.running + state.reserved >= self._slots:
            self._wait_for_slot(state, key)
            raise RequeuedError
        state.waiting.pop(key, None)
        self._queue.detach(key)
        operation = self._operations[key] = _RunningOperation(asyncio.current_task(), interruptible)
        try:
            async with self._operation(state, key):
                yield
        except asyncio.CancelledError:
            if not operation.interrupted or operation.task is None:
                raise
            operation.task.uncancel()
            raise RequeuedError from None
        finally:
            del self._operations[key]

    @asynccontextmanager
    async def asking(self, store: StoreId) -> AsyncIterator[None]:
        """Count an operation that belongs to no run; it needs no slot.

        Raises:
            StoreDownError: the store does not respond.
        """
        state = self._state_of(store)
        if not state.breaker.admits(self._now()):
            raise _down_error(state)
        async with self._operation(state, None):
            yield

    def release(self, key: Key) -> None:
        """Release the slot reserved for a key that was processed without using it; the next key gets the slot."""
        state = self._reservations.pop(key, None)
        if state is not None:
            state.reserved -= 1
            self._requeue_waiting(state)

    def forget(self, storage: Key, *, but: StoreId | None = None) -> None:
        """Drop the state of a Storage that was deleted or changed. Waiting keys are added to the work queue.

        Args:
            storage: namespace and name.
            but: the version whose state is kept.
        """
        for store, state in [item for item in self._states.items() if item[0].key == storage and item[0] != but]:
            del self._states[store]
            if state.timer is not None:
                state.timer.cancel()
            if state.breaker.is_open:
                self._metrics.storage_responds(*storage, responds=True)
            waiting, state.waiting = state.waiting, {}
            for key in waiting:
                self._queue.add(key)

    @asynccontextmanager
    async def _operation(self, state: _StoreState, key: Key | None) -> AsyncIterator[None]:
        operation = state.breaker.begin(self._now())
        state.running += 1
        evidence = Evidence.NOTHING
        try:
            yield
            evidence = Evidence.ANSWERED
        except NoAnswerError as error:
            evidence = Evidence.NO_ANSWER
            if state.breaker.is_fresh:
                state.since = self._clock()
            if not state.breaker.is_open:
                state.cause = error.detail
            raise
        except (StoreDownError, CatalogAwayError):
            raise  # these concern the catalog
        except ComponentRunError as error:
            evidence = Evidence.ANSWERED if error.reason in _ANSWERED_REASONS else Evidence.NOTHING
            raise
        finally:
            state.running -= 1
            if state.breaker.end(operation, evidence, self._now()):
                self._report_change(state)
            if evidence is Evidence.NO_ANSWER and state.breaker.is_open and key is not None:
                self._wait_for_slot(state, key)
            self._requeue_waiting(state)

    def _state_of(self, store: StoreId) -> _StoreState:
        state = self._states.get(store)
        if state is None:
            state = self._states[store] = _StoreState(store, Breaker(self._settings))
        return state

    def _wait_for_slot(self, state: _StoreState, key: Key) -> None:
        """Let the key wait for a slot. If it waits already, it keeps its position."""
        state.waiting.setdefault(key)
        self._requeue_waiting(state)

    def _use_reservation(self, key: Key, state: _StoreState) -> None:
        """End the reservation of a key, because it is being processed."""
        if self._reservations.get(key) is state:
            del self._reservations[key]
            state.reserved -= 1

    def _requeue_waiting(self, state: _StoreState) -> None:
        """Add as many waiting keys to the work queue as slots are free."""
        if self._states.get(state.store) is not state:
            return
        for key in list(islice(state.waiting, self._free_slots(state))):
            del state.waiting[key]
            earlier = self._reservations.get(key)
            if earlier is not None:
                earlier.reserved -= 1
            self._reservations[key] = state
            state.reserved += 1
            self._queue.add(key)
        retry_at = state.breaker.retry_at
        if state.waiting and retry_at is not None and state.timer is None and retry_at > self._now():
            state.timer = asyncio.get_running_loop().call_at(retry_at, self._probe_is_due, state)
        if not (state.running or state.waiting or state.reserved) and state.breaker.is_fresh:
            del self._states[state.store]

    def _free_slots(self, state: _StoreState) -> int:
        if state.breaker.is_open:
            return max(int(state.breaker.admits(self._now())) - state.reserved, 0)
        return max(self._slots - state.running - state.reserved, 0)

    def _probe_is_due(self, state: _StoreState) -> None:
        state.timer = None
        self._requeue_waiting(state)

    def _report_change(self, state: _StoreState) -> None:
        """Log and count that the breaker has opened or closed. Waiting runs report an outage in their status."""
        if self._states.get(state.store) is not state:
            return
        down = state.breaker.is_open
        self._metrics.storage_responds(*state.store.key, responds=not down)
        if down:
            _log.warning("Storage %s does not respond: %s", state.store.key, state.cause)
            self._report_outage(state, list(state.waiting))
        else:
            _log.info("Storage %s responds again", state.store.key)
        self.on_change(state.store.key)

    def _on_added_while_detached(self, key: Key) -> None:
        """Interrupt an operation if its run, which has just changed, was cancelled or deleted."""
        operation = self._operations.get(key)
        if operation is None or operation.task is None or not operation.interruptible or operation.interrupted:
            return
        # The operation itself may have caused the change. Its task is running then, and can't be cancelled here.
        if operation.task is not asyncio.current_task() and self._is_to_be_stopped(key):
            operation.interrupted = True
            operation.task.cancel()

    def _is_to_be_stopped(self, key: Key) -> bool:
        try:
            run = self._caches.runs.get(key)
        except ValidationError:
            return False  # the next reconcile reports the error
        return run is None or run.spec.cancel or run.metadata.deletion_timestamp is not None

    def _report_outage(self, state: _StoreState, waiting: list[Key]) -> None:
        """Reconcile waiting runs, so that their status shows what they wait for. They keep their positions."""
        for key in waiting[:_REPORT_BATCH]:
            self._queue.add(key)
        rest = waiting[_REPORT_BATCH:]
        if rest and state.breaker.is_open:
            asyncio.get_running_loop().call_later(_REPORT_INTERVAL_SECONDS, self._report_outage, state, rest)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _down_error(state: _StoreState) -> StoreDownError:
    since = f" since {state.since:%Y-%m-%dT%H:%M:%SZ}" if state.since is not None else ""
    return StoreDownError(
        f"Storage `{state.store.name}` has not responded{since} ({state.cause})",
        Reason.STORAGE_UNAVAILABLE,
        advice="Check its store and its endpoint.",
    )

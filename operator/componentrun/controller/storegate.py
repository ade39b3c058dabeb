"""Operations on stores: how many run at a time for each Storage, and none while its store does not respond.

An operation is everything that one step of a run asks a store: starting an attempt, publishing it, finding out what the
store can do. While it runs, the run's key holds no worker, so a store that hangs takes none from anybody. A key that
may not begin its operation is put back and added to the work queue again when it may.

Each Storage has slots and a circuit breaker of its own (decision 0038), until its spec is changed: then new ones.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from componentrun.controller.caches import Key
from componentrun.core.breaker import Breaker, BreakerSettings, Evidence
from componentrun.errors import ComponentRunError, Reason, TransientError
from componentrun.storage.failures import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRun
    from componentrun.controller.caches import Caches
    from componentrun.controller.metrics import Metrics
    from componentrun.controller.references import References
    from componentrun.controller.storeid import StoreId
    from componentrun.controller.workqueue import WorkQueue

__all__ = ["PutBackError", "StoreDownError", "StoreGate"]

_log = logging.getLogger(__name__)

_ANSWERS: Final = frozenset({Reason.STORAGE_UNAVAILABLE, Reason.STORAGE_BUCKET_NOT_FOUND})
"""Reasons of errors, besides NoAnswerError, that a store's answer was the cause of."""

_TOLD_AT_ONCE: Final = 20
_TELL_EVERY_SECONDS: Final = 0.25
"""A thousand status writes at once would take the event loop from everybody for seconds."""


class PutBackError(Exception):
    """The step was not taken, and nothing failed. The key comes again without anybody asking for it."""


class StoreDownError(TransientError):
    """The store does not respond, and is not asked now."""


@dataclass(slots=True)
class _Door:
    """What is known of one Storage while somebody uses it, or waits, or its store does not respond."""

    store: StoreId
    breaker: Breaker
    running: int = 0
    waiting: dict[Key, None] = field(default_factory=dict)
    """Keys that were put back, in the order of their turn."""
    called: int = 0
    """Keys that were added to the queue again and have not been worked on yet; each keeps its room."""
    since: datetime | None = None
    """When the first of the failures in a row came."""
    cause: str = ""
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Section:
    """The operation of a key that is running."""

    task: asyncio.Task[object] | None
    interruptible: bool
    interrupted: bool = False


class StoreGate:
    """See the module. Not thread-safe: all calls come from the loop's thread."""

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
        """Nothing waits yet.

        Args:
            queue: of runs.
            caches: say whether a run was cancelled meanwhile.
            references: say which Storage a run means.
            metrics: are told which Storages don't respond.
            clock: for messages.
            slots: operations of one Storage at a time.
            settings: of the breakers.
        """
        self._queue = queue
        self._caches = caches
        self._references = references
        self._metrics = metrics
        self._clock = clock
        self._slots = slots
        self._settings = settings or BreakerSettings()
        self._doors: dict[StoreId, _Door] = {}
        self._called: dict[Key, _Door] = {}
        self._sections: dict[Key, _Section] = {}
        self.on_change: Callable[[Key], object] = lambda _: None
        """Called with a Storage's key when its store has stopped or begun to respond."""
        queue.on_overtaken = self._overtaken

    @property
    def waiting(self) -> int:
        """How many keys were put back, and wait for a store."""
        return sum(len(door.waiting) for door in self._doors.values())

    def is_down(self, store: StoreId) -> bool:
        """Whether this Storage's store does not respond."""
        door = self._doors.get(store)
        return door is not None and door.breaker.is_open

    @asynccontextmanager
    async def using(self, run: ComponentRun, *, interruptible: bool = False) -> AsyncIterator[None]:
        """While the run's Storage is used. Its key holds no worker from here until it is done.

        Args:
            run: whose step this is.
            interruptible: give up in the middle if the run is cancelled or deleted.

        Raises:
            PutBackError: all slots are taken, or the operation was interrupted.
            StoreDownError: the store does not respond.
        """
        key = Key(run.metadata.namespace, run.metadata.name)
        door = self._door(self._references.store_id(key.namespace, run.status.storage or run.spec.storage))
        self._answer_call(key, door)
        if not door.breaker.admits(self._now()):
            self._put_back(door, key)
            raise _down(door)
        if not door.breaker.is_open and door.running + door.called >= self._slots:
            self._put_back(door, key)
            raise PutBackError
        door.waiting.pop(key, None)
        self._queue.detach(key)
        section = self._sections[key] = _Section(asyncio.current_task(), interruptible)
        try:
            async with self._operation(door, key):
                yield
        except asyncio.CancelledError:
            if not section.interrupted or section.task is None:
                raise
            section.task.uncancel()
            raise PutBackError from None
        finally:
            del self._sections[key]

    @asynccontextmanager
    async def asking(self, store: StoreId) -> AsyncIterator[None]:
        """While a store is used for no run.

        Raises:
            StoreDownError: it does not respond.
        """
        door = self._door(store)
        if not door.breaker.admits(self._now()):
            raise _down(door)
        async with self._operation(door, None):
            yield

    def passed(self, key: Key) -> None:
        """Work on this key has ended. If it was called and did not use its room, that is the next one's."""
        door = self._called.pop(key, None)
        if door is not None:
            door.called -= 1
            self._call(door)

    def forget(self, storage: Key, *, but: StoreId | None = None) -> None:
        """The Storage is gone, or has another spec by now."""
        for store, door in [item for item in self._doors.items() if item[0].key == storage and item[0] != but]:
            del self._doors[store]
            if door.timer is not None:
                door.timer.cancel()
            if door.breaker.is_open:
                self._metrics.storage_responds(*storage, responds=True)
            waiting, door.waiting = door.waiting, {}
            for key in waiting:
                self._queue.add(key)

    @asynccontextmanager
    async def _operation(self, door: _Door, key: Key | None) -> AsyncIterator[None]:
        operation = door.breaker.begin(self._now())
        door.running += 1
        evidence = Evidence.NOTHING
        try:
            yield
            evidence = Evidence.ANSWERED
        except NoAnswerError as error:
            evidence = Evidence.NO_ANSWER
            if door.breaker.is_fresh:
                door.since = self._clock()
            if not door.breaker.is_open:
                door.cause = error.detail
            raise
        except ComponentRunError as error:
            evidence = Evidence.ANSWERED if error.reason in _ANSWERS else Evidence.NOTHING
            raise
        finally:
            door.running -= 1
            if door.breaker.end(operation, evidence, self._now()):
                self._changed(door)
            if evidence is Evidence.NO_ANSWER and door.breaker.is_open and key is not None:
                self._put_back(door, key)
            self._call(door)

    def _door(self, store: StoreId) -> _Door:
        door = self._doors.get(store)
        if door is None:
            door = self._doors[store] = _Door(store, Breaker(self._settings))
        return door

    def _put_back(self, door: _Door, key: Key) -> None:
        """Have a key called when there is room for it; it keeps its place if it waits already."""
        door.waiting.setdefault(key)
        self._call(door)

    def _answer_call(self, key: Key, door: _Door) -> None:
        """The key was called, and is here."""
        if self._called.get(key) is door:
            del self._called[key]
            door.called -= 1

    def _call(self, door: _Door) -> None:
        """Add as many keys to the queue again as there is room for."""
        if self._doors.get(door.store) is not door:
            return
        for key in list(islice(door.waiting, self._room(door))):
            del door.waiting[key]
            earlier = self._called.get(key)
            if earlier is not None:
                earlier.called -= 1
            self._called[key] = door
            door.called += 1
            self._queue.add(key)
        retry_at = door.breaker.retry_at
        if door.waiting and retry_at is not None and door.timer is None and retry_at > self._now():
            door.timer = asyncio.get_running_loop().call_at(retry_at, self._probe_is_due, door)
        if not (door.running or door.waiting or door.called) and door.breaker.is_fresh:
            del self._doors[door.store]

    def _room(self, door: _Door) -> int:
        if door.breaker.is_open:
            return max(int(door.breaker.admits(self._now())) - door.called, 0)
        return max(self._slots - door.running - door.called, 0)

    def _probe_is_due(self, door: _Door) -> None:
        door.timer = None
        self._call(door)

    def _changed(self, door: _Door) -> None:
        """The breaker has opened or closed."""
        if self._doors.get(door.store) is not door:
            return
        down = door.breaker.is_open
        self._metrics.storage_responds(*door.store.key, responds=not down)
        if down:
            _log.warning("Storage %s does not respond: %s", door.store.key, door.cause)
            self._tell(door, list(door.waiting))
        else:
            _log.info("Storage %s responds again", door.store.key)
        self.on_change(door.store.key)

    def _overtaken(self, key: Key) -> None:
        """There is news of a run while its operation runs. If it is to be stopped, it does not wait for that."""
        section = self._sections.get(key)
        if section is None or section.task is None or not section.interruptible or section.interrupted:
            return
        # What the operation itself causes finds its task in the middle of a step, where it can't be interrupted.
        if section.task is not asyncio.current_task() and self._is_stopped(key):
            section.interrupted = True
            section.task.cancel()

    def _is_stopped(self, key: Key) -> bool:
        try:
            run = self._caches.runs.get(key)
        except ValidationError:
            return False  # the next look says what is wrong with it
        return run is None or run.spec.cancel or run.metadata.deletion_timestamp is not None

    def _tell(self, door: _Door, waiting: list[Key]) -> None:
        """Have those looked at that wait, so that their status says what for. They keep their places."""
        for key in waiting[:_TOLD_AT_ONCE]:
            self._queue.add(key)
        rest = waiting[_TOLD_AT_ONCE:]
        if rest and door.breaker.is_open:
            asyncio.get_running_loop().call_later(_TELL_EVERY_SECONDS, self._tell, door, rest)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _down(door: _Door) -> StoreDownError:
    since = f" since {door.since:%Y-%m-%dT%H:%M:%SZ}" if door.since is not None else ""
    return StoreDownError(
        f"Storage `{door.store.name}` has not responded{since} ({door.cause}). Check its store and its endpoint",
        Reason.STORAGE_UNAVAILABLE,
    )

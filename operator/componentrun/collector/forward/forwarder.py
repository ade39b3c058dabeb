"""The subscriptions for all receivers of the Storages that the runs of this process use."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from componentrun.api.storage import Storage, StorageOtlp, StorageWebhook
from componentrun.collector.forward.receivers import KINDS, otlp_receiver, webhook_receiver
from componentrun.collector.forward.subscription import Subscription
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.resources import STORAGES
from componentrun.process.kubernetes.storages import find_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from componentrun.collector.events.stores import Stores
    from componentrun.collector.forward.receivers import Kind, Receiver
    from componentrun.collector.metrics import Metrics
    from componentrun.process.kubernetes.client import Kube
    from componentrun.storage.store.connection import Store

__all__ = ["Forwarder"]

log = logging.getLogger(__name__)

_LOOK_EVERY: Final = 300.0
_NAMESPACES_AT_ONCE: Final = 16
_STORAGE_SECONDS: Final = 60.0
"""Timeout for one Storage, whose store may hang."""
_NAMESPACE_SECONDS: Final = 90.0
"""Time after which no further Storage of a namespace is begun: all namespaces wait for the end of a look."""
_PAUSE_AFTER_DEFECT: Final = 5.0


class Forwarder:
    """Creates the subscriptions of Storages with receivers, and keeps them running."""

    def __init__(self, kube: Kube, metrics: Metrics, is_ours: Callable[[str], bool]) -> None:
        """Forward events of the runs for whose uid `is_ours` returns true. Secrets are read with this client."""
        self._kube, self._metrics, self._is_ours = kube, metrics, is_ours
        self._subscriptions: dict[tuple[str, str, Kind], Subscription] = {}
        self._tasks: dict[tuple[str, str, Kind], asyncio.Task[None]] = {}

    def subscriptions(self, namespace: str, storage: str) -> tuple[Subscription, ...]:
        """The subscriptions for the events of a Storage."""
        return tuple(
            subscription
            for kind in KINDS
            if (subscription := self._subscriptions.get((namespace, storage, kind))) is not None
        )

    async def configure(self, storage: Storage, store: Store) -> None:
        """Apply the receivers of a Storage that was opened. Invalid ones are logged, and do not affect the others."""
        events, namespace, name = storage.spec.events, storage.metadata.namespace, storage.metadata.name
        for kind in KINDS:
            spec: StorageWebhook | StorageOtlp | None = getattr(events, kind, None)
            if spec is None:
                await self._end((namespace, name, kind))
                continue
            subscription = self._subscriptions.get((namespace, name, kind))
            if subscription is None:
                subscription = self._begin((namespace, name, kind), store)
            subscription.store = store
            try:
                await self._equip(subscription, await self._receiver(namespace, spec))
            except ComponentRunError as error:
                log.error("Storage %s/%s: events wait for its %s: %s", namespace, name, kind, error.message)  # noqa: TRY400 - told in a sentence

    async def run(self, stores: Stores, namespaces: Sequence[str]) -> None:
        """Periodically find events that other collectors have not sent, until cancelled."""
        while True:
            for namespace in namespaces or (None,):
                try:
                    await self._look(stores, namespace)
                except ComponentRunError as error:
                    log.warning("can't look for events that other collectors have not sent: %s", error.message)
                except Exception:  # a defect here must not end the process, which also writes events
                    log.exception("can't look for events that other collectors have not sent")
            await asyncio.sleep(_LOOK_EVERY)

    async def stop(self) -> None:
        """End all subscriptions, concurrently: the time is short, and the store of one of them may hang."""
        async with asyncio.TaskGroup() as group:
            for key in list(self._subscriptions):
                group.create_task(self._end_quietly(key))

    async def _look(self, stores: Stores, namespace: str | None) -> None:
        unnamed = {key for key in self._subscriptions if namespace in {None, key[0]}}
        found: dict[str, list[str]] = {}
        async for page in self._kube.pages(STORAGES, namespace):
            for raw in page.items:
                where = raw["metadata"]["namespace"], raw["metadata"]["name"]
                try:
                    events = Storage.model_validate(raw).spec.events
                except ValidationError as error:
                    unnamed -= {(*where, kind) for kind in KINDS}
                    _complain(where, error)
                    continue
                named = {kind for kind in KINDS if getattr(events, kind, None) is not None}
                unnamed -= {(*where, kind) for kind in named}
                if named:
                    found.setdefault(where[0], []).append(where[1])
        # Namespaces are searched concurrently, so that a store that hangs delays only its own namespace.
        turns = asyncio.Semaphore(_NAMESPACES_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for key in unnamed:
                # Its Storage was deleted or does not name it any more, and no run has used the Storage since.
                group.create_task(self._limited(key[:2], self._end(key)))
            for name, storages in found.items():
                group.create_task(self._look_at_namespace(stores, turns, name, storages))

    async def _look_at_namespace(
        self, stores: Stores, turns: asyncio.Semaphore, namespace: str, storages: Sequence[str]
    ) -> None:
        async with turns:
            ends_at = time.monotonic() + _NAMESPACE_SECONDS
            # In random order, so that those that come after a store that hangs have their turn at another look.
            for name in random.sample(storages, len(storages)):
                if time.monotonic() >= ends_at:
                    log.warning("%s: its stores answer too slowly, the others are searched at the next look", namespace)
                    return
                await self._limited((namespace, name), self._adopt(stores, (namespace, name)))

    async def _limited(self, where: tuple[str, str], work: Coroutine[Any, Any, None]) -> None:
        """Process one Storage, with a timeout. Errors are logged, and it is processed again at the next look."""
        try:
            async with asyncio.timeout(_STORAGE_SECONDS):
                await work
        except TimeoutError:
            _complain(where, f"its store did not answer within {_STORAGE_SECONDS:.0f} s")
        except ComponentRunError as error:
            _complain(where, error.message)
        except Exception:  # a defect at one Storage must not affect the others
            log.exception("Storage %s/%s: can't look for events that other collectors have not sent", *where)

    async def _adopt(self, stores: Stores, where: tuple[str, str]) -> None:
        await stores.get(*where)
        for subscription in self.subscriptions(*where):
            await subscription.adopt(self._is_ours)

    def _begin(self, key: tuple[str, str, Kind], store: Store) -> Subscription:
        subscription = self._subscriptions[key] = Subscription(*key, store, self._metrics)
        self._tasks[key] = asyncio.create_task(_supervise(subscription), name=f"forward {'/'.join(key)}")
        return subscription

    async def _end(self, key: tuple[str, str, Kind]) -> None:
        subscription, task = self._subscriptions.pop(key, None), self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if subscription is not None:
            await subscription.close()

    async def _end_quietly(self, key: tuple[str, str, Kind]) -> None:
        try:
            await self._end(key)
        except ComponentRunError as error:
            log.warning("Storage %s/%s, %s: some events will be sent again: %s", *key, error.message)
        except Exception:  # a defect at one Storage must not affect the others
            log.exception("Storage %s/%s, %s: some events will be sent again", *key)

    async def _receiver(self, namespace: str, spec: StorageWebhook | StorageOtlp) -> Receiver:
        if isinstance(spec, StorageWebhook):
            return webhook_receiver(spec, await find_secret(self._kube, namespace, spec.secret_name))
        name = spec.headers_secret_name
        return otlp_receiver(spec, None if name is None else await find_secret(self._kube, namespace, name))

    async def _equip(self, subscription: Subscription, receiver: Receiver) -> None:
        if subscription.receiver == receiver:
            return
        before, subscription.receiver = subscription.receiver, receiver
        subscription.wake()
        if before is not None:
            await before.sender.close()


def _complain(where: tuple[str, str], why: object) -> None:
    log.warning("Storage %s/%s: can't look for events that other collectors have not sent: %s", *where, why)


async def _supervise(subscription: Subscription) -> None:
    while True:
        try:
            await subscription.run()
        except Exception:
            # A defect in one subscription must not end the process. It is logged, and the subscription is restarted.
            log.exception("forwarding failed, restarting")
            await asyncio.sleep(_PAUSE_AFTER_DEFECT)

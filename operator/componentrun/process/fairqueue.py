"""A fair queue of keys: serves namespaces in turn, and within each namespace its Storages in turn.

A namespace is skipped while it holds as many workers as are free. So one namespace gets at most half of the workers, a
second one half of the rest, and so on. As long as a worker is free, a namespace that holds none gets it. The fair share
depends on the other namespaces, so it is not configurable (decision 0037).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["FairQueue", "Flow", "one_flow"]

Key = TypeVar("Key", bound="Hashable")


class Flow(NamedTuple):
    """The namespace and Storage of a key. Keys of one flow are served first in, first out."""

    namespace: str
    storage: str = ""


_ONE_FLOW = Flow("")


def one_flow(_: object) -> Flow:
    """Put all keys into one flow: first in, first out."""
    return _ONE_FLOW


class FairQueue(Generic[Key]):
    """Fair queue of keys. It never blocks and has no clock."""

    def __init__(self, flow_of: Callable[[Key], Flow] = one_flow, workers: int | None = None) -> None:
        """Create an empty queue.

        Args:
            flow_of: returns the flow of a key; called at each push.
            workers: maximum number of keys that are popped and not released; None: no limit.
        """
        self._flow_of = flow_of
        self._workers = workers
        self._waiting: OrderedDict[str, OrderedDict[str, deque[Key]]] = OrderedDict()
        """Keys by namespace and Storage, in the order in which these are served. None of them is empty."""
        self._holders: dict[Key, str] = {}
        self._held: dict[str, int] = {}
        self._length = 0

    def __len__(self) -> int:
        """How many keys wait."""
        return self._length

    def push(self, key: Key) -> None:
        """Append a key that is not in the queue."""
        namespace, storage = self._flow_of(key)
        flows = self._waiting.get(namespace)
        if flows is None:
            flows = self._waiting[namespace] = OrderedDict()
        keys = flows.get(storage)
        if keys is None:
            keys = flows[storage] = deque()
        keys.append(key)
        self._length += 1

    def pop(self) -> Key | None:
        """Remove and return the next key, whose namespace then holds a worker; None if no key may have a worker."""
        namespace = self._next_namespace()
        if namespace is None:
            return None
        flows = self._waiting[namespace]
        storage, keys = next(iter(flows.items()))
        key = keys.popleft()
        self._length -= 1
        if keys:
            flows.move_to_end(storage)
        else:
            del flows[storage]
        if flows:
            self._waiting.move_to_end(namespace)
        else:
            del self._waiting[namespace]
        self._holders[key] = namespace
        self._held[namespace] = self._held.get(namespace, 0) + 1
        return key

    def release(self, key: Key) -> None:
        """Release the worker of a key, if it holds one."""
        namespace = self._holders.pop(key, None)
        if namespace is None:
            return
        left = self._held[namespace] - 1
        if left:
            self._held[namespace] = left
        else:
            del self._held[namespace]

    def _next_namespace(self) -> str | None:
        if self._workers is None:
            return next(iter(self._waiting), None)
        free = self._workers - len(self._holders)
        return next((name for name in self._waiting if self._held.get(name, 0) < free), None)

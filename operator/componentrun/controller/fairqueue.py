"""Keys that wait, served in turn: one namespace after the other, and within each one Storage after the other.

A namespace is passed over while it holds as many workers as are free. So one namespace gets half of the workers at
most, a second one half of the rest, and so on: as long as a worker is free, a namespace that holds none gets it. Which
share is right depends on who else works, so none is configured (decision 0037).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["FairQueue", "Flow", "one_flow"]

Key = TypeVar("Key", bound="Hashable")


class Flow(NamedTuple):
    """What a key belongs to: keys of one flow come in the order in which they were put in."""

    namespace: str
    storage: str = ""


_ONE_FLOW = Flow("")


def one_flow(_: object) -> Flow:
    """All keys belong together: first in, first out."""
    return _ONE_FLOW


class FairQueue(Generic[Key]):
    """See the module. Knows nothing of time and waits for nothing."""

    def __init__(self, flow_of: Callable[[Key], Flow] = one_flow, workers: int | None = None) -> None:
        """Empty.

        Args:
            flow_of: the flow of a key, asked once each time that it is put in.
            workers: how many keys may be held at a time; None: any number.
        """
        self._flow_of = flow_of
        self._workers = workers
        self._waiting: OrderedDict[str, OrderedDict[str, deque[Key]]] = OrderedDict()
        """By namespace and Storage, each in the order of its turn. None of them is empty."""
        self._holders: dict[Key, str] = {}
        self._held: dict[str, int] = {}
        self._length = 0

    def __len__(self) -> int:
        """How many keys wait."""
        return self._length

    def push(self, key: Key) -> None:
        """Put in a key that does not wait yet."""
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
        """The next key, whose namespace holds a worker from now on; None if none waits that may have one."""
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
        """This key holds no worker any more. Nothing changes if it holds none."""
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

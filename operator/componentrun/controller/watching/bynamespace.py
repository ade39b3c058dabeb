"""A mapping from keys of objects that finds the keys of one namespace without visiting the others."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from componentrun.controller.watching.cachekeys import Key

__all__ = ["ByNamespace"]

Value = TypeVar("Value")


class ByNamespace(MutableMapping["Key", Value], Generic[Value]):
    """A dict of dicts; a namespace without keys uses no memory."""

    def __init__(self) -> None:
        """Start empty."""
        self._namespaces: dict[str, dict[Key, Value]] = {}

    def of(self, namespace: str | None) -> Iterator[tuple[Key, Value]]:
        """The items of a namespace; None: of all namespaces."""
        chosen = self._namespaces.values() if namespace is None else [self._namespaces.get(namespace, {})]
        return (item for values in chosen for item in values.items())

    def __getitem__(self, key: Key) -> Value:
        """The value of a key."""
        return self._namespaces[key.namespace][key]

    def __setitem__(self, key: Key, value: Value) -> None:
        """Set the value of a key."""
        self._namespaces.setdefault(key.namespace, {})[key] = value

    def __delitem__(self, key: Key) -> None:
        """Remove a key."""
        values = self._namespaces[key.namespace]
        del values[key]
        if not values:
            del self._namespaces[key.namespace]

    def __iter__(self) -> Iterator[Key]:
        """All keys."""
        return (key for values in self._namespaces.values() for key in values)

    def __len__(self) -> int:
        """Number of keys."""
        return sum(map(len, self._namespaces.values()))

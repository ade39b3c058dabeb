"""How long the events of runs are kept. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.common import retention_seconds
from componentrun.api.storage import StorageEvents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from componentrun.api.component import Component
    from componentrun.api.storage import Storage

__all__ = ["LEAST_KEEP", "Retention", "retention_of"]

LEAST_KEEP: Final = timedelta(hours=1)
"""Minimum retention after the end of a run, so that followers and forwarders can still read its events."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Retention of a run's events after its last one; None: forever."""

    keep: timedelta | None = None
    """Default retention."""
    components: Mapping[str, timedelta | None] = field(default_factory=dict)
    """Retention by Component."""

    def of(self, component: str) -> timedelta | None:
        """Return the retention of a component's runs."""
        keep = self.components.get(component, self.keep)
        return None if keep is None else max(keep, LEAST_KEEP)

    @property
    def endless(self) -> bool:
        """Whether all events are kept forever."""
        return self.keep is None and all(keep is None for keep in self.components.values())

    def merged(self, other: Retention) -> Retention:
        """Merge the retention of two Storages with the same bucket and prefix: the longer period wins."""
        names = {*self.components, *other.components}
        return Retention(
            _longer(self.keep, other.keep), {name: _longer(self.of(name), other.of(name)) for name in names}
        )


def retention_of(storage: Storage, components: Iterable[Component], shared: Iterable[Component] = ()) -> Retention:
    """Return the retention of a Storage and of the Components of its namespace.

    Args:
        storage: the Storage with the events.
        components: all Components of its namespace.
        shared: all ClusterComponents; a Component of the same name takes precedence.
    """
    by_name = {item.metadata.name: item for item in (*shared, *components)}
    own = {name: item.spec.events.keep for name, item in by_name.items() if item.spec.events is not None}
    events = storage.spec.events or StorageEvents()
    return Retention(_time(events.keep), {name: _time(keep) for name, keep in own.items() if keep is not None})


def _time(text: str) -> timedelta | None:
    seconds = retention_seconds(text)
    return None if seconds is None else timedelta(seconds=seconds)


def _longer(one: timedelta | None, other: timedelta | None) -> timedelta | None:
    return None if one is None or other is None else max(one, other)

"""How long the events of runs are kept. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.api.common import long_duration_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from componentrun.api.component import Component
    from componentrun.api.storage import Storage

__all__ = ["LEAST_KEEP", "Retention", "retention_of"]

LEAST_KEEP: Final = timedelta(hours=1)
"""From the end of a run; so that who follows it, or forwards its events, can still read them."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the events of a run are kept behind its last one; None: for good."""

    keep: timedelta | None = None
    """Of runs of components that say nothing."""
    components: Mapping[str, timedelta | None] = field(default_factory=dict)
    """Of runs of these Components."""

    def of(self, component: str) -> timedelta | None:
        """How long the events of a component's runs are kept."""
        keep = self.components.get(component, self.keep)
        return None if keep is None else max(keep, LEAST_KEEP)

    @property
    def endless(self) -> bool:
        """Whether nothing ever goes."""
        return self.keep is None and all(keep is None for keep in self.components.values())

    def merged(self, other: Retention) -> Retention:
        """What does justice to both, where two Storages are one place: the longer time."""
        names = {*self.components, *other.components}
        return Retention(
            _longer(self.keep, other.keep), {name: _longer(self.of(name), other.of(name)) for name in names}
        )


def retention_of(storage: Storage, components: Iterable[Component]) -> Retention:
    """What a Storage and the Components of its namespace say.

    Args:
        storage: where the events are.
        components: all of its namespace.
    """
    own = {item.metadata.name: item.spec.events.keep for item in components if item.spec.events is not None}
    return Retention(
        _time(storage.spec.events.keep) if storage.spec.events is not None else None,
        {name: _time(keep) for name, keep in own.items() if keep is not None},
    )


def _time(text: str | None) -> timedelta | None:
    return None if text is None else timedelta(seconds=long_duration_seconds(text))


def _longer(one: timedelta | None, other: timedelta | None) -> timedelta | None:
    return None if one is None or other is None else max(one, other)

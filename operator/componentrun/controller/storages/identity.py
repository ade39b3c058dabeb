"""Identifies a Storage and the version of its spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from componentrun.controller.watching.caches import Key

if TYPE_CHECKING:
    from componentrun.api.storage import Storage

__all__ = ["StoreId"]


class StoreId(NamedTuple):
    """A Storage and the version of its spec; without uid and generation if no Storage of that name is known."""

    namespace: str
    name: str
    uid: str = ""
    generation: int = 0

    @classmethod
    def of(cls, storage: Storage) -> StoreId:
        """The id of this Storage."""
        metadata = storage.metadata
        return cls(metadata.namespace, metadata.name, metadata.uid, metadata.generation)

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

"""What tells one Storage from another, and from itself before it was edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from componentrun.controller.watching.caches import Key

if TYPE_CHECKING:
    from componentrun.api.storage import Storage

__all__ = ["StoreId"]


class StoreId(NamedTuple):
    """A Storage with its present spec; without uid and generation where none of that name is known."""

    namespace: str
    name: str
    uid: str = ""
    generation: int = 0

    @classmethod
    def of(cls, storage: Storage) -> StoreId:
        """That of this Storage."""
        metadata = storage.metadata
        return cls(metadata.namespace, metadata.name, metadata.uid, metadata.generation)

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

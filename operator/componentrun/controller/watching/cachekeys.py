"""What all caches share: names of objects, their versions, and which of them are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Gone", "Key", "nobody", "version_of"]

_MOST_GONE: Final = 10_000
"""So many are remembered; what is under way comes within seconds."""


class Key(NamedTuple):
    """Name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """As people write it: `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Key:
        """The key of an object of the API."""
        return cls(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def version_of(obj: Mapping[str, Any]) -> int:
    """The resource version as the number that it is on every API server; 0 where it is none, which counts as old."""
    text = str(obj["metadata"].get("resourceVersion", ""))
    return int(text) if text.isascii() and text.isdigit() else 0


def nobody(*_: Any) -> None:
    """Nobody listens."""


class Gone:
    """Uids of objects that are gone: a listing or an answer that was under way meanwhile does not bring them back."""

    def __init__(self) -> None:
        """None is known to be gone."""
        self._uids: dict[str, None] = {}

    def __contains__(self, uid: str) -> bool:
        """Whether this object is gone."""
        return uid in self._uids

    def add(self, uid: str) -> None:
        """An object is gone; those that went long ago are forgotten."""
        self._uids[uid] = None
        if len(self._uids) > _MOST_GONE:
            del self._uids[next(iter(self._uids))]

    def discard(self, uid: str) -> None:
        """It may come back."""
        self._uids.pop(uid, None)

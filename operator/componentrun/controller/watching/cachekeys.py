"""Keys of cached objects, their versions, and a record of deleted objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Gone", "Key", "nobody", "version_of"]

_MOST_GONE: Final = 10_000
"""Maximum number of remembered uids; late responses arrive within seconds."""


class Key(NamedTuple):
    """Name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Key:
        """The key of an object of the API."""
        return cls(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def version_of(obj: Mapping[str, Any]) -> int:
    """The resource version as a number, as all API servers use; 0, which counts as oldest, if it is not a number."""
    text = str(obj["metadata"].get("resourceVersion", ""))
    return int(text) if text.isascii() and text.isdigit() else 0


def nobody(*_: Any) -> None:
    """Do nothing; the default of callbacks."""


class Gone:
    """Uids of deleted objects. Listings and responses that were in flight must not restore them."""

    def __init__(self) -> None:
        """Start empty."""
        self._uids: dict[str, None] = {}

    def __contains__(self, uid: str) -> bool:
        """Whether this object was deleted."""
        return uid in self._uids

    def add(self, uid: str) -> None:
        """Record that an object was deleted. The oldest records are dropped."""
        self._uids[uid] = None
        if len(self._uids) > _MOST_GONE:
            del self._uids[next(iter(self._uids))]

    def discard(self, uid: str) -> None:
        """Remove an object's record, because the object may reappear."""
        self._uids.pop(uid, None)

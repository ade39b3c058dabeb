"""Objects by their keys, resource versions, and the history that watches read.

An object that is stored is never changed in place: each write stores another one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Key = tuple[str, str, str]
"""Plural, namespace (empty for objects of the cluster), name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write: the object before and after it; None where it did not exist."""

    version: int
    plural: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    def event(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        """What a watch with this selector sends; an object that is not selected any more is deleted for it."""
        was = self.before is not None and fits(self.before)
        if self.after is not None and fits(self.after):
            return {"type": "MODIFIED" if was else "ADDED", "object": self.after}
        if not was or self.before is None:
            return None
        return {"type": "DELETED", "object": _at_version(self.before, self.version)}


def _at_version(obj: dict[str, Any], version: int) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}


@dataclass
class Storage:
    """All objects of a server.

    Attributes:
        version: of the last write; each write has a version of its own.
        compacted: the oldest version from which a watch, or the rest of a listing, may go on.
        listeners: called with each change, after it was stored.
    """

    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)
    version: int = 100
    compacted: int = 100
    history: list[Change] = field(default_factory=list)
    listeners: list[Callable[[Change], object]] = field(default_factory=list)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def of(self, plural: str, namespace: str = "") -> list[dict[str, Any]]:
        """All objects of a kind, in the order of their creation."""
        return [
            obj
            for (kind, where, _), obj in self.objects.items()
            if kind == plural and (not namespace or where == namespace)
        ]

    def write(self, plural: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
        """Store `after` in the place of `before`, at a new version; None: the object does not exist."""
        self.version += 1
        metadata = (after or before or {})["metadata"]
        key = plural, metadata.get("namespace", ""), metadata["name"]
        if after is None:
            self.objects.pop(key, None)
        else:
            after = self.objects[key] = _at_version(after, self.version)
        change = Change(self.version, plural, before, after)
        self.history.append(change)
        self.wake()
        for listener in tuple(self.listeners):
            listener(change)
        return after if after is not None else _at_version(before or {}, change.version)

    def changes_after(self, version: int) -> list[Change]:
        """All writes after this version, in their order."""
        first = self.history[0].version if self.history else 0
        return self.history[max(version + 1 - first, 0) :]

    def compact(self) -> None:
        """Forget the history: to go on from an earlier version is refused as expired."""
        self.compacted = self.version
        self.history.clear()

    def wake(self) -> None:
        """Have everybody who waits for a change look again."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            loop = future.get_loop()
            if loop.is_closed():
                continue
            if loop is asyncio._get_running_loop():
                _finish(future)
            else:
                loop.call_soon_threadsafe(_finish, future)

    async def changed(self, seconds: float | None) -> None:
        """Wait for the next write, or so long."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await asyncio.wait({future}, timeout=seconds)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

"""Watches: streams of events behind a version."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.fakekube import refusals
from tests.fakekube.selectors import predicate
from tests.fakekube.storage import Change

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.fakekube.kinds import Kind, Target
    from tests.fakekube.reading import Reader
    from tests.fakekube.storage import Storage

_LONGEST_SECONDS: Final = 1800.0
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


@dataclass
class Watcher:
    """Serves watches.

    Attributes:
        is_held: whether events are kept back, as by a watch cache that is behind.
        open: how many watches are open.
    """

    storage: Storage
    reader: Reader
    is_held: bool = False
    open: int = 0
    _cuts: int = field(default=0)

    def cut(self) -> None:
        """Break the connections of all open watches."""
        self._cuts += 1
        self.storage.wake()

    def hold(self) -> None:
        """Keep all events back until `release`."""
        self.is_held = True

    def release(self) -> None:
        """Send what was kept back."""
        self.is_held = False
        self.storage.wake()

    def watch(self, target: Target, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Lines with one event each, until the time that the request gives is over.

        Raises:
            Refused: a selector or the version is wrong.
            ConnectionResetError: while it is read, if the watch is cut.
        """
        predicate(query.get("labelSelector", ""), query.get("fieldSelector", ""), target.kind)
        version = query.get("resourceVersion", "")
        if version and not version.isdigit():
            parse = f'strconv.ParseUint: parsing "{version}": invalid syntax'
            raise refusals.Refused(500, "", f'resourceVersion: Invalid value: "{version}": {parse}')
        return self._stream(target, query, int(version or 0))

    async def _stream(self, target: Target, query: Mapping[str, str], version: int) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            async for event in self._events(target, query, version):
                yield json.dumps(event).encode() + b"\n"
        finally:
            self.open -= 1

    async def _events(self, target: Target, query: Mapping[str, str], version: int) -> AsyncIterator[dict[str, Any]]:
        ends = asyncio.get_running_loop().time() + float(query.get("timeoutSeconds") or _LONGEST_SECONDS)
        if not version or query.get("sendInitialEvents") == "true":
            version = max(version, self.storage.version)
            for obj in self.reader.selected(target, query):
                yield {"type": "ADDED", "object": obj}
            if query.get("sendInitialEvents") == "true":
                yield _bookmark(target.kind, version, {_INITIAL_EVENTS_END: "true"})
        fits = predicate(query.get("labelSelector", ""), query.get("fieldSelector", ""), target.kind)
        async for change in self._changes(version, ends):
            if isinstance(change, Change):
                version, event = change.version, change.event(fits) if _is_about(change, target) else None
                if event is not None:
                    yield event
            else:
                yield change
                return
        if query.get("allowWatchBookmarks") == "true" and not self.is_held:
            yield _bookmark(target.kind, version, {})

    async def _changes(self, version: int, ends: float) -> AsyncIterator[Change | dict[str, Any]]:
        """Writes behind a version, of any objects, until that time; an event of type ERROR if it is too old."""
        loop, cuts = asyncio.get_running_loop(), self._cuts
        while (left := ends - loop.time()) > 0:
            if self._cuts != cuts:
                raise ConnectionResetError("the watch was cut")
            if version < self.storage.compacted:
                yield {"type": "ERROR", "object": _too_old(version, self.storage.compacted)}
                return
            if self.is_held or version >= self.storage.version:
                await self.storage.changed(left)
                continue
            for change in self.storage.changes_after(version):
                version = change.version
                yield change


def _is_about(change: Change, target: Target) -> bool:
    metadata = (change.after or change.before or {})["metadata"]
    return change.plural == target.kind.plural and target.namespace in {"", metadata.get("namespace", "")}


def _bookmark(kind: Kind, version: int, annotations: Mapping[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"type": "BOOKMARK", "object": {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}}


def _too_old(version: int, oldest: int) -> dict[str, Any]:
    return refusals.failure(410, "Expired", f"too old resource version: {version} ({oldest})")

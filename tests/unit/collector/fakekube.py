"""A Kubernetes API in memory, with just what the collector asks for. Logs are played from a script."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from componentrun.process.kubernetes.client import Page
from componentrun.process.kubernetes.clock import ApiClock
from componentrun.process.kubernetes.errors import KubeError, NotFoundError, UnavailableError
from componentrun.process.kubernetes.resources import PODS, RUNS, SECRETS, STORAGES
from componentrun.wire.agents import REDACT_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from componentrun.process.kubernetes.resources import Resource


@dataclass
class Play:
    """One answer of the log API."""

    data: bytes = b""
    error: KubeError | None = None
    """Instead of an answer."""
    cut: bool = False
    """The connection breaks behind the data."""
    hang: bool = False
    """Behind the data comes nothing, until the answer is closed."""
    then: Callable[[], None] | None = None
    """What happens in the cluster when the data was read."""


class Content:
    def __init__(self, play: Play, closed: asyncio.Event) -> None:
        self._play, self._closed = play, closed

    async def iter_any(self) -> AsyncIterator[bytes]:
        if self._play.data:
            yield self._play.data
        if self._play.then is not None:
            self._play.then()
        if self._play.hang:
            await self._closed.wait()
            if self._play.hang:
                raise UnavailableError("closed")
        if self._play.cut:
            raise UnavailableError("cut off")


class Response:
    def __init__(self, play: Play) -> None:
        self.play = play
        self._closed = asyncio.Event()
        self.content = Content(play, self._closed)

    def close(self) -> None:
        self._closed.set()


@dataclass
class FakeKube:
    """Objects by (resource, name); logs by container."""

    objects: dict[tuple[Resource, str], dict[str, Any]] = field(default_factory=dict)
    plays: dict[str, list[Play]] = field(default_factory=dict)
    last_lines: defaultdict[str, Play] = field(default_factory=lambda: defaultdict(Play))
    """What is answered where only the last line of a log is asked for."""
    looks: int = 0
    """How often it was."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    patched: list[dict[str, Any]] = field(default_factory=list)
    patch_errors: list[KubeError] = field(default_factory=list)
    open: Response | None = None
    clock: ApiClock = field(default_factory=ApiClock)

    def add_secret(self, name: str, values: list[str]) -> None:
        data = {REDACT_KEY: base64.b64encode(json.dumps(values).encode()).decode()}
        self.objects[SECRETS, name] = {"metadata": {"name": name}, "data": data}

    def add_storage(self, name: str, **spec: Any) -> None:
        raw = {"metadata": {"name": name}, "spec": {"bucket": "a-bucket", **spec}}
        self.objects[STORAGES, name] = raw

    async def get(self, resource: Resource, _namespace: str, name: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        if (resource, name) not in self.objects:
            raise NotFoundError(f"{resource.plural} {name}: not found", 404)
        return self.objects[resource, name]

    async def pages(self, resource: Resource, _namespace: str | None, _labels: str = "") -> AsyncIterator[Page]:
        yield Page(tuple(raw for (kind, _), raw in self.objects.items() if kind == resource), "1")

    @asynccontextmanager
    async def log(
        self, _namespace: str, pod: str, name: str, *, since: str | None, follow: bool, tail: int | None = None
    ) -> AsyncIterator[Response]:
        if tail is not None:
            self.looks += 1
            yield Response(self.last_lines[name])
            return
        self.asked.append({"pod": pod, "container": name, "since": since, "follow": follow})
        await asyncio.sleep(0)
        plays = self.plays.get(name) or [Play()]
        play = plays.pop(0) if len(plays) > 1 else plays[0]
        if play.error is not None:
            raise play.error
        self.open = Response(play)
        yield self.open

    def end_well(self) -> None:
        """The answer that hangs comes to its own end."""
        assert self.open is not None
        self.open.play.hang = False
        self.open.close()

    async def patch(
        self, resource: Resource, _namespace: str, name: str, body: Mapping[str, Any], subresource: str
    ) -> None:
        assert (resource, subresource) == (RUNS, "status")
        if self.patch_errors:
            raise self.patch_errors.pop(0)
        self.patched.append({"name": name, **body})


__all__ = ["PODS", "FakeKube", "Play", "Response"]

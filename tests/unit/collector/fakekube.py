"""The operator's client at a fake API server, whose kubelets play logs from a script.

What a log request is answered with is part of the script, whatever pods the server has: most tests tell the collector
of pods as its watch would, and keep none.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from componentrun.process.kubernetes.errors import KubeError, UnavailableError
from componentrun.wire.grants import REDACT_KEY
from tests.fakekube.inprocess import InProcessKube
from tests.fakekube.messages import Response
from tests.fakekube.podresources import PodResources
from tests.fakekube.server import ApiServer
from tests.unit.collector.runs import raw_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from componentrun.process.kubernetes.resources import Resource
    from tests.fakekube.kinds import Target

NAMESPACE = "team"


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
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def chunks(self) -> AsyncIterator[bytes]:
        """What is sent."""
        if self.data:
            yield self.data
        if self.then is not None:
            self.then()
        if self.hang:
            await self.closed.wait()
            if self.hang:
                raise UnavailableError("closed")
        if self.cut:
            raise UnavailableError("cut off")


@dataclass
class PlayedLogs(PodResources):
    """Logs by container."""

    plays: dict[str, list[Play]] = field(default_factory=dict)
    last_lines: defaultdict[str, Play] = field(default_factory=lambda: defaultdict(Play))
    """The answers to requests for only the last line of a log."""
    looks: int = 0
    """How many of those there were."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """All other requests."""
    open: Play | None = None

    def log(self, target: Target, query: Mapping[str, str]) -> Response:
        container = query["container"]
        if "tailLines" in query:
            self.looks += 1
            return self._response(self.last_lines[container])
        since, follow = query.get("sinceTime"), query["follow"] == "true"
        self.asked.append({"pod": target.name, "container": container, "since": since, "follow": follow})
        plays = self.plays.get(container) or [Play()]
        play = plays.pop(0) if len(plays) > 1 else plays[0]
        if play.error is not None:
            raise play.error
        self.open = play
        return self._response(play)

    def _response(self, play: Play) -> Response:
        play.closed = asyncio.Event()
        return Response(200, stream=play.chunks(), on_close=play.closed.set)


class FakeKube(InProcessKube):
    """A client of a server that has the run `clean`, as most tests need it."""

    def __init__(self) -> None:
        super().__init__(ApiServer(NAMESPACE))
        self.logs = self.server.pods = PlayedLogs(self.server.writer)
        self.patched: list[dict[str, Any]] = []
        """Status patches of runs that were carried out."""
        self.patch_errors: list[KubeError] = []
        """What the next patches fail with, after the client's own repetitions."""
        self.add_run(raw_run())

    def add_run(self, raw: dict[str, Any]) -> None:
        """Have the server know a run, at the version at which the collector has heard of it."""
        added = self.server.put("componentruns", raw)
        added["metadata"]["resourceVersion"] = raw["metadata"]["resourceVersion"]

    def add_secret(self, name: str, values: list[str]) -> None:
        data = {REDACT_KEY: base64.b64encode(json.dumps(values).encode()).decode()}
        self.server.put("secrets", {"metadata": {"name": name}, "data": data})

    def add_storage(self, name: str, **spec: Any) -> None:
        self.server.put("storages", {"metadata": {"name": name}, "spec": {"bucket": "a-bucket", **spec}})

    def end_well(self) -> None:
        """Have the answer that hangs come to its own end."""
        assert self.logs.open is not None
        self.logs.open.hang = False
        self.logs.open.closed.set()

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any], subresource: str = ""
    ) -> dict[str, Any]:
        if self.patch_errors:
            raise self.patch_errors.pop(0)
        changed = await super().patch(resource, namespace, name, body, subresource)
        self.patched.append({"name": name, **body})
        return changed

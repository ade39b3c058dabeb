"""The real Kubernetes client of one process, over a network that loses, delays and refuses by the schedule."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from componentrun.process.kubernetes.client import Kube, RequestObserver
from componentrun.process.kubernetes.errors import UnavailableError, error_for
from tests.unit.controller.simulation.apiserver import BASE, Answer, ApiServer
from tests.unit.controller.simulation.processes import outside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from random import Random

    import aiohttp

_WATCH_SECONDS: Final = 240
_FIRST_ERROR: Final = 300
_SILENCE: Final = (1.0, 30.0)
"""Seconds after which a client finds out that its answer was lost."""


@dataclass(frozen=True)
class Trouble:
    """What goes wrong for some time."""

    kind: str
    """Of requests: answer-lost, request-lost, late, refused, busy. Of watches: stalled, slow."""
    begin: float
    end: float
    operator: int | None
    """Whose; None: everybody's."""
    what: str = ""
    """Requests or watches of this plural, or with this method; empty: all."""
    rate: float = 1.0
    cut: str = ""
    """How a stall ends: "" by delivering, "closed" by an end of the watch, "gone" by a version that is too old."""

    def holds(self, now: float, operator: int, *about: str) -> bool:
        whose = self.operator is None or self.operator == operator
        return self.begin <= now < self.end and whose and (not self.what or self.what in about)


@dataclass
class Network:
    """Between all processes and the API server."""

    server: ApiServer
    random: Random
    troubles: list[Trouble] = field(default_factory=list)

    def trouble(self, kinds: tuple[str, ...], operator: int, *about: str) -> Trouble | None:
        now = self.server.now()
        found = (item for item in self.troubles if item.kind in kinds and item.holds(now, operator, *about))
        return next((item for item in found if self.random.random() < item.rate), None)

    def next_stall(self) -> float:
        """When a watch that has nothing to tell may have to stand still."""
        now = self.server.now()
        return min((item.begin for item in self.troubles if item.kind == "stalled" and item.begin > now), default=1e9)


class _Body:
    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.iter_any = lambda: chunks


class _Answer:
    """As much of aiohttp's as the client uses."""

    def __init__(self, body: bytes = b"", chunks: AsyncIterator[bytes] | None = None) -> None:
        self._body = body
        self.content = None if chunks is None else _Body(chunks)

    async def read(self) -> bytes:
        return self._body


class Clock:
    """Virtual time, by a clock that may be some seconds off."""

    ahead = spread = 0.0

    def __init__(self, off: float) -> None:
        self._off = off
        self.ticks = asyncio.get_running_loop().time

    def now(self) -> datetime:
        return BASE + timedelta(seconds=self.ticks() + self._off)


class SimulatedKube(Kube):
    """The client without HTTP: its retries, and what it makes of answers, are real."""

    def __init__(self, network: Network, observer: RequestObserver, operator: int, off: float) -> None:
        self._network = network
        self._operator = operator
        self._observer = observer
        self._slots = asyncio.Semaphore(64)
        self._random = network.random
        self.host = "https://api.test"
        self.clock = cast("Any", Clock(off))

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        kind: str = "",  # noqa: ARG002 - there is one
        limits: Any = None,  # noqa: ARG002 - silence has a length of its own
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        asked = dict(query or {})
        if asked.get("watch"):
            yield cast("Any", _Answer(chunks=self._watch(path, asked)))
            return
        code, body = await self._exchange(method, path, asked, data)
        if code >= _FIRST_ERROR:
            raise error_for(code, body, f"{method} {path}")
        yield cast("Any", _Answer(body))

    async def _exchange(self, method: str, path: str, query: dict[str, str], data: bytes | None) -> Answer:
        random, plural = self._network.random, _plural(path)
        kinds = ("answer-lost", "request-lost", "late", "refused", "busy")
        trouble = self._network.trouble(kinds, self._operator, method, plural)
        fate = trouble.kind if trouble is not None else ""
        there, back = random.uniform(0.001, 0.02), random.uniform(0.001, 0.02)
        if fate == "refused":
            await asyncio.sleep(there)
            lost = UnavailableError(f"{method} {path}: no answer: connection refused")
            lost.may_be_done = False
            raise lost
        if fate == "busy":
            await asyncio.sleep(there)
            return random.choice(((503, b'{"message": "shutting down"}'), (429, b'{"message": "too many requests"}')))
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if fate == "late":
            there = random.uniform(0.5, 40)
        if fate != "request-lost":
            outside(self._arrive, there, method, path, query, data, back, answered)
        if fate in {"answer-lost", "request-lost", "late"}:
            await asyncio.sleep(random.uniform(*_SILENCE) if fate != "late" else random.uniform(0.5, 30))
            raise UnavailableError(f"{method} {path}: no answer: TimeoutError")
        return await answered

    def _arrive(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        data: bytes | None,
        back: float,
        answered: asyncio.Future[Answer],
    ) -> None:
        answer = self._network.server.handle(method, path, query, data)
        outside(_answer, back, answered, answer)

    async def _watch(self, path: str, query: dict[str, str]) -> AsyncIterator[bytes]:
        server, random, plural = self._network.server, self._network.random, _plural(path)
        seen, ends = int(query["resourceVersion"]), server.now() + _WATCH_SECONDS
        if seen < server.compacted:
            yield _line({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}})
            return
        while server.now() < ends:
            stalled = self._network.trouble(("stalled",), self._operator, plural)
            if stalled is not None:
                await asyncio.sleep(stalled.end - server.now())
                if stalled.cut:
                    # An API server that was restarted does not know earlier versions any more.
                    server.compacted = server.version if stalled.cut == "gone" else server.compacted
                    raise UnavailableError("watch: it was cut off")
                continue
            if seen == server.version:
                await server.changed(min(ends, self._network.next_stall()) - server.now())
                await asyncio.sleep(0.05 * random.random())
                continue
            slow = self._network.trouble(("slow",), self._operator, plural)
            until = server.version
            events = [_line(event) for event in server.events(plural, query.get("labelSelector", ""), seen)]
            await asyncio.sleep(random.uniform(0.2, 20) if slow is not None else random.uniform(0, 0.05))
            for event in events:
                yield event
            seen = until
            if random.random() < 0.05:
                yield _bookmark(seen)
        yield _bookmark(seen)


def _answer(answered: asyncio.Future[Answer], answer: Answer) -> None:
    if not answered.done():
        answered.set_result(answer)


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode() + b"\n"


def _bookmark(version: int) -> bytes:
    return _line({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}})


def _plural(path: str) -> str:
    parts = path.strip("/").split("/")
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    return rest[2] if rest[:1] == ["namespaces"] else "".join(rest[:1])

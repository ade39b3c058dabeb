"""Watches and logs, against a real HTTP server on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from componentrun.collector.metrics import Metrics
from componentrun.process.kubernetes import watch as watch_module
from componentrun.process.kubernetes.access.access import Access
from componentrun.process.kubernetes.client import Kube
from componentrun.process.kubernetes.errors import UnavailableError
from componentrun.process.kubernetes.resources import PODS
from componentrun.process.kubernetes.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from collections.abc import Set as AbstractSet

    from componentrun.process.kubernetes.eventerrors import EventErrors

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers as the test says; remembers what was asked."""

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.asked: list[dict[str, str]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        assert self.handler is not None
        return await self.handler(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def kube(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kube]:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with Kube(Access(server.url), Metrics()) as made:
        yield made


async def test_a_log_that_is_cut_off_is_unavailable(server: Server, kube: Kube) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"some")
        assert request.transport is not None
        request.transport.abort()
        return response

    server.handler = handler
    with pytest.raises(UnavailableError):
        async with kube.log("team", "clean-1", "component", since="2026-11-24T07:46:32Z", follow=True) as answer:
            await answer.read()
    assert server.asked[0] == {
        "container": "component", "timestamps": "true", "follow": "true", "sinceTime": "2026-11-24T07:46:32Z",
    }  # fmt: skip


class Seen:
    """A target that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def changed(self, raw: Mapping[str, Any]) -> None:
        self.told.append(f"{raw['metadata']['uid']}@{raw['metadata']['resourceVersion']}")

    def listed(self, raw: Mapping[str, Any]) -> None:
        self.changed(raw)

    def deleted(self, uid: str, last: Mapping[str, Any]) -> None:
        self.changed(last)
        self.told.append(f"-{uid}")

    def vanished(self, uids: AbstractSet[str], errors: EventErrors) -> None:
        for uid in sorted(uids):
            with errors.of(uid, uid):
                self.told.append(f"-{uid}")


def thing(uid: str, version: int) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": uid, "resourceVersion": str(version)}}


def event(kind: str, uid: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": thing(uid, version)}


async def test_a_watch_lists_follows_and_lists_again(
    server: Server, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_FIRST_PAUSE", 0.001)
    lists = [[thing("a", 1), thing("b", 2)], [thing("b", 2), thing("d", 12)]]
    watches = [
        [event("MODIFIED", "a", 3), event("BOOKMARK", "", 5)],
        [event("ADDED", "c", 6), event("DELETED", "c", 7)],
        [{"type": "ERROR", "object": {"code": 410, "message": "too old"}}],
        [],
    ]
    done = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") != "true":
            return web.json_response({"items": lists.pop(0), "metadata": {"resourceVersion": "2"}})
        events = watches.pop(0)
        if not watches:
            done.set()
            await asyncio.sleep(10)
        response = web.StreamResponse()
        await response.prepare(request)
        data = b"".join(json.dumps(item).encode() + b"\n" for item in events)
        for at in range(0, len(data), 7):
            await response.write(data[at : at + 7])
        return response

    server.handler = handler
    seen = Seen()
    watch = Watch(kube, PODS, "team", "a", seen, Metrics())
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert watch.synced
    assert seen.told == ["a@1", "b@2", "a@3", "c@6", "c@7", "-c", "b@2", "d@12", "-a"]
    assert [query["resourceVersion"] for query in server.asked if "watch" in query] == ["2", "5", "7", "2"]


async def test_a_watch_that_is_told_of_a_listing_lists_nothing_itself(
    server: Server, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_FIRST_PAUSE", 0.001)
    again = asyncio.Event()

    async def handler(_: web.Request) -> web.StreamResponse:
        if len(server.asked) > 1:
            again.set()
            await asyncio.sleep(10)
        return web.Response(body=json.dumps(event("MODIFIED", "a", 3)).encode() + b"\n")

    server.handler = handler
    seen = Seen()
    watch = Watch(kube, PODS, "team", "a", seen, Metrics())
    watch.begin_at("2", {"a"})
    assert watch.synced
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(5):
        await again.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert seen.told == ["a@3"]
    assert [(query.get("watch"), query.get("resourceVersion")) for query in server.asked] == [
        ("true", "2"),
        ("true", "3"),
    ]


class Raising(Seen):
    """A target that raises whenever it is told of some objects, until it is mended."""

    def __init__(self, *bad: str) -> None:
        super().__init__()
        self.bad = set(bad)

    def changed(self, raw: Mapping[str, Any]) -> None:
        super().changed(raw)
        if raw["metadata"]["uid"] in self.bad:
            raise KeyError("a defect")


@pytest.mark.parametrize("kind", ["MODIFIED", "DELETED"])
async def test_an_error_about_one_object_ends_no_watch_and_the_object_is_told_again(
    server: Server, kube: Kube, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    monkeypatch.setattr(watch_module, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(watch_module, "_LIST_AGAIN_SECONDS", 0.0)
    lists = [[thing("a", 1), thing("bad", 2)], [thing("a", 4)] + [thing("bad", 3)] * (kind == "MODIFIED"), []]
    watches = [[event(kind, "bad", 3), event("MODIFIED", "a", 4)], [], []]
    done, seen, metrics = asyncio.Event(), Raising("bad"), Metrics()

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") != "true":
            if len(lists) == 2:
                seen.bad.clear()  # the defect was one of that moment
            return web.json_response({"items": lists.pop(0), "metadata": {"resourceVersion": "2"}})
        events = watches.pop(0)
        if not watches:
            done.set()
            await asyncio.sleep(10)
        return web.Response(body=b"".join(json.dumps(item).encode() + b"\n" for item in events))

    server.handler = handler
    task = asyncio.create_task(Watch(kube, PODS, "team", "a", seen, metrics).run())
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    again = ["a@4", "bad@3"] if kind == "MODIFIED" else ["a@4", "-bad"]
    assert seen.told == ["a@1", "bad@2", "bad@3", "a@4", *again]
    assert "pods bad can't be taken in" in caplog.text
    assert "a defect" in caplog.text
    assert 'componentrun_watch_event_errors_total{resource="pods"} 2.0' in metrics.render().decode()
    assert len(lists) == 1, "listed no more once all was taken in"

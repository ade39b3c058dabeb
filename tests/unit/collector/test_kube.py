"""The border to the Kubernetes API, against a real HTTP server on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from kubernetes.aio import client as kubernetes_client

from componentrun.collector import watch as watch_module
from componentrun.collector.kube import PODS, RUNS, GoneError, Kube, KubeError, NotFoundError, UnavailableError
from componentrun.collector.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers as the test says; remembers what was asked."""

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.seen: list[tuple[str, str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, dict(request.query), await request.read()))
        assert self.handler is not None
        return await self.handler(request)

    def answers(self, status: int, document: Any) -> None:
        async def handler(_: web.Request) -> web.Response:
            return web.json_response(document, status=status)

        self.handler = handler


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"  # type: ignore[attr-defined]
    yield made
    await runner.cleanup()


@pytest.fixture
async def kube(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kube]:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    configuration = kubernetes_client.Configuration(host=server.url)  # type: ignore[attr-defined]
    async with Kube(configuration, lambda *seen: server.seen.append(seen)) as made:
        yield made


async def test_an_object(server: Server, kube: Kube) -> None:
    server.answers(200, {"kind": "Pod"})
    assert await kube.get(PODS, "team", "clean-1") == {"kind": "Pod"}
    assert server.asked[0][:2] == ("GET", "/api/v1/namespaces/team/pods/clean-1")
    assert server.seen[0][:2] == ("GET", "200")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFoundError), (410, GoneError), (429, UnavailableError), (503, UnavailableError), (403, KubeError)],
)
async def test_refusals(server: Server, kube: Kube, status: int, kind: type[KubeError]) -> None:
    server.answers(status, {"message": "because"})
    with pytest.raises(kind, match=f"{status}: because") as caught:
        await kube.get(PODS, "team", "clean-1")
    assert type(caught.value) is kind
    assert caught.value.status == status


async def test_a_server_that_is_away(kube: Kube, server: Server) -> None:
    kube._host = "http://127.0.0.1:1"
    with pytest.raises(UnavailableError):
        await kube.get(PODS, "team", "clean-1")
    assert server.seen[0][1] == "ClientConnectorError"


async def test_pages(server: Server, kube: Kube) -> None:
    async def handler(request: web.Request) -> web.Response:
        if "continue" in request.query:
            return web.json_response({"items": [{"n": 2}], "metadata": {"resourceVersion": "7"}})
        return web.json_response({"items": [{"n": 1}], "metadata": {"resourceVersion": "7", "continue": "more"}})

    server.handler = handler
    assert [page async for page in kube.pages(PODS, None, "a=b")] == [([{"n": 1}], "7"), ([{"n": 2}], "7")]
    assert [ask[1] for ask in server.asked] == ["/api/v1/pods"] * 2
    assert server.asked[1][2] == {"limit": "500", "labelSelector": "a=b", "continue": "more"}


async def test_a_status_is_merged(server: Server, kube: Kube) -> None:
    server.answers(200, {})
    await kube.patch_status(RUNS, "team", "clean", {"status": {"events": {"count": 1}}})
    method, path, _, body = server.asked[0]
    assert (method, path) == ("PATCH", "/apis/componentrun.dev/v1alpha1/namespaces/team/componentruns/clean/status")
    assert json.loads(body) == {"status": {"events": {"count": 1}}}


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
    assert server.asked[0][2] == {
        "container": "component", "timestamps": "true", "follow": "true", "sinceTime": "2026-11-24T07:46:32Z",
    }  # fmt: skip


class Seen:
    """A target that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def changed(self, raw: Mapping[str, Any]) -> None:
        self.told.append(f"{raw['metadata']['uid']}@{raw['metadata']['resourceVersion']}")

    def deleted(self, uid: str) -> None:
        self.told.append(f"-{uid}")


def thing(uid: str, version: int) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "resourceVersion": str(version)}}


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
    watch = Watch(kube, PODS, "team", "a", seen)
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert watch.synced
    assert seen.told == ["a@1", "b@2", "a@3", "c@6", "c@7", "-c", "b@2", "d@12", "-a"]
    assert [ask[2]["resourceVersion"] for ask in server.asked if "watch" in ask[2]] == ["2", "5", "7", "2"]

"""A small proxy in front of the API server, for the collector under test.

It keeps runs in memory, so that an installed operator or collector does not process them. Other requests (pods, logs,
Secrets, Storages) go to the real API server. It can cut connections like a network fault.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import yaml
from aiohttp import web

from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.process.kubernetes.connections import LivelySockets
from componentrun.wire import logserver

if TYPE_CHECKING:
    from collections.abc import Coroutine

RUNS = f"/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/componentruns"
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host"}


class Front:
    """Serves at `url` in its own thread until `close`.

    Attributes:
        refuse: while set, HTTP status of all responses to log requests.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.refuse = 0
        self.url = ""
        self._kubeconfig = kubeconfig
        self._runs: dict[str, dict[str, Any]] = {}
        self._version = 1
        self._history: list[tuple[int, dict[str, Any]]] = []
        self._watchers: list[asyncio.Queue[dict[str, Any] | None]] = []
        self._idle: list[asyncio.Queue[dict[str, Any] | None]] = []
        self._logs: list[web.Request] = []
        self._muted: list[web.Request] = []
        self._log_server: dict[str, Any] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._open())

    def close(self) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def put(self, run: dict[str, Any]) -> None:
        """Create or replace a run."""
        self._call(self._put(run))

    def patch_status(self, name: str, status: dict[str, Any]) -> None:
        self._call(self._patch(name, status))

    def get(self, name: str) -> dict[str, Any]:
        return self._runs[name]

    def delete(self, name: str) -> None:
        self._call(self._delete(name))

    def log_server(self, pod: dict[str, Any]) -> None:
        """Set the pod that a collector finds when it searches for log servers."""
        self._log_server = pod

    def cut_logs(self) -> None:
        """Abort all open log streams in the middle of their data."""
        self._call(self._cut())

    def mute_logs(self) -> None:
        """Stop forwarding the open log streams, like a kubelet whose file was rotated away."""
        self._call(self._mute())

    def forget_versions(self) -> None:
        """Behave as after a compaction: watches end, and old resource versions are too old to watch from."""
        self._call(self._forget())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> None:
        config = yaml.safe_load(self._kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=_pem(cluster, "certificate-authority"))
        with tempfile.NamedTemporaryFile("w") as both:
            both.write(_pem(user, "client-certificate") + "\n" + _pem(user, "client-key"))
            both.flush()
            context.load_cert_chain(both.name)
        self._server = cluster["server"]
        self._sockets = LivelySockets()
        connector = aiohttp.TCPConnector(limit=0, ssl=context, socket_factory=self._sockets)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        app = web.Application()
        app.router.add_get(RUNS, self._list_or_watch)
        app.router.add_patch(RUNS + "/{name}/status", self._patch_request)
        app.router.add_route("*", "/{rest:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _close(self) -> None:
        for queue in [*self._watchers, *self._idle]:
            queue.put_nowait(None)
        await self._runner.cleanup()
        await self._session.close()
        await self._sockets.closed()

    async def _put(self, run: dict[str, Any]) -> None:
        self._change("MODIFIED" if run["metadata"]["name"] in self._runs else "ADDED", run)

    async def _patch(self, name: str, status: dict[str, Any]) -> None:
        run = json.loads(json.dumps(self._runs[name]))
        run["status"] = {**run.get("status", {}), **status}
        self._change("MODIFIED", run)

    async def _delete(self, name: str) -> None:
        self._change("DELETED", self._runs[name])
        del self._runs[name]

    def _change(self, kind: str, run: dict[str, Any]) -> None:
        self._version += 1
        run["metadata"]["resourceVersion"] = str(self._version)
        self._runs[run["metadata"]["name"]] = run
        event = {"type": kind, "object": run}
        self._history.append((self._version, event))
        for queue in self._watchers:
            queue.put_nowait(event)

    async def _cut(self) -> None:
        for request in self._logs:
            if request.transport is not None:
                request.transport.abort()

    async def _mute(self) -> None:
        self._muted += self._logs

    async def _forget(self) -> None:
        self._version += 100
        self._history.clear()
        for queue in self._watchers:
            queue.put_nowait({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}})
            queue.put_nowait(None)

    async def _list_or_watch(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") != "true":
            metadata = {"resourceVersion": str(self._version)}
            return web.json_response(
                {"apiVersion": API_VERSION, "metadata": metadata, "items": list(self._runs.values())}
            )
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        # Changes since the listing come first, as from an API server.
        since = int(request.query["resourceVersion"])
        for version, event in self._history:
            if version > since:
                queue.put_nowait(event)
        self._watchers.append(queue)
        try:
            while (event := await queue.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        finally:
            self._watchers.remove(queue)
        return response

    async def _patch_request(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._runs:
            return web.json_response({"message": "not found"}, status=404)
        await self._patch(name, json.loads(await request.read())["status"])
        return web.json_response(self._runs[name])

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("labelSelector") == logserver.SELECTOR and self._log_server is not None:
            return await self._log_servers(request, self._log_server)
        is_log = request.path.endswith("/log")
        if is_log and self.refuse:
            return web.json_response({"message": "as the test wants it"}, status=self.refuse)
        url = self._server + request.raw_path
        async with self._session.request(request.method, url, data=await request.read()) as answer:
            headers = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=headers)
            await response.prepare(request)
            if is_log:
                self._logs.append(request)
            try:
                async for chunk in answer.content.iter_any():
                    if request not in self._muted:
                        await response.write(chunk)
            finally:
                if is_log:
                    self._logs.remove(request)
                    self._muted = [each for each in self._muted if each is not request]
            return response

    async def _log_servers(self, request: web.Request, pod: dict[str, Any]) -> web.StreamResponse:
        if request.query.get("watch") != "true":
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [pod]})
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._idle.append(queue)
        await queue.get()  # wait until this server ends
        return response


def _pem(section: dict[str, Any], name: str) -> str:
    if f"{name}-data" in section:
        return base64.b64decode(section[f"{name}-data"]).decode()
    return Path(section[name]).read_text()


def kubeconfig(url: str) -> str:
    """Kubeconfig for the process under test."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "front", "cluster": {"server": url}}],
            "users": [{"name": "anybody", "user": {}}],
            "contexts": [{"name": "front", "context": {"cluster": "front", "user": "anybody"}}],
            "current-context": "front",
        }
    )

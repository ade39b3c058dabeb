"""The one border to the Kubernetes API: JSON documents, watch events and log bytes.

`kubernetes.aio` loads the configuration, holds the TLS context and renews tokens. Requests go through a session of
our own: there is one connection for each log that is followed, so the number of connections has no limit here, and a
peer that has vanished is noticed by TCP keep-alive, since silence is no error for a log or a watch.
"""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client.rest import RESTClientObject

from componentrun.api.common import GROUP, VERSION
from componentrun.errors import PlatformError, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

__all__ = [
    "PODS",
    "RUNS",
    "SECRETS",
    "STORAGES",
    "GoneError",
    "Kube",
    "KubeError",
    "NotFoundError",
    "Resource",
    "connect",
]

_PAGE: Final = 500
_WATCH_SECONDS: Final = 240
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)
_WATCH_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=10, sock_read=_WATCH_SECONDS + 30)
_LOG_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=10, sock_read=None)
_AT_ONCE: Final = 32
"""Requests at the same time, logs and watches not counted: a collector that starts has to catch up with many runs."""
_BUFFER: Final = 64 * 1024
"""Bytes of a response that wait to be read; at twice as much the connection is not read from, which slows the
sender."""
_OK: Final = 200
_MULTIPLE: Final = 300
_NOT_FOUND: Final = 404
_GONE: Final = 410
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_QUOTED: Final = 500


class KubeError(PlatformError):
    """The API server refused a request, or a log.

    Attributes:
        status: HTTP status; 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        """Say what was asked and what came."""
        super().__init__(message)
        self.status = status


class NotFoundError(KubeError):
    """There is no such object."""


class GoneError(KubeError):
    """The version that a watch was to start from is too old: list again."""


class UnavailableError(KubeError, TransientError):
    """Too busy, broken, not reachable, or cut off."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object as the API server's paths name it."""

    prefix: str
    plural: str

    def path(self, namespace: str | None, *rest: str) -> str:
        """Path of an object or, without a name, of the collection. Namespace None: of the whole cluster."""
        scope = [] if namespace is None else ["namespaces", namespace]
        return "/".join([self.prefix, *(quote(part, safe="") for part in (*scope, self.plural, *rest))])


RUNS: Final = Resource(f"/apis/{GROUP}/{VERSION}", "componentruns")
STORAGES: Final = Resource(f"/apis/{GROUP}/{VERSION}", "storages")
PODS: Final = Resource("/api/v1", "pods")
SECRETS: Final = Resource("/api/v1", "secrets")


class Kube:
    """Requests to one API server. Close it to free its connections."""

    def __init__(
        self, configuration: kubernetes_client.Configuration, observe: Callable[[str, str, str], None]
    ) -> None:
        """Open a session; `observe` is told method, code and host of each request."""
        self._api = kubernetes_client.ApiClient(configuration)
        self._host = str(configuration.host).rstrip("/")
        self._observe = observe
        self._slots = asyncio.Semaphore(_AT_ONCE)
        context = RESTClientObject(configuration).ssl_context
        connector = aiohttp.TCPConnector(limit=0, ssl=context, socket_factory=_lively_socket)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=True, read_bufsize=_BUFFER)

    async def __aenter__(self) -> Self:
        """Nothing to open: the session connects when it is used."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Free the connections."""
        await self._session.close()
        await self._api.close()  # type: ignore[no-untyped-call]  # the client has no types

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        """One object.

        Raises:
            NotFoundError: there is none.
        """
        return await self._json("GET", resource.path(namespace, name))

    async def pages(
        self, resource: Resource, namespace: str | None, labels: str = ""
    ) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        """All objects, a page at a time, each with the version that a watch goes on from."""
        query = {"limit": str(_PAGE)} | ({"labelSelector": labels} if labels else {})
        while True:
            document = await self._json("GET", resource.path(namespace), query=query)
            metadata = document.get("metadata") or {}
            yield document.get("items") or [], str(metadata.get("resourceVersion", ""))
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def watch(
        self, resource: Resource, namespace: str | None, version: str, labels: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        """Events behind a version, until the server ends the answer.

        Raises:
            GoneError: the version is too old.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        } | ({"labelSelector": labels} if labels else {})
        tail = b""
        async with self._open("GET", resource.path(namespace), query, _WATCH_TIMEOUT) as answer:
            async for chunk in answer.content.iter_any():
                *lines, tail = (tail + chunk).split(b"\n")
                for line in lines:
                    yield _checked(_document(line, "watch"))

    @asynccontextmanager
    async def log(
        self, namespace: str, pod: str, container: str, *, since: str | None, follow: bool
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A container's log with timestamps; since: a whole second in RFC 3339.

        Raises:
            NotFoundError: no such pod or container, or its kubelet does not know it (any more, or yet).
            KubeError: any other refusal, e.g. 400 for a container that has not started.
            UnavailableError: no answer, or it was cut off while it was read.
        """
        query = {"container": container, "timestamps": "true", "follow": "true" if follow else "false"}
        if since is not None:
            query["sinceTime"] = since
        async with self._open("GET", PODS.path(namespace, pod, "log"), query, _LOG_TIMEOUT) as answer:
            yield answer

    async def patch_status(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Merge into an object's status."""
        path = resource.path(namespace, name, "status")
        await self._json("PATCH", path, body=json.dumps(body).encode(), kind="application/merge-patch+json")

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        kind: str = "application/json",
    ) -> dict[str, Any]:
        async with self._slots, self._open(method, path, query or {}, _TIMEOUT, body, kind) as answer:
            return _document(await answer.read(), f"{method} {path}")

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
        body: bytes | None = None,
        kind: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer. What goes wrong while it is read becomes an UnavailableError, too."""
        url = self._host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": kind, "User-Agent": "componentrun-collector"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], url, method, body)
        code = ""
        try:
            async with self._session.request(method, url, headers=headers, data=body, timeout=limits) as answer:
                code = str(answer.status)
                if not _OK <= answer.status < _MULTIPLE:
                    raise _error(answer.status, await answer.read(), f"{method} {path}")
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            code = code or type(error).__name__
            raise UnavailableError(f"{method} {path}: {type(error).__name__}: {error}") from error
        finally:
            self._observe(method, code or "cancelled", urlsplit(self._host).netloc)


def _document(content: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise UnavailableError(f"{what}: the answer is no JSON: {content[:_QUOTED]!r}") from error
    if not isinstance(document, dict):
        raise UnavailableError(f"{what}: the answer is no JSON object: {content[:_QUOTED]!r}")
    return document


def _checked(event: dict[str, Any]) -> dict[str, Any]:
    """The watch event, or the error that it tells."""
    if event.get("type") != "ERROR":
        return event
    status = event.get("object") or {}
    code, message = int(status.get("code") or 0), str(status.get("message", ""))
    if code == _GONE:
        raise GoneError(f"watch: {message}", code)
    raise UnavailableError(f"watch: {code}: {message}", code)


def _error(status: int, body: bytes, what: str) -> KubeError:
    try:
        document = json.loads(body)
    except ValueError:
        document = {}  # a proxy's page, or the kubelet's plain text: it is shown as it is
    told = document.get("message") if isinstance(document, dict) else None
    message = f"{what}: {status}: {told or body[:_QUOTED].decode(errors='replace')}"
    if status == _NOT_FOUND:
        return NotFoundError(message, status)
    if status == _GONE:
        return GoneError(message, status)
    if status == _TOO_MANY or status >= _SERVER_ERRORS:
        return UnavailableError(message, status)
    return KubeError(message, status)


def _lively_socket(address: Any) -> socket.socket:
    """A socket that notices within about 30 s that its peer is gone."""
    family, kind, proto, _, _ = address
    made = socket.socket(family, kind, proto)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, seconds in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
    return made


async def connect(observe: Callable[[str, str, str], None]) -> Kube:
    """A client for the cluster this process runs in, else for the one that KUBECONFIG names.

    Raises:
        PlatformError: there is neither.
    """
    configuration = kubernetes_client.Configuration()
    try:
        kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except kubernetes_config.ConfigException as in_cluster:
        try:
            await kubernetes_config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except kubernetes_config.ConfigException as error:
            raise PlatformError(
                f"no Kubernetes API server is known: not in a pod ({in_cluster}) and no usable KUBECONFIG ({error})"
            ) from error
    return Kube(configuration, observe)

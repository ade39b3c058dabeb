"""The asynchronous client of the Kubernetes API: JSON documents, watch events and log bytes; errors of `errors` only.

There is one connection for each log that is followed, so the number of connections has no limit here. A peer that has
vanished is noticed by TCP keep-alive, since silence is no error for a log or a watch.
"""

from __future__ import annotations

import asyncio
import random
from asyncio import sslproto
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from urllib.parse import urlencode, urlsplit

import aiohttp
from pydantic_core import from_json, to_json

from componentrun.errors import PlatformError
from componentrun.process.kubernetes.access.context import access_of
from componentrun.process.kubernetes.access.errors import AccessError, NoClusterError
from componentrun.process.kubernetes.access.incluster import in_cluster_access
from componentrun.process.kubernetes.access.kubeconfig import kubeconfig_files, read_kubeconfig
from componentrun.process.kubernetes.access.proxy import proxy_for
from componentrun.process.kubernetes.clock import ApiClock
from componentrun.process.kubernetes.connections import Answer, lively_socket
from componentrun.process.kubernetes.errors import ConflictError, KubeError, UnavailableError, error_for
from componentrun.process.kubernetes.exchange import (
    APPLY_PATCH,
    FIRST_ERROR,
    JSON,
    LENIENT,
    MERGE_PATCH,
    STRICT,
    Retries,
    applying,
    backoff,
    checked_event,
    deletion,
    listing,
    parse,
    retry_after,
    watching,
)
from componentrun.process.kubernetes.resources import PODS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from componentrun.process.kubernetes.access.access import Access
    from componentrun.process.kubernetes.access.credentials import Certificate, Credential, Credentials
    from componentrun.process.kubernetes.resources import Resource

__all__ = ["Kube", "Page", "RequestObserver", "connect"]

_AT_ONCE: Final = 64
"""Concurrent requests, without logs and watches: at its start a process catches up with many runs."""
_WATCH_SECONDS: Final = 240
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)
_WATCH_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=10, sock_read=_WATCH_SECONDS + 30)
_LOG_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=10, sock_read=None)
_BUFFER: Final = 32 * 1024
"""Read buffer of a response in bytes; at twice this size reading pauses, which slows the sender. A collector has a
thousand of them."""
_TLS_BUFFER: Final = 32 * 1024
"""Buffer of each connection for encrypted data in bytes; the default of asyncio is 256 KiB."""
_UNAUTHORIZED: Final = 401
_PAGE: Final = 100
"""Objects in a page of a listing. Memory for reading a page is not released: with 500 pods, it would be 40 MiB more."""

_read = partial(from_json, cache_strings="keys")


class RequestObserver(Protocol):
    """Counts requests, for metrics."""

    def request_done(self, method: str, code: str, host: str) -> None:
        """A request ended; code is the HTTP status, the name of a connection error, or `cancelled`."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing."""

    items: tuple[dict[str, Any], ...]
    resource_version: str
    """Version of the whole listing, the same on every page."""


class Kube:
    """Requests to one API server. Close it to free its connections."""

    def __init__(self, access: Access, observer: RequestObserver) -> None:
        """Nothing is sent yet."""
        self._access = access
        self._credentials: Credentials = access.credentials
        self._observer = observer
        self.clock = ApiClock()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._random = random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self.host = access.server
        self._proxy, self._proxy_headers = proxy_for(self.host, access.proxy_url)
        self._certificate: Certificate | None = None
        self._session: aiohttp.ClientSession | None = None
        self._earlier_sessions: list[aiohttp.ClientSession] = []

    async def __aenter__(self) -> Self:
        """Nothing to do: connections are opened by the first request."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        for session in (*self._earlier_sessions, self._session):
            if session is not None:
                await session.close()

    @property
    def access(self) -> Access:
        """How the API server is reached."""
        return self._access

    async def credential(self) -> Credential:
        """What requests are authenticated with now.

        Raises:
            AccessError: there is nothing.
        """
        if self._credentials.is_ready():
            return self._credentials.get()
        return await asyncio.to_thread(self._credentials.get)

    async def prepare(self) -> None:
        """Get a credential and make the TLS settings, which the first request would do otherwise.

        Raises:
            AccessError: one of them can't be had.
        """
        self._connected((await self.credential()).certificate)

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        """One object. Raises NotFoundError if it does not exist."""
        return await self.request("GET", resource.path(namespace, name))

    async def pages(self, resource: Resource, namespace: str | None, labels: str = "") -> AsyncIterator[Page]:
        """All objects, a page at a time. Namespace None: of the whole cluster."""
        query = listing(labels, limit=_PAGE)
        while True:
            document = await self.request("GET", resource.path(namespace), query=query)
            metadata = document.get("metadata") or {}
            yield Page(tuple(document.get("items") or ()), str(metadata.get("resourceVersion", "")))
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def watch(
        self, resource: Resource, namespace: str | None, version: str, labels: str = "", *, fields: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        """Events after a version, until the server ends the response.

        Raises:
            GoneError: the version is too old.
        """
        query = watching(version, _WATCH_SECONDS, labels, fields)
        tail = b""
        async with self._open("GET", resource.path(namespace), query=query, limits=_WATCH_TIMEOUT) as answer:
            async for chunk in answer.content.iter_any():
                *lines, tail = (tail + chunk).split(b"\n")
                for line in lines:
                    yield checked_event(parse(line, "watch", _read))

    @asynccontextmanager
    async def log(
        self, namespace: str, pod: str, container: str, *, since: str | None, follow: bool, tail: int | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A container's log with timestamps. `since`: a whole second in RFC 3339; `tail`: only that many last lines.

        Raises:
            NotFoundError: no such pod or container, or its kubelet does not know it.
            KubeError: any other error, such as 400 for a container that has not started.
            UnavailableError: no response, or an incomplete one.
        """
        query = {"container": container, "timestamps": "true", "follow": "true" if follow else "false"}
        if since is not None:
            query["sinceTime"] = since
        if tail is not None:
            query["tailLines"] = str(tail)
        async with self._open("GET", PODS.path(namespace, pod, "log"), query=query, limits=_LOG_TIMEOUT) as answer:
            yield answer

    async def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object.

        Unknown fields are refused, not dropped: parts of pods and policies are free-form in our objects, so that typing
        errors would go unnoticed.

        Raises:
            AlreadyExistsError: the name is taken, possibly by an earlier try.
            UnavailableError: also if another request updated a ResourceQuota at the same time.
        """
        try:
            return await self.request("POST", resource.path(namespace), query=STRICT, body=body)
        except ConflictError as error:
            raise UnavailableError(error.message, error.status) from error

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any], subresource: str = ""
    ) -> dict[str, Any]:
        """Merge into an object. With metadata.resourceVersion in the body, ConflictError if it has changed since."""
        path = resource.path(namespace, name, subresource)
        return await self.request("PATCH", path, query=LENIENT, body=body, kind=MERGE_PATCH)

    async def apply(self, resource: Resource, namespace: str, body: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """Create an object, or change the fields that the body has (server-side apply). Unknown fields are refused.

        Args:
            resource: the kind.
            namespace: of the object.
            body: its name, and the fields that `manager` wants to own; their texts are ASCII, since the server reads
                the body as YAML.
            manager: owner of the fields.
        """
        path = resource.path(namespace, body["metadata"]["name"])
        return await self.request("PATCH", path, query=applying(manager), body=body, kind=APPLY_PATCH)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        uid: str,
        grace_seconds: int | None = None,
        *,
        version: str = "",
    ) -> dict[str, Any]:
        """Delete exactly this object, at this version if one is given. Returns the object if it is deleted later.

        Raises:
            NotFoundError: it does not exist.
            ConflictError: it has another uid, or has changed since that version.
        """
        body = deletion(uid, grace_seconds, version)
        return await self.request("DELETE", resource.path(namespace, name), body=body)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        kind: str = JSON,
    ) -> dict[str, Any]:
        """Send a request; retry it while the server is busy, broken or unavailable.

        Raises:
            KubeError: the server refused it; the subclass says why, `may_be_done` whether a try may have worked.
            UnavailableError: all tries failed.
        """
        data = None if body is None else to_json(body)
        retries = Retries(self._pause)
        while True:
            try:
                async with self._slots, self._open(method, path, query=query, data=data, kind=kind) as answer:
                    content = await answer.read()
            except KubeError as error:
                pause = retries.pause_after(error)
            else:
                return parse(content, f"{method} {path}", _read) if content else {}
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        kind: str = JSON,
        limits: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful response. Errors while it is read become UnavailableError as well."""
        url = self.host + path + (f"?{urlencode(query)}" if query else "")
        what, code = f"{method} {path}", ""
        headers = {"Accept": f"{JSON}, */*", "Content-Type": kind, "User-Agent": "componentrun"}
        session, credential = await self._ready(what)
        asked_at = self.clock.ticks()
        try:
            async with session.request(
                method,
                url,
                headers=[*headers.items(), *credential.headers().items(), *self._access.headers],
                data=data,
                timeout=limits,
                proxy=self._proxy,
                proxy_headers=self._proxy_headers,
                server_hostname=self._access.tls_server_name or None,
            ) as answer:
                code = str(answer.status)
                self.clock.answered(answer.headers.get("Date", ""), asked_at, Answer.connection_of(answer))
                if answer.status >= FIRST_ERROR:
                    refusal = error_for(answer.status, await answer.read(), what)
                    refusal.retry_after = retry_after(answer.headers.get("Retry-After"))
                    refusal.may_be_renewed = answer.status == _UNAUTHORIZED and self._credentials.discard(credential)
                    raise refusal
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            problem = "it was cut off" if code else "no answer"
            code = code or type(error).__name__
            lost = UnavailableError(f"{what}: {problem}: {type(error).__name__}: {error}")
            # Nothing was sent without a connection.
            lost.may_be_done = not isinstance(error, aiohttp.ClientConnectorError)
            raise lost from error
        finally:
            self._observer.request_done(method, code or "cancelled", urlsplit(self.host).netloc)

    def _pause(self, tries: int) -> float:
        return backoff(self._random, tries)

    async def _ready(self, what: str) -> tuple[aiohttp.ClientSession, Credential]:
        """Connections and a credential for a request. What keeps us from having them may pass."""
        try:
            credential = await self.credential()
            return self._connected(credential.certificate), credential
        except AccessError as error:
            lost = UnavailableError(f"{what}: not sent: {error.message}")
            lost.may_be_done = False
            raise lost from error

    def _connected(self, certificate: Certificate | None) -> aiohttp.ClientSession:
        """Connections that show this client certificate."""
        if self._session is None or certificate != self._certificate:
            if self._session is not None:
                # Requests that are under way go on; idle connections close by themselves.
                self._earlier_sessions.append(self._session)
            tls = self._access.tls(certificate)
            connector = aiohttp.TCPConnector(limit=0, ssl=tls, socket_factory=lively_socket)
            self._session = aiohttp.ClientSession(connector=connector, read_bufsize=_BUFFER, response_class=Answer)
            self._certificate = certificate
        return self._session


async def connect(observer: RequestObserver) -> Kube:
    """A client for the cluster this process runs in, else for the one that KUBECONFIG names.

    Raises:
        PlatformError: there is neither.
    """
    sslproto.SSLProtocol.max_size = _TLS_BUFFER
    try:
        kube = Kube(_access(), observer)
        await kube.prepare()
    except AccessError as error:
        raise PlatformError(f"no Kubernetes API server is known: {error.summary}", advice=error.advice) from error
    return kube


def _access() -> Access:
    try:
        return in_cluster_access()
    except NoClusterError as in_cluster:
        files = kubeconfig_files()
        if not files:
            raise PlatformError(
                f"no Kubernetes API server is known: {in_cluster.summary}, and there is no kubeconfig"
            ) from in_cluster
        return access_of(read_kubeconfig(files))

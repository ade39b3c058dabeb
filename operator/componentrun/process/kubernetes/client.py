"""The one border to the Kubernetes API: JSON documents, watch events and log bytes; errors of `errors` only.

`kubernetes.aio` loads the configuration and renews tokens; its generated models are not used, as they cost more time
than the request. Requests go through a session of our own: there is one connection for each log that is followed, so
the number of connections has no limit here, and a peer that has vanished is noticed by TCP keep-alive, since silence is
no error for a log or a watch.
"""

from __future__ import annotations

import asyncio
import logging
import random
from asyncio import sslproto
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from urllib.parse import urlencode, urlsplit

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from pydantic_core import from_json, to_json

from componentrun.errors import PlatformError
from componentrun.process.depths import without_depths
from componentrun.process.kubernetes.clock import ApiClock
from componentrun.process.kubernetes.connections import Answer, lively_socket, proxy_for
from componentrun.process.kubernetes.errors import ConflictError, GoneError, KubeError, UnavailableError, error_for
from componentrun.process.kubernetes.resources import PODS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from componentrun.process.kubernetes.resources import Resource

__all__ = ["Kube", "Page", "RequestObserver", "connect"]

log = logging.getLogger(__name__)

_JSON: Final = "application/json"
_STRICT: Final = {"fieldValidation": "Strict"}
_LENIENT: Final = {"fieldValidation": "Ignore"}
"""What we write ourselves has the fields that there are; by default the server looks for others, and warns."""
_MERGE_PATCH: Final = "application/merge-patch+json"
_AT_ONCE: Final = 64
"""Requests at the same time, logs and watches not counted: a process that starts has to catch up with many runs."""
_WATCH_SECONDS: Final = 240
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)
_WATCH_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=10, sock_read=_WATCH_SECONDS + 30)
_LOG_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=10, sock_read=None)
_BUFFER: Final = 32 * 1024
"""Bytes of a response that wait to be read; at twice as much the connection is not read from, which slows the
sender. A collector has a thousand of them."""
_TLS_BUFFER: Final = 32 * 1024
"""Bytes of each connection for what TLS has not deciphered yet; asyncio would take 256 KiB at once for each."""
_PAGE: Final = 100
"""Objects in a part of a listing. What one takes while it is read is not given back: with 500 pods, 40 MiB more."""
_TRIES: Final = 4
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0
_FIRST_ERROR: Final = 300
"""A redirect that could not be followed is one, too."""
_UNAUTHORIZED: Final = 401
_GONE: Final = 410
_QUOTED: Final = 200
_TOO_DEEP: Final = "recursion limit"
"""In the parser's words for JSON that is nested deeper than it goes."""


class RequestObserver(Protocol):
    """Told about every request, for metrics."""

    def request_done(self, method: str, code: str, host: str) -> None:
        """A request ended; code is the HTTP status, the name of a connection error, or `cancelled`."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing."""

    items: tuple[dict[str, Any], ...]
    resource_version: str
    """Version of the whole listing; the same on every page."""


class Kube:
    """Requests to one API server. Close it to free its connections."""

    def __init__(
        self,
        configuration: kubernetes_client.Configuration,
        observer: RequestObserver,
        *,
        reload: Callable[[], None] | None = None,
    ) -> None:
        """Nothing is sent yet. `reload` reads the token anew, where it may have been replaced."""
        self._api = kubernetes_client.ApiClient(configuration)
        self._observer = observer
        self.configuration = configuration
        self.clock = ApiClock()
        self._reload = reload
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._random = random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self.host = str(configuration.host).rstrip("/")
        connector = aiohttp.TCPConnector(limit=0, ssl=self._api.rest_client.ssl_context, socket_factory=lively_socket)
        self._session = aiohttp.ClientSession(connector=connector, read_bufsize=_BUFFER, response_class=Answer)
        self._proxy, self._proxy_headers = proxy_for(self.host, configuration.proxy)

    async def __aenter__(self) -> Self:
        """Nothing to do: connections are opened by the first request."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._session.close()
        await self._api.close()  # type: ignore[no-untyped-call]  # the client has no types

    def reload_token(self) -> bool:
        """Read the token anew; whether that can be done at all."""
        if self._reload is None:
            return False
        self._reload()
        return True

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        """One object. Raises NotFoundError where there is none."""
        return await self.request("GET", resource.path(namespace, name))

    async def pages(self, resource: Resource, namespace: str | None, labels: str = "") -> AsyncIterator[Page]:
        """All objects, a page at a time. Namespace None: of the whole cluster."""
        query = {"limit": str(_PAGE)} | ({"labelSelector": labels} if labels else {})
        while True:
            document = await self.request("GET", resource.path(namespace), query=query)
            metadata = document.get("metadata") or {}
            yield Page(tuple(document.get("items") or ()), str(metadata.get("resourceVersion", "")))
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
        async with self._open("GET", resource.path(namespace), query=query, limits=_WATCH_TIMEOUT) as answer:
            async for chunk in answer.content.iter_any():
                *lines, tail = (tail + chunk).split(b"\n")
                for line in lines:
                    yield _checked(_parse(line, "watch"))

    @asynccontextmanager
    async def log(
        self, namespace: str, pod: str, container: str, *, since: str | None, follow: bool, tail: int | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A container's log with timestamps; since: a whole second in RFC 3339; tail: only so many lines at its end.

        Raises:
            NotFoundError: no such pod or container, or its kubelet does not know it (any more, or yet).
            KubeError: any other refusal, e.g. 400 for a container that has not started.
            UnavailableError: no answer, or it was cut off while it was read.
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

        A field that the server does not know is refused, not dropped: parts of a pod (its affinity) and of a policy
        (the way to the store) are free-form in our objects, and a typing error there would go unnoticed.

        Raises:
            AlreadyExistsError: the name is taken (maybe by an earlier try of ours).
            UnavailableError: likewise where others were faster at a ResourceQuota, which counts by compare-and-swap.
        """
        try:
            return await self.request("POST", resource.path(namespace), query=_STRICT, body=body)
        except ConflictError as error:
            raise UnavailableError(error.message, error.status) from error

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any], subresource: str = ""
    ) -> dict[str, Any]:
        """Merge into an object. With metadata.resourceVersion in the body, ConflictError where it changed since."""
        path = resource.path(namespace, name, subresource)
        return await self.request("PATCH", path, query=_LENIENT, body=body, kind=_MERGE_PATCH)

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
        """Delete exactly this object, at this version if one is given; the object where it stays for a while.

        Raises:
            NotFoundError: it is gone already.
            ConflictError: the uid is another's, or it has changed since that version.
        """
        conditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        body: dict[str, Any] = {"preconditions": conditions, "propagationPolicy": "Background"}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        return await self.request("DELETE", resource.path(namespace, name), body=body)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        kind: str = _JSON,
    ) -> dict[str, Any]:
        """One request, tried again while the server is busy, broken or away.

        Raises:
            KubeError: the server refused it; the subclass says why, `may_be_done` whether an earlier try got through.
            UnavailableError: all tries failed.
        """
        data = None if body is None else to_json(body)
        tries, reloaded, may_be_done = 0, False, False
        while True:
            tries += 1
            try:
                async with self._slots, self._open(method, path, query=query, data=data, kind=kind) as answer:
                    content = await answer.read()
            except KubeError as error:
                may_be_done = error.may_be_done = may_be_done or error.may_be_done
                if isinstance(error, UnavailableError) and tries < _TRIES:
                    log.debug("trying again: %s", error.message)
                    await asyncio.sleep(error.retry_after or self._pause(tries))
                elif error.status == _UNAUTHORIZED and not reloaded and self.reload_token():
                    reloaded = True
                else:
                    raise
            else:
                return _parse(content, f"{method} {path}") if content else {}

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        kind: str = _JSON,
        limits: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer. What goes wrong while it is read becomes an UnavailableError, too."""
        url = self.host + path + (f"?{urlencode(query)}" if query else "")
        what, code = f"{method} {path}", ""
        headers = {"Accept": f"{_JSON}, */*", "Content-Type": kind, "User-Agent": "componentrun"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], url, method, data)
        asked_at = self.clock.ticks()
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                data=data,
                timeout=limits,
                proxy=self._proxy,
                proxy_headers=self._proxy_headers,
                server_hostname=self.configuration.tls_server_name,
            ) as answer:
                code = str(answer.status)
                self.clock.answered(answer.headers.get("Date", ""), asked_at, Answer.connection_of(answer))
                if answer.status >= _FIRST_ERROR:
                    refusal = error_for(answer.status, await answer.read(), what)
                    refusal.retry_after = _retry_after(answer.headers)
                    raise refusal
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            told = "it was cut off" if code else "no answer"
            code = code or type(error).__name__
            lost = UnavailableError(f"{what}: {told}: {type(error).__name__}: {error}")
            # Without a connection nothing was sent.
            lost.may_be_done = not isinstance(error, aiohttp.ClientConnectorError)
            raise lost from error
        finally:
            self._observer.request_done(method, code or "cancelled", urlsplit(self.host).netloc)

    def _pause(self, tries: int) -> float:
        return self._random.uniform(0.5, 1.0) * min(_FIRST_PAUSE * 2.0 ** (tries - 1), _LONGEST_PAUSE)


def _retry_after(headers: Mapping[str, str]) -> float:
    text = headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0


def _parse(content: bytes, what: str) -> dict[str, Any]:
    try:
        document = _read(content)
    except ValueError as error:
        raise UnavailableError(f"{what}: the answer is no JSON: {content[:_QUOTED]!r}") from error
    if not isinstance(document, dict):
        raise UnavailableError(f"{what}: the answer is no JSON object: {content[:_QUOTED]!r}")
    return document


def _read(content: bytes) -> Any:
    """The document; nested deeper than can be read, without what is too deep, which `core` then refuses.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return from_json(content, cache_strings="keys")
    except ValueError as error:
        if _TOO_DEEP not in str(error):
            raise
    return from_json(without_depths(content), cache_strings="keys")


def _checked(event: dict[str, Any]) -> dict[str, Any]:
    """The watch event, or the error that it tells."""
    if event.get("type") != "ERROR":
        return event
    status = event.get("object") or {}
    code, message = int(status.get("code") or 0), str(status.get("message", ""))
    if code == _GONE:
        raise GoneError(f"watch: {message}", code)
    raise UnavailableError(f"watch: {code}: {message}", code)


async def connect(observer: RequestObserver) -> Kube:
    """A client for the cluster this process runs in, else for the one that KUBECONFIG names.

    Raises:
        PlatformError: there is neither.
    """
    configuration = kubernetes_client.Configuration()
    sslproto.SSLProtocol.max_size = _TLS_BUFFER

    def load_in_cluster() -> None:
        kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # likewise

    try:
        load_in_cluster()
    except kubernetes_config.ConfigException as in_cluster:
        try:
            await kubernetes_config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # likewise
        except kubernetes_config.ConfigException as error:
            raise PlatformError(
                f"no Kubernetes API server is known: not in a pod ({in_cluster}) and no usable KUBECONFIG ({error})"
            ) from error
        return Kube(configuration, observer)
    return Kube(configuration, observer, reload=load_in_cluster)

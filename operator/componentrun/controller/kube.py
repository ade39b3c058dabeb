"""The one border to the Kubernetes API: JSON documents in and out, errors of `kubeerrors` only.

`kubernetes.aio` loads the configuration, holds the TLS context and renews tokens; its generated models are not used, as
they cost more time than the request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from componentrun.api.common import GROUP, VERSION
from componentrun.controller.kubeerrors import UnavailableError, error_for
from componentrun.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

__all__ = [
    "COMPONENTS",
    "EVENTS",
    "LEASES",
    "NETWORK_POLICIES",
    "PODS",
    "RUNS",
    "SECRETS",
    "STORAGES",
    "Kube",
    "Page",
    "Resource",
    "connect",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object as the API server's paths name it."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """Path of an object or, without a name, of the collection. Namespace None: of the whole cluster."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)


RUNS: Final = Resource(GROUP, VERSION, "componentruns")
COMPONENTS: Final = Resource(GROUP, VERSION, "components")
STORAGES: Final = Resource(GROUP, VERSION, "storages")
PODS: Final = Resource("", "v1", "pods")
SECRETS: Final = Resource("", "v1", "secrets")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
EVENTS: Final = Resource("events.k8s.io", "v1", "events")
NETWORK_POLICIES: Final = Resource("networking.k8s.io", "v1", "networkpolicies")

_JSON: Final = "application/json"
_STRICT: Final = {"fieldValidation": "Strict"}
_MERGE_PATCH: Final = "application/merge-patch+json"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10)
_PAGE: Final = 500
_RETRIES: Final = 4
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0
_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429
_FIRST_ERROR: Final = 400
_SERVER_ERRORS: Final = 500


class RequestObserver(Protocol):
    """Told about every request, for metrics."""

    def request_done(self, method: str, code: str, host: str) -> None:
        """A request was answered; code is the HTTP status, or the name of a connection error."""


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
        observer: RequestObserver | None = None,
        *,
        reload: Callable[[], None] | None = None,
    ) -> None:
        """Nothing is sent yet. `reload` reads the token anew, where it may have been replaced."""
        self._api = kubernetes_client.ApiClient(configuration)
        self._observer = observer
        self.configuration = configuration
        self._reload = reload
        self._random = random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self.host = str(configuration.host).rstrip("/")

    async def __aenter__(self) -> Self:
        """Nothing to do: connections are opened by the first request."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
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

    async def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object. Raises AlreadyExistsError where the name is taken (maybe by an earlier try of ours).

        A field that the server does not know is refused, not dropped: parts of a pod (its affinity) and of a policy
        (the way to the store) are free-form in our objects, and a typing error there would go unnoticed.
        """
        return await self.request("POST", resource.path(namespace), query=_STRICT, body=body)

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any], subresource: str = ""
    ) -> dict[str, Any]:
        """Merge into an object. With metadata.resourceVersion in the body, ConflictError where it changed since."""
        return await self.request("PATCH", resource.path(namespace, name, subresource), body=body, kind=_MERGE_PATCH)

    async def delete(
        self, resource: Resource, namespace: str, name: str, uid: str, grace_seconds: int | None = None
    ) -> dict[str, Any]:
        """Delete exactly this object; the object where it is still there for a while, else a Status.

        Raises:
            NotFoundError: it is gone already.
            ConflictError: the uid is another's.
        """
        body: dict[str, Any] = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
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
            KubeError: the server refused it; the subclass says why.
            UnavailableError: all tries failed.
        """
        url = self.host + path + (f"?{urlencode(query)}" if query else "")
        what = f"{method} {path}"
        for attempt in range(_RETRIES):
            status, content, wait = await self._try(method, url, body, kind, what, last=attempt == _RETRIES - 1)
            if status and status < _FIRST_ERROR:
                return _parse(content, what)
            if status == _UNAUTHORIZED and attempt == 0 and self.reload_token():
                continue
            if status and status != _TOO_MANY and status < _SERVER_ERRORS:
                break
            if attempt < _RETRIES - 1:
                await asyncio.sleep(wait or self._pause(attempt))
        raise error_for(status, content, what)

    async def _try(
        self, method: str, url: str, body: Mapping[str, Any] | None, kind: str, what: str, *, last: bool
    ) -> tuple[int, bytes, float]:
        """Status, content and the pause the server asked for; status 0 where there was no answer.

        Raises:
            UnavailableError: no answer, and this was the last try.
        """
        headers = {"Accept": _JSON, "Content-Type": kind, "User-Agent": "componentrun-operator"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], url, method, body)
        try:
            answer = await self._api.rest_client.request(  # type: ignore[no-untyped-call]
                method, url, headers=headers, body=body, _request_timeout=_TIMEOUT
            )
            content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._observe(method, type(error).__name__)
            if last:
                raise UnavailableError(f"{what}: no answer: {type(error).__name__}: {error}") from error
            log.debug("%s: no answer, trying again: %r", what, error)
            return 0, b"", 0.0
        self._observe(method, str(answer.status))
        return answer.status, content, _retry_after(answer.headers)

    def _observe(self, method: str, code: str) -> None:
        if self._observer is not None:
            self._observer.request_done(method, code, urlsplit(self.host).netloc)

    def _pause(self, attempt: int) -> float:
        return self._random.uniform(0.5, 1.0) * min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE)


def _retry_after(headers: Mapping[str, str]) -> float:
    text = headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0


def _parse(content: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(content) if content else {}
    except ValueError as error:
        raise UnavailableError(f"{what}: the answer is no JSON: {content[:200]!r}") from error
    if not isinstance(document, dict):
        raise UnavailableError(f"{what}: the answer is no JSON object: {content[:200]!r}")
    return document


async def connect(observer: RequestObserver | None = None, *, connections: int = 64) -> Kube:
    """A client for the cluster the operator runs in, else for the one that KUBECONFIG names.

    Raises:
        PlatformError: there is neither.
    """
    configuration = kubernetes_client.Configuration()
    configuration.connection_pool_maxsize = connections

    def load_in_cluster() -> None:
        kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]

    try:
        load_in_cluster()
    except kubernetes_config.ConfigException as in_cluster:
        try:
            await kubernetes_config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except kubernetes_config.ConfigException as error:
            raise PlatformError(
                f"no Kubernetes API server is known: not in a pod ({in_cluster}) and no usable KUBECONFIG ({error})"
            ) from error
        return Kube(configuration, observer)
    return Kube(configuration, observer, reload=load_in_cluster)

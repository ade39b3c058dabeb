"""The blocking client of the Kubernetes API, for the command line: one connection, standard library only.

It starts in a fraction of the time that aiohttp takes to import. What it sends, how it reads answers and when it sends
a request again is what `client` does (`exchange`), with one difference: a request that may have been carried out is
sent again only if carrying it out twice is the same as once.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

from componentrun.process.kubernetes.errors import KubeError, error_for
from componentrun.process.kubernetes.exchange import (
    APPLY_PATCH,
    FIRST_ERROR,
    JSON,
    MERGE_PATCH,
    STRICT,
    Retries,
    applying,
    backoff,
    body_of,
    checked_event,
    deletion,
    listing,
    parse,
    retry_after,
    watching,
)
from componentrun.process.kubernetes.httpconnection import Connection, Request, cut_off
from componentrun.process.kubernetes.resources import PODS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from componentrun.process.kubernetes.access.access import Access
    from componentrun.process.kubernetes.access.credentials import Credential
    from componentrun.process.kubernetes.resources import Resource

__all__ = ["BlockingKube"]

_READ_SECONDS: Final = 30.0
_LOG_SECONDS: Final = 3660.0
"""How long a log that is followed may be silent: a command of a build may print nothing for its whole timeout."""
_LINE_BYTES: Final = 65536
_PAGE: Final = 500
_UNAUTHORIZED: Final = 401
_REPEATABLE: Final = frozenset({"GET", "PATCH"})
"""Reads, merge patches and applies. A name that is generated is another one each time, and a deletion may hit a
successor."""


class BlockingKube:
    """Requests to one API server, one at a time, from any thread. Close it to free its connection."""

    def __init__(self, access: Access) -> None:
        """Nothing is sent yet.

        Raises:
            AccessError: the proxy can't be used.
        """
        self._access = access
        self._connection = Connection(access, _READ_SECONDS)
        self._lock = threading.Lock()
        self._random = random.Random()  # noqa: S311 - spreads retries, keeps no secret

    def __enter__(self) -> Self:
        """Nothing to do: the connection is opened by the first request."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    @property
    def access(self) -> Access:
        """How the API server is reached."""
        return self._access

    def close(self) -> None:
        """Close the connection; the next request opens it again."""
        self._connection.close()

    def get(self, resource: Resource, namespace: str | None, name: str, subresource: str = "") -> dict[str, Any]:
        """One object."""
        return self.request("GET", resource.path(namespace, name, subresource))

    def list(
        self, resource: Resource, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> list[dict[str, Any]]:
        """All objects that the selectors choose, read in pages. Namespace None: of the whole cluster."""
        query = listing(labels, fields, _PAGE)
        items: list[dict[str, Any]] = []
        while True:
            page = self.request("GET", resource.path(namespace), query=query)
            # Items of a list lack these two; commands that print an item need them.
            head = {"apiVersion": resource.api_version, "kind": resource.kind}
            items += [head | item for item in page.get("items") or ()]
            query["continue"] = (page.get("metadata") or {}).get("continue") or ""
            if not query["continue"]:
                return items

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        version: str,
        seconds: int,
        *,
        labels: str = "",
        fields: str = "",
        connection: Connection | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Events behind a version, until the server ends the answer, at the latest after so many seconds.

        Args:
            resource: the kind.
            namespace: of the objects; None: all.
            version: the version.
            seconds: maximum duration.
            labels: selector of labels.
            fields: selector of fields.
            connection: from `watch_connection`, for callers that abort the watch from another thread.

        Raises:
            GoneError: the version is too old.
        """
        request = Request("GET", resource.path(namespace), watching(version, seconds, labels, fields))
        connection = connection or self.watch_connection(seconds)
        try:
            for line in self._answer(connection, request):
                yield checked_event(parse(line, "watch"))
        except (http.client.HTTPException, OSError) as error:
            raise cut_off(request, error) from error
        finally:
            connection.close()

    def watch_connection(self, seconds: int) -> Connection:
        """A connection for a watch of so many seconds. `abort` ends the watch from another thread."""
        return Connection(self._access, seconds + _READ_SECONDS)

    def log(self, namespace: str, pod: str, container: str, *, follow: bool) -> Iterator[bytes]:
        """Lines of a container's log, each with its line break; a line of more than 64 KiB in parts.

        Args:
            namespace: of the pod.
            pod: name of the pod.
            container: name of the container.
            follow: wait for further lines until the container has ended.

        Raises:
            NotFoundError: there is no such pod, or its node does not know it.
            KubeError: any other error, such as 400 for a container that has not started.
        """
        query = {"container": container, "follow": "true" if follow else "false"}
        yield from self._lines(Request("GET", PODS.path(namespace, pod, "log"), query))

    def _lines(self, request: Request) -> Iterator[bytes]:
        """An answer line by line, over a connection of its own."""
        connection = Connection(self._access, _LOG_SECONDS)
        try:
            answer = self._answer(connection, request)
            while line := answer.readline(_LINE_BYTES):
                yield line
        except (http.client.HTTPException, OSError) as error:
            raise cut_off(request, error) from error
        finally:
            connection.close()

    def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: Mapping[str, Any],
        *,
        dry_run: bool = False,
        may_repeat: bool = False,
    ) -> dict[str, Any]:
        """Create an object. A field that the server does not know is refused.

        Args:
            resource: the kind.
            namespace: of the object.
            body: the object.
            dry_run: only check it.
            may_repeat: whether a creation whose answer was lost is sent again. The answer may then be that the object
                exists, since the first one has created it.
        """
        query = STRICT | ({"dryRun": "All"} if dry_run else {})
        return self.request("POST", resource.path(namespace), query=query, body=body, may_repeat=may_repeat)

    def patch(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], subresource: str = ""
    ) -> dict[str, Any]:
        """Merge into an object."""
        return self.request("PATCH", resource.path(namespace, name, subresource), body=body, kind=MERGE_PATCH)

    def apply(
        self, resource: Resource, namespace: str | None, body: Mapping[str, Any], manager: str, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Apply an object on the server: create it, or make its fields those of the manager's last apply.

        Fields that the manager applied before and that the object no longer has are removed. Fields that others have
        changed are changed back.
        """
        path = resource.path(namespace, str(body["metadata"]["name"]))
        return self.request("PATCH", path, query=applying(manager, dry_run=dry_run), body=body, kind=APPLY_PATCH)

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str = "",
        grace_seconds: int | None = None,
    ) -> dict[str, Any]:
        """Delete an object; what belongs to it goes with it."""
        return self.request("DELETE", resource.path(namespace, name), body=deletion(uid, grace_seconds))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        kind: str = JSON,
        may_repeat: bool = False,
    ) -> dict[str, Any]:
        """One request. `may_repeat`: send it again even if it may have been carried out, whatever the method.

        Raises:
            KubeError: the server refused it; the subclass says why.
            UnavailableError: all tries failed.
            AccessError: there is no credential.
        """
        data = None if body is None else body_of(body, kind)
        request = Request(method, path, query or {}, data, kind)
        retries = Retries(self._pause, may_repeat=may_repeat or method in _REPEATABLE)
        while True:
            try:
                content = self._content(request)
            except KubeError as error:
                pause = retries.pause_after(error)
            else:
                return parse(content, request.what) if content else {}
            time.sleep(pause)

    def _content(self, request: Request) -> bytes:
        """One try."""
        with self._lock:
            try:
                content: bytes = self._answer(self._connection, request).read()
            except (http.client.HTTPException, OSError) as error:
                self.close()
                raise cut_off(request, error) from error
        return content

    def _answer(self, connection: Connection, request: Request) -> http.client.HTTPResponse:
        """A successful answer; its body is still to be read."""
        credential: Credential = self._access.credentials.get()
        answer = connection.send(request, credential)
        if answer.status < FIRST_ERROR:
            return answer
        refusal = error_for(answer.status, answer.read(), request.what)
        refusal.retry_after = retry_after(answer.headers.get("Retry-After"))
        refusal.may_be_renewed = answer.status == _UNAUTHORIZED and self._access.credentials.discard(credential)
        raise refusal

    def _pause(self, tries: int) -> float:
        return backoff(self._random, tries)

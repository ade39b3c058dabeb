"""Requests to a server, in a namespace of their own, and what is compared of its answers."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.common import API_VERSION
from tests.fakekube.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import aiohttp

MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
WAIT_SECONDS: Final = 60


@dataclass(frozen=True)
class Answer:
    """An answer to a request."""

    status: int
    document: Any

    @property
    def metadata(self) -> dict[str, Any]:
        """Of the object in it."""
        return dict(self.document["metadata"])

    @property
    def version(self) -> str:
        """Resource version of the object in it."""
        return str(self.document["metadata"]["resourceVersion"])

    def refusal(self) -> tuple[int, str, str]:
        """Code, reason and message of the Status in it."""
        document = self.document
        assert document["kind"] == "Status"
        assert (document["apiVersion"], document["metadata"], document["status"]) == ("v1", {}, "Failure")
        assert document["code"] == self.status
        return self.status, document.get("reason", ""), document["message"]


@dataclass(frozen=True)
class Api:
    """A server, and a namespace that no other scenario uses."""

    session: aiohttp.ClientSession
    url: str
    namespace: str

    def path(self, plural: str, name: str = "", subresource: str = "") -> str:
        """Path of an object, or of the collection in the namespace."""
        kind = kind_of(plural)
        root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        inside = f"/namespaces/{self.namespace}" if kind.namespaced else ""
        return root + inside + "".join(f"/{part}" for part in (plural, name, subresource) if part)

    async def request(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", **query: str
    ) -> Answer:
        """One request."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind}
        async with self.session.request(method, self.url + path, params=query, data=data, headers=headers) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return Answer(answer.status, json.loads(text) if is_json and text else text)

    async def get(self, plural: str, name: str) -> Answer:
        """Read an object."""
        return await self.request("GET", self.path(plural, name))

    async def list(self, plural: str, **query: str) -> Answer:
        """List the objects of the namespace."""
        return await self.request("GET", self.path(plural), **query)

    async def create(self, plural: str, body: Any, **query: str) -> Answer:
        """Create an object."""
        return await self.request("POST", self.path(plural), body, **query)

    async def patch(self, plural: str, name: str, patch: Any, kind: str = MERGE, subresource: str = "") -> Answer:
        """Patch an object."""
        return await self.request("PATCH", self.path(plural, name, subresource), patch, kind=kind)

    async def replace(self, plural: str, name: str, body: Any) -> Answer:
        """Replace an object."""
        return await self.request("PUT", self.path(plural, name), body)

    async def delete(self, plural: str, name: str, options: Any = None) -> Answer:
        """Delete an object."""
        return await self.request("DELETE", self.path(plural, name), options)

    @asynccontextmanager
    async def watch(self, plural: str, **query: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The events of a watch in the namespace."""
        query = {"watch": "true", **query}
        async with self.session.get(self.url + self.path(plural), params=query) as answer:
            assert answer.status == 200, await answer.text()
            yield _events(answer)

    async def wait_until_gone(self, plural: str, name: str) -> None:
        """Until there is no such object."""
        await eventually(lambda: self.get(plural, name), lambda answer: answer.status == 404)


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        yield json.loads(line)


async def take(events: AsyncIterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The next events of a watch, bookmarks left out."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(WAIT_SECONDS):
        async for event in events:
            found += [event] if event["type"] != "BOOKMARK" else []
            if len(found) == count:
                return found
    raise AssertionError(f"the watch ended after {found}")


async def eventually(look: Callable[[], Awaitable[Answer]], is_so: Callable[[Answer], bool]) -> Answer:
    """The first answer that is as it has to be."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_so(answer := await look()):  # noqa: ASYNC110 - the server sends no event
            await asyncio.sleep(0.2)
        return answer


def names(answer: Answer) -> list[str]:
    """Names of the objects of a listing."""
    return [item["metadata"]["name"] for item in answer.document["items"]]


def secret(name: str, labels: dict[str, str] | None = None, **texts: str) -> dict[str, Any]:
    """A Secret."""
    metadata: dict[str, Any] = {"name": name} | ({"labels": labels} if labels else {})
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts}


def component(name: str, **more: Any) -> dict[str, Any]:
    """A custom resource that nothing is done about."""
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": API_VERSION, "kind": "Component", "metadata": metadata, "spec": {"image": "i"}, **more}


def pod(name: str, *containers: str) -> dict[str, Any]:
    """A pod that no node takes."""
    spec = {
        "containers": [{"name": container, "image": "no-such-image"} for container in containers or ("main",)],
        "nodeSelector": {"no": "such-node"},
        "automountServiceAccountToken": False,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}

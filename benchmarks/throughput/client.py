"""Requests to the API server: JSON in, JSON out, and watches of what is selected by its fields."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlencode

import aiohttp
import yaml

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
    from pathlib import Path

__all__ = ["Api", "RefusedError", "until"]

MERGE: Final = "application/merge-patch+json"
_FIRST_ERROR: Final = 400
_QUOTED: Final = 500
_LOOK_EVERY: Final = 0.2


class RefusedError(RuntimeError):
    """The API server answered with an error; the message is its own."""


async def until(condition: Callable[[], Awaitable[bool]], patience: float) -> None:
    """Wait until something holds that tells nobody.

    Raises:
        TimeoutError: it did not within so many seconds.
    """
    async with asyncio.timeout(patience):
        while not await condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(_LOOK_EVERY)


class Api:
    """One client; a context manager."""

    def __init__(self, kubeconfig: Path) -> None:
        """The kubeconfig names files: the authority's certificate, a certificate and its key."""
        document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self._server = cluster["server"]
        self._context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._context.load_cert_chain(user["client-certificate"], user["client-key"])

    async def __aenter__(self) -> Self:
        """Connections are opened by the first request."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._context, limit=0), timeout=aiohttp.ClientTimeout(total=None)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._session.close()

    async def text(self, path: str) -> str:
        """GET something."""
        return (await self._request("GET", path)).decode()

    async def get(self, path: str) -> dict[str, Any]:
        """GET an object, or a collection."""
        return dict(json.loads(await self._request("GET", path)))

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST an object; as it is then."""
        return dict(json.loads(await self._request("POST", path, body)))

    async def patch(self, path: str, body: Mapping[str, Any]) -> None:
        """Merge into an object."""
        await self._request("PATCH", path, body, MERGE)

    async def delete(self, path: str) -> None:
        """Delete an object or a collection, with what belongs to it, at once."""
        await self._request("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})

    async def watch(self, path: str, version: str, **selectors: str) -> AsyncGenerator[dict[str, Any]]:
        """Events behind a version, for as long as it is listened to; an API server ends a watch now and then."""
        while True:
            query = urlencode({"watch": "1", "resourceVersion": version, **selectors})
            async with self._session.get(f"{self._server}{path}?{query}") as answer:
                if answer.status >= _FIRST_ERROR:
                    raise RefusedError(f"watch of {path}: {answer.status} {(await answer.text())[:_QUOTED]}")
                tail = b""
                async for chunk in answer.content.iter_any():
                    *lines, tail = (tail + chunk).split(b"\n")
                    for line in lines:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            raise RefusedError(f"watch of {path}: {event['object'].get('message')}")
                        version = event["object"]["metadata"]["resourceVersion"]
                        yield event

    async def version(self, path: str) -> str:
        """The collection's version now."""
        return str((await self.get(f"{path}?limit=1"))["metadata"]["resourceVersion"])

    async def empty(self, path: str, selectors: str) -> None:
        """Wait until nothing of a collection is left."""

        async def gone() -> bool:
            return not (await self.get(f"{path}?limit=1&labelSelector={selectors}"))["items"]

        await until(gone, 300)

    async def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = "application/json"
    ) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind, "User-Agent": "benchmark"}
        async with self._session.request(method, self._server + path, data=data, headers=headers) as answer:
            content = await answer.read()
            if answer.status >= _FIRST_ERROR:
                raise RefusedError(f"{method} {path}: {answer.status} {content[:_QUOTED].decode(errors='replace')}")
            return content

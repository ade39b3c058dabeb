"""A client of the API server: JSON requests, and watches with field selectors."""

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
_EMPTY_WITHIN: Final = 600.0
_NAMED: Final = 3


class RefusedError(RuntimeError):
    """The API server returned an error. The message comes from the API server."""

    def __init__(self, message: str, status: int = 0) -> None:
        """`status`: the HTTP status code; 0 for an error within a watch."""
        super().__init__(message)
        self.status = status


async def until(condition: Callable[[], Awaitable[bool]], patience: float, what: str) -> None:
    """Poll until a condition holds.

    Args:
        condition: whether it holds.
        patience: seconds.
        what: the condition in words: `all pods are deleted`.

    Raises:
        TimeoutError: it did not hold within `patience` seconds. The message says what was waited for.
    """
    try:
        async with asyncio.timeout(patience):
            while not await condition():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(_LOOK_EVERY)
    except TimeoutError as error:
        raise TimeoutError(f"not within {patience:.0f} s: {what}") from error


class Api:
    """One client; a context manager."""

    def __init__(self, kubeconfig: Path, agent: str = "benchmark") -> None:
        """Prepare without a connection.

        Args:
            kubeconfig: refers to files: the CA certificate, a certificate and its key.
            agent: the user agent, which is the client's name in the audit log.
        """
        self._agent = agent
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
        """GET a path, and return the text."""
        return (await self._request("GET", path)).decode()

    async def get(self, path: str) -> dict[str, Any]:
        """GET an object, or a collection."""
        return dict(json.loads(await self._request("GET", path)))

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST an object; return the created one."""
        return dict(json.loads(await self._request("POST", path, body)))

    async def patch(self, path: str, body: Mapping[str, Any]) -> None:
        """Send a merge patch."""
        await self._request("PATCH", path, body, MERGE)

    async def delete(self, path: str) -> None:
        """Delete an object or a collection, with its dependents, without a grace period."""
        await self._request("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})

    async def watch(self, path: str, version: str, **selectors: str) -> AsyncGenerator[dict[str, Any]]:
        """Yield events after a resource version, and reconnect when the API server ends the watch."""
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
        """Return the collection's current resource version."""
        return str((await self.get(f"{path}?limit=1"))["metadata"]["resourceVersion"])

    async def empty(self, path: str, selectors: str) -> None:
        """Wait until a collection is empty.

        Raises:
            TimeoutError: it is not. The message names objects that are left.
        """
        query = f"{path}?limit={_NAMED}&labelSelector={selectors}"

        async def is_empty() -> bool:
            return not (await self.get(query))["items"]

        try:
            await until(is_empty, _EMPTY_WITHIN, f"{path} has no object with the label {selectors}")
        except TimeoutError as error:
            names = [item["metadata"]["name"] for item in (await self.get(query))["items"]]
            raise TimeoutError(f"{error}; there are, among others: {', '.join(names)}") from error

    async def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = "application/json"
    ) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind, "User-Agent": self._agent}
        async with self._session.request(method, self._server + path, data=data, headers=headers) as answer:
            content = await answer.read()
            if answer.status >= _FIRST_ERROR:
                text = content[:_QUOTED].decode(errors="replace")
                raise RefusedError(f"{method} {path}: {answer.status} {text}", answer.status)
            return content

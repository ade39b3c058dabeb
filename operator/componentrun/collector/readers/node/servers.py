"""Requests to the log servers of the nodes.

Their pods are watched, so a server that is replaced is found at its new address. The certificate of a server is
verified before the collector sends its token for this purpose, which the kubelet renews.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp

from componentrun.errors import PlatformError
from componentrun.process.kubernetes.tokenfile import TokenFile
from componentrun.process.serving.authority import Authority
from componentrun.wire import logserver

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping
    from collections.abc import Set as AbstractSet

    from componentrun.collector.settings import NodeLogSettings
    from componentrun.process.kubernetes.eventerrors import EventErrors

__all__ = ["NodeLogError", "NodeLogs", "Part"]

log = logging.getLogger(__name__)

_CONNECT: Final = 5.0
_SLOW: Final = 15.0
"""Seconds without a byte, after the time that the server may wait, until a request has failed."""
_BUFFER: Final = 64 * 1024
_QUOTED: Final = 300
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404


class NodeLogError(PlatformError):
    """A log can't be read from the log server of its node.

    Attributes:
        cause: one word for metrics: `nowhere` (the node has no log server), `not_found`, `refused`, `cut`.
    """

    def __init__(self, summary: str, cause: str, *, advice: str = "") -> None:
        """See the attributes."""
        super().__init__(summary, advice=advice)
        self.cause = cause


class Part:
    """One answer: what it is, and its bytes as they come.

    Attributes:
        file: see `wire.logserver.FILE`, and so the others.
        offset: where in the file it begins.
        later: files behind that one.
        missing: bytes that are known to be missing before it; None: nothing is.
        removed: the node has deleted the log.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        """Read its headers."""
        headers = response.headers
        self._response = response
        self.file = headers.get(logserver.FILE, "")
        self.offset = _number(headers, logserver.OFFSET)
        self.later = _number(headers, logserver.LATER)
        self.missing = _number(headers, logserver.MISSING) if logserver.MISSING in headers else None
        self.removed = logserver.REMOVED in headers

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, as they come."""
        return self._response.content.iter_any()


class NodeLogs:
    """All log servers; also the target of the watch of their pods."""

    def __init__(self, chosen: NodeLogSettings) -> None:
        """Nothing is known of any node yet."""
        self._chosen = chosen
        self._servers: dict[str, tuple[str, str]] = {}
        """By the uid of its pod: a server's node and address."""
        self._authority = Authority(chosen.authority_file)
        self._token = TokenFile(chosen.token_file)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Prepare; connections are opened by the first requests."""
        connector = aiohttp.TCPConnector(limit=0)
        # No proxy: pods are reached directly.
        self._session = aiohttp.ClientSession(connector=connector, read_bufsize=_BUFFER)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def changed(self, raw: Mapping[str, Any]) -> None:
        """Update a log server's pod."""
        spec, status = raw.get("spec") or {}, raw.get("status") or {}
        ready = any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or ())
        uid, node, address = raw["metadata"]["uid"], spec.get("nodeName"), status.get("podIP")
        if ready and node and address and "deletionTimestamp" not in raw["metadata"]:
            host = f"[{address}]" if ":" in address else address
            self._servers[uid] = (node, f"https://{host}:{_port(spec)}")
        else:
            self._servers.pop(uid, None)

    listed = changed

    def deleted(self, uid: str, _last: Mapping[str, Any] | None = None, /) -> None:
        """Forget a deleted pod of a log server."""
        self._servers.pop(uid, None)

    def vanished(self, uids: AbstractSet[str], _errors: EventErrors, /) -> None:
        """Forget deleted pods of log servers."""
        for uid in uids:
            self._servers.pop(uid, None)

    @asynccontextmanager
    async def read(
        self, node: str, where: tuple[str, str, str, str], cursor: tuple[str, int], wait: float
    ) -> AsyncIterator[Part]:
        """Read a container's log from a cursor on.

        Args:
            node: where its pod is.
            where: namespace, pod, uid of the pod, container.
            cursor: file and offset.
            wait: seconds that the server waits for new lines.

        Raises:
            NodeLogError: it can't be read, or the connection broke.
        """
        url = self._address(node) + logserver.PATH.format(
            namespace=quote(where[0], safe=""), pod=quote(where[1], safe=""), uid=quote(where[2], safe=""),
            container=quote(where[3], safe=""),
        )  # fmt: skip
        query = urlencode({"file": cursor[0], "offset": cursor[1], "wait": wait})
        limits = aiohttp.ClientTimeout(total=None, connect=_CONNECT, sock_read=wait + _SLOW)
        if self._session is None:
            raise NodeLogError("the connection to the log servers is closed", "cut")
        headers = self._shown()
        try:
            async with self._session.get(
                f"{url}?{query}",
                headers=headers,
                timeout=limits,
                ssl=self._tls(),
                server_hostname=logserver.SERVER_NAME,
            ) as response:
                if response.status != _OK:
                    raise await self._refusal(response, node)
                yield Part(response)
        except aiohttp.ClientConnectorCertificateError as error:
            self._authority.invalidate()
            raise NodeLogError(
                f"the server at the address of the log server of node {node} has no valid certificate: "
                f"{error.certificate_error}",
                "refused",
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = f"the log server of node {node} does not answer: {type(error).__name__}: {error}"
            raise NodeLogError(message, "cut") from error

    def _address(self, node: str) -> str:
        for known, address in self._servers.values():
            if known == node:
                return address
        raise NodeLogError(
            f"node {node or '(unknown)'} has no log server that is ready",
            "nowhere",
            advice=f"Check the pods with the label {logserver.SELECTOR} in namespace {self._chosen.namespace}.",
        )

    def _tls(self) -> ssl.SSLContext:
        try:
            return self._authority.context()
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", None) or error
            message = f"can't verify log servers without the certificates in {self._chosen.authority_file}: {told}"
            raise NodeLogError(message, "refused") from error

    def _shown(self) -> dict[str, str]:
        try:
            return self._token.authorization()
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", None) or error
            message = f"can't read the token for the log servers, {self._chosen.token_file}: {told}"
            raise NodeLogError(message, "refused") from error

    async def _refusal(self, response: aiohttp.ClientResponse, node: str) -> NodeLogError:
        if response.status == _UNAUTHORIZED:
            self._token.invalidate()
        text = (await response.content.read(_QUOTED)).decode(errors="replace").strip()
        cause = "not_found" if response.status == _NOT_FOUND else "refused"
        return NodeLogError(f"the log server of node {node} answers {response.status}: {text}", cause)


def _number(headers: Mapping[str, str], name: str) -> int:
    text = headers.get(name, "")
    if not (text.isascii() and text.isdigit()):
        raise NodeLogError(f"a log server's answer has {name} `{text[:_QUOTED]}`; expected a number", "refused")
    return int(text)


def _port(spec: Mapping[str, Any]) -> int:
    """The port that is called `logs`."""
    ports = [port for container in spec.get("containers") or () for port in container.get("ports") or ()]
    return next((int(port["containerPort"]) for port in ports if port.get("name") == "logs"), logserver.PORT)

"""One request to a registry, with its redirects. Nothing is known here of logins, tokens and manifests.

- A redirect to another origin gets no Authorization, and one from HTTPS to HTTP is not followed.
- A response that exceeds its limit is not read to its end.
- Plain HTTP is used only for hosts that the settings name.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import IO, TYPE_CHECKING, Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp

from componentrun.errors import AWAY_STATUSES, PlatformError, Reason
from componentrun.process.kubernetes.access.proxy import proxy_for
from componentrun.registry import errors
from componentrun.registry.origin import origin
from componentrun.storage.store.clientvalues import plain_pem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.registry.settings import RegistrySettings

__all__ = ["Answer", "Content", "Exchange"]

Content = bytes | Callable[[], IO[bytes]]
"""The body of a request: bytes, or what opens it, which is called for each attempt."""
_OK: Final = 200
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_READS: Final = frozenset({"GET", "HEAD"})
_MOST_REDIRECTS: Final = 5
_TOO_MANY_REQUESTS: Final = 429
_LONGEST_RETRY_AFTER: Final = 3600.0
_CONNECTIONS: Final = 256
_CONNECTIONS_PER_HOST: Final = 8
"""A host that does not respond must not take the connections of others."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response."""

    status: int
    headers: Mapping[str, str]
    """The last value of each header; names in lower case."""
    challenges: tuple[str, ...]
    """All values of WWW-Authenticate."""
    body: bytes
    origin: str
    """Where it came from, after redirects."""

    @property
    def media_type(self) -> str:
        """Media type in lower case without parameters; empty if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Exchange:
    """Sends requests. Close it to free its connections."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Open no connection yet, and load no certificates: most operators never ask a registry."""
        self._settings = settings
        self._timeout = aiohttp.ClientTimeout(total=settings.request_seconds, sock_connect=settings.connect_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.close()

    def scheme(self, host: str) -> str:
        """Scheme of a registry's URLs."""
        return "http" if host in self._settings.plain_http else "https"

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        what: str,
        limit: int,
        authorization: str = "",
        data: Content | None = None,
        sink: IO[bytes] | None = None,
    ) -> Answer:
        """Send a request, and follow redirects.

        Args:
            method: HEAD or GET; for uploads POST and PUT, whose redirects are refused.
            url: absolute URL.
            headers: headers, without Authorization.
            what: what is asked for, for messages.
            limit: maximum size of the body in bytes.
            authorization: value of Authorization; sent only to the origin of `url`. Empty: none.
            data: body of the request.
            sink: where the body of a successful response is written to, instead of being held in memory.

        Raises:
            RegistryAwayError: no usable response: connection, TLS, timeout, 429, 5xx.
            PlatformError: the settings can't be used.
            ImageError: too many or unusable redirects, or a body that is too large.
        """
        first, current = origin(url), url
        for _ in range(_MOST_REDIRECTS + 1):
            is_first_origin = origin(current) == first
            sent = {**headers, "Authorization": authorization} if authorization and is_first_origin else headers
            answer = await self._once(method, current, sent, what, limit, data, sink)
            if answer.status not in _REDIRECTS:
                return _served(answer, urlsplit(current).netloc)
            if method not in _READS:
                raise errors.not_a_registry(urlsplit(url).netloc, "it redirects an upload")
            current = self._target(current, answer.headers.get("location", ""))
        raise errors.not_a_registry(urlsplit(url).netloc, f"more than {_MOST_REDIRECTS} redirects")

    async def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        what: str,
        limit: int,
        data: Content | None,
        sink: IO[bytes] | None,
    ) -> Answer:
        host = urlsplit(url).netloc
        proxy, proxy_headers = _proxy(origin(url))
        try:
            async with self._connected().request(
                method,
                url,
                headers=headers,
                # A stream, because aiohttp warns of bytes above 1 MiB, which it writes at once.
                data=io.BytesIO(data) if isinstance(data, bytes) else data and data(),
                allow_redirects=False,
                proxy=proxy,
                proxy_headers=proxy_headers,
            ) as response:
                body = await _read(response, host, what, limit, sink if response.status == _OK else None)
                return Answer(
                    response.status,
                    {name.lower(): value for name, value in response.headers.items()},
                    tuple(response.headers.getall("WWW-Authenticate", ())),
                    body,
                    origin(url),
                )
        except aiohttp.ClientConnectorCertificateError as error:
            raise errors.untrusted(host, _certificate_problem(error)) from error
        except aiohttp.ClientSSLError as error:
            raise errors.untrusted(host, "it does not speak TLS as expected") from error
        except TimeoutError as error:
            raise errors.away(host, f"no answer within {self._settings.request_seconds:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise errors.away(host, _connection_problem(error)) from error
        except ValueError as error:  # a URL that aiohttp can't use
            raise errors.not_a_registry(host, "the address is not valid") from error

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=_CONNECTIONS, limit_per_host=_CONNECTIONS_PER_HOST, ssl=_tls(self._settings.ca_bundle)
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                # Cookies of one registry are no business of another one.
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": "componentrun", "Accept-Encoding": "identity"},
            )
        return self._session

    def _target(self, source: str, location: str) -> str:
        """URL that a redirect leads to."""
        host = urlsplit(source).netloc
        try:
            parts: SplitResult = urlsplit(urljoin(source, location))
            is_usable = bool(
                location and parts.hostname and parts.scheme in {"http", "https"} and "@" not in parts.netloc
            )
        except ValueError:
            is_usable = False
        if not is_usable:
            raise errors.not_a_registry(host, "a redirect without a usable address")
        if parts.scheme == "http" and parts.netloc not in self._settings.plain_http:
            raise errors.not_a_registry(host, f"a redirect to `{parts.netloc}` over plain HTTP")
        return parts._replace(fragment="").geturl()


@cache
def _proxy(server: str) -> tuple[str | None, dict[str, str] | None]:
    return proxy_for(server, "")


def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_bundle is not None:
        try:
            context.load_verify_locations(cadata=plain_pem(ca_bundle))
        except (ValueError, ssl.SSLError) as error:
            raise PlatformError(
                f"the certificate authorities of registries can't be used: {error}",
                Reason.REGISTRY_UNAVAILABLE,
                advice="Correct the chart's `operator.registries.caBundle`: it is PEM text.",
            ) from error
    return context


async def _read(response: aiohttp.ClientResponse, host: str, what: str, limit: int, sink: IO[bytes] | None) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise errors.too_large(host, what, limit)
        if sink is None:
            chunks.append(chunk)
        else:
            sink.write(chunk)
    return b"".join(chunks)


def _served(answer: Answer, host: str) -> Answer:
    """The answer, unless the registry can't serve requests now."""
    if answer.status == _TOO_MANY_REQUESTS:
        wait = answer.headers.get("retry-after", "")
        is_number = wait.isascii() and wait.isdigit()
        raise errors.rate_limited(host, min(float(wait), _LONGEST_RETRY_AFTER) if is_number else 0.0)
    if answer.status in AWAY_STATUSES:
        raise errors.away(host, f"it answered {answer.status}")
    return answer


def _certificate_problem(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    return getattr(cause, "verify_message", "") or "its certificate is not valid"


def _connection_problem(error: Exception) -> str:
    """The operating system's words, without addresses of proxies, which may contain a password."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name can't be resolved"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return getattr(cause, "strerror", "") or type(error).__name__

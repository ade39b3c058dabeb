"""The client for a URL."""

from __future__ import annotations

import base64
import ssl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import urllib3
from dulwich.client import SSHGitClient, Urllib3HttpGitClient
from dulwich.errors import GitProtocolError, HangupException

from componentrun.core.builds.login import SshLogin
from componentrun.git.budget import Budget
from componentrun.git.failures import RedirectedError
from componentrun.git.ssh import StrictSsh
from componentrun.process.kubernetes.access.proxy import proxy_for
from componentrun.registry.origin import origin
from componentrun.storage.store.clientvalues import plain_pem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dulwich.client import FetchPackResult, GitClient, LsRemoteResult
    from dulwich.protocol import Protocol

    from componentrun.core.builds.login import HttpsLogin
    from componentrun.core.builds.source import GitUrl
    from componentrun.git.settings import GitSettings

__all__ = ["open_client"]

_USER_AGENT: Final = "git/componentrun"
"""Some hosts tell git clients from browsers by this beginning."""


_MOST_REDIRECTS: Final = 3
_MOST_WORDS: Final = 1024
"""Bytes of an answer that are kept for the words of an error."""
_HTTPS_PORT: Final = 443


class _Pool(urllib3.PoolManager):
    """Stays at one scheme, host and port, and closes all responses: dulwich leaves refusals open.

    A redirect to another host would reach hosts that the platform does not allow (`builds.gitHosts`), with the network
    of the operator.
    """

    def __init__(self, repository: str, **options: Any) -> None:
        super().__init__(**options)
        self._origin = origin(repository)
        self._responses: list[urllib3.BaseHTTPResponse] = []

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]  # noqa: FBT001, FBT002 - urllib3's signature
        """Send a request, and follow redirects, each of which is a call of this method."""
        if not url.startswith("https://"):
            raise urllib3.exceptions.LocationValueError("a redirect without TLS")
        if origin(url) != self._origin:
            parts = urlsplit(url)
            raise RedirectedError(f"{parts.hostname}:{parts.port or _HTTPS_PORT}")
        response = super().urlopen(method, url, redirect, **kw)
        self._responses.append(response)
        return response

    def close(self) -> None:
        """Close all connections."""
        for response in self._responses:
            response.close()
        self.clear()


class _ProxyPool(_Pool, urllib3.ProxyManager):
    """The same through a proxy."""


def _basic(login: HttpsLogin) -> str:
    """Value of Authorization. dulwich's own has Latin-1, and fails for other characters."""
    return f"Basic {base64.b64encode(f'{login.username}:{login.password}'.encode()).decode()}"


class _SshClient(SSHGitClient):
    """Ends its processes. dulwich leaves them behind when the server refuses."""

    def __init__(self, url: GitUrl, vendor: StrictSsh) -> None:
        super().__init__(url.host, url.port, url.user, vendor=vendor)
        self._vendor = vendor
        self._opened: list[Protocol] = []

    def _connect(
        self, cmd: bytes, path: str | bytes, protocol_version: int | None = None
    ) -> tuple[Protocol, Callable[[], bool], IO[bytes] | None]:
        protocol, can_read, stderr = super()._connect(cmd, path, protocol_version)
        self._opened.append(protocol)
        return protocol, can_read, stderr

    def get_refs(self, *arguments: Any, **options: Any) -> LsRemoteResult:
        """The refs of the server."""
        with self._explained():
            return super().get_refs(*arguments, **options)

    def fetch_pack(self, *arguments: Any, **options: Any) -> FetchPackResult:
        """Download."""
        with self._explained():
            return super().fetch_pack(*arguments, **options)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Add what ssh has printed to the error for a connection that was closed."""
        try:
            yield
        except HangupException as error:
            self.close()  # so that everything is printed
            raise HangupException(self._vendor.last_words()) from error

    def close(self) -> None:
        """Close all connections."""
        for protocol in self._opened:
            protocol.close()


class _Beginning:
    """Keeps the first bytes of an answer."""

    def __init__(self) -> None:
        self.content = b""

    def reading(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """The same function, for the next answer."""
        self.content = b""

        def kept(size: int) -> bytes:
            content = read(size)
            if len(self.content) < _MOST_WORDS:
                self.content += content[: _MOST_WORDS - len(self.content)]
            return content

        return kept

    @property
    def refusal(self) -> list[bytes]:
        """What the server says if the answer is a packet with an error (gitprotocol-pack); else nothing."""
        length, kind = self.content[:4], self.content[4:8]
        return [self.content[8 : int(length, 16)]] if kind == b"ERR " else []


class _SmartClient(Urllib3HttpGitClient):
    """Speaks to git servers alone. dulwich would also read a folder of files, such as a page that it takes for one."""

    def __init__(self, url: GitUrl, login: HttpsLogin | None, budget: Budget, **options: Any) -> None:
        super().__init__(url.text, **options)
        self._budget = budget
        self._authorization = "" if login is None else _basic(login)
        self._login_origin = origin(url.text)
        self._beginning = _Beginning()

    def fetch_pack(self, *arguments: Any, **options: Any) -> FetchPackResult:
        """Download. dulwich takes an error of the server for the end of the connection, and loses its words."""
        try:
            return super().fetch_pack(*arguments, **options)
        except HangupException as error:
            raise HangupException(self._beginning.refusal) from error

    def _http_request(self, url: str, headers: dict[str, str] | None = None, *arguments: Any, **options: Any) -> Any:
        headers = dict(headers or {})
        # `_Pool` refuses other hosts as well; the login must not depend on it.
        if self._authorization and origin(url) == self._login_origin:
            headers["Authorization"] = self._authorization
        response, read = super()._http_request(url, headers, *arguments, **options)
        kind = response.headers.get("Content-Type", "")
        if not kind.startswith("application/x-git-"):
            response.close()
            raise GitProtocolError(f"Invalid content-type from server: {kind}")
        return response, self._beginning.reading(self._budget.reading(read))


@contextmanager
def open_client(
    url: GitUrl, login: HttpsLogin | SshLogin | None, settings: GitSettings, limit: int
) -> Iterator[tuple[GitClient, bytes]]:
    """A client, and the path of the repository for its methods. Files with the login are deleted at the end.

    Args:
        url: the repository.
        login: how to log in.
        settings: timeouts and trusted authorities.
        limit: how many bytes the host may send.
    """
    budget = Budget(limit, url)
    if isinstance(login, SshLogin):
        with tempfile.TemporaryDirectory(prefix="git-login-") as folder:
            vendor = StrictSsh.create(Path(folder), login, settings, budget)
            ssh_client = _SshClient(url, vendor)
            try:
                yield ssh_client, url.path.encode()
            finally:
                ssh_client.close()
        return
    pool = _pool(url, settings)
    https_client = _SmartClient(url, login, budget, pool_manager=pool)
    try:
        yield https_client, b""
    finally:
        pool.close()


def _pool(url: GitUrl, settings: GitSettings) -> _Pool:
    context = ssl.create_default_context()
    if settings.ca_bundle is not None:
        context.load_verify_locations(cadata=plain_pem(settings.ca_bundle))
    proxy, headers = proxy_for(f"https://{url.host}:{url.port}", "")
    options: dict[str, Any] = {
        "ssl_context": context,
        "headers": {"User-Agent": _USER_AGENT},
        "retries": urllib3.Retry(total=None, connect=1, read=0, redirect=_MOST_REDIRECTS, status=0, other=0),
        "timeout": urllib3.Timeout(connect=settings.connect_seconds, read=settings.read_seconds),
    }
    if proxy is None:
        return _Pool(url.text, **options)
    return _ProxyPool(url.text, proxy_url=proxy, proxy_headers=headers, **options)

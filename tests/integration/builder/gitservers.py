"""Git servers: dulwich's own or git itself over https with a password, and git itself over ssh with a key."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

import asyncssh
from dulwich.server import BackendRepo, DictBackend
from dulwich.web import make_wsgi_chain

from componentrun.core.builds.login import HttpsLogin, SshLogin
from componentrun.git.settings import GitSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from pathlib import Path

    from dulwich.repo import Repo
    from dulwich.server import BackendRepo

    from tests.integration.registry.realregistry import Authority

USER: Final = "ann"
PASSWORD: Final = "p:ä&%-secret"
LOGIN: Final = HttpsLogin(USER, PASSWORD)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


@dataclass
class GitItself:
    """`git http-backend`, the server that comes with git, for one repository. It knows version 2 of the protocol."""

    folder: Path
    sent_bytes: int = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        size = int(environ.get("CONTENT_LENGTH") or 0)
        # The requests of these tests are short: wsgiref does not decode a body that comes in chunks.
        done = subprocess.run(
            ["git", "http-backend"],
            input=environ["wsgi.input"].read(size),
            capture_output=True,
            check=False,  # it fails after it has told the client why
            env=os.environ | {
                "GIT_PROJECT_ROOT": str(self.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", ""),
                "PATH_INFO": environ["PATH_INFO"].removeprefix("/team/app.git"),
                **{name: environ.get(name, "") for name in ("REQUEST_METHOD", "QUERY_STRING", "CONTENT_TYPE")},
                "HTTP_CONTENT_ENCODING": environ.get("HTTP_CONTENT_ENCODING", ""),
            },
        )  # fmt: skip
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in head.decode().split("\r\n"))]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        start_response(status, [item for item in headers if item[0] != "Status"])
        self.sent_bytes += len(body)
        return [body]


@dataclass
class HttpsServer:
    """A server with one repository at `/team/app.git`."""

    authority: Authority
    repository: Repo
    password: str = PASSWORD
    """Empty: everybody may read."""
    answer: Callable[[str], tuple[str, list[tuple[str, str]], bytes] | None] = lambda _path: None
    """Called with the path of each request; an answer replaces the usual one."""
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Path and Authorization of each request."""
    port: int = 0
    address: str = "127.0.0.1"
    chain: Callable[..., Iterable[bytes]] | None = None
    """What answers whoever may read; None: dulwich."""

    @property
    def url(self) -> str:
        """URL of the repository."""
        return f"https://{self.address}:{self.port}/team/app.git"

    @property
    def settings(self) -> GitSettings:
        """Settings that trust its certificate."""
        return GitSettings(ca_bundle=self.authority.certificate_file.read_text(), connect_seconds=5, read_seconds=10)

    @contextmanager
    def running(self) -> Iterator[HttpsServer]:
        """Listen on a free port."""
        repositories: dict[str, BackendRepo] = {"/team/app.git": self.repository}
        chain = self.chain or make_wsgi_chain(DictBackend(repositories))

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            path, authorization = environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION", "")
            self.seen.append((path, authorization))
            expected = "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode()
            special = self.answer(path)
            if special is None and self.password and authorization != expected:
                special = "401 Unauthorized", [("WWW-Authenticate", 'Basic realm="git"')], b""
            if special is not None:
                start_response(special[0], special[1])
                return [special[2]]
            return chain(environ, start_response)

        with make_server(self.address, 0, application, handler_class=_Quiet) as server:
            server.socket = self.authority.server_context().wrap_socket(server.socket, server_side=True)
            self.port = server.server_port
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


@dataclass
class SshServer:
    """A server that gives all repositories of its machine to whoever has the key."""

    port: int
    login: SshLogin
    other_host: SshLogin
    """The right key, with a key of another server in `known_hosts`."""
    other_key: SshLogin
    """A key that the server does not accept."""
    address: str = "127.0.0.1"

    def url(self, folder: Path) -> str:
        """URL of a repository."""
        return f"ssh://git@{self.address}:{self.port}{folder}"


class _KeyOnly(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return False


async def _serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
    path = (process.command or "").removeprefix("git-upload-pack ").strip("'")
    child = await asyncio.create_subprocess_exec(
        "git", "upload-pack", path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env=os.environ | {"GIT_PROTOCOL": process.env.get("GIT_PROTOCOL", "")},
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    asking = asyncio.create_task(_pump(process.stdin, child.stdin))
    await asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
    asking.cancel()
    await asyncio.wait([asking])
    process.exit(await child.wait())


async def _pump(source: Any, target: Any) -> None:
    while content := await source.read(65_536):
        target.write(content)
        await target.drain()
    if isinstance(target, asyncio.StreamWriter):
        target.close()


@asynccontextmanager
async def ssh_server(address: str = "127.0.0.1") -> AsyncIterator[SshServer]:
    """Listen on a free port of this address."""
    host_key, key, stranger = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(3))
    listener = await asyncssh.listen(
        address, 0, server_factory=_KeyOnly, server_host_keys=[host_key], process_factory=_serve, encoding=None,
        authorized_client_keys=asyncssh.import_authorized_keys(key.export_public_key().decode()),
    )  # fmt: skip
    async with listener:
        port = listener.get_port()
        private = key.export_private_key().decode()

        def hosts(server_key: asyncssh.SSHKey) -> str:
            return f"[{address}]:{port} {server_key.export_public_key().decode()}"

        yield SshServer(
            port,
            SshLogin(private, hosts(host_key)),
            SshLogin(private, hosts(stranger)),
            SshLogin(stranger.export_private_key().decode(), hosts(host_key)),
            address,
        )

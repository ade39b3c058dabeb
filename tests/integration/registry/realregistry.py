"""Debian's docker-registry with TLS and a login: by htpasswd, or by tokens of a service in the test process."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from componentrun.core.images.reference import Repository
from componentrun.process.serving.certificate import CERTIFICATE, KEY
from componentrun.registry.manifest import digest_of
from componentrun.registry.settings import RegistrySettings
from dev.cluster.host.ports import free_port
from e2e.tenant.certificates import self_signed
from e2e.tenant.repository import Repository as WritableRepository

if TYPE_CHECKING:
    from pathlib import Path

USER: Final = "ann"
PASSWORD: Final = "pull-me"
NEXT_PASSWORD: Final = "pull-me-again"
"""The password after `RealRegistry.change_password`."""
_HASHES: Final = {
    PASSWORD: "$2a$04$abcdefghijklmnopqrstuu0p9SkNDkZ/KFchkzJXgN41PdOkskrQ2",
    NEXT_PASSWORD: "$2a$04$abcdefghijklmnopqrstuuz9DsO97lwgvAD1qyUfsU20ekAfjXwn.",
}
"""With bcrypt, the only form that docker-registry accepts."""
_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_NAME: Final = "127.0.0.1"


@dataclass(frozen=True)
class Authority:
    """A certificate, which is its own authority, and its key."""

    certificate_file: Path
    key_file: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, folder: Path, address: str = _NAME) -> Authority:
        """Create it in a folder, for a server at this IP address."""
        self_signed(folder, address)
        certificate, key = folder / CERTIFICATE, folder / KEY
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        return cls(certificate, key, private, x509.load_pem_x509_certificate(certificate.read_bytes()))

    def server_context(self) -> ssl.SSLContext:
        """TLS of a server with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


@dataclass(frozen=True)
class Image:
    """An image for one platform."""

    config: dict[str, Any]
    layers: tuple[tuple[str, bytes], ...] = ()
    """Media type and content of each."""

    @classmethod
    def empty(cls, text: str, architecture: str = "amd64") -> Image:
        """An image without files, which differs from others by a text."""
        return cls({"os": "linux", "architecture": architecture, "note": text})

    def noted(self, text: str) -> Image:
        """The same image with a label, so with another ID."""
        return Image(self.config | {"config": self.config["config"] | {"Labels": {"note": text}}}, self.layers)


@dataclass
class TokenService:
    """Issues tokens that docker-registry accepts. Close it after use."""

    authority: Authority
    port: int = field(default_factory=free_port)
    requests: list[str] = field(default_factory=list)
    """Query of each request."""
    password: str = PASSWORD
    _runner: web.AppRunner | None = None

    @property
    def realm(self) -> str:
        """URL of the service."""
        return f"https://{_NAME}:{self.port}/token"

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/token", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, _NAME, self.port, ssl_context=self.authority.server_context()).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        self.requests.append(request.query_string)
        authorization = request.headers.get("Authorization", "")
        expected = _basic(self.password)
        if authorization and authorization != expected:
            refused = web.Response(status=401)
            refused.force_close()
            return refused
        access = []
        if authorization and "scope" in request.query:
            scopes = [scope.split(":") for scope in request.query.getall("scope")]
            access = [{"type": kind, "name": name, "actions": actions.split(",")} for kind, name, actions in scopes]
        response = web.json_response({"token": self._sign(access), "expires_in": 120})
        response.force_close()  # no connection is left open when the service stops
        return response

    def _sign(self, access: list[dict[str, Any]]) -> str:
        chain = [base64.b64encode(self.authority.certificate.public_bytes(serialization.Encoding.DER)).decode()]
        now = int(dt.datetime.now(dt.UTC).timestamp())
        header = {"typ": "JWT", "alg": "ES256", "x5c": chain}
        claims = {
            "iss": "test", "sub": USER, "aud": "registry", "exp": now + 120, "nbf": now - 60, "iat": now, "jti": "1",
            "access": access,
        }  # fmt: skip
        body = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        r, s = utils.decode_dss_signature(self.authority.key.sign(body, ec.ECDSA(hashes.SHA256())))
        return (body + b"." + _base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()


def _basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'{USER}:{password}'.encode()).decode()}"


def _base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


class RealRegistry:
    """A docker-registry process. Stop it after use; its content stays in the folder."""

    def __init__(
        self, folder: Path, authority: Authority, tokens: TokenService | None = None, *, address: str = _NAME
    ) -> None:
        """Write its configuration. The certificate is for the address."""
        self.port = free_port()
        self.address = address
        self.authority = authority
        self._tokens = tokens
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._configuration = folder / "config.yml"
        self.password = PASSWORD
        self._write_password()
        auth: dict[str, Any] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
        if tokens is not None:
            bundle = str(authority.certificate_file)
            auth = {"token": {"realm": tokens.realm, "service": "registry", "issuer": "test", "rootcertbundle": bundle}}
        tls = {"certificate": str(authority.certificate_file), "key": str(authority.key_file)}
        configuration = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": f"{address}:{self.port}", "tls": tls, "secret": "test"},
            "auth": auth,
        }
        self._configuration.write_text(json.dumps(configuration))  # JSON is YAML

    @property
    def host(self) -> str:
        """Host and port, as names of images have it."""
        return f"{self.address}:{self.port}"

    @property
    def settings(self) -> RegistrySettings:
        """Settings that trust its certificate."""
        return RegistrySettings(ca_bundle=self.authority.certificate_file.read_text())

    def repository(self, path: str = "team/app") -> Repository:
        """The repository of this path."""
        return Repository(self.host, path)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        program = shutil.which("docker-registry")
        assert program is not None, "install the package docker-registry"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, "serve", str(self._configuration)], stdout=log, stderr=log)
        while True:
            assert self._process.poll() is None, self.log
            try:
                socket.create_connection((self.address, self.port), timeout=1).close()
            except ConnectionRefusedError:
                self._pause()
            else:
                return

    def _pause(self) -> None:
        """Wait a moment for the process, or return at once if it has ended."""
        assert self._process is not None
        try:
            self._process.wait(0.05)
        except subprocess.TimeoutExpired:
            return

    def change_password(self, password: str) -> None:
        """Accept `PASSWORD` or `NEXT_PASSWORD` instead of the other one. With htpasswd, from the next start on."""
        self.password = password
        self._write_password()
        if self._tokens is not None:
            self._tokens.password = password

    def _write_password(self) -> None:
        (self._folder / "htpasswd").write_text(f"{USER}:{_HASHES[self.password]}\n")

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    async def delete_image(self, path: str, digest: str) -> None:
        """Delete a manifest. The blobs that no other one names stay until `collect_garbage`."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate_file))
        async with aiohttp.ClientSession(
            f"https://{self.host}/v2/{path}/",
            headers=self._authorization(path),
            connector=aiohttp.TCPConnector(ssl=context),
        ) as session:
            deleted = await session.delete(f"manifests/{digest}")
            assert deleted.status == 202, self.log

    def collect_garbage(self) -> None:
        """Delete the blobs that no manifest names."""
        program = shutil.which("docker-registry")
        assert program is not None, "install the package docker-registry"
        subprocess.run([program, "garbage-collect", str(self._configuration)], check=True, capture_output=True)

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self._folder / "log").read_text()

    async def push(self, tag: str, text: str, path: str = "team/app") -> str:
        """Push an image without files that differs from others by a text. Returns its digest."""
        return await self.push_image(tag, Image.empty(text), path)

    async def push_image(self, tag: str, image: Image, path: str = "team/app", *, index: bool = False) -> str:
        """Push an image. Returns the digest that the tag points to: of its manifest, or of an index of this image."""
        config = json.dumps(image.config).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _IMAGE,
                "config": _descriptor(_CONFIG, config),
                "layers": [_descriptor(kind, content) for kind, content in image.layers],
            }
        ).encode()
        context = ssl.create_default_context(cafile=str(self.authority.certificate_file))
        async with aiohttp.ClientSession(
            f"https://{self.host}/v2/{path}/",
            headers=self._authorization(path),
            connector=aiohttp.TCPConnector(ssl=context),
        ) as session:
            for content in (config, *(content for _, content in image.layers)):
                await self._push_blob(session, content)
            digest = await self._push_manifest(session, digest_of(manifest) if index else tag, _IMAGE, manifest)
            if index:
                platform = {key: image.config[key] for key in ("os", "architecture")}
                entry = _descriptor(_IMAGE, manifest) | {"platform": platform}
                whole = json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]}).encode()
                digest = await self._push_manifest(session, tag, _INDEX, whole)
        return digest

    async def _push_blob(self, session: aiohttp.ClientSession, content: bytes) -> None:
        upload = await session.post("blobs/uploads/")
        location = upload.headers["Location"]
        sign = "&" if "?" in location else "?"
        stored = await session.put(f"{location}{sign}digest={digest_of(content)}", data=io.BytesIO(content))
        assert (upload.status, stored.status) == (202, 201), self.log

    async def _push_manifest(self, session: aiohttp.ClientSession, tag: str, kind: str, content: bytes) -> str:
        pushed = await session.put(f"manifests/{tag}", data=content, headers={"Content-Type": kind})
        assert pushed.status == 201, self.log
        return digest_of(content)

    def writable(self, path: str = "team/app") -> WritableRepository:
        """The repository of this path, for tests that write to it."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate_file))
        return WritableRepository(self.host, path, context, self._authorization(path))

    def _authorization(self, path: str) -> dict[str, str]:
        if self._tokens is not None:
            access = [{"type": "repository", "name": path, "actions": ["pull", "push"]}]
            return {"Authorization": f"Bearer {self._tokens._sign(access)}"}
        return {"Authorization": _basic(self.password)}


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}

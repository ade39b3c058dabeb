"""A small registry on a real socket, which can misbehave. Close it after use."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from componentrun.core.images.reference import Repository
from componentrun.registry.manifest import digest_of
from componentrun.registry.settings import RegistrySettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.web import Request, StreamResponse

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def image_manifest(text: str) -> bytes:
    """A manifest that differs from others by a text."""
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(text.encode()), "size": 1}
    return json.dumps({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": []}).encode()


def index_manifest(*platforms: str) -> bytes:
    """An index with an image for each platform."""
    manifests: list[dict[str, Any]] = []
    for platform in platforms:
        os, _, architecture = platform.partition("/")
        digest = digest_of(platform.encode())
        manifests.append(
            {"mediaType": IMAGE, "digest": digest, "size": 9, "platform": {"os": os, "architecture": architecture}}
        )
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()


@dataclass
class FakeRegistry:
    """Repositories in memory, optionally with a login by Basic or by tokens."""

    users: dict[str, str] = field(default_factory=dict)
    """Passwords by user name; empty: no login."""
    by_token: bool = False
    answer: Callable[[Request], Awaitable[StreamResponse | None]] | None = None
    """Called for each request before anything else; a response replaces the usual one."""
    page: int = 1000
    manifests: dict[str, dict[str, tuple[bytes, str]]] = field(default_factory=dict)
    """Content and media type by repository, and by tag or digest."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    has_referrers: bool = False
    """Whether it has the referrers API."""
    read_only: bool = False
    """Whether uploads are refused, as by a mirror."""
    deletes: bool = True
    """Whether images can be deleted."""
    upload_place: str = ""
    """Where blobs are to be sent; empty: below the repository."""
    log: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path with query, and Authorization of each request."""
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def host(self) -> str:
        """Host and port, as names of images have it."""
        return f"127.0.0.1:{self.port}"

    @property
    def settings(self) -> RegistrySettings:
        """Settings that allow plain HTTP to it."""
        return RegistrySettings(plain_http=frozenset({self.host}), connect_seconds=2.0, request_seconds=2.0)

    def repository(self, path: str = "team/app") -> Repository:
        """The repository of this path."""
        return Repository(self.host, path)

    def push(self, tag: str, content: bytes, path: str = "team/app", media_type: str = IMAGE) -> str:
        """Store a manifest under a tag. Returns its digest."""
        digest = digest_of(content)
        stored = self.manifests.setdefault(path, {})
        stored[digest] = stored[tag] = content, media_type
        return digest

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening; the port is kept for the next start."""
        assert self._runner is not None
        await self._runner.cleanup()

    def _knows(self, authorization: str) -> bool:
        scheme, _, value = authorization.partition(" ")
        if scheme != "Basic":
            return False
        name, _, password = base64.b64decode(value).decode().partition(":")
        return self.users.get(name) == password

    async def _serve(self, request: Request) -> StreamResponse:
        authorization = request.headers.get("Authorization", "")
        self.log.append((request.method, request.path_qs, authorization))
        if self.answer is not None and (special := await self.answer(request)) is not None:
            return special
        if request.path == "/token":
            if self.users and authorization and not self._knows(authorization):
                return web.json_response({"details": "incorrect username or password"}, status=401)
            suffix = "good" if authorization or not self.users else "anonymous"
            return web.json_response({"token": f"{suffix}-{request.query['scope']}", "expires_in": 300})
        repository, _, rest = request.path.removeprefix("/v2/").rpartition("/")
        repository, _, kind = repository.rpartition("/")
        if kind == "uploads":
            repository = repository.removesuffix("/blobs")
        is_write = request.method in {"POST", "PUT", "DELETE"}
        if (refused := self._refused(authorization, repository, is_write=is_write)) is not None:
            return refused
        if is_write:
            return self._upload(request, await request.read(), repository, kind, rest)
        return self._content(request, repository, kind, rest)

    def _refused(self, authorization: str, repository: str, *, is_write: bool) -> StreamResponse | None:
        if not self.users:
            return None
        if self.by_token:
            accepted = [f"Bearer good-repository:{repository}:pull,push"]
            accepted += [f"Bearer good-repository:{repository}:pull,delete"]
            accepted += [] if is_write else [f"Bearer good-repository:{repository}:pull"]
            if authorization in accepted:
                return None
            realm = f'Bearer realm="http://{self.host}/token",service="fake",scope="repository:{repository}:pull"'
            return web.json_response({"errors": []}, status=401, headers={"WWW-Authenticate": realm})
        if self._knows(authorization):
            return None
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="fake, really"'})

    def _delete(self, repository: str, digest: str) -> StreamResponse:
        """Delete an image with its tags."""
        if not self.deletes:
            return web.json_response({"errors": [{"code": "UNSUPPORTED"}]}, status=405)
        stored = self.manifests.get(repository, {})
        found = [name for name, (content, _) in stored.items() if digest_of(content) == digest]
        if not found:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        for name in found:
            del stored[name]
        return web.Response(status=202)

    def _upload(self, request: Request, body: bytes, repository: str, kind: str, rest: str) -> StreamResponse:
        """What clients do to push: POST for a place, PUT of a blob there, PUT of a manifest; and DELETE."""
        if request.method == "DELETE":
            return self._delete(repository, rest)
        if self.read_only:
            return web.json_response({"errors": [{"code": "UNSUPPORTED"}]}, status=405)
        if request.method == "POST":
            place = self.upload_place or f"/v2/{repository}/blobs/uploads/1?_state=a%2Fb"
            return web.Response(status=202, headers={"Location": place})
        if kind == "manifests":
            digest = self.push(rest, body, repository, request.headers["Content-Type"])
            return web.Response(status=201, headers={"Docker-Content-Digest": digest})
        digest = request.query["digest"]
        if digest_of(body) != digest or request.query["_state"] != "a/b":
            return web.json_response({"errors": [{"code": "DIGEST_INVALID"}]}, status=400)
        self.blobs[digest] = body
        return web.Response(status=201)

    def _content(self, request: Request, repository: str, kind: str, rest: str) -> StreamResponse:
        stored = self.manifests.get(repository)
        if stored is None:
            return web.json_response({"errors": [{"code": "NAME_UNKNOWN"}]}, status=404)
        if kind == "tags":
            return self._tags(request, repository, sorted(name for name in stored if ":" not in name))
        if kind == "referrers" and self.has_referrers:
            return self._referrers(request, repository, rest)
        if kind == "blobs" and rest in self.blobs:
            return web.Response(body=self.blobs[rest], content_type="application/octet-stream")
        if rest not in stored:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        content, media_type = stored[rest]
        headers = {"Docker-Content-Digest": digest_of(content), "Content-Type": media_type}
        return web.Response(body=content, headers=headers)

    def _tags(self, request: Request, repository: str, tags: list[str]) -> StreamResponse:
        last, most = request.query.get("last", ""), min(self.page, int(request.query.get("n", self.page)))
        rest = [tag for tag in tags if tag > last]
        headers = {}
        if len(rest) > most:
            headers["Link"] = f'</v2/{repository}/tags/list?n={most}&last={rest[most - 1]}>; rel="next"'
        return web.json_response({"name": repository, "tags": rest[:most]}, headers=headers)

    def _referrers(self, request: Request, repository: str, digest: str) -> StreamResponse:
        found = []
        for name, (content, media_type) in sorted(self.manifests[repository].items()):
            manifest = json.loads(content)
            if ":" in name and manifest.get("subject", {}).get("digest") == digest:
                found.append({
                    "mediaType": media_type,
                    "digest": name,
                    "size": len(content),
                    "artifactType": manifest["artifactType"],
                    "annotations": manifest.get("annotations", {}),
                })  # fmt: skip
        start = int(request.query.get("from", 0))
        headers = {"Content-Type": INDEX}
        if len(found) > start + self.page:
            headers["Link"] = f'</v2/{repository}/referrers/{digest}?from={start + self.page}>; rel="next"'
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": found[start : start + self.page]}
        return web.Response(body=json.dumps(index).encode(), headers=headers)

"""Uploads of artifacts, which are a manifest with one layer, and of the parts of images.

https://github.com/opencontainers/distribution-spec (end-2, end-3, end-4, end-6, end-7, end-11)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from componentrun.core.images.reference import DOCKER_HUB
from componentrun.registry import errors
from componentrun.registry.challenge import choose_challenge
from componentrun.registry.exchange import Answer, Exchange, origin
from componentrun.registry.manifest import MANIFEST_TYPES, digest_of
from componentrun.registry.tokens import basic, fetch_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.registry.exchange import Content
    from componentrun.registry.settings import RegistrySettings

__all__ = ["Artifact", "RegistryUploader"]

_API_HOSTS: Final = {DOCKER_HUB: "registry-1.docker.io"}
_MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
_EMPTY: Final = b"{}"
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
"""Configuration of an artifact that has none."""
_OK: Final = 200
_CREATED: Final = 201
_ACCEPTED: Final = 202
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_ANSWER_BYTES: Final = 2**20
_DIGEST_HEADER: Final = "docker-content-digest"
_ACCEPT: Final = {"Accept": ", ".join(MANIFEST_TYPES)}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A content with a type."""

    type: str
    """Type of the artifact."""
    layer: bytes
    """The content."""
    layer_type: str
    """Its media type."""
    annotations: Mapping[str, str] = field(default_factory=dict)

    def manifest(self) -> bytes:
        """The manifest. The same artifact always has the same one, so its digest identifies the content."""
        content = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "artifactType": self.type,
            "config": {"mediaType": _EMPTY_TYPE, "digest": digest_of(_EMPTY), "size": len(_EMPTY)},
            "layers": [{"mediaType": self.layer_type, "digest": digest_of(self.layer), "size": len(self.layer)}],
            "annotations": dict(sorted(self.annotations.items())),
        }
        if not self.annotations:
            del content["annotations"]
        return json.dumps(content, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """Digest of the manifest: what `repository@digest` names."""
        return digest_of(self.manifest())


class RegistryUploader:
    """Uploads to one repository. Close it to free its connections."""

    def __init__(
        self,
        settings: RegistrySettings,
        repository: Repository,
        login: Login | None,
        mounted: Repository | None = None,
    ) -> None:
        """Nothing is sent yet. Without a login, the registry must accept uploads from everybody.

        Args:
            settings: how to reach the registry.
            repository: where to upload to.
            login: how to log in.
            mounted: another repository of the same registry, whose blobs are to be mounted.
        """
        self._mounted = mounted
        self._exchange = Exchange(settings)
        self._repository = repository
        self._login = login
        host = _API_HOSTS.get(repository.host, repository.host)
        self._registry = f"{self._exchange.scheme(repository.host)}://{host}/"
        self._base = f"{self._registry}v2/{repository.path}/"
        self._authorization = ""

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._exchange.close()

    async def upload(self, artifact: Artifact, tag: str) -> str:
        """Upload an artifact, and point a tag to it. What the registry has is not sent again. Returns the digest.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: it refuses the upload.
        """
        for content in (_EMPTY, artifact.layer):
            await self._upload_blob(content)
        return await self.put_manifest(tag, artifact.manifest(), _MANIFEST_TYPE)

    async def put_manifest(self, reference: str, content: bytes, media_type: str) -> str:
        """Store a manifest whose blobs are there, and point a tag to it. Returns its digest.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: it refuses the upload.
        """
        digest = digest_of(content)
        headers = {"Content-Type": media_type}
        answer = await self._send("PUT", f"manifests/{reference}", headers, "the upload of a manifest", content)
        self._check(answer, _CREATED)
        stored = answer.headers.get(_DIGEST_HEADER, digest)
        if stored != digest:
            raise errors.dishonest(f"{self._repository.name}:{reference}", digest, stored)
        return digest

    async def tagged(self, tag: str) -> str | None:
        """The digest that a tag points to now; None if there is no such tag, or the registry names no digest.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: it refuses the request.
        """
        answer = await self._send("HEAD", f"manifests/{tag}", _ACCEPT, "a manifest", None)
        return answer.headers.get(_DIGEST_HEADER) if answer.status == _OK else None

    async def has_blob(self, digest: str) -> bool:
        """Whether the repository has a blob.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: it refuses the request.
        """
        return (await self._send("HEAD", f"blobs/{digest}", {}, "a blob", None)).status == _OK

    async def mount_blob(self, digest: str) -> bool:
        """Have the registry take a blob from the repository that is mounted, without a transfer.

        Returns:
            False if the registry does not do that, or the login may not read that repository. The registry may then
            have begun an upload, which it forgets.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: it refuses the upload.
        """
        if self._mounted is None:
            return False
        query = urlencode({"mount": digest, "from": self._mounted.path})
        answer = await self._send("POST", f"blobs/uploads/?{query}", {"Content-Length": "0"}, "a mount", None)
        return answer.status == _CREATED

    async def upload_blob(self, digest: str, content: Content) -> None:
        """Upload a blob that the repository does not have.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: it refuses the upload.
        """
        started = await self._send("POST", "blobs/uploads/", {"Content-Length": "0"}, "an upload", None)
        self._check(started, _ACCEPTED)
        url = self._location(started.headers.get("location", ""), digest)
        headers = {"Content-Type": "application/octet-stream"}
        self._check(await self._send("PUT", url, headers, "the upload of a blob", content), _CREATED)

    async def _upload_blob(self, content: bytes) -> None:
        digest = digest_of(content)
        if not await self.has_blob(digest):
            await self.upload_blob(digest, content)

    def _location(self, location: str, digest: str) -> str:
        """URL to which a blob is sent. The login goes to the registry alone."""
        url = urljoin(self._base, location)
        if not location or origin(url) != origin(self._base):
            host = urlsplit(self._base).netloc
            raise errors.not_a_registry(host, f"it wants the upload at `{urlsplit(url).netloc or 'nowhere'}`")
        parts = urlsplit(url)
        query = [*parse_qsl(parts.query, keep_blank_values=True), ("digest", digest)]
        return parts._replace(query=urlencode(query), fragment="").geturl()

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], what: str, data: Content | None
    ) -> Answer:
        """Send a request; if the registry wants another Authorization than before, once more.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: it refuses the login, or there is none.
        """
        url = urljoin(self._base, path)
        limit, known = _ANSWER_BYTES, self._authorization
        answer = await self._exchange.send(method, url, headers, what=what, limit=limit, authorization=known, data=data)
        if answer.status == _UNAUTHORIZED:
            if answer.origin != origin(url):
                raise errors.redirected_to_login(self._repository.host, answer.origin)
            self._authorization = await self._authorized(answer)
            answer = await self._exchange.send(
                method, url, headers, what=what, limit=limit, authorization=self._authorization, data=data
            )
        if answer.status in {_UNAUTHORIZED, _FORBIDDEN}:
            raise self._refusal(answer)
        return answer

    async def _authorized(self, answer: Answer) -> str:
        """Value of Authorization that the registry asks for."""
        challenge = choose_challenge(answer.challenges)
        if challenge is None or (challenge.scheme == "basic" and (self._login is None or self._authorization)):
            raise self._refusal(answer)
        if challenge.scheme == "basic" and self._login is not None:
            return basic(self._login)
        value, _ = await fetch_token(
            self._exchange, challenge, self._repository, self._registry, self._login, "pull,push", self._mounted
        )
        return value

    def _refusal(self, answer: Answer) -> errors.ImageError:
        name = self._repository.name
        if self._login is None:
            return errors.no_password(name, "")
        challenge = choose_challenge(answer.challenges)
        is_login_valid = answer.status == _FORBIDDEN or (challenge is not None and challenge.scheme == "bearer")
        refused = errors.push_denied if is_login_valid else errors.wrong_password
        return refused(name, f"`{self._login.secret}`")

    def _check(self, answer: Answer, expected: int) -> None:
        if answer.status == _NOT_FOUND:
            raise errors.no_such_repository(self._repository.name)
        if answer.status != expected:
            host = self._repository.host
            raise errors.not_a_registry(host, f"it answered {answer.status} to an upload; expected {expected}")

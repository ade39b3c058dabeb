"""Uploads of artifacts, which are a manifest with one layer, and of the parts of images.

https://github.com/opencontainers/distribution-spec (end-2, end-3, end-4, end-6, end-7, end-11)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from componentrun.core.images import problems
from componentrun.registry import errors
from componentrun.registry.authorized import AuthorizedExchange, refusal_of
from componentrun.registry.manifest import MANIFEST_TYPES, digest_of
from componentrun.registry.origin import origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.registry.exchange import Answer, Content
    from componentrun.registry.settings import RegistrySettings

__all__ = ["Artifact", "RegistryUploader"]

_MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
_EMPTY: Final = b"{}"
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
"""Configuration of an artifact that has none."""
_OK: Final = 200
_CREATED: Final = 201
_ACCEPTED: Final = 202
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
    """Uploads to one repository. Close it to free its connections.

    Attributes:
        repository: the repository.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        repository: Repository,
        login: Login | None,
        known: str = "",
        mounted: Repository | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            settings: how to reach registries.
            repository: the repository.
            login: user name and password; None: the registry must accept uploads from everybody.
            known: what is known about places without a login for it, for messages.
            mounted: another repository of the same registry, whose blobs are to be mounted.
        """
        self._mounted = mounted
        self._exchange = AuthorizedExchange(settings, "pull,push", mounted=mounted)
        self.repository = repository
        self._login = login
        self._known = known
        self._base = self._exchange.base(repository)

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
            raise errors.dishonest(f"{self.repository.name}:{reference}", digest, stored)
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
        """Send a request.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: it refuses the login, or there is none.
        """
        answer = await self._exchange.send(
            method, self.repository, self._login, path, headers, what=what, limit=_ANSWER_BYTES, data=data
        )
        refusal = refusal_of(answer, self.repository, self._login, self._known, is_push=True)
        if refusal is not None:
            raise refusal
        return answer

    def _check(self, answer: Answer, expected: int) -> None:
        if answer.status == _NOT_FOUND:
            raise errors.image_error(problems.no_such_repository(self.repository.name))
        if answer.status != expected:
            host = self.repository.host
            raise errors.not_a_registry(host, f"it answered {answer.status} to an upload; expected {expected}")

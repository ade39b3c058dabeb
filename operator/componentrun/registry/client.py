"""Digests of tags, lists of tags, manifests and blobs of a registry.

https://github.com/opencontainers/distribution-spec
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import IO, TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from componentrun.core.images import problems
from componentrun.core.images.reference import DIGEST
from componentrun.registry import errors
from componentrun.registry.authorized import AuthorizedExchange, refusal_of
from componentrun.registry.manifest import INDEX_TYPES, MANIFEST_TYPES, Manifest, digest_of, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.registry.exchange import Answer
    from componentrun.registry.manifest import Descriptor
    from componentrun.registry.settings import RegistrySettings

__all__ = ["MOST_REFERRERS", "MOST_TAGS", "RegistryClient"]

_OK: Final = 200
_NOT_FOUND: Final = 404
_DIGEST_HEADER: Final = "docker-content-digest"
_MANIFEST_BYTES: Final = 4 * 2**20
"""Maximum size of a manifest that the specification recommends registries to accept."""
_PAGE_BYTES: Final = 2**20
_PAGE: Final = 1000
MOST_TAGS: Final = 20_000
"""Maximum number of tags of a repository that are looked through for a version."""
MOST_REFERRERS: Final = 1000
"""Number of referrers of an image from which no further page is asked for."""
_ACCEPT: Final = {"Accept": ", ".join(MANIFEST_TYPES)}
_ACCEPT_INDEX: Final = {"Accept": ", ".join(sorted(INDEX_TYPES))}
_JSON: Final = {"Accept": "application/json"}


class _Hashed:
    """Writes to another file, and hashes what is written."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self._hash = hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Write a part."""
        self._hash.update(content)
        return self._sink.write(content)

    @property
    def digest(self) -> str:
        """Digest of everything so far."""
        return f"sha256:{self._hash.hexdigest()}"


class RegistryClient:
    """Reads from registries. Close it to free its connections."""

    def __init__(self, settings: RegistrySettings, ticks: Callable[[], float] = time.monotonic) -> None:
        """`ticks` returns the time in seconds, for the validity of tokens."""
        self._exchange = AuthorizedExchange(settings, ticks=ticks)

    async def close(self) -> None:
        """Close all connections."""
        await self._exchange.close()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.close()

    async def digest(self, repository: Repository, tag: str, logins: Sequence[Login], known: str = "") -> str:
        """The digest that a tag points to now. One request, if the registry has answered this repository before.

        Args:
            repository: the repository.
            tag: the tag.
            logins: credentials to try in this order; empty: none.
            known: what is known about pull secrets without a login for it, for messages.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: there is no such image, or it may not be read.
        """
        what = f"the manifest of `{repository.name}:{tag}`"
        answer = await self._get(repository, "HEAD", f"manifests/{tag}", _ACCEPT, logins, known, what, 0)
        if answer.status == _NOT_FOUND:
            raise await self._not_found(repository, tag, logins, known)
        _check_manifest(repository, answer)
        digest = answer.headers.get(_DIGEST_HEADER, "")
        if not digest:  # the header is optional
            answer = await self._get(
                repository, "GET", f"manifests/{tag}", _ACCEPT, logins, known, what, _MANIFEST_BYTES
            )
            _check_manifest(repository, answer)
            return digest_of(answer.body)
        if not DIGEST.fullmatch(digest):
            raise errors.not_a_registry(repository.host, "the digest of a manifest is no sha256 digest")
        return digest

    async def manifest(
        self, repository: Repository, reference: str, logins: Sequence[Login], known: str = ""
    ) -> Manifest:
        """Read a manifest. Its content has the digest that was asked for, or that the registry announced.

        Args:
            repository: the repository.
            reference: a digest or a tag.
            logins: see `digest`.
            known: see `digest`.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: there is no such manifest, it may not be read, or its content has another digest.
        """
        is_digest = DIGEST.fullmatch(reference) is not None
        image = repository.at(reference) if is_digest else f"{repository.name}:{reference}"
        what = f"the manifest of `{image}`"
        answer = await self._get(
            repository, "GET", f"manifests/{reference}", _ACCEPT, logins, known, what, _MANIFEST_BYTES
        )
        if answer.status == _NOT_FOUND:
            raise await self._not_found(repository, reference, logins, known)
        _check_manifest(repository, answer)
        found = digest_of(answer.body)
        expected = reference if is_digest else answer.headers.get(_DIGEST_HEADER, found)
        if found != expected:
            raise errors.dishonest(image, expected, found)
        return read_manifest(answer.body, found, answer.media_type, image)

    async def blob(
        self, repository: Repository, digest: str, logins: Sequence[Login], *, limit: int, known: str = ""
    ) -> bytes:
        """Read a blob of at most `limit` bytes. Its content has this digest.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: there is no such blob, it may not be read, is too large, or has another digest.
        """
        what = f"a part of `{repository.name}`"
        answer = await self._get(repository, "GET", f"blobs/{digest}", {}, logins, known, what, limit)
        if answer.status == _NOT_FOUND:
            raise errors.image_error(problems.no_such_tag(repository.name, digest))
        _check(repository, answer)
        found = digest_of(answer.body)
        if found != digest:
            raise errors.dishonest(repository.at(digest), digest, found)
        return answer.body

    async def download(
        self,
        repository: Repository,
        digest: str,
        logins: Sequence[Login],
        sink: IO[bytes],
        *,
        limit: int,
        known: str = "",
    ) -> None:
        """Write a blob of at most `limit` bytes to a file. After an error, the file may have a part of it.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: there is no such blob, it may not be read, is too large, or has another digest.
        """
        hashed = _Hashed(sink)
        what = f"a part of `{repository.name}`"
        answer = await self._get(repository, "GET", f"blobs/{digest}", {}, logins, known, what, limit, hashed)  # type: ignore[arg-type]
        if answer.status == _NOT_FOUND:
            raise errors.image_error(problems.no_such_tag(repository.name, digest))
        _check(repository, answer)
        if hashed.digest != digest:
            raise errors.dishonest(repository.at(digest), digest, hashed.digest)

    async def tags(self, repository: Repository, logins: Sequence[Login], known: str = "") -> tuple[str, ...]:
        """All tags of a repository, at most `MOST_TAGS`.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: there is no such repository, it may not be read, or it has more tags.
        """
        what = f"the tags of `{repository.name}`"
        path, found = f"tags/list?n={_PAGE}", dict[str, None]()
        while path:
            answer = await self._get(repository, "GET", path, _JSON, logins, known, what, _PAGE_BYTES)
            if answer.status == _NOT_FOUND:
                raise self._missing_repository(repository, answer)
            _check(repository, answer)
            before = len(found)
            found |= dict.fromkeys(_tags(repository, answer.body))
            if len(found) > MOST_TAGS:
                raise errors.too_many_tags(repository.name, MOST_TAGS)
            path = _next_page(answer, "tags/list") if len(found) > before else ""
        return tuple(found)

    async def referrers(
        self, repository: Repository, digest: str, logins: Sequence[Login], known: str = ""
    ) -> tuple[Descriptor, ...] | None:
        """Manifests that refer to an image, such as signatures, in the registry's order.

        Args:
            repository: the repository.
            digest: digest of the image.
            logins: see `digest`.
            known: see `digest`.

        Returns:
            None if the registry does not have the referrers API.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: they may not be read, or the answer is not valid.
        """
        path = f"referrers/{digest}"
        found: dict[str, Descriptor] = {}
        while path and len(found) < MOST_REFERRERS:
            what = f"what refers to `{repository.at(digest)}`"
            answer = await self._get(repository, "GET", path, _ACCEPT_INDEX, logins, known, what, _MANIFEST_BYTES)
            if answer.status != _OK or answer.media_type not in INDEX_TYPES:
                return tuple(found.values()) or None
            before = len(found)
            page = read_manifest(answer.body, digest, answer.media_type, repository.at(digest))
            found |= {child.digest: child for child in page.children}
            path = _next_page(answer, f"referrers/{digest}") if len(found) > before else ""
        return tuple(found.values())

    async def _not_found(
        self, repository: Repository, reference: str, logins: Sequence[Login], known: str
    ) -> errors.ImageError:
        """Find out whether the tag is missing or its repository. A response to HEAD has no body that says so."""
        try:
            answer = await self._get(
                repository, "GET", "tags/list?n=1", _JSON, logins, known, "a list of tags", _PAGE_BYTES
            )
        except errors.ImageError:
            # The registry does not list tags.
            return errors.image_error(problems.no_such_tag(repository.name, reference))
        if answer.status == _NOT_FOUND:
            return self._missing_repository(repository, answer)
        return errors.image_error(problems.no_such_tag(repository.name, reference))

    @staticmethod
    def _missing_repository(repository: Repository, answer: Answer) -> errors.ImageError:
        if answer.media_type == "text/html":
            return errors.not_a_registry(repository.host, "it answered 404 with an HTML page")
        return errors.image_error(problems.no_such_repository(repository.name))

    async def _get(
        self,
        repository: Repository,
        method: str,
        path: str,
        headers: Mapping[str, str],
        logins: Sequence[Login],
        known: str,
        what: str,
        limit: int,
        sink: IO[bytes] | None = None,
    ) -> Answer:
        """Send a request with each login until one is accepted; without any if there are none.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: no login was accepted.
        """
        refusal: errors.ImageError | None = None
        for login in logins or (None,):
            try:
                # A response to an unauthorized request may have a body.
                answer = await self._exchange.send(
                    method, repository, login, path, headers, what=what, limit=limit or _PAGE_BYTES, sink=sink
                )
            except errors.ImageError as error:
                if error.problem not in {errors.Problem.WRONG_PASSWORD, errors.Problem.NO_PASSWORD}:
                    raise
                refusal = error
                continue
            refusal = refusal_of(answer, repository, login, known)
            if refusal is None:
                return answer
        if refusal is None or (not logins and refusal.problem is errors.Problem.NO_PASSWORD):
            raise errors.image_error(problems.no_password(repository.name, known))
        raise refusal


def _check(repository: Repository, answer: Answer) -> None:
    if answer.status != _OK:
        raise errors.not_a_registry(repository.host, f"it answered {answer.status}")


def _check_manifest(repository: Repository, answer: Answer) -> None:
    _check(repository, answer)
    if answer.media_type == "text/html":
        raise errors.not_a_registry(repository.host, "it answered with an HTML page instead of a manifest")
    if answer.media_type not in MANIFEST_TYPES:
        raise errors.not_a_registry(repository.host, "it answered with something else than the manifest of an image")


def _tags(repository: Repository, body: bytes) -> list[str]:
    try:
        tags = json.loads(body)["tags"] or []
        return [tag for tag in tags if isinstance(tag, str)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise errors.not_a_registry(repository.host, "its list of tags is not valid") from error


def _next_page(answer: Answer, path: str) -> str:
    """Path of the next page of this list, relative to the repository; empty if this was the last one."""
    link = answer.headers.get("link", "")
    target, _, parameters = link.partition(">")
    if not target.startswith("<") or 'rel="next"' not in parameters.replace("rel=next", 'rel="next"'):
        return ""
    query = urlsplit(target[1:]).query  # only the query: the path stays that of the repository
    return f"{path}?{query}" if query else ""

"""Digests of tags, lists of tags, manifests and blobs of a registry.

https://github.com/opencontainers/distribution-spec
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Final, Self
from urllib.parse import urljoin, urlsplit

from componentrun.core.images.reference import DIGEST, DOCKER_HUB
from componentrun.registry import errors
from componentrun.registry.challenge import choose_challenge
from componentrun.registry.exchange import Answer, Exchange, origin
from componentrun.registry.manifest import MANIFEST_TYPES, Manifest, digest_of, read_manifest
from componentrun.registry.tokens import basic, fetch_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.registry.settings import RegistrySettings

__all__ = ["MOST_TAGS", "RegistryClient"]

_API_HOSTS: Final = {DOCKER_HUB: "registry-1.docker.io"}
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_DIGEST_HEADER: Final = "docker-content-digest"
_MANIFEST_BYTES: Final = 4 * 2**20
"""Maximum size of a manifest that the specification recommends registries to accept."""
_PAGE_BYTES: Final = 2**20
_PAGE: Final = 1000
MOST_TAGS: Final = 20_000
"""Maximum number of tags of a repository that are looked through for a version."""
_ACCEPT: Final = {"Accept": ", ".join(MANIFEST_TYPES)}
_JSON: Final = {"Accept": "application/json"}
_MOST_REMEMBERED: Final = 1024
_SPARE_SECONDS: Final = 10.0
"""A token is not used for the last seconds of its validity."""


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
        self._exchange = Exchange(settings)
        self._ticks = ticks
        self._remembered: OrderedDict[tuple[Repository, Login | None], tuple[str, float]] = OrderedDict()
        """What a registry accepted as Authorization, and until when it may be used."""

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
            raise errors.no_such_tag(repository.name, digest)
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
            raise errors.no_such_tag(repository.name, digest)
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
            path = _next_page(answer) if len(found) > before else ""
        return tuple(found)

    async def _not_found(
        self, repository: Repository, reference: str, logins: Sequence[Login], known: str
    ) -> errors.ImageError:
        """Find out whether the tag is missing or its repository. A response to HEAD has no body that says so."""
        try:
            answer = await self._get(
                repository, "GET", "tags/list?n=1", _JSON, logins, known, "a list of tags", _PAGE_BYTES
            )
        except errors.ImageError:
            return errors.no_such_tag(repository.name, reference)  # the registry does not list tags
        if answer.status == _NOT_FOUND:
            return self._missing_repository(repository, answer)
        return errors.no_such_tag(repository.name, reference)

    @staticmethod
    def _missing_repository(repository: Repository, answer: Answer) -> errors.ImageError:
        if answer.media_type == "text/html":
            return errors.not_a_registry(repository.host, "it answered 404 with an HTML page")
        return errors.no_such_repository(repository.name)

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
                answer = await self._as(login, repository, method, path, headers, what, limit, sink)
            except errors.ImageError as error:
                if error.problem not in {errors.Problem.WRONG_PASSWORD, errors.Problem.NO_PASSWORD}:
                    raise
                refusal = error
                continue
            if answer.status not in {_UNAUTHORIZED, _FORBIDDEN}:
                return answer
            refusal = _refusal(repository, answer, login, known)
        if refusal is None or (not logins and refusal.problem is errors.Problem.NO_PASSWORD):
            raise errors.no_password(repository.name, known)
        raise refusal

    async def _as(
        self,
        login: Login | None,
        repository: Repository,
        method: str,
        path: str,
        headers: Mapping[str, str],
        what: str,
        limit: int,
        sink: IO[bytes] | None = None,
    ) -> Answer:
        """Send a request with one login; if the registry wants another Authorization than before, once more."""
        host = _API_HOSTS.get(repository.host, repository.host)
        registry = f"{self._exchange.scheme(repository.host)}://{host}/"
        url = urljoin(f"{registry}v2/{repository.path}/", path)
        # A response to an unauthorized request may have a body.
        limit = limit or _PAGE_BYTES
        known = self._authorization(repository, login)
        answer = await self._exchange.send(method, url, headers, what=what, limit=limit, authorization=known, sink=sink)
        if answer.status != _UNAUTHORIZED:
            return answer
        if answer.origin != origin(url):
            raise errors.redirected_to_login(host, answer.origin)
        self._remembered.pop((repository, login), None)
        challenge = choose_challenge(answer.challenges)
        if challenge is None:
            return answer
        if challenge.scheme == "bearer":
            value, seconds = await fetch_token(self._exchange, challenge, repository, registry, login)
        elif login is not None and not known:
            value, seconds = basic(login), float("inf")
        else:
            return answer
        answer = await self._exchange.send(method, url, headers, what=what, limit=limit, authorization=value, sink=sink)
        if answer.status not in {_UNAUTHORIZED, _FORBIDDEN}:
            self._remember(repository, login, value, seconds)
        return answer

    def _authorization(self, repository: Repository, login: Login | None) -> str:
        value, until = self._remembered.get((repository, login), ("", 0.0))
        return value if self._ticks() < until else ""

    def _remember(self, repository: Repository, login: Login | None, value: str, seconds: float) -> None:
        self._remembered[repository, login] = value, self._ticks() + seconds - _SPARE_SECONDS
        self._remembered.move_to_end((repository, login))
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)


def _refusal(repository: Repository, answer: Answer, login: Login | None, known: str) -> errors.ImageError:
    if login is None:
        return errors.no_password(repository.name, known)
    challenge = choose_challenge(answer.challenges)
    is_login_valid = answer.status == _FORBIDDEN or (challenge is not None and challenge.scheme == "bearer")
    secret = f"Secret `{login.secret}`"
    refused = errors.access_denied if is_login_valid else errors.wrong_password
    return refused(repository.name, secret)


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


def _next_page(answer: Answer) -> str:
    """Path of the next page of tags, relative to the repository; empty if this was the last one."""
    link = answer.headers.get("link", "")
    target, _, parameters = link.partition(">")
    if not target.startswith("<") or 'rel="next"' not in parameters.replace("rel=next", 'rel="next"'):
        return ""
    query = urlsplit(target[1:]).query  # only the query: the path stays that of the repository
    return f"tags/list?{query}" if query else ""

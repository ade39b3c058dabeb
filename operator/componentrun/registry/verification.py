"""Finds the signatures of an image in its registry, and checks them. Valid is an image with one valid signature.

Signatures are looked for where cosign puts them, in this order:

1. Bundles that refer to the image, by the referrers API of the registry.
2. The same below the tag `sha256-<digest>`, where clients keep them in registries without that API.
3. Signatures of cosign 2, below the tag `sha256-<digest>.sig`.

Whoever may push to a repository may add signatures, so their number and size are limited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.core.images.signatures import (
    BUNDLE_TYPE,
    MAX_SIGNATURE_BYTES,
    SIGN_PREDICATE,
    SIMPLE_SIGNATURE,
    SIMPLE_TYPE,
    check_bundle,
    check_simple_signature,
)
from componentrun.errors import Reason, UserError
from componentrun.registry.errors import ImageError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.core.images.signingkey import SigningKey
    from componentrun.registry.client import RegistryClient
    from componentrun.registry.manifest import Descriptor

__all__ = ["MOST_SIGNATURES", "verify_image"]

MOST_SIGNATURES: Final = 32
"""Number of signatures of an image that are checked."""
_PREDICATE: Final = "dev.sigstore.bundle.predicateType"
"""Annotation with which cosign tells signatures from attestations. It is not signed, so it only saves requests."""
_MISSING: Final = frozenset({Problem.NO_SUCH_TAG, Problem.NO_SUCH_REPOSITORY})
_REFUSED: Final = frozenset({Problem.NO_PASSWORD, Problem.WRONG_PASSWORD, Problem.ACCESS_DENIED})
_MOST_FINDINGS: Final = 3
"""Number of findings that a message repeats."""


async def verify_image(
    client: RegistryClient,
    repository: Repository,
    digest: str,
    key: SigningKey,
    logins: Sequence[Login],
    known: str = "",
) -> None:
    """Check that an image has a valid signature by a key.

    Args:
        client: the registry.
        repository: repository of the image.
        digest: digest of the image, or of its index if it has several platforms.
        key: the key.
        logins: credentials to try in this order; empty: none.
        known: what is known about pull secrets without a login for it, for messages.

    Raises:
        UserError: (ImageUnverified) it has no valid signature; the message says what was found instead.
        RegistryAwayError: the registry can't answer now.
        ImageError: the signatures may not be read.
    """
    search = _Search(client, repository, digest, key, logins, known)
    for source in (search.by_referrers, search.by_tag, search.by_signature_tag):
        if await source():
            return
    raise search.error()


class _Search:
    """One search for a valid signature."""

    def __init__(
        self,
        client: RegistryClient,
        repository: Repository,
        digest: str,
        key: SigningKey,
        logins: Sequence[Login],
        known: str,
    ) -> None:
        """See `verify_image`."""
        self._client = client
        self._repository = repository
        self._digest = digest
        self._key = key
        self._logins = logins
        self._known = known
        self._tag = digest.replace(":", "-")
        self._seen: set[str] = set()
        """Digests of bundles and payloads that were checked, or not even read."""
        self._findings: dict[str, None] = {}
        """What is wrong with those, without repetitions."""

    async def by_referrers(self) -> bool:
        """Whether the referrers API leads to a valid signature."""
        try:
            found = await self._client.referrers(self._repository, self._digest, self._logins, self._known)
        except ImageError as error:
            # Some registries refuse what they do not know as if a login were missing. Tags tell whether one is.
            if error.problem not in _REFUSED:
                self._note(error)
            return False
        return await self._has_valid_bundle(found or ())

    async def by_tag(self) -> bool:
        """Whether the tag for registries without the referrers API leads to a valid signature."""
        return await self._has_valid_bundle(await self._listed(self._tag))

    async def by_signature_tag(self) -> bool:
        """Whether there is a valid signature of cosign 2."""
        for layer in await self._listed(f"{self._tag}.sig"):
            signature = layer.annotations.get(SIMPLE_SIGNATURE)
            if layer.media_type != SIMPLE_TYPE or signature is None:
                continue
            # Payloads of several signatures may be the same.
            if not self._is_next(f"{layer.digest} {signature}"):
                break
            try:
                payload = await self._read(layer)
                check_simple_signature(payload, signature, self._key, self._digest)
            except UserError as error:
                self._note(error)
            else:
                return True
        return False

    def error(self) -> UserError:
        """The error that says what was found."""
        image = self._repository.at(self._digest)
        findings = list(self._findings)
        if findings:
            named = "; ".join(findings[:_MOST_FINDINGS])
            more = f"; and {len(findings) - _MOST_FINDINGS} more" if len(findings) > _MOST_FINDINGS else ""
            number = (
                "1 signature, which is not valid"
                if len(self._seen) == 1
                else f"{len(self._seen)} signatures, none valid"
            )
            found = f"found {number}: {named}{more}"
        else:
            found = "found none"
        return UserError(
            f"image `{image}` is not signed as required: expected a signature with the key "
            f"{self._key.fingerprint}; {found}",
            Reason.IMAGE_UNVERIFIED,
            advice=f"Sign it with `cosign sign --key cosign.key {image}`, or correct the key.",
        )

    async def _has_valid_bundle(self, found: Sequence[Descriptor]) -> bool:
        for item in found:
            is_signature = item.annotations.get(_PREDICATE, SIGN_PREDICATE) == SIGN_PREDICATE
            # Old clients write no type into the list of a tag.
            if not is_signature or (item.artifact_type and not item.artifact_type.startswith(BUNDLE_TYPE)):
                continue
            if item.digest in self._seen:
                continue
            if not self._is_next(item.digest):
                return False
            if await self._is_valid_bundle(item.digest):
                return True
        return False

    async def _is_valid_bundle(self, digest: str) -> bool:
        try:
            manifest = await self._client.manifest(self._repository, digest, self._logins, self._known)
            layers = [layer for layer in manifest.children if layer.media_type.startswith(BUNDLE_TYPE)]
            if manifest.is_index or len(layers) != 1:
                return False  # something else that refers to the image
            check_bundle(await self._read(layers[0]), self._key, self._digest)
        except UserError as error:
            self._note(error)
            return False
        return True

    async def _listed(self, tag: str) -> tuple[Descriptor, ...]:
        """What the manifest of a tag lists; nothing if there is no such tag."""
        try:
            manifest = await self._client.manifest(self._repository, tag, self._logins, self._known)
        except ImageError as error:
            if error.problem in _REFUSED:
                raise
            if error.problem not in _MISSING:
                self._note(error)
            return ()
        return manifest.children

    async def _read(self, part: Descriptor) -> bytes:
        return await self._client.blob(
            self._repository, part.digest, self._logins, limit=MAX_SIGNATURE_BYTES, known=self._known
        )

    def _is_next(self, name: str) -> bool:
        """Count one more signature. Returns False if there are too many."""
        if len(self._seen) >= MOST_SIGNATURES:
            self._findings[f"there are more, and only {MOST_SIGNATURES} are checked"] = None
            return False
        self._seen.add(name)
        return True

    def _note(self, error: UserError) -> None:
        self._findings[error.summary] = None

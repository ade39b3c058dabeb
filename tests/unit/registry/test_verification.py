"""Where signatures are looked for, and what is said if none is valid. The registry is real HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from componentrun.core.images.signatures import MAX_SIGNATURE_BYTES
from componentrun.core.images.signingkey import parse_signing_key
from componentrun.errors import Reason, UserError
from componentrun.registry.client import RegistryClient
from componentrun.registry.errors import ImageError, Problem, RegistryAwayError
from componentrun.registry.manifest import digest_of
from componentrun.registry.verification import MOST_SIGNATURES, verify_image
from tests.signing import INDEX, Signer, bundle_manifest, bundle_of, index_of, simple_manifest, statement, tag_of
from tests.unit.registry.fakeregistry import FakeRegistry, image_manifest, index_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.web import Request, StreamResponse

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden/cosign.json").read_text())
MINE, OTHER = Signer(), Signer()


@pytest.fixture(params=[False, True], ids=["tag", "referrers"])
async def registry(request: pytest.FixtureRequest) -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry(has_referrers=request.param) as fake:
        yield fake


async def verify(
    registry: FakeRegistry, digest: str, pem: str = MINE.public, path: str = "team/app", *logins: Any
) -> None:
    async with RegistryClient(registry.settings) as client:
        await verify_image(client, registry.repository(path), digest, parse_signing_key(pem, "key"), logins)


async def refused(registry: FakeRegistry, digest: str, pem: str = MINE.public, path: str = "team/app") -> UserError:
    with pytest.raises(UserError) as caught:
        await verify(registry, digest, pem, path)
    assert caught.value.reason is Reason.IMAGE_UNVERIFIED
    return caught.value


def attach(registry: FakeRegistry, digest: str, *bundles: bytes) -> None:
    manifests = [bundle_manifest(bundle, digest) for bundle in bundles]
    for bundle, manifest in zip(bundles, manifests, strict=True):
        registry.blobs[digest_of(bundle)] = bundle
        registry.push(digest_of(manifest), manifest)
    if not registry.has_referrers:
        registry.push(tag_of(digest), index_of(manifests), media_type=INDEX)


def attach_simple(registry: FakeRegistry, digest: str, *signed: tuple[bytes, str]) -> None:
    registry.blobs |= {digest_of(payload): payload for payload, _ in signed}
    registry.push(f"{tag_of(digest)}.sig", simple_manifest(signed))


def load_golden(registry: FakeRegistry) -> None:
    contents = {digest: text.encode() for digest, text in GOLDEN["contents"].items()}
    registry.blobs |= contents
    for path, tags in GOLDEN["tags"].items():
        stored = registry.manifests.setdefault(path, {})
        for name, digest in {**{digest: digest for digest in contents}, **tags}.items():
            kind = json.loads(contents[digest]).get("mediaType", "")
            if "manifest" in kind or "index" in kind:
                stored[name] = contents[digest], kind


@pytest.mark.parametrize("form", ["bundle", "simple"])
@pytest.mark.parametrize("kind", ["p256", "p384", "rsa"])
async def test_what_cosign_left_in_a_registry(registry: FakeRegistry, kind: str, form: str) -> None:
    load_golden(registry)
    path = f"{kind}/{form}"
    image = GOLDEN["images"][path]
    await verify(registry, image["digest"], image["key"], path)
    error = await refused(registry, image["digest"], MINE.public, path)
    assert "found 1 signature, which is not valid: it was made with another key" in error.summary


async def test_an_attestation_of_cosign_is_no_signature(registry: FakeRegistry) -> None:
    load_golden(registry)
    image = GOLDEN["images"]["p256/attested"]
    await refused(registry, image["digest"], image["key"], "p256/attested")


async def test_an_image_without_signatures(registry: FakeRegistry) -> None:
    digest = registry.push("1.0", image_manifest("one"))
    error = await refused(registry, digest)
    reference = f"{registry.host}/team/app@{digest}"
    assert error.summary == (
        f"image `{reference}` is not signed as required: expected a signature with the key "
        f"{parse_signing_key(MINE.public, 'key').fingerprint}; found none"
    )
    assert error.advice == f"Sign it with `cosign sign --key cosign.key {reference}`, or correct the key."


async def test_an_image_that_only_its_digest_names(registry: FakeRegistry) -> None:
    """The list of tags of such a repository is missing in some registries."""
    digest = registry.push(digest_of(image_manifest("one")), image_manifest("one"))
    assert "found none" in (await refused(registry, digest)).summary
    attach(registry, digest, MINE.bundle(digest))
    await verify(registry, digest)


async def test_one_valid_signature_among_others_suffices(registry: FakeRegistry) -> None:
    digest = registry.push("1.0", image_manifest("one"))
    attach(registry, digest, OTHER.bundle(digest), MINE.bundle(digest), b"{}")
    await verify(registry, digest)
    await verify(registry, digest, OTHER.public)
    assert "found something else; expected a bundle" in (await refused(registry, digest, Signer().public)).summary


async def test_the_signature_of_another_image_does_not_count(registry: FakeRegistry) -> None:
    one, two = registry.push("1.0", image_manifest("one")), registry.push("2.0", image_manifest("two"))
    attach(registry, two, MINE.bundle(one))
    assert f"it is a signature of `{one}`; expected `{two}`" in (await refused(registry, two)).summary
    attach_simple(registry, two, MINE.payload(one))
    assert "found 2 signatures, none valid" in (await refused(registry, two)).summary


async def test_an_index_is_signed_and_not_its_images(registry: FakeRegistry) -> None:
    index = registry.push("1.0", index_manifest("linux/amd64", "linux/arm64"), media_type=INDEX)
    child = digest_of(b"linux/amd64")
    attach(registry, child, MINE.bundle(child))
    await refused(registry, index)
    attach(registry, index, MINE.bundle(index))
    await verify(registry, index)


async def test_a_bundle_is_preferred_and_a_signature_of_cosign_2_is_found(registry: FakeRegistry) -> None:
    digest = registry.push("1.0", image_manifest("one"))
    attach(registry, digest, OTHER.bundle(digest))
    attach_simple(registry, digest, OTHER.payload(digest), MINE.payload(digest))
    await verify(registry, digest)
    attach(registry, digest, MINE.bundle(digest))
    registry.log.clear()
    await verify(registry, digest)
    assert not [path for _, path, _ in registry.log if path.endswith(".sig")]
    assert len(registry.log) <= (5 if registry.has_referrers else 4)


async def test_a_registry_with_referrers_may_still_have_signatures_below_the_tag(registry: FakeRegistry) -> None:
    """They were pushed before the registry had the API."""
    digest = registry.push("1.0", image_manifest("one"))
    attach(registry, digest, MINE.bundle(digest))
    if registry.has_referrers:
        manifest = bundle_manifest(MINE.bundle(digest), digest_of(b"nothing"))
        bundle = json.loads(manifest)["layers"][0]["digest"]
        registry.blobs[bundle] = next(content for content in registry.blobs.values())
        registry.push(tag_of(digest), index_of([manifest]), media_type=INDEX)
    await verify(registry, digest)


async def test_the_number_of_signatures_is_limited(registry: FakeRegistry) -> None:
    digest = registry.push("1.0", image_manifest("one"))
    registry.page = 10
    bundles = [bundle_of(OTHER.envelope(statement(digest, predicate={"n": n}))) for n in range(MOST_SIGNATURES + 5)]
    attach(registry, digest, *bundles)
    attach_simple(registry, digest, MINE.payload(digest))
    registry.log.clear()
    error = await refused(registry, digest)
    assert f"found {MOST_SIGNATURES} signatures, none valid" in error.summary
    assert f"there are more, and only {MOST_SIGNATURES} are checked" in error.summary
    assert len(registry.log) < 2 * MOST_SIGNATURES + 12


async def test_pages_of_referrers_are_read(registry: FakeRegistry) -> None:
    digest = registry.push("1.0", image_manifest("one"))
    registry.page = 1
    attach(registry, digest, OTHER.bundle(digest), Signer().bundle(digest), MINE.bundle(digest))
    await verify(registry, digest)


@pytest.mark.parametrize(
    ("bundle", "words"),
    [
        (b" " * (MAX_SIGNATURE_BYTES + 1), f"sent more than {MAX_SIGNATURE_BYTES} bytes"),
        (b"[" * 100_000, "the bundle is not valid JSON"),
        (b"<html>", "the bundle is not valid JSON"),
    ],
)
async def test_a_bundle_that_can_not_be_read_is_told(registry: FakeRegistry, bundle: bytes, words: str) -> None:
    digest = registry.push("1.0", image_manifest("one"))
    attach(registry, digest, bundle)
    assert words in (await refused(registry, digest)).summary


async def test_a_registry_that_lies_about_a_bundle(registry: FakeRegistry) -> None:
    digest = registry.push("1.0", image_manifest("one"))
    bundle = OTHER.bundle(digest)
    attach(registry, digest, bundle)
    registry.blobs[digest_of(bundle)] = MINE.bundle(digest)
    assert "the registry delivered other content than announced" in (await refused(registry, digest)).summary


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"manifests": 7}', b'{"manifests": [{"digest": "x"}]}', b"[" * 9999]
)
@pytest.mark.parametrize("place", ["referrers", "tag", "sig"])
async def test_malformed_lists_of_signatures_are_told(body: bytes, place: str) -> None:
    async with FakeRegistry(has_referrers=place == "referrers") as registry:
        digest = registry.push("1.0", image_manifest("one"))

        async def answer(request: Request) -> StreamResponse | None:
            ends = {"referrers": f"referrers/{digest}", "tag": tag_of(digest), "sig": ".sig"}[place]
            return web.Response(body=body, content_type=INDEX) if request.path.endswith(ends) else None

        registry.answer = answer
        assert "is not valid" in (await refused(registry, digest)).summary


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 200])
async def test_a_registry_that_does_not_know_the_referrers_api(status: int) -> None:
    """Whatever it answers, the tag is asked. A page in HTML with the status 200 is no list."""
    async with FakeRegistry() as registry:
        digest = registry.push("1.0", image_manifest("one"))
        attach(registry, digest, MINE.bundle(digest))

        async def answer(request: Request) -> StreamResponse | None:
            return web.Response(status=status, text="<html>") if "/referrers/" in request.path else None

        registry.answer = answer
        await verify(registry, digest)


@pytest.mark.parametrize("place", ["referrers", "manifests/sha256-", ".sig", "blobs"])
async def test_a_registry_that_is_away_says_nothing_about_signatures(place: str) -> None:
    async with FakeRegistry() as registry:
        digest = registry.push("1.0", image_manifest("one"))
        attach(registry, digest, MINE.bundle(digest))
        if place == ".sig":
            attach(registry, digest, OTHER.bundle(digest))

        async def answer(request: Request) -> StreamResponse | None:
            return web.Response(status=503) if place in request.path else None

        registry.answer = answer
        with pytest.raises(RegistryAwayError):
            await verify(registry, digest)


async def test_a_login_that_is_missing_is_told(registry: FakeRegistry) -> None:
    digest = registry.push("1.0", image_manifest("one"))
    attach(registry, digest, MINE.bundle(digest))
    registry.users["ann"] = "pull-me"
    with pytest.raises(ImageError) as caught:
        await verify(registry, digest)
    assert caught.value.problem is Problem.NO_PASSWORD


async def test_other_things_that_refer_to_an_image_are_not_read(registry: FakeRegistry) -> None:
    digest = registry.push("1.0", image_manifest("one"))
    attach(registry, digest, MINE.bundle(digest))
    sbom = json.loads(bundle_manifest(b"{}", digest)) | {"artifactType": "application/spdx+json"}
    marked = json.loads(bundle_manifest(b"{}", digest)) | {
        "annotations": {"dev.sigstore.bundle.predicateType": "https://spdx.dev/Document"}
    }
    names = [registry.push(digest_of(json.dumps(item).encode()), json.dumps(item).encode()) for item in (sbom, marked)]
    registry.log.clear()
    await verify(registry, digest)
    if registry.has_referrers:
        assert not [path for _, path, _ in registry.log if path.rpartition("/")[2] in names]

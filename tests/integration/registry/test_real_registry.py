"""The registry client and Debian's docker-registry, with TLS and a login: by htpasswd, or by tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.catalogue.bundle import ARTIFACT_TYPE, LAYER_TYPE, build_bundle
from componentrun.core.images.pullsecrets import Login
from componentrun.registry.client import RegistryClient
from componentrun.registry.errors import ImageError, Problem, RegistryError
from componentrun.registry.settings import RegistrySettings
from componentrun.registry.upload import Artifact, RegistryUploader
from tests.integration.registry.realregistry import PASSWORD, USER, Authority, RealRegistry, TokenService
from tests.unit.catalogue.make import catalogue, component

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ANN = Login(USER, PASSWORD, "pull")
WRONG = Login(USER, "guess", "old")


@pytest.fixture(params=["htpasswd", "tokens"])
async def registry(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RealRegistry]:
    authority = Authority.create(tmp_path)
    tokens = TokenService(authority) if request.param == "tokens" else None
    running = RealRegistry(tmp_path, authority, tokens)
    if tokens is not None:
        await tokens.start()
    running.start()
    yield running
    running.stop()
    if tokens is not None:
        await tokens.stop()


async def problem_of(client: RegistryClient, registry: RealRegistry, tag: str, *logins: Login) -> Problem:
    with pytest.raises(RegistryError) as caught:
        await client.digest(registry.repository(), tag, logins)
    return caught.value.problem


async def test_a_tag_that_moves_is_followed(registry: RealRegistry) -> None:
    async with RegistryClient(registry.settings) as client:
        first = await registry.push("1.0", "first")
        assert await client.digest(registry.repository(), "1.0", [ANN]) == first
        second = await registry.push("1.0", "second")
        assert await client.digest(registry.repository(), "1.0", [ANN]) == second
        assert (await client.manifest(registry.repository(), first, [ANN])).digest == first
        assert await client.tags(registry.repository(), [ANN]) == ("1.0",)


async def test_manifests_and_blobs_are_read(registry: RealRegistry) -> None:
    await registry.push("1.0", "first")
    async with RegistryClient(registry.settings) as client:
        manifest = await client.manifest(registry.repository(), "1.0", [ANN])
        assert manifest.config is not None
        blob = await client.blob(registry.repository(), manifest.config.digest, [ANN], limit=1000)
    assert b'"architecture": "amd64"' in blob


async def test_each_failure_has_its_own_cause(registry: RealRegistry) -> None:
    await registry.push("1.0", "first")
    other = registry.repository("team/other")
    async with RegistryClient(registry.settings) as client:
        assert await problem_of(client, registry, "1.0") is Problem.NO_PASSWORD
        assert await problem_of(client, registry, "1.0", WRONG) is Problem.WRONG_PASSWORD
        assert await problem_of(client, registry, "2.0", ANN) is Problem.NO_SUCH_TAG
        with pytest.raises(ImageError) as caught:
            await client.digest(other, "1.0", [ANN])
        assert caught.value.problem is Problem.NO_SUCH_REPOSITORY
    async with RegistryClient(RegistrySettings()) as client:
        assert await problem_of(client, registry, "1.0", ANN) is Problem.UNTRUSTED


async def test_a_registry_that_is_stopped_and_started_serves_the_same_client(registry: RealRegistry) -> None:
    digest = await registry.push("1.0", "first")
    async with RegistryClient(registry.settings) as client:
        assert await client.digest(registry.repository(), "1.0", [ANN]) == digest
        registry.stop()
        assert await problem_of(client, registry, "1.0", ANN) is Problem.AWAY
        registry.start()
        assert await client.digest(registry.repository(), "1.0", [ANN]) == digest


async def test_a_catalogue_is_uploaded_and_read(registry: RealRegistry) -> None:
    bundle = build_bundle(catalogue(*(component(f"acme.ex-{i}", description="x" * 10_000) for i in range(100))))
    artifact, repository = Artifact(ARTIFACT_TYPE, bundle, LAYER_TYPE), registry.repository("catalogues/sales")
    async with RegistryUploader(registry.settings, repository, ANN) as uploader:
        digest = await uploader.upload(artifact, "1.0")
        assert await uploader.upload(artifact, "stable") == digest
    assert registry.log.count('"PUT /v2/catalogues/sales/blobs/') == 2, "the second upload sends no blob again"
    async with RegistryClient(registry.settings) as client:
        manifest = await client.manifest(repository, digest, [ANN])
        content = await client.blob(repository, manifest.children[0].digest, [ANN], limit=len(bundle))
    assert (manifest.digest, manifest.children[0].media_type, content) == (digest, LAYER_TYPE, bundle)


async def test_an_upload_with_a_wrong_password_is_refused(registry: RealRegistry) -> None:
    async with RegistryUploader(registry.settings, registry.repository(), WRONG) as uploader:
        with pytest.raises(ImageError) as caught:
            await uploader.upload(Artifact(ARTIFACT_TYPE, b"x", LAYER_TYPE), "1.0")
    assert caught.value.problem is Problem.WRONG_PASSWORD

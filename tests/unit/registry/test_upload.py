"""Uploads of artifacts against a real HTTP server in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from componentrun.core.images.pullsecrets import Login
from componentrun.registry.client import RegistryClient
from componentrun.registry.errors import ImageError, Problem, RegistryAwayError
from componentrun.registry.manifest import digest_of
from componentrun.registry.settings import RegistrySettings
from componentrun.registry.upload import Artifact, RegistryUploader
from tests.unit.registry.fakeregistry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.web import Request, StreamResponse

ANN = Login("ann", "pass:wörd", "/home/ann/.docker/config.json")
WRONG = Login("ann", "guess", "/home/ann/.docker/config.json")
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ARTIFACT = Artifact("application/vnd.example.v1", b"content", LAYER, {"b": "2", "a": "1"})


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as fake:
        yield fake


async def upload(fake: FakeRegistry, login: Login | None = None, tag: str = "1.0") -> str:
    async with RegistryUploader(fake.settings, fake.repository(), login) as uploader:
        return await uploader.upload(ARTIFACT, tag)


async def problem_of(fake: FakeRegistry, login: Login | None = None) -> ImageError:
    with pytest.raises(ImageError) as caught:
        await upload(fake, login)
    assert "guess" not in caught.value.message
    assert "wörd" not in caught.value.message
    return caught.value


def requests(fake: FakeRegistry) -> list[tuple[str, str]]:
    return [(method, path.partition("?")[0].removeprefix("/v2/team/app/")) for method, path, _ in fake.log]


async def test_an_artifact_can_be_read_again(registry: FakeRegistry) -> None:
    digest = await upload(registry)
    async with RegistryClient(registry.settings) as client:
        manifest = await client.manifest(registry.repository(), "1.0", ())
        content = await client.blob(registry.repository(), manifest.children[0].digest, (), limit=100)
    assert (manifest.digest, content) == (digest, b"content")
    assert digest == ARTIFACT.digest


def test_the_manifest_is_the_same_each_time() -> None:
    manifest = json.loads(ARTIFACT.manifest())
    assert list(manifest) == ["schemaVersion", "mediaType", "artifactType", "config", "layers", "annotations"]
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert list(manifest["annotations"]) == ["a", "b"]
    assert ARTIFACT.digest == digest_of(ARTIFACT.manifest())
    assert "annotations" not in json.loads(Artifact("t", b"", "l").manifest())


async def test_what_the_registry_has_is_not_sent_again(registry: FakeRegistry) -> None:
    await upload(registry)
    registry.log.clear()
    await upload(registry, tag="2.0")
    assert [method for method, _ in requests(registry)] == ["HEAD", "HEAD", "PUT"]
    assert requests(registry)[-1] == ("PUT", "manifests/2.0")


@pytest.mark.parametrize("by_token", [False, True])
async def test_a_login(by_token: bool) -> None:
    async with FakeRegistry({"ann": "pass:wörd"}, by_token) as fake:
        assert await upload(fake, ANN) == ARTIFACT.digest
        assert (await problem_of(fake, WRONG)).problem is Problem.WRONG_PASSWORD


async def test_no_login() -> None:
    async with FakeRegistry({"ann": "pass:wörd"}) as fake:
        assert (await problem_of(fake)).problem is Problem.NO_PASSWORD


async def test_an_upload_elsewhere_is_refused_and_gets_no_login() -> None:
    async with FakeRegistry({"ann": "pass:wörd"}) as fake, FakeRegistry() as other:
        fake.upload_place = f"http://{other.host}/v2/team/app/blobs/uploads/1?_state=a%2Fb"
        error = await problem_of(fake, ANN)
        assert (error.problem, f"it wants the upload at `{other.host}`" in error.summary) == (
            Problem.NOT_A_REGISTRY,
            True,
        )
        assert other.log == []


async def test_a_redirect_target_that_wants_a_login_does_not_get_one() -> None:
    async with FakeRegistry({"ann": ANN.password}) as fake, FakeRegistry({"ann": ANN.password}, by_token=True) as other:

        async def answer(request: Request) -> StreamResponse | None:
            if request.method != "HEAD":
                return None
            raise web.HTTPTemporaryRedirect(f"http://{other.host}{request.path}")

        fake.answer = answer
        settings = RegistrySettings(fake.settings.plain_http | other.settings.plain_http)
        async with RegistryUploader(settings, fake.repository(), ANN) as uploader:
            with pytest.raises(ImageError) as caught:
                await uploader.upload(ARTIFACT, "1.0")
        assert caught.value.problem is Problem.NOT_A_REGISTRY
        assert {authorization for _, _, authorization in other.log} == {""}


@pytest.mark.parametrize("status", [307, 308])
async def test_an_upload_is_not_redirected(status: int) -> None:
    async with FakeRegistry() as fake, FakeRegistry() as other:

        async def answer(request: Request) -> StreamResponse | None:
            if request.method != "PUT":
                return None
            return web.Response(status=status, headers={"Location": f"http://{other.host}/"})

        fake.answer = answer
        assert (await problem_of(fake)).problem is Problem.NOT_A_REGISTRY
        assert other.log == []


async def test_a_registry_that_takes_no_uploads(registry: FakeRegistry) -> None:
    registry.read_only = True
    error = await problem_of(registry)
    assert "it answered 405 to an upload; expected 202" in error.summary


@pytest.mark.parametrize(
    ("status", "problem"),
    [(403, Problem.ACCESS_DENIED), (404, Problem.NO_SUCH_REPOSITORY), (413, Problem.NOT_A_REGISTRY)],
)
async def test_refusals(status: int, problem: Problem) -> None:
    async with FakeRegistry({"ann": "pass:wörd"}) as fake:

        async def answer(request: Request) -> StreamResponse | None:
            return web.Response(status=status) if request.method == "POST" else None

        fake.answer = answer
        assert (await problem_of(fake, ANN)).problem is problem


async def test_a_registry_that_is_away(registry: FakeRegistry) -> None:
    async def answer(_: Request) -> StreamResponse | None:
        return web.Response(status=503)

    registry.answer = answer
    with pytest.raises(RegistryAwayError):
        await upload(registry)


async def test_a_registry_that_stores_something_else(registry: FakeRegistry) -> None:
    async def answer(request: Request) -> StreamResponse | None:
        if request.method != "PUT" or "manifests" not in request.path:
            return None
        return web.Response(status=201, headers={"Docker-Content-Digest": digest_of(b"other")})

    registry.answer = answer
    assert (await problem_of(registry)).problem is Problem.WRONG_DIGEST

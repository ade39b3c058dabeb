"""Pushes to Debian's docker-registry behind TLS, with a login: by htpasswd, or by tokens."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.builder.retrying import with_retries
from componentrun.core.images.pullsecrets import Login
from componentrun.registry.client import RegistryClient
from componentrun.registry.errors import ImageError, Problem
from componentrun.registry.upload import RegistryUploader
from tests.integration.registry.realregistry import PASSWORD, USER, Authority, RealRegistry, TokenService
from tests.unit.builder.images import build, parent_layer, push_parent, write_code

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from componentrun.builder.pushing import Pushed

ANN = Login(USER, PASSWORD, "push")
TARGET = "builds/tenant/app"


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


async def built(registry: RealRegistry, code: Path, tag: str, target: str = TARGET, login: Login = ANN) -> Pushed:
    source = registry.repository("library/python")
    parent = await push_parent(registry.settings, source, ANN)
    return await build(registry.settings, (source, parent), registry.repository(target), code, tag, login)


async def contents(registry: RealRegistry, digest: str) -> list[bytes]:
    """The manifest, the configuration and the layers, each verified by its digest."""
    repository = registry.repository(TARGET)
    async with RegistryClient(registry.settings) as client:
        manifest = await client.manifest(repository, digest, (ANN,))
        assert manifest.config is not None
        names = [manifest.config.digest, *(layer.digest for layer in manifest.children)]
        return [
            manifest.content,
            *[await client.blob(repository, name, (ANN,), limit=2**20) for name in names],
        ]


def members(layer: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:gz") as archive:
        return archive.getnames()


async def test_an_image_has_the_parents_layers_and_its_own(registry: RealRegistry, tmp_path: Path) -> None:
    done = await built(registry, write_code(tmp_path / "code"), "build-1")
    assert (done.mounted, done.copied, done.was_there) == (1, 0, False)
    manifest, config, base, dependencies, code = await contents(registry, done.digest)
    assert base == parent_layer()[0]
    assert json.loads(config)["config"]["Entrypoint"] == ["python3", "/code/main.py"]
    assert len(json.loads(manifest)["layers"]) == 3
    names = [members(layer) for layer in (dependencies, code)]
    assert names == [["code", "code/.wh..wh..opq", "code/.packages", "code/.packages/six.py"], ["code", "code/main.py"]]


async def test_only_a_changed_layer_is_sent(registry: RealRegistry, tmp_path: Path) -> None:
    first = await built(registry, write_code(tmp_path / "one"), "build-1")
    second = await built(registry, write_code(tmp_path / "two", "print(2)"), "build-2")
    assert second.digest != first.digest
    assert second.known == 2
    config, code = (await contents(registry, second.digest))[1::3]
    assert second.sent_bytes == len(config) + len(code)


async def test_the_same_content_has_the_same_digest_in_every_repository(registry: RealRegistry, tmp_path: Path) -> None:
    first = await built(registry, write_code(tmp_path / "one"), "build-1")
    second = await built(registry, write_code(tmp_path / "two"), "build-1", "builds/other/app")
    assert second.digest == first.digest
    assert not second.was_there


async def test_an_image_that_is_there_is_found_by_its_tag(registry: RealRegistry, tmp_path: Path) -> None:
    first = await built(registry, write_code(tmp_path / "one"), "build-1")
    again = await built(registry, write_code(tmp_path / "two"), "build-1")
    assert (again.digest, again.was_there, again.sent_bytes) == (first.digest, True, 0)


async def test_no_part_of_an_image_has_the_login(registry: RealRegistry, tmp_path: Path) -> None:
    done = await built(registry, write_code(tmp_path / "code"), "build-1")
    for content in await contents(registry, done.digest):
        plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        assert PASSWORD.encode() not in plain


async def test_a_registry_that_is_restarted_in_the_middle_gets_the_whole_image(
    registry: RealRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops after the first new layer was announced, and is back when the third attempt begins."""
    source = registry.repository("library/python")
    parent = await push_parent(registry.settings, source, ANN)
    upload, waits = RegistryUploader.upload_blob, list[float]()

    async def stopping(self: RegistryUploader, digest: str, content: Any) -> None:
        if not waits:
            registry.stop()
        await upload(self, digest, content)

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            registry.start()

    monkeypatch.setattr(RegistryUploader, "upload_blob", stopping)
    monkeypatch.setattr(with_retries, "__defaults__", (pause,))
    target = registry.repository(TARGET)
    code = write_code(tmp_path / "code")
    done = await build(registry.settings, (source, parent), target, code, "build-1", ANN)
    assert len(waits) == 2
    assert len(await contents(registry, done.digest)) == 5


async def test_a_wrong_password_is_named_and_nothing_is_pushed(registry: RealRegistry, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        await built(registry, write_code(tmp_path / "code"), "build-1", login=Login(USER, "guess", "push"))
    assert caught.value.problem is Problem.WRONG_PASSWORD
    assert "guess" not in caught.value.message

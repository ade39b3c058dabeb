"""`catalogue push`, `pull` and `sync` with a registry on a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.catalogue.bundle import LAYER_TYPE
from componentrun.registry.manifest import digest_of
from tests.signing import Signer, simple_manifest, tag_of
from tests.unit.catalogue.make import component
from tests.unit.registry.fakeregistry import FakeRegistry, image_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from tests.unit.cli.world import World

PLAIN = "--plain-http"


class Served:
    """A registry that another thread serves, because the command line has an event loop of its own."""

    def __init__(self, registry: FakeRegistry) -> None:
        self.registry = registry
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> FakeRegistry:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.registry.__aenter__(), self._loop).result()
        return self.registry

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.registry.__aexit__(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(autouse=True)
def _no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with Served(FakeRegistry()) as fake:
        yield fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "sales"
    root.mkdir()
    (root / "catalogue.yaml").write_text("name: sales\n")
    for name in ("acme.ex-a", "acme.ex-b"):
        (root / f"{name}.yaml").write_text(yaml.safe_dump(component(name)))
    return root


def at(registry: FakeRegistry, version: str = ":1.0") -> str:
    return f"oci://{registry.host}/catalogues/sales{version}"


def push(world: World, folder: Path, registry: FakeRegistry) -> Result:
    return world.run("catalogue", "push", str(folder), at(registry), PLAIN)


def log_in(tmp_path: Path, host: str, password: str) -> None:
    (tmp_path / "docker").mkdir(exist_ok=True)
    auth = base64.b64encode(f"ann:{password}".encode()).decode()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def test_a_catalogue_goes_to_a_registry_and_comes_back(
    world: World, folder: Path, registry: FakeRegistry, tmp_path: Path
) -> None:
    pushed = push(world, folder, registry)
    assert pushed.exit_code == 0, pushed.stderr
    digest = pushed.stdout.strip()
    assert push(world, folder, registry).stdout.strip() == digest, "the same folder has the same digest"
    for version in (":1.0", f"@{digest}"):
        target = tmp_path / "pulled.tgz"
        pulled = world.run("catalogue", "pull", at(registry, version), "-o", str(target), PLAIN)
        assert (pulled.exit_code, pulled.stdout.strip()) == (0, digest)
        built = world.run("catalogue", "build", str(folder), "-o", str(tmp_path / "built.tgz"))
        assert built.stdout.strip() == digest_of(target.read_bytes())


def test_a_catalogue_is_applied_from_a_registry(world: World, folder: Path, registry: FakeRegistry) -> None:
    push(world, folder, registry)
    result = world.run("catalogue", "sync", at(registry), PLAIN)
    assert result.exit_code == 0, result.stderr
    assert set(world.cluster.objects["components"]) == {"acme.ex-a", "acme.ex-b"}
    assert "2 unchanged" in world.run("catalogue", "sync", str(folder)).stderr


def test_a_catalogue_with_errors_is_not_pushed(world: World, folder: Path, registry: FakeRegistry) -> None:
    (folder / "bad.yaml").write_text(yaml.safe_dump(component("acme.bad", tag="no tag")))
    assert push(world, folder, registry).exit_code == 1
    assert registry.log == []


def test_credential_helpers_of_docker_are_not_used(world: World, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text('{"credsStore": "desktop", "auths": {}}')
    with Served(FakeRegistry({"ann": "right"})) as registry:
        refused = push(world, folder, registry)
        assert refused.exit_code == 1
        assert "docker/config.json` leaves its logins to programs" in refused.stderr
        assert "Secret `" not in refused.stderr


@pytest.mark.parametrize("by_token", [False, True])
def test_logins_of_docker_are_used(world: World, folder: Path, tmp_path: Path, by_token: bool) -> None:
    with Served(FakeRegistry({"ann": "right"}, by_token)) as registry:
        refused = push(world, folder, registry)
        assert (refused.exit_code, "Log in with `docker login`" in refused.stderr) == (1, True)
        log_in(tmp_path, registry.host, "wrong")
        refused = push(world, folder, registry)
        assert (refused.exit_code, "refuses the user name or password" in refused.stderr) == (1, True)
        assert "Secret" not in refused.stderr
        log_in(tmp_path, registry.host, "right")
        assert push(world, folder, registry).exit_code == 0
        pulled = world.run("catalogue", "pull", at(registry), "-o", str(tmp_path / "out"), PLAIN)
        assert pulled.exit_code == 0, pulled.stderr


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("oci://registry.example.com/sales", "has no tag and no digest"),
        ("oci://registry.example.com:5000/sales", "has no tag and no digest"),
        ("oci://registry.example.com/sales:no tag", "`no tag` is no tag or digest"),
        ("oci://registry.example.com/sales@sha256:12", "`sha256:12` is no tag or digest"),
        ("oci://registry.example.com/Sales:1", "capital letters"),
    ],
)
def test_references_that_are_none(world: World, tmp_path: Path, reference: str, told: str) -> None:
    result = world.run("catalogue", "pull", reference, "-o", str(tmp_path / "out"))
    assert (result.exit_code, told in result.stderr) == (1, True), result.stderr


def test_a_digest_is_no_target_of_a_push(world: World, folder: Path, registry: FakeRegistry) -> None:
    result = world.run("catalogue", "push", str(folder), at(registry, f"@sha256:{'a' * 64}"), PLAIN)
    assert (result.exit_code, "names a digest; expected a tag" in result.stderr) == (1, True)


def store(registry: FakeRegistry, layers: list[dict[str, Any]]) -> None:
    content = json.dumps({**json.loads(image_manifest("x")), "layers": layers}).encode()
    registry.push("1.0", content, "catalogues/sales")


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([], "has something else than a catalogue"),
        (
            [{"mediaType": "application/zip", "digest": digest_of(b"x"), "size": 1}],
            "has something else than a catalogue",
        ),
        (
            [{"mediaType": LAYER_TYPE, "digest": digest_of(b"x"), "size": 2**30}],
            "has 1073741824 bytes; expected at most",
        ),
        ([{"mediaType": LAYER_TYPE, "digest": digest_of(b"an image"), "size": 8}], "is no bundle"),
    ],
)
def test_what_is_no_catalogue_is_not_pulled(
    world: World, registry: FakeRegistry, tmp_path: Path, layers: list[dict[str, Any]], told: str
) -> None:
    registry.blobs[digest_of(b"an image")] = b"an image"
    store(registry, layers)
    result = world.run("catalogue", "pull", at(registry), "-o", str(tmp_path / "out"), PLAIN)
    assert (result.exit_code, told in result.stderr, (tmp_path / "out").exists()) == (1, True, False), result.stderr


def test_a_registry_that_lies_about_a_digest(world: World, registry: FakeRegistry, tmp_path: Path) -> None:
    registry.blobs[digest_of(b"x")] = b"other"
    store(registry, [{"mediaType": LAYER_TYPE, "digest": digest_of(b"x"), "size": 5}])
    result = world.run("catalogue", "pull", at(registry), "-o", str(tmp_path / "out"), PLAIN)
    assert (result.exit_code, "delivered other content than announced" in result.stderr) == (1, True)


def test_a_registry_that_sends_more_than_it_announced(
    world: World, registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("MAX_BUNDLE_BYTES", 1000), ("MAX_FRAME_BYTES", 0)):
        monkeypatch.setattr(f"componentrun.catalogue.limits.{name}", value)
    large = bytes(5000)
    registry.blobs[digest_of(large)] = large
    store(registry, [{"mediaType": LAYER_TYPE, "digest": digest_of(large), "size": 10}])
    result = world.run("catalogue", "pull", at(registry), "-o", str(tmp_path / "out"), PLAIN)
    assert (result.exit_code, "sent more than 1000 bytes" in result.stderr) == (1, True), result.stderr


def test_nobody_answers(world: World, folder: Path) -> None:
    result = world.run("catalogue", "push", str(folder), "oci://127.0.0.1:1/sales:1", PLAIN)
    assert (result.exit_code, "does not respond" in result.stderr) == (2, True)


def test_a_tag_that_does_not_exist(world: World, folder: Path, registry: FakeRegistry, tmp_path: Path) -> None:
    push(world, folder, registry)
    result = world.run("catalogue", "pull", at(registry, ":2.0"), "-o", str(tmp_path / "out"), PLAIN)
    assert (result.exit_code, "has no tag `2.0`" in result.stderr) == (1, True)


@pytest.mark.parametrize("command", ["pull", "sync"])
def test_a_catalogue_must_be_signed_if_a_key_is_given(
    world: World, folder: Path, registry: FakeRegistry, tmp_path: Path, command: str
) -> None:
    digest = push(world, folder, registry).stdout.strip()
    mine, other = Signer(), Signer()
    key, target = tmp_path / "cosign.pub", tmp_path / "pulled.tgz"
    key.write_text(mine.public)
    more = ["-o", str(target)] if command == "pull" else []

    def run() -> Result:
        return world.run("catalogue", command, at(registry), "--verify-key", str(key), PLAIN, *more)

    for signers, words in (((), "found none"), ((other,), "it was made with another key")):
        signed = [signer.payload(digest) for signer in signers]
        registry.blobs |= {digest_of(payload): payload for payload, _ in signed}
        registry.push(f"{tag_of(digest)}.sig", simple_manifest(signed), path="catalogues/sales")
        refused = run()
        assert refused.exit_code == 1
        assert f"/catalogues/sales@{digest}` is not signed as required" in refused.stderr
        assert words in refused.stderr
    assert not target.exists()
    assert not world.cluster.objects["components"]
    payload, signature = mine.payload(digest)
    registry.blobs[digest_of(payload)] = payload
    registry.push(f"{tag_of(digest)}.sig", simple_manifest([(payload, signature)]), path="catalogues/sales")
    assert run().exit_code == 0
    assert target.exists() == (command == "pull")
    assert bool(world.cluster.objects["components"]) == (command == "sync")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "can't read"), ("-----BEGIN PRIVATE KEY-----", "found a private key"), ("", "found no PEM block")],
)
def test_a_file_without_a_public_key_is_refused(
    world: World, registry: FakeRegistry, tmp_path: Path, content: str | None, words: str
) -> None:
    key = tmp_path / "cosign.pub"
    if content is not None:
        key.write_text(content)
    refused = world.run("catalogue", "sync", at(registry), "--verify-key", str(key), PLAIN)
    assert refused.exit_code != 0
    assert words in refused.stderr
    assert registry.log == []


def test_a_folder_has_no_signature(world: World, folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "cosign.pub"
    key.write_text(Signer().public)
    refused = world.run("catalogue", "sync", str(folder), "--verify-key", str(key))
    assert refused.exit_code != 0
    assert "signatures are in registries" in refused.stderr

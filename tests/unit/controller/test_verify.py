"""Components that require signatures: what is verified and when, and that nothing unverified runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from componentrun.core.images.signingkey import parse_signing_key
from componentrun.registry.client import RegistryClient
from tests.signing import Signer, simple_manifest, tag_of
from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.registry.fakeregistry import FakeRegistry, digest_of, image_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.web import Request, StreamResponse

MINE, OTHER = Signer(), Signer()
RELEASE = {"name": "release", "tag": "1.0"}
MASTER = {"name": "master", "tag": "main"}
HOURLY = {"name": "hourly", "tag": "main", "follow": "Interval", "interval": "1h"}


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as fake:
        yield fake


@pytest.fixture
async def world(registry: FakeRegistry) -> AsyncIterator[World]:
    made = World()
    await made.registry.close()
    async with RegistryClient(registry.settings) as client:
        made.registry = client
        yield made


def add_component(world: World, registry: FakeRegistry, *channels: dict[str, Any], **spec: Any) -> None:
    given = {"image": f"{registry.host}/team/app", "channels": list(channels), "verify": {"key": MINE.public}}
    body = {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "app"},
        "spec": given | spec,
    }
    world.kube.put("components", body)


def sign(registry: FakeRegistry, digest: str, *signers: Signer) -> None:
    signed = [signer.payload(digest) for signer in signers]
    registry.blobs |= {digest_of(payload): payload for payload, _ in signed}
    registry.push(f"{tag_of(digest)}.sig", simple_manifest(signed))


def push(registry: FakeRegistry, tag: str, *signers: Signer) -> str:
    """Push an image that is signed by these."""
    digest = registry.push(tag, image_manifest(f"{tag} {len(registry.manifests.get('team/app', {}))}"))
    sign(registry, digest, *signers)
    return digest


async def ran(world: World, operator: FakeOperator, name: str, **spec: Any) -> dict[str, Any]:
    """Status of a new run, seconds after the one before."""
    world.now += timedelta(seconds=10)
    world.add_run(name, image=None, component="app", **spec)
    world.kube.objects["componentruns", NAMESPACE, name]["spec"].pop("image")
    await operator.live(0)
    return dict(world.run(name)["status"])


def has_pod(world: World, name: str) -> bool:
    return ("pods", NAMESPACE, f"{name}-1") in world.kube.objects


def verified_by(world: World) -> list[str | None]:
    channels = world.kube.objects["components", NAMESPACE, "app"]["status"]["channels"]
    return [entry.get("verifiedBy") for channel in channels for entry in channel["history"]]


def fingerprint(signer: Signer) -> str:
    return parse_signing_key(signer.public, "key").fingerprint


def reads_of_signatures(registry: FakeRegistry) -> int:
    return sum("sha256-" in path for _, path, _ in registry.log)


@pytest.mark.parametrize("channel", [RELEASE, MASTER, HOURLY, {"name": "a", "semver": "^1"}])
async def test_a_signed_image_runs_and_is_verified_once(
    world: World, registry: FakeRegistry, channel: dict[str, Any]
) -> None:
    digests = {tag: push(registry, tag, OTHER, MINE) for tag in ("1.0", "1.0.0", "main")}
    add_component(world, registry, channel)
    operator = FakeOperator(world)
    status = await ran(world, operator, "a")
    assert status["image"].endswith(digests[channel.get("tag", "1.0.0")])
    assert has_pod(world, "a")
    assert verified_by(world) == [fingerprint(MINE)]
    registry.log.clear()
    await ran(world, operator, "b")
    assert has_pod(world, "b")
    assert reads_of_signatures(registry) == 0


async def test_a_digest_in_the_spec_is_verified_once(world: World, registry: FakeRegistry) -> None:
    digest = push(registry, "1.0", MINE)
    add_component(world, registry, {"name": "release", "digest": digest})
    operator = FakeOperator(world)
    assert (await ran(world, operator, "a"))["imageResolution"]["source"] == "Spec"
    assert verified_by(world) == [fingerprint(MINE)]
    registry.log.clear()
    await ran(world, operator, "b")
    assert has_pod(world, "b")
    assert registry.log == []


@pytest.mark.parametrize("by_digest", [False, True])
@pytest.mark.parametrize("signers", [(), (OTHER,)], ids=["unsigned", "another key"])
async def test_an_image_without_a_valid_signature_does_not_run(
    world: World, registry: FakeRegistry, signers: tuple[Signer, ...], by_digest: bool
) -> None:
    digest = push(registry, "1.0", *signers)
    add_component(world, registry, {"name": "release", "digest": digest} if by_digest else RELEASE)
    status = await ran(world, FakeOperator(world), "a")
    assert (status["phase"], status["reason"]) == ("Failed", "ImageUnverified")
    found = "it was made with another key" if signers else "found none"
    assert found in status["message"]
    assert f"expected a signature with the key {fingerprint(MINE)}" in status["message"]
    assert f"cosign sign --key cosign.key {registry.host}/team/app@{digest}" in status["message"]
    assert not has_pod(world, "a")
    assert not world.kube.objects["components", NAMESPACE, "app"].get("status", {}).get("channels")


async def test_a_new_key_verifies_the_pinned_digest_again_and_does_not_move_it(
    world: World, registry: FakeRegistry
) -> None:
    pinned = push(registry, "1.0", MINE)
    add_component(world, registry, RELEASE)
    operator = FakeOperator(world)
    await ran(world, operator, "a")
    push(registry, "1.0", OTHER)  # the tag moves to an image that only the new key has signed
    world.kube.change("components", "app", {"spec": {"verify": {"key": OTHER.public}}})
    status = await ran(world, operator, "b")
    assert status["reason"] == "ImageUnverified"
    assert pinned in status["message"]
    sign(registry, pinned, MINE, OTHER)
    status = await ran(world, operator, "c")
    assert status["image"].endswith(pinned)
    assert status["imageResolution"]["source"] == "Pinned"
    assert verified_by(world) == [fingerprint(OTHER)]


@pytest.mark.parametrize("channel", [RELEASE, MASTER, HOURLY])
async def test_a_signature_that_is_required_later_is_asked_for(
    world: World, registry: FakeRegistry, channel: dict[str, Any]
) -> None:
    push(registry, channel["tag"])
    add_component(world, registry, channel)
    world.kube.change("components", "app", {"spec": {"verify": None}})
    operator = FakeOperator(world)
    await ran(world, operator, "a")
    assert has_pod(world, "a")
    assert verified_by(world) == [None]
    world.kube.change("components", "app", {"spec": {"verify": {"key": MINE.public}}})
    assert (await ran(world, operator, "b"))["reason"] == "ImageUnverified"


async def test_what_a_tag_of_each_run_moves_to_is_verified(world: World, registry: FakeRegistry) -> None:
    push(registry, "main", MINE)
    add_component(world, registry, MASTER)
    operator = FakeOperator(world)
    await ran(world, operator, "a")
    push(registry, "main")
    assert (await ran(world, operator, "b"))["reason"] == "ImageUnverified"
    assert not has_pod(world, "b")
    back = push(registry, "main", MINE)
    assert (await ran(world, operator, "c"))["image"].endswith(back)


async def test_a_tag_that_a_run_chose_is_verified(world: World, registry: FakeRegistry) -> None:
    push(registry, "1.0.0", MINE)
    push(registry, "1.1.0")
    add_component(world, registry, {"name": "release", "semver": "^1.0"})
    operator = FakeOperator(world)
    assert (await ran(world, operator, "a", tag="1.1.0"))["reason"] == "ImageUnverified"
    assert (await ran(world, operator, "b", tag="1.0.0"))["phase"] != "Failed"


async def test_the_last_digest_is_used_only_if_it_was_verified_with_the_present_key(
    world: World, registry: FakeRegistry
) -> None:
    push(registry, "main", MINE)
    add_component(world, registry, MASTER | {"onFailure": "UseLast"})
    operator = FakeOperator(world)
    await ran(world, operator, "a")

    async def away(_: Request) -> StreamResponse:
        return web.Response(status=503)

    registry.answer = away
    assert (await ran(world, operator, "b"))["imageResolution"]["source"] == "Last"
    world.kube.change("components", "app", {"spec": {"verify": {"key": OTHER.public}}})
    status = await ran(world, operator, "c")
    assert not has_pod(world, "c")
    assert status.get("reason") != "ImageUnverified", "nobody knows whether it is signed"


async def test_a_registry_that_has_no_signatures_now_is_waited_for(world: World, registry: FakeRegistry) -> None:
    push(registry, "1.0", MINE)
    add_component(world, registry, RELEASE)

    async def answer(request: Request) -> StreamResponse | None:
        return web.Response(status=503) if "sha256-" in request.path else None

    registry.answer = answer
    operator = FakeOperator(world)
    status = await ran(world, operator, "a")
    assert (status["phase"], has_pod(world, "a")) == ("Queued", False)
    registry.answer = None
    await operator.live(60)
    assert world.run("a")["status"]["phase"] == "Succeeded"


@pytest.mark.parametrize("key", ["-----BEGIN PUBLIC KEY-----\n" + "A" * 64, "A" * 100])
async def test_a_key_that_can_not_be_used_lets_nothing_run(world: World, registry: FakeRegistry, key: str) -> None:
    push(registry, "1.0", MINE)
    add_component(world, registry, RELEASE, verify={"key": key})
    status = await ran(world, FakeOperator(world), "a")
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "Component `app`: spec.verify.key: " in status["message"]
    assert registry.log == []
    assert not has_pod(world, "a")


async def test_a_signature_without_channels_lets_nothing_run(world: World, registry: FakeRegistry) -> None:
    """The API server refuses it, unless the Component is older than that rule."""
    add_component(world, registry, tag="1.0")
    status = await ran(world, FakeOperator(world), "a")
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "found spec.verify without spec.channels; expected channels" in status["message"]
    assert not has_pod(world, "a")


@pytest.mark.parametrize("signers", [(), (MINE,)], ids=["unsigned", "signed"])
async def test_a_processor_that_requires_a_signature_is_verified(
    world: World, registry: FakeRegistry, signers: tuple[Signer, ...]
) -> None:
    digest = push(registry, "1.0", *signers)
    add_component(world, registry, RELEASE, type="processor")
    world.add_run(processors={"after": [{"component": "app"}]})
    await FakeOperator(world).live(0)
    if not signers:
        assert world.run()["status"]["reason"] == "ImageUnverified"
        assert digest in world.run()["status"]["message"]
        assert world.kube.of("pods") == []
        return
    assert {step["name"]: step.get("image") for step in world.run()["status"]["steps"]}["after-1"].endswith(digest)
    assert verified_by(world) == [fingerprint(MINE)]


async def test_a_processor_that_requires_a_signature_without_channels_does_not_run(
    world: World, registry: FakeRegistry
) -> None:
    add_component(world, registry, type="processor", tag="1.0")
    world.add_run(processors={"before": [{"component": "app"}]})
    await FakeOperator(world).live(0)
    assert (world.phase(), world.run()["status"]["reason"]) == ("Failed", "InvalidSpec")
    assert "found spec.verify without spec.channels" in world.run()["status"]["message"]


@pytest.mark.parametrize("is_signed", [True, False])
async def test_another_attempt_is_verified_with_the_key_that_the_component_has_now(
    world: World, registry: FakeRegistry, *, is_signed: bool
) -> None:
    """Replacing the key is what an administrator does when images must not run any more."""
    digest = push(registry, "1.0", MINE)
    add_component(world, registry, RELEASE)
    world.failing_inputs = 1
    operator = FakeOperator(world)
    await ran(world, operator, "first")
    if is_signed:
        sign(registry, digest, OTHER)
    add_component(world, registry, RELEASE, verify={"key": OTHER.public})
    for _ in range(30):
        world.now += timedelta(seconds=5)
        await world.kubelet()
        await operator.work()
    status = world.run("first")["status"]
    assert status["reason"] == ("Succeeded" if is_signed else "ImageUnverified")
    assert len([attempt for attempt in status["attempts"] if attempt.get("podUID")]) == (2 if is_signed else 1)

"""Images of processors whose Components have channels. The registry is real HTTP."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.registry.client import RegistryClient
from tests.unit.controller.fakekube import NAMESPACE, Crash
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.kubelet import Node
from tests.unit.controller.test_images import MASTER, RELEASE, registry, world
from tests.unit.registry.fakeregistry import FakeRegistry, image_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["registry", "world"]  # fixtures

STEPS = {"before": [{"component": "zip"}], "after": [{"component": "zip", "channel": "master"}]}


def add_processor(world: World, registry: FakeRegistry, *channels: dict[str, Any], **spec: Any) -> None:
    full = {"image": f"{registry.host}/team/zip", "type": "processor", "channels": list(channels), **spec}
    body = {"apiVersion": "componentrun.dev/v1alpha1", "kind": "Component", "metadata": {"name": "zip"}, "spec": full}
    world.kube.put("components", body)


def push(registry: FakeRegistry, tag: str, text: str) -> str:
    return registry.push(tag, image_manifest(text), "team/zip")


def images(world: World, name: str = "load-1") -> dict[str, str]:
    """Images of all containers of a pod, by name."""
    spec = world.kube.objects["pods", NAMESPACE, name]["spec"]
    return {item["name"]: str(item["image"]) for item in (*spec["initContainers"], *spec["containers"])}


def steps(world: World) -> dict[str, Mapping[str, Any]]:
    return {step["name"]: step for step in world.run()["status"]["steps"]}


async def test_each_processor_runs_its_digest_and_the_status_says_how_it_was_found(
    world: World, registry: FakeRegistry
) -> None:
    release, master = push(registry, "1.0", "release"), push(registry, "main", "master")
    add_processor(world, registry, RELEASE, MASTER)
    world.add_run(processors=STEPS)
    await FakeOperator(world).live(0)
    repository = f"{registry.host}/team/zip"
    expected = {"before-1": f"{repository}@{release}", "after-1": f"{repository}@{master}"}
    assert {name: images(world)[name] for name in expected} == expected
    found = steps(world)
    assert {name: found[name]["image"] for name in expected} == expected
    said = {name: found[name]["imageResolution"] for name in expected}
    time = "2026-01-01T00:00:00Z"
    assert said == {
        "before-1": {"channel": "release", "tag": "1.0", "source": "Registry", "time": time},
        "after-1": {"channel": "master", "tag": "main", "source": "Registry", "time": time},
    }
    assert "imageResolution" not in found["component"]
    channels = world.kube.objects["components", NAMESPACE, "zip"]["status"]["channels"]
    assert {item["name"]: item["digest"] for item in channels} == {"release": release, "master": master}


async def test_a_component_with_channels_may_have_processors_after_it(world: World, registry: FakeRegistry) -> None:
    """It is an init container of the pod then."""
    digest = push(registry, "1.0", "release")
    add_processor(world, registry, RELEASE)
    spec = {"image": f"{registry.host}/team/zip", "channels": [RELEASE]}
    body = {"apiVersion": "componentrun.dev/v1alpha1", "kind": "Component", "metadata": {"name": "app"}, "spec": spec}
    world.kube.put("components", body)
    world.add_run(component="app", processors={"after": [{"component": "zip"}]})
    world.kube.objects["componentruns", NAMESPACE, "load"]["spec"].pop("image")
    await FakeOperator(world).live(0)
    assert {name: step["image"].rpartition("@")[2] for name, step in steps(world).items()} == {
        "component": digest,
        "after-1": digest,
    }
    assert world.run()["status"]["image"].endswith(digest)


async def test_another_attempt_keeps_the_digests_of_all_steps(world: World, registry: FakeRegistry) -> None:
    push(registry, "1.0", "release")
    master = push(registry, "main", "one")
    add_processor(world, registry, RELEASE, MASTER)
    world.add_run(processors=STEPS, retry={"limit": 1, "afterStart": ["ApplicationError"]})
    operator, node = FakeOperator(world), Node(world, codes={"after-1": 2})
    await operator.start()
    await node.live(operator, 14)
    assert world.run()["status"]["nextAttemptTime"]
    assert all("exitCode" not in step for step in steps(world).values())
    push(registry, "main", "two")
    registry.log.clear()
    for _ in range(60):
        world.now += timedelta(seconds=1)
        await operator.work()
    assert len(world.run()["status"]["attempts"]) == 2
    assert images(world, "load-2")["after-1"].endswith(master)
    assert steps(world)["after-1"]["imageResolution"]["tag"] == "main"
    assert registry.log == []


@pytest.mark.parametrize("at", range(1, 8))
async def test_a_tag_that_moves_while_no_operator_works_leaves_pod_and_status_in_agreement(
    registry: FakeRegistry, at: int
) -> None:
    """The operator is killed after each write of a start; then the tags move, and another operator goes on."""
    push(registry, "1.0", "one")
    push(registry, "main", "one")
    async with RegistryClient(registry.settings) as client:
        world = World()
        await world.registry.close()
        world.registry = client
        add_processor(world, registry, RELEASE, MASTER)
        world.add_run(processors=STEPS)
        world.writes.crash_at = at
        with suppress(Crash, BaseExceptionGroup):
            await FakeOperator(world).live(0)
        world.writes.crash_at = None
        push(registry, "1.0", "two")
        push(registry, "main", "two")
        world.now += timedelta(seconds=5)
        await FakeOperator(world).live(0)
    said = {name: step["image"] for name, step in steps(world).items()}
    assert {name: image for name, image in images(world).items() if name in said} == said


@pytest.mark.parametrize(
    ("step", "channels", "words"),
    [
        (
            {"channel": "beta"},
            [RELEASE],
            "spec.processors.after[0].channel: `beta` is not a channel of Component `zip`",
        ),
        ({"tag": "9"}, [RELEASE], "spec.processors.after[0].tag: `9` is not allowed by Component `zip`"),
        ({"tag": "1.0", "channel": "release"}, [RELEASE], "and spec.processors.after[0].channel `release` as well"),
        (
            {"channel": "release"},
            [],
            "spec.processors.after[0].channel: `release` was given, but Component `zip` has no",
        ),
    ],
)
async def test_what_a_processor_can_not_have_is_refused_with_its_path(
    world: World, registry: FakeRegistry, step: dict[str, Any], channels: list[dict[str, Any]], words: str
) -> None:
    add_processor(world, registry, *channels)
    world.add_run(processors={"after": [{"component": "zip", **step}]})
    await FakeOperator(world).live(0)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert words in status["message"]
    assert registry.log == []


async def test_a_registry_that_is_away_is_named_and_the_last_digest_may_be_used(world: World) -> None:
    async with FakeRegistry() as fake:
        digest = push(fake, "main", "one")
        async with RegistryClient(fake.settings) as client:
            await world.registry.close()
            world.registry = client
            add_processor(world, fake, MASTER | {"onFailure": "UseLast"})
            operator = FakeOperator(world)
            world.add_run("a", processors={"before": [{"component": "zip"}]})
            await operator.live(0)
            await fake.__aexit__()
            world.now += timedelta(seconds=5)
            world.add_run("b", processors={"before": [{"component": "zip"}]})
            await operator.work()
    assert images(world, "b-1")["before-1"].endswith(digest)
    (warning,) = world.run("b")["status"]["warnings"]
    assert warning.startswith("spec.processors.before[0]: channel `master`: the last digest is used")


async def test_the_pod_has_the_pull_secrets_of_its_processors(world: World, registry: FakeRegistry) -> None:
    push(registry, "1.0", "release")
    add_processor(world, registry, RELEASE, imagePullSecrets=[{"name": "for-zip"}])
    world.add_run(processors={"after": [{"component": "zip"}]})
    await FakeOperator(world).live(0)
    pod = world.kube.objects["pods", NAMESPACE, "load-1"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "for-zip"}]

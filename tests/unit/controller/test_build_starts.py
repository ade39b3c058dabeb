"""Requests to build the image of a channel without a run. The registry is real HTTP; nothing builds, the test writes
what a build ended with."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from componentrun.api import names
from componentrun.controller.builds.starts import BuildStarts
from componentrun.controller.images import gitcommits
from componentrun.controller.storages.references import References
from componentrun.controller.watching.cachekeys import Key
from componentrun.core.builds.errors import BuildError, BuildProblem, GitAwayError
from componentrun.core.builds.settings import BuildSettings
from componentrun.registry.client import RegistryClient
from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.controller.test_builds_of_runs import IMAGE, TWO, URL, Git, add_component, add_run, image, key
from tests.unit.registry.fakeregistry import FakeRegistry, image_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.process.kubernetes.client import Kube

APP = Key(NAMESPACE, "app")


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as fake:
        fake.push("3.12", image_manifest("parent"))
        yield fake


@pytest.fixture
def git(monkeypatch: pytest.MonkeyPatch) -> Git:
    made = Git()
    monkeypatch.setattr(gitcommits, "look_up", made.look_up)
    return made


@pytest.fixture
async def world(registry: FakeRegistry) -> AsyncIterator[World]:
    made = World()
    await made.registry.close()
    made.builds = BuildSettings(is_enabled=True, namespace="builds", repository=f"{registry.host}/builds")
    async with RegistryClient(registry.settings) as client:
        made.registry = client
        yield made


class Starts:
    """The part of an operator that carries out requests."""

    def __init__(self, world: World, operator_name: str | None = None) -> None:
        self.world = world
        self.operator = FakeOperator(world)
        kube, caches = cast("Kube", world.kube), self.operator.caches
        references = References(kube, caches)
        self.starts = BuildStarts(kube, caches, references, self.operator.images, world.build_objects, operator_name)

    async def begin(self) -> Starts:
        await self.operator.start()
        self.starts.activate(True)
        return self

    async def settle(self) -> bool:
        """Carry out what is in the queue. Returns whether nothing is to be tried again."""
        done = True
        while self.starts._queue._waiting:
            found = await self.starts._queue.get()
            done = await self.starts.reconcile(found)
            self.starts._queue.done(found)
        return done

    def ask(self, request: str = "r1", channel: str = "master", **annotations: str) -> None:
        asked = {names.START_BUILD_PREFIX + channel: request, **annotations}
        self.world.kube.change("components", "app", {"metadata": {"annotations": asked}})

    @property
    def answer(self) -> dict[str, Any]:
        channels = self.world.kube.objects["components", NAMESPACE, "app"]["status"]["channels"]
        return dict(channels[0]["buildStart"])


async def test_an_image_is_built_without_a_run_and_its_channel_has_it(
    world: World, registry: FakeRegistry, git: Git
) -> None:
    add_component(world, registry)
    starts = await Starts(world).begin()
    starts.ask()
    assert await starts.settle()
    assert starts.answer["build"] == key(world).name
    assert starts.starts.wants(key(world), world.build_objects.objects[key(world)])

    git.commit = TWO  # the request keeps its commit
    world.build_objects.end(key(world), phase="Succeeded", digest=IMAGE)
    assert await starts.settle()
    assert starts.answer["image"] == f"{registry.host}/builds/{NAMESPACE}/app@{IMAGE}"
    channel = world.kube.objects["components", NAMESPACE, "app"]["status"]["channels"][0]
    assert (channel["digest"], channel["tag"]) == (IMAGE, key(world).name)
    assert not starts.starts.wants(key(world), world.build_objects.objects[key(world)])
    assert len(world.build_objects.created) == 1
    assert git.asked == [URL]


@pytest.mark.usefixtures("git")
async def test_an_image_that_is_there_is_the_answer_at_once(world: World, registry: FakeRegistry) -> None:
    add_component(world, registry)
    starts = await Starts(world).begin()
    starts.ask()
    await starts.settle()
    digest = registry.push(key(world).name, image_manifest("built"), path=f"builds/{NAMESPACE}/app")
    world.now += timedelta(seconds=5)
    starts.ask("r2")
    await starts.settle()
    assert starts.answer == {"request": "r2", "image": f"{registry.host}/builds/{NAMESPACE}/app@{digest}"}


@pytest.mark.usefixtures("git")
async def test_a_fresh_build_has_another_name_and_runs_use_it(world: World, registry: FakeRegistry) -> None:
    """Also those of a pinned channel, which would otherwise keep its image."""
    build = {"source": {"git": {"url": URL, "ref": "main"}}}
    add_component(world, registry, {"name": "release", "build": build})
    starts = await Starts(world).begin()
    starts.ask(channel="release")
    await starts.settle()
    world.build_objects.end(key(world), phase="Succeeded", digest=IMAGE)
    await starts.settle()
    registry.push(key(world).name, image_manifest("built"), path=f"builds/{NAMESPACE}/app")

    world.now += timedelta(seconds=5)
    starts.ask("r2", "release")
    await starts.settle()
    assert len(world.build_objects.created) == 1, "the image is there"
    starts.ask("r3", "release", **{names.FRESH_BUILD_PREFIX + "release": "2026-01-01T00:00:05Z"})
    await starts.settle()
    assert len(set(world.build_objects.created)) == 2
    fresh = world.build_objects.objects[key(world, 1)]
    assert fresh.spec.not_before == world.now
    other = "sha256:" + "b" * 64
    world.build_objects.end(key(world, 1), phase="Succeeded", digest=other)
    await starts.settle()
    assert starts.answer["image"].endswith(other)

    operator = FakeOperator(world)
    add_run(world)
    await operator.live(0)
    assert image(world, "load-1").endswith(other)
    assert len(world.build_objects.created) == 2


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        ({"phase": "Failed", "reason": "BuildFailed", "message": "Exit code 2."}, "BuildFailed", "Exit code 2"),
        (None, "SourceUnavailable", "no branch `main`"),
    ],
)
async def test_a_request_that_fails_says_why_and_the_next_one_tries_again(
    world: World,
    registry: FakeRegistry,
    git: Git,
    status: dict[str, Any] | None,
    reason: str,
    words: str,
) -> None:
    add_component(world, registry)
    starts = await Starts(world).begin()
    if status is None:
        git.error = BuildError(BuildProblem.NO_SUCH_REF, "repository has no branch `main`", "Push it.")
    starts.ask()
    assert await starts.settle()
    if status is not None:
        world.build_objects.end(key(world), completionTime="2026-01-01T00:00:01Z", **status)
        assert await starts.settle()
    assert starts.answer["reason"] == reason
    assert words in starts.answer["message"]

    git.error = None
    world.now += timedelta(seconds=5)
    starts.ask("r2")
    await starts.settle()
    assert "reason" not in starts.answer
    assert starts.answer["build"] == world.build_objects.created[-1]


async def test_a_host_that_is_away_is_asked_again(world: World, registry: FakeRegistry, git: Git) -> None:
    add_component(world, registry)
    starts = await Starts(world).begin()
    git.error = GitAwayError(BuildProblem.GIT_AWAY, "git host `git.example.com` did not respond", "Wait.")
    starts.ask()
    assert not await starts.starts.reconcile(APP)
    assert "did not respond" in starts.answer["message"]
    git.error = None
    world.now += timedelta(seconds=60)
    assert await starts.starts.reconcile(APP)
    assert starts.answer["build"] == key(world).name


async def test_the_next_operator_goes_on_with_the_build_of_a_request(
    world: World, registry: FakeRegistry, git: Git
) -> None:
    add_component(world, registry)
    starts = await Starts(world).begin()
    starts.ask()
    await starts.settle()
    git.commit = TWO
    following = await Starts(world).begin()
    await following.settle()
    assert following.starts.wants(key(world), world.build_objects.objects[key(world)])
    world.build_objects.end(key(world), phase="Succeeded", digest=IMAGE)
    await following.settle()
    assert following.answer["image"].endswith(IMAGE)
    assert len(world.build_objects.created) == 1


async def test_the_requests_of_another_operator_are_left_to_it(world: World, registry: FakeRegistry, git: Git) -> None:
    add_component(world, registry)
    starts = await Starts(world, operator_name="canary").begin()
    starts.ask()
    await starts.settle()
    assert git.asked == []
    world.kube.change("components", "app", {"metadata": {"labels": {names.OPERATOR_LABEL: "canary"}}})
    await starts.settle()
    assert git.asked == [URL]


@pytest.mark.usefixtures("git")
async def test_a_time_that_is_none_is_refused(world: World, registry: FakeRegistry) -> None:
    add_component(world, registry)
    starts = await Starts(world).begin()
    starts.ask(**{names.FRESH_BUILD_PREFIX + "master": "yesterday"})
    await starts.settle()
    assert starts.answer["reason"] == "InvalidSpec"
    assert "fresh-build.componentrun.dev/master` is `yesterday`" in starts.answer["message"]

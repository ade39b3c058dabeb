"""Runs whose images are built: what is looked up, what a run waits for, and how builds are shared. The registry is real
HTTP; nothing builds, the test writes what a build ended with."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.component import Component
from componentrun.controller.images import awayhosts, gitcommits
from componentrun.controller.watching.cachekeys import Key
from componentrun.core.builds.errors import BuildError, BuildProblem, GitAwayError
from componentrun.core.builds.lifecycle.request import read_request
from componentrun.core.builds.settings import BuildSettings
from componentrun.core.builds.source import FoundCommit
from componentrun.registry.client import RegistryClient
from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.registry.fakeregistry import FakeRegistry, image_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.api.build.componentbuild import ComponentBuild

ONE, TWO = "1" * 40, "2" * 40
URL = "https://git.example.com/team/app.git"
IMAGE = "sha256:" + "a" * 64


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as fake:
        fake.push("3.12", image_manifest("parent"))
        yield fake


class Git:
    """The only branch of the repository."""

    def __init__(self) -> None:
        self.commit = ONE
        self.asked: list[str] = []
        self.error: Exception | None = None

    def look_up(self, url: Any, ref: str, login: object, settings: object) -> FoundCommit:  # noqa: ARG002 - the real one's
        self.asked.append(url.text)
        if self.error is not None:
            raise self.error
        return FoundCommit(self.commit, f"refs/heads/{ref}")


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


def add_component(world: World, registry: FakeRegistry, *channels: dict[str, Any]) -> None:
    build = {"source": {"git": {"url": URL, "ref": "main"}}}
    body = {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "app"},
        "spec": {
            "image": f"{registry.host}/team/app",
            "tag": "3.12",
            "channels": list(channels) or [{"name": "master", "build": build}],
        },
    }
    world.kube.put("components", body)


def add_run(world: World, name: str = "load", **spec: Any) -> None:
    world.add_run(name, image=None, component="app", **spec)
    run = world.kube.objects["componentruns", NAMESPACE, name]
    run["spec"].pop("image")


def key(world: World, number: int = 0) -> Key:
    return Key(NAMESPACE, world.build_objects.created[number])


def is_wanted(operator: FakeOperator, world: World) -> bool:
    return operator.images.built.is_wanted(key(world), world.build_objects.objects[key(world)])


def image(world: World, name: str) -> str:
    pod = world.kube.objects["pods", NAMESPACE, name]
    return str(pod["spec"]["containers"][0]["image"])


async def test_a_run_waits_for_its_image_and_starts_with_it(world: World, registry: FakeRegistry, git: Git) -> None:
    add_component(world, registry)
    add_run(world)
    operator = FakeOperator(world)
    await operator.live(0)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Building", "Building")
    name = key(world).name
    assert (status["build"]["name"], status["build"]["component"], status["build"]["channel"]) == (
        name,
        "app",
        "master",
    )
    assert f"build `{name}` of commit `{ONE[:12]}` (`main`) of `{URL}`" in status["message"]
    assert not [found for found in world.kube.objects if found[0] == "pods"]

    world.build_objects.end(key(world), phase="Succeeded", digest=IMAGE)
    await operator.live(0)
    status = world.run()["status"]
    assert image(world, "load-1") == f"{registry.host}/builds/{NAMESPACE}/app@{IMAGE}"
    assert [item["phase"] for item in status["phases"]] == ["Building", "Pending"]
    assert (status["imageResolution"]["source"], status["imageResolution"]["tag"]) == ("Build", name)
    channel = world.kube.objects["components", NAMESPACE, "app"]["status"]["channels"][0]
    assert (channel["digest"], channel["tag"]) == (IMAGE, name)
    assert git.asked == [URL]


async def test_runs_at_once_share_one_build_and_keep_their_commit(
    world: World, registry: FakeRegistry, git: Git
) -> None:
    add_component(world, registry)
    operator = FakeOperator(world)
    for number in range(20):
        add_run(world, f"run-{number}")
    await operator.live(0)
    assert len(world.build_objects.created) == 1

    git.commit = TWO
    world.now += timedelta(seconds=5)
    add_run(world, "later")
    await operator.live(0)
    assert len(world.build_objects.created) == 2
    assert world.run("later")["status"]["build"]["name"] == key(world, 1).name
    world.build_objects.end(key(world), phase="Succeeded", digest=IMAGE)
    await operator.live(0)
    assert {image(world, f"run-{number}-1").partition("@")[2] for number in range(20)} == {IMAGE}
    assert world.run("later")["status"]["phase"] == "Building"


@pytest.mark.usefixtures("git")
async def test_an_image_that_is_there_needs_no_build(world: World, registry: FakeRegistry) -> None:
    add_component(world, registry)
    operator = FakeOperator(world)
    add_run(world, "first")
    await operator.live(0)
    digest = registry.push(key(world).name, image_manifest("built"), path=f"builds/{NAMESPACE}/app")
    world.build_objects.objects.clear()
    add_run(world, "second")
    await operator.live(0)
    assert image(world, "second-1").endswith(digest)
    assert len(world.build_objects.created) == 1


async def test_a_pinned_channel_is_built_once_however_its_branch_moves(
    world: World, registry: FakeRegistry, git: Git
) -> None:
    build = {"source": {"git": {"url": URL, "ref": "main"}}}
    add_component(world, registry, {"name": "release", "build": build})
    operator = FakeOperator(world)
    add_run(world, "first")
    await operator.live(0)
    world.build_objects.end(key(world), phase="Succeeded", digest=IMAGE)
    await operator.live(0)
    git.commit = TWO
    world.now += timedelta(seconds=60)
    add_run(world, "second")
    await operator.live(0)
    assert image(world, "second-1").endswith(IMAGE)
    assert git.asked == [URL]


@pytest.mark.usefixtures("git")
async def test_a_build_that_failed_fails_its_runs_and_is_tried_again_for_later_ones(
    world: World, registry: FakeRegistry
) -> None:
    add_component(world, registry)
    operator = FakeOperator(world)
    add_run(world, "first")
    await operator.live(0)
    world.build_objects.end(
        key(world),
        phase="Failed",
        reason="BuildFailed",
        message="Command 1 ended with exit code 2: no such package.",
        advice="Correct it.",
        completionTime="2025-12-31T23:59:59Z",  # before the second run is created,
    )
    await operator.live(0)
    status = world.run("first")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "BuildFailed")
    assert "Command 1 ended with exit code 2: no such package" in status["message"]
    assert status["advice"] == "Correct it."

    world.now += timedelta(seconds=5)
    add_run(world, "second")
    await operator.live(0)
    assert world.run("second")["status"]["phase"] == "Building"
    assert world.build_objects.created == [key(world).name] * 2


@pytest.mark.usefixtures("git")
async def test_an_image_that_was_deleted_from_the_registry_is_built_again(world: World, registry: FakeRegistry) -> None:
    add_component(world, registry)
    operator = FakeOperator(world)
    add_run(world, "first")
    await operator.live(0)
    world.build_objects.end(key(world), phase="Succeeded", digest=IMAGE, completionTime="2025-12-31T23:59:59Z")
    await operator.live(0)
    assert image(world, "first-1").endswith(IMAGE)

    world.now += timedelta(seconds=5)
    add_run(world, "second")
    await operator.live(0)
    assert world.run("second")["status"]["phase"] == "Building"
    assert world.build_objects.created == [key(world).name] * 2


@pytest.mark.usefixtures("git")
async def test_a_build_that_ends_just_before_a_run_waits_for_it_wakes_the_run(
    world: World, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_component(world, registry)
    operator = FakeOperator(world)
    create = world.build_objects.create

    async def created(build: ComponentBuild) -> ComponentBuild:
        answer = await create(build)
        world.build_objects.end(key(world), phase="Succeeded", digest=IMAGE)  # its event comes before the answer
        return answer

    monkeypatch.setattr(world.build_objects, "create", created)
    add_run(world)
    await operator.live(0)
    assert image(world, "load-1").endswith(IMAGE)


@pytest.mark.usefixtures("git")
async def test_a_run_that_waits_can_be_cancelled_and_nobody_waits_then(world: World, registry: FakeRegistry) -> None:
    add_component(world, registry)
    operator = FakeOperator(world)
    add_run(world)
    await operator.live(0)
    assert is_wanted(operator, world)
    world.kube.change("componentruns", "load", {"spec": {"cancel": True}})
    await operator.live(0)
    assert world.run()["status"]["phase"] == "Cancelled"
    assert not is_wanted(operator, world)
    assert is_wanted(FakeOperator(world), world), "an operator that has just started does not know"


async def test_a_git_host_that_is_away_is_not_asked_at_each_try_and_the_last_image_can_be_used(
    world: World, registry: FakeRegistry, git: Git
) -> None:
    build = {"source": {"git": {"url": URL, "ref": "main"}}}
    add_component(world, registry, {"name": "master", "build": build, "onFailure": "UseLast"})
    operator = FakeOperator(world)
    add_run(world, "first")
    await operator.live(0)
    world.build_objects.end(key(world), phase="Succeeded", digest=IMAGE)
    await operator.live(0)
    git.error = GitAwayError(BuildProblem.GIT_AWAY, "git host `git.example.com` did not respond", "Wait.")
    world.now += timedelta(seconds=5)
    for name in ("second", "third"):
        add_run(world, name)
        await operator.live(0)
        assert image(world, f"{name}-1").endswith(IMAGE)
        assert any("did not respond" in warning for warning in world.run(name)["status"]["warnings"])
    assert len(git.asked) == 2


async def test_a_branch_that_does_not_exist_ends_the_run(world: World, registry: FakeRegistry, git: Git) -> None:
    add_component(world, registry)
    git.error = BuildError(BuildProblem.NO_SUCH_REF, "repository has no branch `main`", "Push it.")
    add_run(world)
    await FakeOperator(world).live(0)
    status = world.run()["status"]
    assert status["phase"] == "Failed"
    assert "repository has no branch `main`" in status["message"]


async def test_builds_that_are_not_enabled_are_refused(world: World, registry: FakeRegistry, git: Git) -> None:
    world.builds = BuildSettings()
    add_component(world, registry)
    add_run(world)
    await FakeOperator(world).live(0)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "builds are not enabled" in status["message"]
    assert git.asked == []


async def test_a_parent_that_was_built_for_another_namespace_is_refused(
    world: World, registry: FakeRegistry, git: Git
) -> None:
    """The pod of a build has logins of the platform, which may read it."""
    build = {"source": {"git": {"url": URL, "ref": "main"}}}
    body = {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "app"},
        "spec": {
            "image": f"{registry.host}/builds/other/secret@{IMAGE}",
            "channels": [{"name": "master", "build": build}],
        },
    }
    world.kube.put("components", body)
    add_run(world)
    await FakeOperator(world).live(0)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "ImageNotAllowed")
    assert "images that were built for other namespaces" in status["message"]
    assert git.asked == []


async def test_a_parent_by_digest_must_be_readable_with_the_tenants_logins(
    world: World, registry: FakeRegistry, git: Git
) -> None:
    """The pod of a build has logins of the platform, and its commands run in the parent."""
    add_component(world, registry)
    component = world.kube.objects["components", NAMESPACE, "app"]
    component["spec"]["image"] = f"{registry.host}/team/app@{IMAGE}"  # the registry does not show it
    add_run(world)
    await FakeOperator(world).live(0)
    status = world.run()["status"]
    assert status["phase"] == "Failed"
    assert world.build_objects.created == []
    assert len(git.asked) <= 1


async def test_an_image_that_was_built_for_another_channel_is_not_used(
    world: World, registry: FakeRegistry, git: Git
) -> None:
    add_component(world, registry)
    operator = FakeOperator(world)
    add_run(world)
    await operator.live(0)
    build = {"source": {"git": {"url": URL, "ref": "other"}}}
    world.kube.change("components", "app", {"spec": {"channels": [{"name": "release", "build": build}]}})
    git.commit = TWO
    world.now += timedelta(seconds=5)
    world.build_objects.end(key(world), phase="Succeeded", digest=IMAGE)
    await operator.live(0)
    assert world.run()["status"]["phase"] == "Building"
    assert len(world.build_objects.created) == 2


async def test_hosts_that_hang_take_the_threads_of_their_own_namespace_only(
    world: World, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread is taken until its look-up has really ended, and a run does not wait for one without a limit."""
    monkeypatch.setattr(awayhosts, "_LONGEST_LOOKUP", 0.1)
    hung, asked = threading.Event(), list[str]()

    def look_up(url: Any, *_: object) -> FoundCommit:
        asked.append(url.host)
        if url.host != "git.example.com":
            hung.wait(30)
        return FoundCommit(ONE, "refs/heads/main")

    monkeypatch.setattr(gitcommits, "look_up", look_up)
    commits = FakeOperator(world).images.built._commits
    add_component(world, registry)
    component = Component.model_validate(world.kube.objects["components", NAMESPACE, "app"])
    good = read_request(component, "master", world.builds)
    try:
        for number in range(6):
            bad = replace(good, namespace="bad", url=replace(good.url, host=f"hung-{number}.example.com"))
            with pytest.raises(GitAwayError, match="did not respond"):
                await commits.find(bad)
        assert len(asked) == 4
        assert (await commits.find(good)).commit == ONE
    finally:
        hung.set()


async def test_a_watch_that_knows_an_earlier_build_of_the_name_fails_no_run(
    world: World, registry: FakeRegistry, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of an operator that has just become the leader, and whose watch lags behind."""
    add_component(world, registry)
    operator = FakeOperator(world)
    add_run(world)
    await operator.live(0)
    present = world.build_objects.objects[key(world)]
    world.build_objects.end(key(world), phase="Failed", reason="BuildFailed", message="No.")
    failed = world.build_objects.objects[key(world)]
    earlier = failed.model_copy(update={"metadata": failed.metadata.model_copy(update={"uid": "earlier"})})
    world.build_objects.objects[key(world)] = present
    monkeypatch.setattr(world.build_objects, "get", lambda _: earlier)
    await operator.live(0)
    assert world.run()["status"]["phase"] == "Building"
    assert git.asked == [URL]


@pytest.mark.usefixtures("git")
async def test_an_image_that_is_too_old_is_built_again_once_for_all_runs(world: World, registry: FakeRegistry) -> None:
    build = {"source": {"git": {"url": URL, "ref": "main"}}, "maxAge": "1d"}
    add_component(world, registry, {"name": "master", "build": build})
    operator = FakeOperator(world)
    for day in range(3):
        for number in range(5):
            add_run(world, f"run-{day}-{number}")
        await operator.live(0)
        assert len(world.build_objects.created) == day + 1
        name, digest = key(world, day).name, f"sha256:{day:064x}"
        world.build_objects.end(key(world, day), phase="Succeeded", digest=digest)
        registry.push(name, image_manifest(name), path=f"builds/{NAMESPACE}/app")
        await operator.live(0)
        assert {image(world, f"run-{day}-{number}-1").partition("@")[2] for number in range(5)} == {digest}
        world.now += timedelta(days=1)
    times = [item.spec.not_before for item in world.build_objects.objects.values()]
    assert len(set(times)) == 3


async def test_a_pinned_channel_has_no_maximum_age(world: World, registry: FakeRegistry, git: Git) -> None:
    build = {"source": {"git": {"url": URL, "ref": "main"}}, "maxAge": "1d"}
    add_component(world, registry, {"name": "release", "build": build})
    add_run(world)
    await FakeOperator(world).live(0)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "found `maxAge` and follow `Pinned`" in status["message"]
    assert git.asked == []

"""`build start`: what it asks for, what it waits for, and its exit codes. The test plays the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.names import FRESH_BUILD_PREFIX, START_BUILD_PREFIX
from componentrun.process.kubernetes.resources import BUILDS, COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.cli.world import World

BUILD = "build-a1".ljust(46, "0")
IMAGE = f"r.io/builds/team/app@sha256:{7:064x}"
GIT = {"source": {"git": {"url": "https://git.example.com/team/app.git"}}}


def add(world: World, *channels: dict[str, Any]) -> None:
    found = [*channels] or [{"name": "master", "build": GIT}, {"name": "release", "tag": "1"}]
    world.cluster.add(COMPONENTS, "app", {"image": "r.io/python", "channels": found, "defaultChannel": "master"})


def asked(world: World) -> dict[str, str]:
    return dict(world.cluster.objects["components"]["app"]["metadata"].get("annotations") or {})


def answering(world: World, channel: str = "master", **answer: Any) -> Callable[[], None]:
    """What the operator writes when its turn comes."""

    def write() -> None:
        request = asked(world)[START_BUILD_PREFIX + channel]
        start = {"request": request, **answer}
        status = {"channels": [{"name": channel, "buildStart": start}]}
        world.cluster.api.change("components", "team", "app", {"status": status})

    return write


def building(world: World, phase: str) -> None:
    spec = {
        "component": "app",
        "git": {"url": "https://git.example.com/team/app.git", "commit": "a" * 40},
        "platform": "linux/amd64",
        "folder": "/code",
        "target": "r.io/builds/team/app",
    }
    world.cluster.add(BUILDS, BUILD, spec, status={"phase": phase})


def test_it_waits_for_the_build_and_prints_the_image(world: World) -> None:
    add(world)
    message = f"The run waits for its image: build `{BUILD}` of commit `aaa`."
    world.script = [
        lambda: building(world, "Fetching"),
        answering(world, build=BUILD, message=message),
        lambda: building(world, "Pushing"),
        answering(world, build=BUILD, image=IMAGE),
    ]
    done = world.run("build", "start", "app")
    assert (done.exit_code, done.stdout) == (0, f"{IMAGE}\n")
    assert f"ComponentBuild `{BUILD}` Fetching" in done.stderr
    assert f"ComponentBuild `{BUILD}` Pushing" in done.stderr
    assert f"waiting: build `{BUILD}` of commit `aaa`." in done.stderr
    assert list(asked(world)) == [START_BUILD_PREFIX + "master"]


def test_fresh_is_the_time_of_the_command(world: World) -> None:
    add(world, {"name": "dev", "build": GIT}, {"name": "master", "build": GIT})
    world.script = [answering(world, "dev", image=IMAGE)]
    assert world.run("build", "start", "app", "--channel", "dev", "--fresh").exit_code == 0
    time = asked(world)[FRESH_BUILD_PREFIX + "dev"]
    assert time.endswith("Z")
    assert asked(world)[START_BUILD_PREFIX + "dev"].startswith(time)


@pytest.mark.parametrize(
    ("reason", "code"), [("BuildFailed", 1), ("SourceUnavailable", 1), ("PushRefused", 2), ("BuildCancelled", 2)]
)
def test_the_exit_code_says_who_can_fix_it(world: World, reason: str, code: int) -> None:
    add(world)
    world.script = [answering(world, build=BUILD, reason=reason, message="Command 1 ended with exit code 3.")]
    done = world.run("build", "start", "app")
    assert (done.exit_code, done.stdout) == (code, "")
    assert f"error: {reason}: Command 1 ended with exit code 3." in done.stderr
    assert f"componentrun build get {BUILD}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("app", "--channel", "release"), "channel `release` of Component `app` names an image"),
        (("app", "--channel", "none"), "`none` is not a channel"),
        (("other",), "`other`"),
        (("app", "--wait-timeout", "soon"), "--wait-timeout"),
    ],
)
def test_what_can_not_be_built_is_refused_and_nothing_is_asked_for(
    world: World, arguments: tuple[str, ...], words: str
) -> None:
    add(world)
    done = world.run("build", "start", *arguments)
    assert done.exit_code == 1
    assert words in done.stderr
    assert asked(world) == {}


def test_without_an_operator_it_says_so_and_the_wait_has_a_limit(world: World) -> None:
    add(world)
    done = world.run("build", "start", "app", "--wait-timeout", "30s")
    assert done.exit_code == 124
    assert "no operator has answered yet" in done.stderr
    assert "no build has been created" in done.stderr


def test_a_component_that_is_deleted_meanwhile_ends_the_wait(world: World) -> None:
    add(world)
    world.script = [lambda: world.cluster.objects["components"].__delitem__("app")]
    assert world.run("build", "start", "app").exit_code == 1


def test_the_answer_to_a_later_request_is_as_good(world: World) -> None:
    add(world)

    def another() -> None:
        patch = {"metadata": {"annotations": {START_BUILD_PREFIX + "master": "another"}}}
        world.cluster.api.change("components", "team", "app", patch)
        answering(world, image=IMAGE)()

    world.script = [another]
    assert world.run("build", "start", "app").stdout == f"{IMAGE}\n"

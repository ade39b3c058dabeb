"""`build`: list, get, logs, cancel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.api.build.componentbuild import ComponentBuild
from componentrun.cli.errors import NotAllowedError
from componentrun.process.kubernetes.resources import BUILDS, PODS
from tests.fakekube import refusals
from tests.fakekube.messages import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakekube.kinds import Target
    from tests.unit.cli.world import World

PLATFORM = "componentrun-builds"
ADVICE = "Correct what the message names in the repository."


def name(number: int) -> str:
    return f"build-{number:x}".ljust(46, "0")


FIRST, SECOND = name(0xA1), name(0xA2)


def add(world: World, build: str = FIRST, *, component: str = "app", **status: Any) -> None:
    spec = {
        "component": component,
        "git": {"url": "https://git.example.com/team/app.git", "commit": "0123456789" * 4, "ref": "refs/heads/main"},
        "parent": f"r.io/python@sha256:{1:064x}",
        "platform": "linux/amd64",
        "folder": "/code",
        "target": f"r.io/builds/team/{component}",
    }
    world.cluster.add(BUILDS, build, spec, status=status)


def failed(**more: Any) -> dict[str, Any]:
    return {
        "phase": "Failed",
        "reason": "BuildFailed",
        "message": f"The commands ended with exit code 1. {ADVICE}",
        "advice": ADVICE,
        "startTime": "2026-11-24T08:00:00Z",
        "completionTime": "2026-11-24T08:00:12Z",
        "pod": {"namespace": PLATFORM, "name": "pod-1"},
        "steps": [
            {
                "name": "fetch",
                "startTime": "2026-11-24T08:00:00Z",
                "completionTime": "2026-11-24T08:00:02Z",
                "exitCode": 0,
            },
            {"name": "commands", "startTime": "2026-11-24T08:00:02Z"},
        ],
        **more,
    }


class Pod:
    """The pod of a build: what its containers have printed so far."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.printed: dict[str, str] = {}
        containers = {
            "initContainers": [{"name": "fetch", "image": "i"}, {"name": "commands", "image": "i"}],
            "containers": [{"name": "push", "image": "i"}],
        }
        self.put(containers)
        world.cluster.api.pods.log = self.log  # type: ignore[method-assign]  # a server whose containers print
        self.asked: list[tuple[str, str]] = []

    def put(self, spec: dict[str, Any]) -> None:
        pod = {"metadata": {"name": "pod-1", "namespace": PLATFORM}, "spec": spec, "status": {"phase": "Pending"}}
        self.world.cluster.api.put(PODS.plural, pod)

    def begin(self, container: str, text: str) -> None:
        self.printed[container] = text
        running: dict[str, Any] = {"state": {"running": {}}}
        steps = [{"name": step} | running for step in self.printed if step != "push"]
        status: dict[str, Any] = {"phase": "Running", "initContainerStatuses": steps}
        if "push" in self.printed:
            status["containerStatuses"] = [{"name": "push"} | running]
        self.world.cluster.api.change(PODS.plural, PLATFORM, "pod-1", {"status": status})

    def end(self, phase: str) -> None:
        self.world.cluster.api.change(PODS.plural, PLATFORM, "pod-1", {"status": {"phase": phase}})

    def log(self, target: Target, query: Mapping[str, str]) -> Response:
        container = query["container"]
        if container not in self.printed:
            raise refusals.bad_request(f'container "{container}" in pod "{target.name}" is waiting to start')
        assert target.namespace == PLATFORM
        self.asked.append((container, query["follow"]))
        return Response(200, self.printed[container].encode())


class TestList:
    def test_a_line_for_each_the_newest_first(self, world: World) -> None:
        add(world, FIRST, **failed())
        add(world, SECOND, component="other")
        lines = [line.split() for line in world.run("build", "list").stdout.splitlines()]
        assert lines[0] == ["NAME", "COMPONENT", "PHASE", "REF", "COMMIT", "DURATION", "AGE"]
        assert [line[:5] for line in lines[1:]] == [
            [SECOND, "other", "Pending", "main", "012345678901"],
            [FIRST, "app", "Failed", "main", "012345678901"],
        ]
        assert lines[2][5] == "12s"

    def test_wide_says_why(self, world: World) -> None:
        add(world, FIRST, **failed())
        wide = world.run("build", "list", "-o", "wide").stdout
        assert "BuildFailed" in wide
        assert "The commands ended with exit code 1." in wide

    def test_of_a_component(self, world: World) -> None:
        add(world, FIRST)
        add(world, SECOND, component="other")
        assert world.run("build", "list", "--component", "other", "-o", "name").stdout == f"{SECOND}\n"
        none = world.run("build", "list", "--component", "third")
        assert (none.exit_code, none.stdout, none.stderr) == (0, "", "no such builds in namespace `team`\n")

    def test_of_all_namespaces(self, world: World) -> None:
        add(world, FIRST)
        world.cluster.namespace = "sales"
        add(world, SECOND)
        lines = [line.split() for line in world.run("build", "list", "-A").stdout.splitlines()]
        assert {(line[0], line[1]) for line in lines[1:]} == {("team", FIRST), ("sales", SECOND)}

    @pytest.mark.parametrize("form", ["json", "yaml"])
    def test_for_programs(self, world: World, form: str) -> None:
        add(world, FIRST, **failed())
        text = world.run("build", "list", "-o", form).stdout
        found = json.loads(text) if form == "json" else yaml.safe_load(text)
        (item,) = found["items"]
        assert item["kind"] == "ComponentBuild"
        assert ComponentBuild.model_validate(item).status.reason == "BuildFailed"


class TestGet:
    def test_what_there_is_to_know_of_a_build(self, world: World) -> None:
        add(world, FIRST, **failed(lastWords="no such package\nx==9\n"))
        shown = world.run("build", "get", FIRST).stdout
        for words in (
            "Repository:   https://git.example.com/team/app.git",
            f"Commit:       {'0123456789' * 4} (main)",
            f"Image:        r.io/builds/team/app:{FIRST}",
            "Reason:       BuildFailed",
            "Message:      The commands ended with exit code 1.",
            f"Advice:       {ADVICE}",
            f"Pod:          {PLATFORM}/pod-1",
            "  | no such package\n  | x==9\n",
        ):
            assert words in shown, words
        assert shown.count(ADVICE) == 1
        steps = [line.split() for line in shown.partition("Steps:\n")[2].splitlines()]
        assert steps[0] == ["fetch", "2s", "exit", "code", "0"]
        assert steps[1][0] == "commands"
        assert steps[1][-2:] == ["so", "far"]

    def test_an_image_that_is_there_has_its_digest(self, world: World) -> None:
        pushed = {"sentBytes": 2048, "mountedLayers": 3, "knownLayers": 1, "copiedLayers": 0}
        layer = {"state": "Reused", "key": "k", "digest": "sha256:1", "size": 4096, "diffId": "sha256:2"}
        add(world, FIRST, phase="Succeeded", digest=f"sha256:{7:064x}", pushed=pushed, dependencies=layer)
        shown = world.run("build", "get", FIRST).stdout
        assert f"Image:        r.io/builds/team/app@sha256:{7:064x}" in shown
        assert "Sent:         2.0 kB (layers: 1 known, 3 mounted, 0 copied)" in shown
        assert "Dependencies: those of an earlier build, 4.1 kB" in shown

    def test_for_programs(self, world: World) -> None:
        add(world, FIRST, **failed())
        assert json.loads(world.run("build", "get", FIRST, "-o", "json").stdout)["status"]["phase"] == "Failed"

    @pytest.mark.parametrize("typed", ["build-a1", "a1", FIRST[:20], FIRST.removeprefix("build-")])
    def test_the_beginning_of_a_name_is_enough(self, world: World, typed: str) -> None:
        add(world, FIRST)
        add(world, SECOND)
        assert f"Name:         {FIRST}" in world.run("build", "get", typed).stdout

    @pytest.mark.parametrize(("typed", "words"), [("a", "several builds"), ("b", "there is no ComponentBuild `b`")])
    def test_it_must_be_that_of_one_build(self, world: World, typed: str, words: str) -> None:
        add(world, FIRST)
        add(world, SECOND)
        done = world.run("build", "get", typed)
        assert done.exit_code == 1
        assert words in done.stderr


class TestLogs:
    def test_the_steps_that_have_begun_in_their_order(self, world: World) -> None:
        add(world, FIRST, **failed())
        pod = Pod(world)
        pod.begin("fetch", "fetched\n")
        pod.begin("commands", "one\ntwo\x1b[2J\n")
        done = world.run("build", "logs", FIRST)
        assert (done.exit_code, done.stdout) == (0, "fetched\none\ntwo\\x1b[2J\n")
        assert pod.asked == [("fetch", "false"), ("commands", "false")]

    def test_of_one_step(self, world: World) -> None:
        add(world, FIRST, **failed())
        pod = Pod(world)
        pod.begin("fetch", "fetched\n")
        pod.begin("commands", "one\n")
        assert world.run("build", "logs", FIRST, "--step", "commands").stdout == "one\n"
        unknown = world.run("build", "logs", FIRST, "--step", "test")
        assert unknown.exit_code == 1
        assert "The steps are `fetch`, `commands`, `push`." in unknown.stderr

    def test_following_waits_for_each_step(self, world: World) -> None:
        add(world, FIRST, phase="Fetching", pod={"namespace": PLATFORM, "name": "pod-1"})
        pod = Pod(world)
        world.script = [
            lambda: pod.begin("fetch", "fetched\n"),
            lambda: None,
            lambda: pod.begin("commands", "one\n"),
            lambda: pod.begin("push", "pushed\n"),
        ]
        assert world.run("build", "logs", FIRST, "-f").stdout == "fetched\none\npushed\n"
        assert {follow for _, follow in pod.asked} == {"true"}

    def test_following_ends_if_the_next_step_never_begins(self, world: World) -> None:
        add(world, FIRST, phase="Fetching", pod={"namespace": PLATFORM, "name": "pod-1"})
        pod = Pod(world)
        pod.begin("fetch", "no such branch\n")
        world.script = [lambda: pod.end("Failed")]
        done = world.run("build", "logs", FIRST, "-f")
        assert (done.exit_code, done.stdout) == (0, "no such branch\n")

    def test_without_the_pod_the_last_words_are_left(self, world: World) -> None:
        add(world, FIRST, **failed(lastWords="no such package\n"))
        world.cluster.api.add_namespace(PLATFORM)
        done = world.run("build", "logs", FIRST)
        assert (done.exit_code, done.stdout) == (0, "no such package\n")
        assert f"pod `{PLATFORM}/pod-1` is gone" in done.stderr
        assert "last lines of the commands" in done.stderr

    def test_without_pod_and_words_it_is_an_error(self, world: World) -> None:
        add(world, FIRST, **failed())
        world.cluster.api.add_namespace(PLATFORM)
        done = world.run("build", "logs", FIRST)
        assert (done.exit_code, done.stdout) == (1, "")
        assert f"error: pod `{PLATFORM}/pod-1` is gone" in done.stderr
        assert f"`componentrun build get {FIRST}` shows how the build ended" in done.stderr

    @pytest.mark.parametrize("words", [None, "no such package\n"])
    def test_who_may_not_read_it_is_told_whom_to_ask(self, world: World, words: str | None) -> None:
        add(world, FIRST, **failed(**({"lastWords": words} if words else {})))
        Pod(world).begin("commands", "one\n")
        world.cluster.problems["get"] = NotAllowedError("you are not allowed to get `pods`", "ask")
        done = world.run("build", "logs", FIRST)
        assert (done.exit_code, done.stdout) == ((0, words) if words else (1, ""))
        assert f"you are not allowed to read the log of pod `pod-1` in namespace `{PLATFORM}`" in done.stderr
        assert ("`pods` and `pods/log`" in done.stderr) is (words is None)

    @pytest.mark.parametrize(
        ("status", "words"),
        [
            ({}, "has no pod yet: it is `Pending`"),
            ({"phase": "Cancelled", "completionTime": "2026-11-24T08:00:12Z"}, "ended without a pod"),
        ],
    )
    def test_a_build_without_a_pod(self, world: World, status: dict[str, Any], words: str) -> None:
        add(world, FIRST, **status)
        done = world.run("build", "logs", FIRST)
        assert done.exit_code == 1
        assert words in done.stderr


class TestCancel:
    def test_it_is_written_into_the_spec(self, world: World) -> None:
        add(world, FIRST, phase="Building")
        done = world.run("build", "cancel", "a1")
        assert (done.exit_code, done.stderr) == (0, f"ComponentBuild `{FIRST}` will be cancelled\n")
        assert world.cluster.objects["componentbuilds"][FIRST]["spec"]["cancel"] is True
        assert "cancel asked for" in world.run("build", "get", "a1").stdout

    def test_one_that_is_over_is_left_alone(self, world: World) -> None:
        add(world, FIRST, **failed())
        done = world.run("build", "cancel", FIRST)
        assert (done.exit_code, done.stderr) == (
            0,
            f"ComponentBuild `{FIRST}` is over already: `Failed`; nothing to cancel\n",
        )
        assert "cancel" not in world.cluster.objects["componentbuilds"][FIRST]["spec"]

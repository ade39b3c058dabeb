"""The shapes of a run's pod, and the times that are derived from its events."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from benchmarks.overhead.pod_shapes import SHAPES, TODAY, Images, Shape, shaped_pod
from benchmarks.overhead.shape_comparison import pairs
from benchmarks.overhead.shape_times import Moment, is_over, shape_seconds
from benchmarks.overhead.watch_log import PODS, WatchEvent
from componentrun.wire.agents import STAGE_IN_COMMAND, STAGE_OUT_COMMAND

IMAGES = Images(agents="agents:1", component="component:1")
BY_TITLE = {shape.title: shape for shape in SHAPES}
ENDLESS = BY_TITLE["side-by-side"]
CREATED = Moment(monotonic=100.0, wall=5_000.0)


def spec_of(title: str) -> dict[str, Any]:
    return dict(shaped_pod(BY_TITLE[title], "shape-1", IMAGES, {"limits": {"memory": "128Mi"}})["spec"])


def containers_of(title: str) -> list[dict[str, Any]]:
    spec = spec_of(title)
    return [*spec["initContainers"], *spec["containers"]]


def pod(
    at: float, state: dict[str, Any] | None = None, *, phase: str = "Pending", event: str = "MODIFIED"
) -> WatchEvent:
    statuses = [{"name": "component", "state": state}] if state else []
    return WatchEvent(
        at, PODS, event, {"metadata": {"name": "p"}, "status": {"phase": phase, "containerStatuses": statuses}}
    )


def ended(message: str = "5001.25", code: int = 0) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message}}


def test_todays_shape_is_the_pod_of_the_operator() -> None:
    spec = spec_of("today")
    assert [container["name"] for container in spec["initContainers"]] == ["stage-out", "stage-in"]
    assert [tuple(container["command"]) for container in spec["initContainers"]] == [
        STAGE_OUT_COMMAND,
        STAGE_IN_COMMAND,
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.title)
def test_a_bare_pod_is_nobodys(shape: Shape) -> None:
    made = shaped_pod(shape, "shape-1", IMAGES, {"limits": {"memory": "128Mi"}})
    assert made["metadata"] == {"name": "shape-1-1"}


@pytest.mark.parametrize(
    ("title", "init", "ordinary"),
    [
        ("today", ["stage-out*", "stage-in"], ["component"]),
        ("sidecar-last", ["stage-in", "stage-out*"], ["component"]),
        ("one-agent", ["stage-out*"], ["component"]),
        ("hook", ["stage-out*"], ["stage-in", "component"]),
        ("side-by-side", ["stage-in"], ["stage-out", "component"]),
    ],
)
def test_the_order_of_the_containers(title: str, init: list[str], ordinary: list[str]) -> None:
    def named(containers: list[dict[str, Any]]) -> list[str]:
        return [item["name"] + ("*" if item.get("restartPolicy") == "Always" else "") for item in containers]

    spec = spec_of(title)
    assert (named(spec["initContainers"]), named(spec["containers"])) == (init, ordinary)


@pytest.mark.parametrize("title", BY_TITLE)
def test_only_one_agent_has_both_grants(title: str) -> None:
    grants = {
        container["name"]: {mount["name"] for mount in container["volumeMounts"] if "grant" in mount["name"]}
        for container in containers_of(title)
    }
    assert grants.pop("component") == set()
    alone = {"stage-out": {"grant-out"}, "stage-in": {"grant-in"}}
    assert grants == ({"stage-out": {"grant-in", "grant-out"}} if title == "one-agent" else alone)


@pytest.mark.parametrize("title", BY_TITLE)
def test_mounts_of_a_container_do_not_hide_each_other(title: str) -> None:
    for container in containers_of(title):
        paths = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("title", BY_TITLE)
def test_all_scripts_can_be_parsed(title: str) -> None:
    hooks = [item.get("lifecycle", {}).get("postStart", {}).get("exec") for item in containers_of(title)]
    commands = [item["command"] for item in (*containers_of(title), *filter(None, hooks))]
    scripts = [command[2] for command in commands if command[:2] == ["/bin/sh", "-c"]]
    assert scripts
    for script in scripts:
        subprocess.run(["/bin/sh", "-n", "-c", script], check=True)


def test_the_times_of_a_pod_are_counted_from_its_creation() -> None:
    seen = [pod(100.1), pod(102.0, {"running": {}}), pod(103.0, ended()), pod(104.0, ended(), phase="Succeeded")]
    assert shape_seconds(TODAY, CREATED, seen) == {
        "overhead.shape.today": 4.0, "overhead.shape.today.component": 1.25, "overhead.shape.today.seen": 2.0,
    }  # fmt: skip


def test_a_component_that_was_not_seen_running_is_seen_when_it_has_ended() -> None:
    seen = [pod(100.1), pod(103.0, ended()), pod(104.0, ended(), phase="Succeeded")]
    assert shape_seconds(TODAY, CREATED, seen)["overhead.shape.today.seen"] == 3.0


def test_a_pod_that_does_not_end_by_itself_has_no_whole_time() -> None:
    times = shape_seconds(ENDLESS, CREATED, [pod(103.0, ended(), phase="Running")])
    assert list(times) == ["overhead.shape.side-by-side.component", "overhead.shape.side-by-side.seen"]


@pytest.mark.parametrize("message", ["", "now", "5001,25"])
def test_a_component_that_does_not_report_its_start_is_an_error(message: str) -> None:
    with pytest.raises(ValueError, match="expected its start"):
        shape_seconds(TODAY, CREATED, [pod(103.0, ended(message), phase="Succeeded")])


@pytest.mark.parametrize("message", ["4999.9", "5003.1"])
def test_a_start_before_the_creation_or_after_the_end_means_another_clock(message: str) -> None:
    with pytest.raises(ValueError, match="clock must be that of this machine"):
        shape_seconds(TODAY, CREATED, [pod(103.0, ended(message), phase="Succeeded")])


def test_a_component_that_was_never_seen_to_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="never seen to end"):
        shape_seconds(TODAY, CREATED, [pod(103.0, {"running": {}})])


def test_a_pod_is_over_when_it_has_succeeded() -> None:
    assert not is_over(TODAY, pod(1.0))
    assert not is_over(TODAY, pod(1.0, ended(), phase="Running"))
    assert is_over(TODAY, pod(1.0, ended(), phase="Succeeded"))


def test_a_pod_without_an_end_is_over_with_its_component() -> None:
    assert not is_over(ENDLESS, pod(1.0, {"running": {}}, phase="Running"))
    assert is_over(ENDLESS, pod(1.0, ended(), phase="Running"))


def test_a_failure_is_an_error() -> None:
    with pytest.raises(AssertionError, match="pod of shape today failed"):
        is_over(TODAY, pod(1.0, phase="Failed"))
    with pytest.raises(AssertionError, match="component of shape side-by-side failed"):
        is_over(ENDLESS, pod(1.0, ended(code=1), phase="Running"))


def test_each_figure_is_compared_with_that_of_todays_shape() -> None:
    names = ["today", "today.component", "hook", "hook.component", "side-by-side.component"]
    assert pairs(dict.fromkeys(f"overhead.shape.{name}" for name in names)) == {
        "overhead.shape.hook": "overhead.shape.today",
        "overhead.shape.hook.component": "overhead.shape.today.component",
        "overhead.shape.side-by-side.component": "overhead.shape.today.component",
    }

"""The pod of a run with processors, beside the golden one in test_podbuilder.py."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api import names
from componentrun.api.channels import ImageResolution
from componentrun.core.lifecycle.stepstatus import planned_steps
from componentrun.core.pod.build import PodSettings, build_pod
from componentrun.core.pod.metadata import with_image_of
from componentrun.core.pod.steps import Step, read_steps, steps_of, steps_text
from componentrun.core.request.image import ResolvedImage
from componentrun.core.request.resolve import resolve
from tests.unit.core.make import make_component, make_run

IMAGE = "agents"
NOW = datetime(2026, 7, 1, tzinfo=UTC)
SETTINGS = PodSettings()


def pod(
    before: int = 0, after: int = 0, component: dict[str, Any] | None = None, users: tuple[int, ...] = (), **spec: Any
) -> dict[str, Any]:
    """A pod with so many processors. `users` are those of the processors, in order."""
    numbers = range(before + after)
    known = {
        f"p{number}": make_component(
            f"p{number}", type="processor", timeout="5m", **({"runAsUser": users[number]} if users else {})
        )
        for number in numbers
    }
    steps = [{"component": name, "parameters": {"mine": name}} for name in known]
    if steps:
        spec["processors"] = {"before": steps[:before], "after": steps[before:]}
    run = make_run(component="cleaner", **spec)
    effective = resolve(run, make_component(**(component or {})), "lake", None, known)
    return build_pod(effective, run, 1, IMAGE, SETTINGS)


def order(pod: dict[str, Any]) -> list[str]:
    return [item["name"] for item in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])]


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0, 0, ["component"]),
        (1, 0, ["before-1", "to-component", "component"]),
        (0, 1, ["component", "to-after-1", "after-1"]),
        (
            2,
            2,
            [
                "before-1", "to-before-2", "before-2", "to-component", "component",
                "to-after-1", "after-1", "to-after-2", "after-2",
            ],
        ),
    ],
)  # fmt: skip
def test_every_step_but_the_last_is_an_init_container_with_an_agent_between_two(
    before: int, after: int, expected: list[str]
) -> None:
    found = pod(before, after)
    assert order(found) == ["stage-out", "stage-in", *expected]
    assert [item["name"] for item in found["spec"]["containers"]] == expected[-1:]
    once = [item["name"] for item in found["spec"]["initContainers"] if "restartPolicy" not in item]
    assert once == ["stage-in", *expected[:-1]]


def test_the_gelf_server_is_there_before_the_first_step() -> None:
    found = pod(1, 1, {"logging": {"gelf": {}}})
    assert order(found)[:4] == ["stage-out", "stage-in", "gelf", "before-1"]


@given(st.integers(0, 5), st.integers(0, 5))
def test_each_agent_leads_to_the_step_behind_it(before: int, after: int) -> None:
    found = order(pod(before, after))
    agents = [number for number, name in enumerate(found) if name.startswith("to-")]
    assert len(agents) == before + after
    for number in agents:
        assert found[number + 1] == found[number].removeprefix("to-")
        assert names.is_program(found[number - 1])
        assert names.is_step(found[number])
        assert not names.is_program(found[number])
    for name in found:
        assert names.is_of_a_run(name)
    every = containers(pod(before, after))
    assert [every[found[number]]["command"][-1] for number in agents] == [found[number + 1] for number in agents]


def test_no_program_mounts_what_the_agents_leave_each_other_nor_a_grant() -> None:
    for name, container in containers(pod(2, 2)).items():
        mounted = {item["name"] for item in container["volumeMounts"]}
        assert ("chain" in mounted) is not names.is_program(name)
        assert {"grant-in", "grant-out"} & mounted == {
            "stage-in": {"grant-in"}, "stage-out": {"grant-out"}
        }.get(name, set())  # fmt: skip
        assert "data" in mounted


def test_each_step_has_a_tmp_of_its_own_also_with_a_read_only_root() -> None:
    known = make_component("p0", type="processor", readOnlyRootFilesystem=True)
    run = make_run(component="cleaner", processors={"after": [{"component": "p0"}, {"component": "p0"}]})
    effective = resolve(run, make_component(readOnlyRootFilesystem=True), "lake", None, {"p0": known})
    found = containers(build_pod(effective, run, 1, IMAGE, SETTINGS))
    places = [
        mount["name"]
        for name in ("component", "after-1", "after-2")
        for mount in found[name]["volumeMounts"]
        if mount["mountPath"] == "/tmp"
    ]
    assert len(places) == len(set(places)) == 3


def test_parameters_are_not_in_the_pod() -> None:
    assert '"mine"' not in json.dumps(pod(1, 1))


def test_a_token_and_a_gelf_server_are_the_components_alone() -> None:
    component = {
        "logging": {"gelf": {}},
        "forwardToken": {"url": "https://storage.example.com", "tokenSecretRef": {"name": "t", "key": "k"}},
    }
    for name, container in containers(pod(1, 1, component)).items():
        found = {item["name"] for item in container.get("env", ())}
        assert ({"KBC_TOKEN", "KBC_LOGGER_ADDR"} <= found) is (name == "component")


def test_users_of_one_run_leave_the_pod_as_it_is() -> None:
    for container in containers(pod(1, 1)).values():
        assert "runAsUser" not in container["securityContext"]


def test_each_agent_has_the_user_whose_files_it_moves() -> None:
    found = containers(pod(1, 1, users=(2000, 3000)))
    users = {name: item["securityContext"].get("runAsUser", 1000) for name, item in found.items()}
    assert users == {
        "stage-in": 2000, "before-1": 2000, "to-component": 2000, "component": 1000, "to-after-1": 1000,
        "after-1": 3000, "stage-out": 3000,
    }  # fmt: skip
    assert not [item for item in found.values() if "runAsGroup" in item["securityContext"]]


def test_root_in_one_step_is_said_in_that_container_only() -> None:
    found = containers(pod(0, 1, users=(0,)))
    assert found["after-1"]["securityContext"]["runAsNonRoot"] is False
    assert "runAsNonRoot" not in found["component"]["securityContext"]


def test_the_kubelet_stops_the_pod_only_after_all_steps_had_their_time() -> None:
    plain, long = pod(), pod(1, 2)
    more = long["spec"]["activeDeadlineSeconds"] - plain["spec"]["activeDeadlineSeconds"]
    assert more == 3 * (SETTINGS.stage_in_seconds + 300)


def test_a_pod_without_processors_is_as_it_was() -> None:
    text = json.dumps(pod())
    assert "chain" not in text
    assert names.STEPS_VARIABLE not in text
    assert "TERMINATION_BYTES" not in text


def test_stage_out_has_the_steps_with_their_timeouts() -> None:
    variables = {item["name"]: item["value"] for item in containers(pod(1, 1, timeout="1h"))["stage-out"]["env"]}
    assert read_steps(variables[names.STEPS_VARIABLE]) == (
        Step("before-1", "p0", 300), Step("component", "cleaner", 3600), Step("after-1", "p1", 300),
    )  # fmt: skip


STEPS = st.lists(st.builds(Step, st.text(), st.text(), st.integers(0, 100_000)), min_size=1, max_size=4).map(tuple)


@given(STEPS)
def test_steps_are_read_as_they_were_written(steps: tuple[Step, ...]) -> None:
    assert read_steps(steps_text(steps)) == steps


@pytest.mark.parametrize("text", ["", "[", "{}", "[1]", '[["a"]]', '[["a", "b", "c"]]', "null"])
def test_what_is_not_understood_counts_as_no_steps(text: str) -> None:
    assert read_steps(text) == ()


def test_without_processors_there_are_no_steps() -> None:
    assert steps_of(resolve(make_run(), None, "lake")) == ()


class TestImagesOfAnExistingPod:
    """A pod that an earlier operator created keeps its images, whatever the tags point to now."""

    CHANNELS: Any = ({"name": "release", "tag": "1.0"},)

    def effective(self, digest: str, channel: str = "release") -> Any:
        resolution = ImageResolution(channel=channel, tag="1.0", source="Registry", time=NOW)
        image = ResolvedImage(f"r.io/app@{digest}", resolution)
        known = {"zip": make_component("zip", type="processor", channels=self.CHANNELS)}
        run = make_run(component="cleaner", processors={"after": [{"component": "zip"}]})
        effective = resolve(
            run, make_component(channels=self.CHANNELS), "lake", None, known, image, (), {"after-1": image}
        )
        return build_pod(effective, run, 1, IMAGE, SETTINGS), effective

    def test_its_images_count_and_how_they_were_found(self) -> None:
        pod, _ = self.effective("sha256:old", "then")
        _, effective = self.effective("sha256:new", "now")
        found = with_image_of(pod, effective)
        steps = planned_steps(found)
        assert steps is not None
        assert {step.image for step in steps} == {found.image} == {"r.io/app@sha256:old"}
        assert {step.image_resolution.channel for step in steps if step.image_resolution} == {"then"}
        assert found.image_resolution is not None
        assert found.image_resolution.channel == "then"

    def test_annotations_that_somebody_edited_are_ignored(self) -> None:
        pod, _ = self.effective("sha256:old")
        _, effective = self.effective("sha256:new")
        for key in (names.IMAGE_ANNOTATION, names.STEP_IMAGES_ANNOTATION):
            pod["metadata"]["annotations"][key] = "not JSON"
        found = with_image_of(pod, effective)
        assert found.image == found.processors[0].image == "r.io/app@sha256:old"
        assert found.image_resolution == effective.image_resolution
        assert found.processors[0].image_resolution == effective.processors[0].image_resolution

"""Runs of Components whose images are built from a git repository: real git server, registry, kubelet and operator."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.builds.servers import package_index
from benchmarks.builds.wheels import make_wheels
from componentrun.api.names import OPERATOR_LABEL
from dev.cluster import waiting
from dev.cluster.host import address
from dev.images import ensure_one
from dev.images.catalogue import Image
from tests.integration.controller.buildlab import OUTPUT, SECRET, Lab, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection


PARENT = Path(__file__).parents[3] / "benchmarks" / "images" / "python"
"""A parent image with pip."""


@pytest.fixture(scope="module")
def lab(
    connection: Connection,
    images: dict[str, str],
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Lab]:
    with laboratory(connection, images, settings, tmp_path_factory) as started:
        yield started


def test_a_repository_is_enough(lab: Lab) -> None:
    lab.commit("first")
    component = lab.add_component()
    status = lab.ran(component, output=OUTPUT)
    assert [item["phase"] for item in status["phases"]][:2] == ["Building", "Pending"]
    assert (status["imageResolution"]["source"], status["imageResolution"]["channel"]) == ("Build", "master")
    assert (lab.place.tenant.table("out.c-main.built") or "").splitlines()[1:] == ["1,first"]
    (build,) = lab.builds(component)
    assert build["status"]["phase"] == "Succeeded"
    assert [step["name"] for step in build["status"]["steps"]] == ["fetch", "commands", "push"]
    waiting.until(lab.pods_of_builds, what="the pods of builds", timeout=60)

    asked = len(lab.server.seen)
    again = lab.ran(component, output=OUTPUT)
    assert "Building" not in [item["phase"] for item in again["phases"]], "the image is there"
    assert again["image"] == status["image"]
    assert len(lab.server.seen) > asked, "the branch is looked up for each run"
    assert len(lab.builds(component)) == 1


def test_runs_at_once_share_a_build_and_a_new_commit_is_another_one(lab: Lab) -> None:
    lab.commit("shared")
    component = lab.add_component()
    with ThreadPoolExecutor(5) as starters:
        names = list(starters.map(lambda _: lab.start(component, concurrency={"policy": "Allow"}), range(5)))
    found = [lab.place.tenant.wait(name, timeout=240)["status"] for name in names]
    assert {status["phase"] for status in found} == {"Succeeded"}, found
    assert len({status["image"] for status in found}) == 1
    assert len(lab.builds(component)) == 1
    lab.commit("changed")
    changed = lab.ran(component)
    assert changed["image"] != found[0]["image"]
    assert len(lab.builds(component)) == 2


def test_the_same_content_is_the_same_image_whoever_builds_it(lab: Lab) -> None:
    lab.commit("same")
    digests = {lab.ran(lab.add_component())["image"].partition("@")[2] for _ in range(2)}
    assert len(digests) == 1


def test_a_changed_line_uses_the_dependencies_again(lab: Lab, connection: Connection, tmp_path: Path) -> None:
    parent = ensure_one(connection, Image("benchmark-python", PARENT, ("Dockerfile",)))
    wheels = make_wheels(tmp_path, ["idna"])
    with package_index(address.node(), list(wheels.values())) as index:
        arguments = {"PIP_INDEX_URL": index, "PIP_TRUSTED_HOST": address.node()}
        component = lab.add_component(parent=parent, arguments=arguments)
        for text in ("installed", "reused"):
            lab.commit(text, requirements__txt="".join(f"{name}\n" for name in wheels).encode())
            lab.ran(component)
    builds = sorted(lab.builds(component), key=lambda item: str(item["status"]["completionTime"]))
    first, second = (build["status"] for build in builds)
    assert [status["dependencies"].pop("state") for status in (first, second)] == ["Installed", "Reused"]
    assert first["dependencies"] == second["dependencies"]
    assert first["pushed"]["sentBytes"] > first["dependencies"]["size"] > second["pushed"]["sentBytes"]
    assert first["digest"] != second["digest"]


def test_a_command_that_fails_says_why(lab: Lab) -> None:
    lab.commit("broken")
    component = lab.add_component(commands=["echo looking for it >&2; exit 3"])
    status = lab.place.failed(lab.start(component), "BuildFailed", "looking for it")
    assert status["build"]["component"] == component
    waiting.until(lab.pods_of_builds, what="the pods of builds", timeout=60)


@pytest.mark.parametrize(
    ("git", "reason", "words"),
    [
        ({"ref": "nowhere"}, "SourceUnavailable", "nowhere"),
        ({"contextDir": "missing"}, "SourceUnavailable", "missing"),
        ({"secretRef": None}, "SourceUnavailable", "login"),
    ],
)
def test_a_source_that_can_not_be_read_says_why(lab: Lab, git: dict[str, Any], reason: str, words: str) -> None:
    lab.commit("there")
    source = {"url": lab.server.url, "ref": "main", "secretRef": {"name": SECRET}, **git}
    component = lab.add_component(source={"git": {key: value for key, value in source.items() if value is not None}})
    lab.place.failed(lab.start(component), reason, words)


def test_a_build_that_nobody_waits_for_is_stopped(lab: Lab) -> None:
    lab.commit("unwanted")
    component = lab.add_component(commands=["sleep 300"])
    name = lab.start(component)
    lab.place.await_phase(name, "Building")
    lab.place.tenant.kubectl(
        "patch", "componentrun", name, "--type=merge", "-p", json.dumps({"spec": {"cancel": True}})
    )
    lab.place.await_phase(name, "Cancelled")

    def problem() -> str | None:
        (build,) = lab.builds(component)
        phase = build.get("status", {}).get("phase")
        return None if phase == "Cancelled" else f"it is {phase}"

    waiting.until(problem, what="the build", timeout=120)
    waiting.until(lab.pods_of_builds, what="the pods of builds", timeout=60)


def test_images_are_built_without_a_run_built_again_and_deleted(lab: Lab) -> None:
    lab.commit("without-a-run")
    component = lab.add_component(commands=["date +%N > built"], follow="Pinned")
    # An operator that is installed in the cluster would answer as well.
    lab.place.tenant.kubectl("label", "component", component, f"{OPERATOR_LABEL}={lab.place.operator.name}")
    first = lab.cli("build", "start", component)
    assert "ComponentBuild `build-" in first.stderr
    assert lab.cli("build", "start", component).stdout == first.stdout
    assert len(lab.builds(component)) == 1
    fresh = lab.cli("build", "start", component, "--fresh")
    assert fresh.stdout != first.stdout
    assert lab.ran(component)["image"] == fresh.stdout.strip()
    assert len(lab.builds(component)) == 2

    # The history of the channel keeps both, until the Component is there no more.
    options = ("--component", component, "--unused-for", "0s", "--plain-http", "--yes")
    assert "nothing to delete; 2 tags kept" in lab.cli("build", "prune", *options).stderr
    lab.place.tenant.kubectl("delete", "component", component)
    assert "2 images deleted" in lab.cli("build", "prune", *options).stderr
    assert "nothing to delete; 0 tags kept" in lab.cli("build", "prune", *options).stderr


def test_an_operator_that_is_killed_goes_on(lab: Lab) -> None:
    lab.commit("killed")
    component = lab.add_component(commands=["sleep 5; python3 -m compileall -q main.py"])
    name = lab.start(component)
    lab.place.await_phase(name, "Building")
    lab.place.operator.kill()
    lab.place.operator.start()
    status = lab.place.tenant.wait(name, timeout=240)["status"]
    assert status["phase"] == "Succeeded", status
    assert len(lab.builds(component)) == 1

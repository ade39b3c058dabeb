"""The chart's policy for images, in a real API server: it decides as the operator does.

The policy is bound to the namespace of the tests, as the chart does it with `namespaces`, so it concerns nobody else.
All requests but those for one pod, which no node takes, are dry runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.core.images.allowed import check_allowed, normal_prefix
from componentrun.core.images.reference import parse_reference
from componentrun.errors import UserError
from dev.cluster import waiting
from dev.cluster.build import builds
from dev.cluster.connection import Connection, load
from dev.install import chart
from tests.imagereferences import ALLOWED, DIGEST, IDS, MALFORMED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.cluster

REGISTRIES = ("h.io/team", "h.io:5000", "library", "Docker.io/team/", "[fd00::1]:5000", "localhost")
AGENTS = "r.example.com/componentrun"
API = "componentrun.dev/v1alpha1"
TEST_LABEL = "registries-test"
OUTSIDE = "evil.com/app:1"
INSIDE = "h.io/team/app:1"


@dataclass
class Place:
    """A namespace with the policy."""

    connection: Connection
    name: str
    created: list[tuple[str, str]] = field(default_factory=list)

    def kubectl(self, *arguments: str, stdin: Any = None) -> subprocess.CompletedProcess[str]:
        command = [str(self.connection.bin_dir / "kubectl"), f"--kubeconfig={self.connection.kubeconfig}"]
        command += [f"--namespace={self.name}", *arguments]
        text = None if stdin is None else json.dumps(stdin)
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)

    def render(self, *values: str) -> list[dict[str, Any]]:
        """The policies as helm renders them."""
        wanted = (f"fullnameOverride={self.name}", f"image.repository={AGENTS}", *values)
        wanted += ("admissionPolicy.allowedRegistries=true", f"operator.allowedRegistries={{{','.join(REGISTRIES)}}}")
        flags = [word for value in wanted for word in ("--set", value)]
        command = ["helm", "template", "release", str(chart.CHART), "--show-only"]
        path = f"{self.connection.bin_dir}{os.pathsep}{os.environ.get('PATH', '')}"
        command += ["templates/admissionpolicy-registries.yaml", *flags]
        done = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    def install(self, document: dict[str, Any]) -> None:
        self.created.append((document["kind"], document["metadata"]["name"]))
        done = self.kubectl("create", "--filename=-", stdin=document)
        assert done.returncode == 0, done.stderr

    def refused(self, *documents: dict[str, Any]) -> dict[str, str]:
        """Messages of what the API server refuses, by name. Nothing is created."""
        body = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        done = self.kubectl("create", "--dry-run=server", "--output=name", "--filename=-", stdin=body)
        accepted = {line.rpartition("/")[2].partition(" ")[0] for line in done.stdout.splitlines()}
        names = [document["metadata"]["name"] for document in documents]
        lines = done.stderr.splitlines()
        return {
            name: next((line for line in lines if f'"{name}"' in line), done.stderr)
            for name in names
            if name not in accepted
        }

    def await_refusal(self, document: dict[str, Any]) -> str:
        """Wait until the API server, which applies new policies with a delay, refuses it. Returns the message."""
        seen: dict[str, str] = {}

        def missing() -> str | None:
            seen.update(self.refused(document))
            return None if seen else "it was accepted"

        waiting.until(missing, what="the new policy", timeout=120)
        return seen[document["metadata"]["name"]]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    builds.build(["helm"])
    made = Place(load(), f"registries-{uuid.uuid4().hex[:8]}")
    assert made.kubectl("create", "namespace", made.name).returncode == 0
    try:
        for document in made.render(f"namespaces={{{made.name}}}"):
            made.install(document)
        for probe in (component("probe", OUTSIDE), pod("probe", OUTSIDE)):
            made.await_refusal(probe)
        yield made
    finally:
        for kind, name in reversed(made.created):
            made.kubectl("delete", kind, name, "--ignore-not-found")
        made.kubectl("delete", "namespace", made.name, "--wait=false")


def component(name: str, image: str, kind: str = "Component", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, **metadata}, "spec": {"image": image}}


def run(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": "ComponentRun", "metadata": {"name": name}, "spec": spec}


def pod(name: str, image: str = INSIDE, label: str = "componentrun.dev/run", **spec: Any) -> dict[str, Any]:
    """A pod of a run that no node takes."""
    body = {"containers": [container("component", image)], "nodeSelector": {"registries-test": "none"}, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {label: name}}, "spec": body}


def container(name: str, image: str) -> dict[str, Any]:
    return {"name": name, "image": image}


def operator_refuses(image: str) -> bool:
    try:
        check_allowed(parse_reference(image, "spec.image"), [normal_prefix(text) for text in REGISTRIES])
    except UserError:
        return True
    return False


class TestComponentsAndRuns:
    def test_the_api_server_decides_about_every_name_as_the_operator_does(self, place: Place) -> None:
        texts = [*(image for image, _ in (*ALLOWED, *REFUSED)), *MALFORMED, *IDS]
        images = {f"c{number}": image for number, image in enumerate(dict.fromkeys(filter(None, texts)))}
        expected = {name for name, image in images.items() if operator_refuses(image)}
        assert 5 < len(expected) < len(images) - 5
        found = place.refused(*(component(name, image) for name, image in images.items()))
        assert {images[name] for name in found} == {images[name] for name in expected}
        assert not [message for message in found.values() if "is not allowed" not in message]

    @pytest.mark.parametrize(
        "image",
        [
            INSIDE,
            "h.io/team/app",
            f"H.IO/team/sub/app:1@{DIGEST}",
            "h.io:5000/any/app",
            "ubuntu:24.04",
            "docker.io/ubuntu",
            "index.docker.io/team/app",
            "localhost/app",
            "[fd00::1]:5000/app:1",
        ],
    )
    def test_allowed(self, place: Place, image: str) -> None:
        assert not place.refused(component("allowed", image), run("allowed", image=image), pod("allowed", image))

    @pytest.mark.parametrize(
        "image",
        [
            OUTSIDE,
            "h.io/teams/app",
            "h.io/app",
            "h.io:443/team/app",
            "h.io.evil.com/team/app",
            "evil.com/h.io/team/app",
            "other/app",
            "h.io/library/ubuntu",
            "docker.io:443/library/ubuntu",
            f"evil.com/app@{DIGEST}",
            DIGEST,
            f"h.io/team/app@{DIGEST}@evil.com/app",
            "h.io/team/../../evil.com/app",
            "h.io/team/app@evil.com/app",
            "h.io/team/\u0430pp",
        ],
    )
    def test_refused_with_a_message_that_says_what_to_do(self, place: Place, image: str) -> None:
        documents = (component("a-component", image), run("a-run", image=image), pod("a-pod", image))
        found = place.refused(*documents)
        assert sorted(found) == ["a-component", "a-pod", "a-run"]
        for message in found.values():
            assert f"image `{image}` is not allowed: expected one below `h.io/team`, `h.io:5000`" in message
            assert "operator.allowedRegistries" in message

    def test_a_run_of_a_component_needs_no_image(self, place: Place) -> None:
        assert not place.refused(run("by-name", component="any"))

    def test_a_clustercomponent(self, place: Place) -> None:
        """Cluster-wide, so its policy is bound by a label here."""
        selected = {"objectSelector": {"matchLabels": {TEST_LABEL: place.name}}}
        for document in place.render(f"fullnameOverride={place.name}-all"):
            if document["metadata"]["name"].endswith("-pods"):
                continue
            if document["kind"].endswith("Binding"):
                assert "matchResources" not in document["spec"]
                document["spec"]["matchResources"] = selected
            place.install(document)
        labels = {TEST_LABEL: place.name}
        bad = component(f"{place.name}-bad", OUTSIDE, "ClusterComponent", labels=labels)
        assert f"image `{OUTSIDE}` is not allowed" in place.await_refusal(bad)
        good = component(f"{place.name}-good", INSIDE, "ClusterComponent", labels=labels)
        assert not place.refused(good)

    def test_one_from_before_the_policy_can_be_changed_and_only_its_image_matters(self, place: Place) -> None:
        assert place.kubectl("create", "--filename=-", stdin=component("edited", INSIDE)).returncode == 0
        change = ("patch", "component", "edited", "--type=merge", "--dry-run=server")
        done = place.kubectl(*change, f"--patch={json.dumps({'spec': {'image': OUTSIDE}})}")
        assert f"image `{OUTSIDE}` is not allowed" in done.stderr
        done = place.kubectl(*change, f"--patch={json.dumps({'spec': {'tag': '2'}})}")
        assert done.returncode == 0, done.stderr


class TestPods:
    @pytest.mark.parametrize(
        "spec",
        [
            {"containers": [container("component", INSIDE), container("other", OUTSIDE)]},
            {"initContainers": [container("stage-in", f"{AGENTS}:1"), container("before-0", OUTSIDE)]},
            {"initContainers": [{**container("sidecar", OUTSIDE), "restartPolicy": "Always"}]},
            {"volumes": [{"name": "v", "image": {"reference": OUTSIDE}}]},
            {"initContainers": [container("agents-of-others", f"{AGENTS}-2:1")]},
            {"initContainers": [container("below-the-agents", f"{AGENTS}/app:1")]},
        ],
        ids=["container", "init", "sidecar", "volume", "similar", "below"],
    )
    def test_no_part_of_a_pod_escapes(self, place: Place, spec: dict[str, Any]) -> None:
        assert "is not allowed" in place.refused(pod("escapes", **spec))["escapes"]

    def test_agents_need_no_registry_of_their_own(self, place: Place) -> None:
        agents = [container("stage-in", f"{AGENTS}:1.2"), container("stage-out", f"{AGENTS}@{DIGEST}")]
        assert not place.refused(pod("agents", initContainers=agents))

    def test_a_pod_that_keeps_an_image_on_a_node_is_one_of_ours(self, place: Place) -> None:
        volume = {"name": "v", "image": {"reference": OUTSIDE}}
        bad = pod("kept", f"{AGENTS}:1", label="componentrun.dev/pre-pull", volumes=[volume])
        assert "is not allowed" in place.refused(bad)["kept"]

    def test_pods_of_others_are_left_alone(self, place: Place) -> None:
        assert not place.refused(pod("of-others", OUTSIDE, label="app"))

    def test_the_image_of_a_pod_cannot_be_changed_afterwards(self, place: Place) -> None:
        assert place.kubectl("create", "--filename=-", stdin=pod("changed")).returncode == 0
        patch = {"spec": {"containers": [container("component", OUTSIDE)]}}
        change = ("patch", "pod", "changed", "--dry-run=server", "--type=strategic")
        done = place.kubectl(*change, f"--patch={json.dumps(patch)}")
        assert f"image `{OUTSIDE}` is not allowed" in done.stderr
        label = {"metadata": {"labels": {"componentrun.dev/run": None}}, **patch}
        done = place.kubectl(*change, f"--patch={json.dumps(label)}")
        assert f"image `{OUTSIDE}` is not allowed" in done.stderr, "taking the label away in the same request"
        added = {"spec": {"ephemeralContainers": [container("debugger", OUTSIDE)]}}
        done = place.kubectl(*change, "--subresource=ephemeralcontainers", f"--patch={json.dumps(added)}")
        assert f"image `{OUTSIDE}` is not allowed" in done.stderr


@pytest.mark.parametrize("suffix", ["-registries", "-registries-pods"])
def test_the_api_server_has_no_doubt_about_the_expressions(place: Place, suffix: str) -> None:
    """It checks their types against the schemas of the kinds, and lists what does not fit."""
    seen: dict[str, Any] = {}

    def missing() -> str | None:
        done = place.kubectl("get", "validatingadmissionpolicy", f"{place.name}{suffix}", "--output=json")
        policy = json.loads(done.stdout)
        seen.update(policy.get("status") or {})
        is_checked = seen.get("observedGeneration") == policy["metadata"]["generation"]
        return None if is_checked else "its expressions were not checked yet"

    waiting.until(missing, what="the status of the policy", timeout=120)
    assert not (seen.get("typeChecking") or {}).get("expressionWarnings")

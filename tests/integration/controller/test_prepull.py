"""Images on nodes before runs need them: real DaemonSets, the real kubelet, and images that no pod has ever used."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api import names
from componentrun.api.common import GROUP, VERSION
from e2e import tenant as tenants
from e2e.tenant.repository import Repository
from e2e.tenant.tenant import SMALL
from tests.integration.controller.conftest import OperatorProcess, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.cluster.connection import Connection

MISSING = f"sha256:{'a' * 64}"


def archive(size: int = 1000) -> bytes:
    """A layer with one file that no other layer has."""
    buffer, content = io.BytesIO(), os.urandom(size)
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("unique")
        entry.size = size
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def repository(connection: Connection, images: dict[str, str]) -> tuple[Repository, str]:
    """The tests' components, and their tag."""
    if connection.registry is None:
        pytest.skip("the cluster has no registry that this machine can push to")
    return Repository.of(images["test-components"])


@pytest.fixture(scope="module")
def place(
    connection: Connection,
    images: dict[str, str],
    settings: dict[str, str],
    repository: tuple[Repository, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """A tenant in a `restricted` namespace, with an operator that brings images to nodes."""
    made = tenants.create(connection, "prepull")
    environment = settings | {
        "COMPONENTRUN_NAMESPACES": made.namespace,
        "COMPONENTRUN_PRE_PULL": "true",
        "COMPONENTRUN_REGISTRY_PLAIN_HTTP": repository[0].host,
    }
    running = OperatorProcess(environment, tmp_path_factory.mktemp("operator") / "operator.log")
    running.start()
    running.wait_ready()
    yield Place(made, running, images["test-components"])
    running.end()
    made.delete()


def until(check: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """The first result of `check` that is true."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


class Wanting:
    """A Component that wants its image on nodes."""

    def __init__(self, place: Place, image: str, *channels: dict[str, Any]) -> None:
        self.tenant, self.name = place.tenant, f"c-{uuid.uuid4().hex[:6]}"
        spec = {"image": image, "args": ["true"], "channels": list(channels), "resources": SMALL}
        self.tenant.apply("Component", self.name, spec)

    def status(self) -> dict[str, Any]:
        path = (GROUP, VERSION, self.tenant.namespace, "components", self.name)
        return dict(self.tenant.custom.get_namespaced_custom_object(*path).get("status") or {})

    def condition(self) -> dict[str, Any]:
        return next((item for item in self.status().get("conditions", ()) if item["type"] == "PrePulled"), {})

    def channel(self, name: str = "release") -> dict[str, Any]:
        return next((item for item in self.status().get("channels", ()) if item["name"] == name), {})

    def wait(self, reason: str, *, digest: str | None = None) -> dict[str, Any]:
        """The channel, as soon as the condition has this reason and the channel's image this digest."""

        def check() -> bool:
            is_it = digest is None or self.channel().get("prePull", {}).get("digest") == digest
            return is_it and self.condition().get("reason") == reason

        until(check, reason)
        return self.channel()

    def change(self, channel: dict[str, Any]) -> None:
        patch = json.dumps({"spec": {"channels": [channel]}})
        self.tenant.kubectl("patch", "component", self.name, "--type=merge", "--patch", patch)

    def objects(self, kinds: str = "daemonsets") -> list[dict[str, Any]]:
        found = json.loads(self.tenant.kubectl("get", kinds, "-o", "json", "-l", names.OUR_PRE_PULLS).stdout)["items"]
        mark = f"-{self.name}-"
        return [item for item in found if mark in item["metadata"]["labels"][names.PRE_PULL_LABEL]]

    def pods(self) -> list[dict[str, Any]]:
        """Pods that are not ending."""
        return [item for item in self.objects("pods") if "deletionTimestamp" not in item["metadata"]]


def image_of(pod: dict[str, Any]) -> str:
    return str(pod["spec"]["volumes"][0]["image"]["reference"])


def test_a_run_finds_an_image_that_no_pod_has_used_on_its_node(
    place: Place, repository: tuple[Repository, str]
) -> None:
    images, base = repository
    tag = f"p-{uuid.uuid4().hex[:8]}"
    digest = images.with_layer(base, tag, archive())
    component = Wanting(place, images.name, {"name": "release", "tag": tag, "prePull": True})
    channel = component.wait("Ready", digest=digest)
    assert channel["digest"] == digest, "no run has resolved it"
    assert channel["prePull"]["ready"] == channel["prePull"]["desired"] > 0
    name = place.run(image=None, component=component.name, resources=None)
    status = place.tenant.wait(name)["status"]
    assert status["phase"] == "Succeeded", status
    assert status["imageID"].endswith(digest)

    def events() -> list[str]:
        found = place.tenant.kubectl("get", "events", "-o", "json", f"--field-selector=involvedObject.name={name}-1")
        return [item["message"] for item in json.loads(found.stdout)["items"] if digest in item["message"]]

    # A kubelet writes events beside its work.
    until(lambda: any("already present on machine" in message for message in events()), "the kubelet's event")
    assert not any(message.startswith("Pull") for message in events()), events()


def test_another_digest_replaces_the_image_and_without_pre_pull_nothing_is_left(
    place: Place, repository: tuple[Repository, str]
) -> None:
    """The images have no shell and no entrypoint; nothing of them could be started."""
    images, _ = repository
    scratch = Repository(images.host, "scratch")
    config = {"architecture": "amd64", "os": "linux", "config": {}}
    tags = [f"p-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    first, second = (scratch.put(tag, dict(config), archive()) for tag in tags)
    release, master = ({"name": name, "tag": tag} for name, tag in zip(("release", "master"), tags, strict=True))
    component = Wanting(place, scratch.name, release | {"prePull": True}, master | {"follow": "Pinned"})
    component.wait("Ready", digest=first)
    before = component.objects()[0]
    component.change({"name": "release", "digest": second, "prePull": True})
    component.wait("Ready", digest=second)
    (after,) = component.objects()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert {image_of(pod) for pod in component.pods()} == {f"{scratch.name}@{second}"}
    component.change({"name": "release", "digest": second})
    until(lambda: not component.objects("daemonsets,pods,networkpolicies"), "the pods are left")
    until(lambda: not component.condition(), "the condition is left")
    assert "prePull" not in component.channel()


def test_an_image_that_does_not_exist_is_told_with_the_node(place: Place, repository: tuple[Repository, str]) -> None:
    component = Wanting(place, repository[0].name, {"name": "release", "digest": MISSING, "prePull": True})
    channel = component.wait("NodesNotReady", digest=MISSING)
    (node,) = channel["prePull"]["notReady"]
    assert channel["prePull"]["ready"] == 0
    assert node["name"] == component.pods()[0]["spec"]["nodeName"]
    assert "not found" in node["message"]
    assert f"node `{node['name']}`: " in component.condition()["message"]


def test_a_tag_that_does_not_exist_is_told_and_brought_when_it_does(
    place: Place, repository: tuple[Repository, str]
) -> None:
    images, base = repository
    tag = f"p-{uuid.uuid4().hex[:8]}"
    component = Wanting(place, images.name, {"name": "release", "tag": tag, "prePull": True})
    component.wait("NotResolved")
    assert f"has no tag `{tag}`" in component.condition()["message"]
    assert component.objects() == []
    component.wait("Ready", digest=images.with_layer(base, tag, archive()))


def test_a_quota_that_refuses_the_pods_is_told(place: Place, repository: tuple[Repository, str]) -> None:
    images, base = repository
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/pods": "0"}}}
    place.tenant.core.create_namespaced_resource_quota(place.tenant.namespace, quota)
    try:
        until(
            lambda: place.tenant.core.read_namespaced_resource_quota("none", place.tenant.namespace).status.used,
            "the quota is not counted",
        )
        digest = images.with_layer(base, f"p-{uuid.uuid4().hex[:8]}", archive())
        component = Wanting(place, images.name, {"name": "release", "digest": digest, "prePull": True})
        component.wait("Refused", digest=digest)
        assert "exceeded quota: none" in component.condition()["message"]
        assert "Runs are not affected." in component.condition()["message"]
    finally:
        place.tenant.core.delete_namespaced_resource_quota("none", place.tenant.namespace)


def test_a_deleted_component_leaves_nothing(place: Place, repository: tuple[Repository, str]) -> None:
    images, base = repository
    digest = images.with_layer(base, f"p-{uuid.uuid4().hex[:8]}", archive())
    component = Wanting(place, images.name, {"name": "release", "digest": digest, "prePull": True})
    component.wait("Ready", digest=digest)
    place.tenant.kubectl("delete", "component", component.name)
    until(lambda: not component.objects("daemonsets,pods,networkpolicies"), "something is left")


def test_another_operator_changes_nothing(place: Place, repository: tuple[Repository, str]) -> None:
    """An operator that starts anew finds the DaemonSets as they should be, and one without prePull says nothing."""
    images, base = repository
    digest = images.with_layer(base, f"p-{uuid.uuid4().hex[:8]}", archive())
    component = Wanting(place, images.name, {"name": "release", "digest": digest, "prePull": True})
    component.wait("Ready", digest=digest)
    generation, condition = component.objects()[0]["metadata"]["generation"], component.condition()
    place.operator.kill()
    place.operator.start(COMPONENTRUN_PRE_PULL="false")
    place.operator.wait_ready()
    other = Wanting(place, images.name, {"name": "release", "digest": digest, "prePull": True})
    other.wait("Disabled")
    assert component.condition() == condition
    place.operator.kill()
    place.operator.start()
    place.operator.wait_ready()
    other.wait("Ready", digest=digest)
    assert component.objects()[0]["metadata"]["generation"] == generation
    assert component.condition() == condition


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ({"prePullNodes": {"nodeSelector": {"a": "b"}}}, "prePullNodes goes with prePull: true"),
        ({"prePull": "yes"}, "spec.channels[0].prePull"),
    ],
)
def test_the_api_server_refuses_a_contradiction(place: Place, channel: dict[str, Any], words: str) -> None:
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Component",
        "metadata": {"name": "app"},
        "spec": {"image": "registry.example.com/app", "channels": [{"name": "release", "tag": "1", **channel}]},
    }
    refused = place.tenant.kubectl("create", "-f", "-", stdin=json.dumps(body), check=False)
    assert refused.returncode != 0
    assert words in refused.stderr

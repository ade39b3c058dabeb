"""Runs of Components whose images are built from a git repository: real git server, registry, kubelet and operator."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import GROUP, VERSION
from dev.cluster import waiting
from dev.cluster.host import address
from e2e import tenant as tenants
from e2e.tenant.tenant import SMALL
from tests.integration.builder import repositories
from tests.integration.builder.gitservers import PASSWORD, USER, HttpsServer
from tests.integration.controller.conftest import OperatorProcess, Place
from tests.integration.registry.realregistry import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dulwich.repo import Repo

    from dev.cluster.connection import Connection

SECRET = "git-login"
PROGRAM = """
import json, os, pathlib, sys
data = pathlib.Path(os.environ.get("KBC_DATADIR", "/data"))
(data / "out/tables/built.csv").write_text("id,text\\n1,TEXT\\n")
print("TEXT")
"""
OUTPUT = {"tables": [{"source": "built.csv", "destination": "out.c-main.built"}]}


@dataclass
class Lab:
    """A tenant, an operator that builds, and a repository of the test's own."""

    place: Place
    server: HttpsServer
    repository: Repo
    builds_namespace: str

    def commit(self, text: str, ref: str = "refs/heads/main", **files: bytes) -> str:
        """Commit a component that prints a text and writes it into a table."""
        content = {b"main.py": PROGRAM.replace("TEXT", text).encode()}
        content |= {name.replace("__", ".").encode(): data for name, data in files.items()}
        return repositories.commit(self.repository, content, ref)

    def add_component(self, *, follow: str = "EachRun", **build: Any) -> str:
        """Create a Component with one channel that is built. Returns its name."""
        name = f"app-{uuid.uuid4().hex[:8]}"
        git = {"url": self.server.url, "ref": "main", "secretRef": {"name": SECRET}}
        image, _, tag = self.place.image.rpartition(":")
        channel = {"name": "master", "build": {"source": {"git": git}, **build}, "follow": follow}
        self.place.tenant.apply(
            "Component", name, {"image": image, "tag": tag, "channels": [channel], "resources": SMALL}
        )
        return name

    def start(self, component: str, **spec: Any) -> str:
        return self.place.run(image=None, component=component, resources=None, **spec)

    def ran(self, component: str, **spec: Any) -> dict[str, Any]:
        """Status of a run, which must succeed."""
        status = dict(self.place.tenant.wait(self.start(component, **spec), timeout=240)["status"])
        assert status["phase"] == "Succeeded", status
        return status

    def builds(self, component: str) -> list[dict[str, Any]]:
        custom, namespace = self.place.tenant.custom, self.place.tenant.namespace
        found = custom.list_namespaced_custom_object(GROUP, VERSION, namespace, "componentbuilds")["items"]
        return [item for item in found if item["spec"]["component"] == component]

    def pods_of_builds(self) -> str | None:
        """Pods and Secrets in the namespace for builds; None if there are none."""
        return (
            self.place.tenant.kubectl("get", "pods,secrets", "-n", self.builds_namespace, "-o", "name").stdout.strip()
            or None
        )


@pytest.fixture(scope="module")
def lab(
    connection: Connection,
    images: dict[str, str],
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Lab]:
    if not connection.own:
        pytest.skip("a git server on this machine can't be reached from a stranger's pods")
    folder, here = tmp_path_factory.mktemp("git"), address.node()
    authority = Authority.create(folder, here)
    repository = repositories.new_repository(folder / "app.git")
    tenant = tenants.create(connection, "builds")
    namespace = f"{tenant.namespace}-pods"
    tenant.kubectl("create", "namespace", namespace)
    tenant.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    tenant.kubectl(
        "create", "secret", "generic", SECRET, f"--from-literal=username={USER}", f"--from-literal=password={PASSWORD}"
    )
    registry = images["test-components"].partition("/")[0]
    environment = settings | {
        "COMPONENTRUN_NAMESPACES": tenant.namespace,
        "COMPONENTRUN_BUILDS": "true",
        "COMPONENTRUN_BUILDS_NAMESPACE": namespace,
        "COMPONENTRUN_BUILDS_REPOSITORY": f"{registry}/builds",
        "COMPONENTRUN_REGISTRY_PLAIN_HTTP": registry,
        "COMPONENTRUN_REGISTRY_CA_BUNDLE": authority.certificate_file.read_text(),
        "COMPONENTRUN_START_RETRY_SECONDS": "3",
    }
    operator = OperatorProcess(environment, tmp_path_factory.mktemp("operator") / "operator.log")
    with HttpsServer(authority, repository, address=here).running() as server:
        operator.start()
        operator.wait_ready()
        yield Lab(Place(tenant, operator, images["test-components"]), server, repository, namespace)
        operator.end()
    tenant.kubectl("delete", "namespace", namespace, "--wait=false")
    tenant.delete()


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

"""ComponentBuilds in a real cluster: a repository over https with a password, the real kubelet and a real registry."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from componentrun.api import names
from componentrun.api.build.componentbuild import ComponentBuildSpec
from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.core.builds.pod import build_inputs
from dev.cluster import waiting
from e2e import tenant as tenants
from e2e.tenant.repository import Repository
from tests.integration.builder.gitservers import PASSWORD, USER, HttpsServer
from tests.integration.builder.repositories import commit, new_repository
from tests.integration.controller.conftest import OperatorProcess, Place
from tests.integration.registry.realregistry import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.cluster.connection import Connection

PLURAL = "componentbuilds"


@dataclass
class Site:
    """A tenant, its operator, a git server, and a namespace for the pods of builds."""

    place: Place
    git: HttpsServer
    pods_namespace: str
    repository: str
    parent: str

    @property
    def tenant(self) -> tenants.Tenant:
        return self.place.tenant

    def build(self, *commands: str, **changes: Any) -> str:
        """Create a ComponentBuild of a new commit. Returns its name."""
        mark = uuid.uuid4().hex
        # A server gives what a branch points to.
        found = commit(self.git.repository, {b"main.py": f"print('{mark}')\n".encode()}, f"refs/heads/{mark}")
        spec = {
            "component": "app",
            "git": {"url": self.git.url, "commit": found, "secretRef": {"name": "git"}},
            "parent": self.parent,
            "platform": "linux/amd64",
            "folder": "/code",
            "commands": list(commands) or [f"echo {mark} > made"],
            "entrypoint": ["/bin/sh", "-c", "cat /code/made; exit 3"],
            "target": f"{self.repository}/{self.tenant.namespace}/app",
            **changes,
        }
        name = build_inputs(ComponentBuildSpec.model_validate(spec)).name
        labels = {names.OPERATOR_LABEL: self.place.operator.name}
        body = {"apiVersion": API_VERSION, "kind": "ComponentBuild", "metadata": {"name": name, "labels": labels}}
        self.tenant.custom.create_namespaced_custom_object(
            GROUP, VERSION, self.tenant.namespace, PLURAL, body | {"spec": spec}, field_validation="Strict"
        )
        return name

    def status(self, name: str) -> dict[str, Any]:
        path = (GROUP, VERSION, self.tenant.namespace, PLURAL, name)
        return dict(self.tenant.custom.get_namespaced_custom_object(*path).get("status") or {})

    def until(self, name: str, check: Callable[[dict[str, Any]], bool], seconds: float = 120) -> dict[str, Any]:
        """The status of a build, as soon as the check is true."""

        def problem() -> str | None:
            status = self.status(name)
            return None if check(status) else f"its status is {status}, pods are {self.objects('pods')}"

        waiting.until(problem, what=f"build {name}", timeout=seconds)
        return self.status(name)

    def ended(self, name: str) -> dict[str, Any]:
        return self.until(name, lambda status: "completionTime" in status)

    def objects(self, kinds: str = "pods,secrets") -> list[str]:
        """Names of what there is of builds of this tenant, in the namespace of the pods."""
        selector = f"{names.BUILD_NAMESPACE_LABEL}={self.tenant.namespace}"
        answer = self.tenant.kubectl("get", kinds, "-n", self.pods_namespace, "-l", selector, "-o", "json").stdout
        return [item["metadata"]["name"] for item in json.loads(answer)["items"]]

    def nothing_is_left(self) -> None:
        waiting.until(
            lambda: ", ".join(self.objects()) or None, what="the clean-up of the namespace of builds", timeout=60
        )

    def printed(self, status: dict[str, Any]) -> str:
        """What the built image prints, run by its digest: it ends with an exit code of its own."""
        image = f"{self.repository}/{self.tenant.namespace}/app@{status['digest']}"
        run = self.place.run(image=image)
        ended = self.tenant.wait(run)["status"]
        assert (ended["reason"], ended["exitCode"]) == ("ApplicationError", 3), ended
        return str(ended["lastWords"])


@pytest.fixture(scope="module")
def site(
    connection: Connection,
    images: dict[str, str],
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    if connection.registry is None or not connection.own:
        pytest.skip("pods of the cluster can't reach a git server of this machine")
    made, unique = tenants.create(connection, "bld"), uuid.uuid4().hex[:8]
    builds = f"builds-{unique}"
    made.kubectl("create", "namespace", builds)
    made.kubectl("label", "namespace", builds, "pod-security.kubernetes.io/enforce=restricted")
    made.secret("git", {"username": USER, "password": PASSWORD})
    address = urlsplit(connection.store_endpoint).hostname or ""
    authority = Authority.create(tmp_path_factory.mktemp("authority"), address)
    source, tag = Repository.of(images["test-components"])
    environment = settings | {
        "COMPONENTRUN_NAMESPACES": made.namespace,
        "COMPONENTRUN_BUILDS": "true",
        "COMPONENTRUN_BUILDS_NAMESPACE": builds,
        "COMPONENTRUN_BUILDS_REPOSITORY": f"{source.host}/builds",
        "COMPONENTRUN_REGISTRY_PLAIN_HTTP": source.host,
        "COMPONENTRUN_REGISTRY_CA_BUNDLE": authority.certificate_file.read_text(),
    }
    operator = OperatorProcess(environment, tmp_path_factory.mktemp("operator") / "operator.log")
    operator.start()
    operator.wait_ready()
    repository = new_repository(tmp_path_factory.mktemp("git") / "app.git")
    with HttpsServer(authority, repository, address=address).running() as git:
        parent = f"{source.name}@{source.move(tag, unique, unique)}"
        yield Site(Place(made, operator, images["test-components"]), git, builds, f"{source.host}/builds", parent)
    operator.end()
    made.kubectl("delete", "namespace", builds, "--wait=false")
    made.delete()


def test_a_build_gets_the_digest_of_an_image_that_runs(site: Site) -> None:
    name = site.build("cp main.py made")
    status = site.ended(name)
    assert (status["phase"], status["reason"], status["attempts"]) == ("Succeeded", "Succeeded", 1), status
    assert [step["name"] for step in status["steps"]] == ["fetch", "commands", "push"]
    assert status["pushed"]["sentBytes"] > 0
    assert site.printed(status).startswith("print(")
    site.nothing_is_left()
    _, metrics = site.place.operator.ask("/metrics")
    assert 'componentrun_builds_total{reason="Succeeded"}' in metrics


def test_a_command_that_fails_is_the_reason_with_its_last_words(site: Site) -> None:
    status = site.ended(site.build("echo one", "echo two >&2; exit 3"))
    assert (status["phase"], status["reason"]) == ("Failed", "BuildFailed"), status
    assert "two" in status["lastWords"]
    assert PASSWORD not in json.dumps(status)
    site.nothing_is_left()


def test_a_wrong_password_is_the_reason(site: Site) -> None:
    site.tenant.secret("wrong", {"username": USER, "password": "wrong"})
    found = commit(site.git.repository, {b"main.py": b"1"})
    git = {"url": site.git.url, "commit": found, "secretRef": {"name": "wrong"}}
    status = site.ended(site.build("echo > made", git=git))
    assert (status["phase"], status["reason"]) == ("Failed", "SourceUnavailable"), status


def test_an_operator_that_is_killed_in_the_middle_goes_on(site: Site) -> None:
    name = site.build("sleep 8; echo done > made")
    site.until(name, lambda status: status.get("phase") == "Building")
    site.place.operator.kill()
    uid = site.status(name)["pod"]["uid"]
    site.place.operator.start()
    status = site.ended(name)
    assert (status["phase"], status["attempts"], status["pod"]["uid"]) == ("Succeeded", 1, uid), status
    assert site.printed(status).strip() == "done"
    site.nothing_is_left()


def test_a_pod_that_is_deleted_is_replaced(site: Site) -> None:
    name = site.build("sleep 5; echo done > made")
    status = site.until(name, lambda status: status.get("phase") == "Building")
    site.tenant.kubectl("delete", "pod", status["pod"]["name"], "-n", site.pods_namespace, "--now", "--wait=false")
    status = site.ended(name)
    assert (status["phase"], status["attempts"]) == ("Succeeded", 2), status
    site.nothing_is_left()


def test_a_build_that_is_cancelled_or_deleted_leaves_nothing(site: Site) -> None:
    cancelled, deleted = site.build("sleep 600"), site.build("sleep 600", "true")
    for name in (cancelled, deleted):
        site.until(name, lambda status: status.get("phase") == "Building")
    site.tenant.kubectl("patch", PLURAL, cancelled, "--type=merge", "--patch", '{"spec": {"cancel": true}}')
    site.tenant.kubectl("delete", PLURAL, deleted)
    status = site.ended(cancelled)
    assert (status["phase"], status["reason"]) == ("Cancelled", "BuildCancelled")
    site.nothing_is_left()

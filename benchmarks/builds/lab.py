"""A tenant, an operator that builds images, and the servers that a build needs: git, package index, registry."""

from __future__ import annotations

import tempfile
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from benchmarks.builds.repository import commit, files_of
from benchmarks.builds.servers import StartReports, package_index
from benchmarks.builds.wheels import make_wheels
from benchmarks.throughput.service_process import ServiceProcess
from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.api.names import OPERATOR_LABEL
from dev.cluster import waiting
from dev.cluster.errors import ClusterError
from dev.cluster.host import address
from dev.cluster.host.ports import free_port
from dev.images import ensure, ensure_one
from dev.images.catalogue import Image
from e2e import tenant as tenants
from tests.integration.builder import repositories
from tests.integration.builder.gitservers import PASSWORD, USER, HttpsServer
from tests.integration.registry.realregistry import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dulwich.repo import Repo

    from benchmarks.harness.testbed import Testbed
    from e2e.tenant import Tenant

__all__ = ["Lab", "Started", "build_seconds", "moment", "open_lab", "step_seconds"]

_IMAGE: Final = Path(__file__).parents[1] / "images" / "python"
_SECRET: Final = "git-login"
_PATIENCE: Final = 180.0
_LOOK_EVERY_SECONDS: Final = 5.0
_RESOURCES: Final = {"limits": {"cpu": "1", "memory": "128Mi"}, "requests": {"cpu": "20m", "memory": "32Mi"}}
"""Of components. They may use a whole processor, because a smaller limit would slow down the start of Python."""


@dataclass(frozen=True, slots=True)
class Started:
    """A run whose component has started. Times are in seconds since 1970."""

    name: str
    created: float
    """When its create request was sent."""
    started: float
    """When its component started, as it reported."""

    @property
    def seconds(self) -> float:
        """From the creation of the run to the start of its component."""
        return self.started - self.created


@dataclass(frozen=True)
class Lab:
    """What the benchmarks of builds share."""

    tenant: Tenant
    operator_name: str
    git: HttpsServer
    repository: Repo
    reports: StartReports
    index: str
    """URL of the package index."""
    requirements: tuple[str, ...]
    parent: str
    """The parent image: Python with pip."""
    target: str
    """What the names of repositories for images begin with."""

    @property
    def arguments(self) -> dict[str, str]:
        """Variables with which pip uses the package index."""
        return {"PIP_INDEX_URL": self.index, "PIP_TRUSTED_HOST": urlsplit(self.index).hostname or ""}

    def files(self, *, packages: bool = True) -> dict[str, str]:
        """Files of the component with a changed line, with or without packages."""
        return files_of(uuid.uuid4().hex, self.requirements if packages else ())

    def commit(self, *, packages: bool = True) -> None:
        """Commit a changed line."""
        commit(self.repository, self.files(packages=packages))

    def built_component(self) -> str:
        """Create a Component whose image is built. Returns its name."""
        git = {"url": self.git.url, "ref": "main", "secretRef": {"name": _SECRET}}
        return self._component(self.parent, {"build": {"source": {"git": git}, "arguments": self.arguments}})

    def tagged_component(self, image: str) -> str:
        """Create a Component with a channel for the tag of an image. Returns its name."""
        return self._component(image, {"tag": image.rpartition(":")[2]})

    def _component(self, image: str, channel: dict[str, Any]) -> str:
        name = f"app-{uuid.uuid4().hex[:8]}"
        repository, _, tag = image.rpartition(":")
        channels = [{"name": "master", "follow": "EachRun", **channel}]
        spec = {
            "image": repository,
            "tag": tag,
            "args": [self.reports.address, str(self.reports.port)],
            "channels": channels,
            "resources": _RESOURCES,
            "network": {"mode": "bridge"},
        }
        self.tenant.apply("Component", name, spec)
        return name

    def create(self, component: str) -> tuple[str, float]:
        """Create a run. Returns its name, and when the request was sent."""
        name = f"b-{uuid.uuid4().hex[:8]}"
        body = {
            "apiVersion": API_VERSION,
            "kind": "ComponentRun",
            "metadata": {"name": name, "labels": {OPERATOR_LABEL: self.operator_name}},
            "spec": {
                "component": component,
                "concurrency": {"policy": "Allow"},
                "retry": {"limit": 0},
                "timeout": "2m",
            },
        }
        created = time.time()
        self.tenant.custom.create_namespaced_custom_object(
            GROUP, VERSION, self.tenant.namespace, "componentruns", body, field_validation="Strict"
        )
        return name, created

    def started(self, name: str, created: float) -> Started:
        """Wait until the component of a run has started.

        Raises:
            RuntimeError: it did not start in time, or the run has failed.
        """
        while True:
            try:
                return Started(name, created, self.reports.wait(name, _LOOK_EVERY_SECONDS))
            except TimeoutError:
                status = self.tenant.get(name).get("status", {})
            if status.get("phase") == "Failed" or time.time() - created > _PATIENCE:
                raise RuntimeError(f"the component of run {name} did not start: {status}")

    def run(self, component: str) -> Started:
        """Run a component to its end, and wait until its pod is deleted."""
        found = self.started(*self.create(component))
        self.finish(found.name)
        return found

    def finish(self, *names: str) -> None:
        """Wait until runs have ended, and no pod of this tenant is left.

        Raises:
            RuntimeError: a run has failed.
            ClusterError: a pod is left.
        """
        for name in names:
            status = self.tenant.wait(name, timeout=_PATIENCE)["status"]
            if status["phase"] != "Succeeded":
                raise RuntimeError(f"run {name} has failed: {status}")
        waiting.until(self._pods, what="the deletion of the pods", timeout=_PATIENCE)

    def pod_seconds(self, run: Started) -> float:
        """From the creation of a run to the creation of its pod, which the operator measures."""
        phases = self.tenant.get(run.name)["status"]["phases"]
        return next(moment(item["startTime"]) for item in phases if item["phase"] == "Pending") - run.created

    def build(self, name: str) -> dict[str, Any]:
        """The ComponentBuild that a run has waited for, with its end in its status.

        Raises:
            ClusterError: it has not ended.
        """
        build = self.tenant.get(name)["status"]["build"]["name"]

        def read() -> dict[str, Any]:
            arguments = (GROUP, VERSION, self.tenant.namespace, "componentbuilds", build)
            return dict(self.tenant.custom.get_namespaced_custom_object(*arguments))

        def problem() -> str | None:
            status = read().get("status", {})
            return None if "completionTime" in status else f"its phase is {status.get('phase')}"

        waiting.until(problem, what=f"ComponentBuild {build}", timeout=_PATIENCE)
        return read()

    def builds(self, component: str) -> list[dict[str, Any]]:
        """All ComponentBuilds of a component."""
        arguments = (GROUP, VERSION, self.tenant.namespace, "componentbuilds")
        found = self.tenant.custom.list_namespaced_custom_object(*arguments)["items"]
        return [item for item in found if item["spec"]["component"] == component]

    def image(self, component: str, build: dict[str, Any]) -> str:
        """The image of a build, by its tag."""
        return f"{self.target}/{self.tenant.namespace}/{component}:{build['metadata']['name']}"

    def _pods(self) -> str | None:
        pods = self.tenant.core.list_namespaced_pod(self.tenant.namespace).items
        return ", ".join(pod.metadata.name for pod in pods) or None


def build_seconds(build: dict[str, Any]) -> float:
    """From the creation of a build's pod to the end of the build."""
    return moment(build["status"]["completionTime"]) - moment(build["status"]["startTime"])


def step_seconds(build: dict[str, Any], name: str) -> float:
    """Duration of a step of a build, which the kubelet measures in whole seconds."""
    step = next(item for item in build["status"]["steps"] if item["name"] == name)
    return moment(step["completionTime"]) - moment(step["startTime"])


def moment(text: str) -> float:
    """A time of a status in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


@contextmanager
def open_lab(testbed: Testbed) -> Iterator[Lab]:
    """Start everything. Afterwards, all of it is stopped and deleted.

    Raises:
        ClusterError: the cluster is somebody else's, or has no registry.
    """
    connection, here = testbed.installed, address.node()
    if not connection.own or connection.registry is None:
        raise ClusterError(
            "builds are measured with servers on this machine, which only pods of our own cluster reach",
            hint="unset COMPONENTRUN_KUBECONFIG",
        )
    images = ensure(connection, ["componentrun"])
    parent = ensure_one(connection, Image("benchmark-python", _IMAGE, ("Dockerfile",)))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="builds-")))
        authority = Authority.create(folder, here)
        repository = repositories.new_repository(folder / "app.git")
        wheels = make_wheels(folder)
        index = stack.enter_context(package_index(here, list(wheels.values())))
        reports = stack.enter_context(StartReports(here).receiving())
        git = stack.enter_context(HttpsServer(authority, repository, address=here).running())
        # Without a catalog there are no tables, so no loader is needed.
        tenant = tenants.create(connection, "bench", catalog=None)
        stack.callback(tenant.delete)
        pods = f"{tenant.namespace}-pods"
        tenant.kubectl("create", "namespace", pods)
        stack.callback(tenant.kubectl, "delete", "namespace", pods, "--wait=false")
        tenant.kubectl("label", "namespace", pods, "pod-security.kubernetes.io/enforce=restricted")
        tenant.secret(_SECRET, {"username": USER, "password": PASSWORD})
        name, port = f"bench-{uuid.uuid4().hex[:8]}", free_port()
        settings = {
            "AGENT_IMAGE": images["componentrun"],
            "BUILDS": "true",
            "BUILDS_NAMESPACE": pods,
            "BUILDS_REPOSITORY": f"{connection.registry}/builds",
            "EVENTS_WAIT_SECONDS": "3",
            "HOST": "127.0.0.1",
            "NAMESPACES": tenant.namespace,
            "OPERATOR_NAME": name,
            "PORT": str(port),
            "REGISTRY_CA_BUNDLE": authority.certificate_file.read_text(),
            "REGISTRY_PLAIN_HTTP": connection.registry,
        }
        url, log = f"http://127.0.0.1:{port}", connection.logs / "benchmark-builds-operator.log"
        stack.enter_context(ServiceProcess("componentrun.controller", url, log, connection.kubeconfig, settings))
        yield Lab(tenant, name, git, repository, reports, index, tuple(wheels), parent, f"{connection.registry}/builds")

"""A tenant, an operator that builds images, and a repository of the tests' own."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import GROUP, VERSION
from dev.cluster.host import address
from e2e import tenant as tenants
from e2e.tenant.tenant import SMALL
from tests.integration.builder import repositories
from tests.integration.builder.gitservers import PASSWORD, USER, HttpsServer
from tests.integration.controller.conftest import OperatorProcess, Place
from tests.integration.registry.realregistry import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    kubeconfig: Path

    def commit(self, text: str, ref: str = "refs/heads/main", **files: bytes) -> str:
        """Commit a component that prints a text and writes it into a table."""
        content = {b"main.py": PROGRAM.replace("TEXT", text).encode()}
        content |= {name.replace("__", ".").encode(): data for name, data in files.items()}
        return repositories.commit(self.repository, content, ref)

    def add_component(self, *, follow: str = "EachRun", parent: str | None = None, **build: Any) -> str:
        """Create a Component with one channel that is built. Returns its name."""
        name = f"app-{uuid.uuid4().hex[:8]}"
        git = {"url": self.server.url, "ref": "main", "secretRef": {"name": SECRET}}
        image, _, tag = (parent or self.place.image).rpartition(":")
        channel = {"name": "master", "build": {"source": {"git": git}, **build}, "follow": follow}
        self.place.tenant.apply(
            "Component", name, {"image": image, "tag": tag, "channels": [channel], "resources": SMALL}
        )
        return name

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What a command of the command line prints. It must succeed."""
        tenant = self.place.tenant
        command = [sys.executable, "-m", "componentrun.cli", *arguments, "--namespace", tenant.namespace]
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig), "DOCKER_CONFIG": os.devnull}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environment)
        assert done.returncode == 0, done.stderr
        return done

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


@contextmanager
def laboratory(
    connection: Connection,
    images: dict[str, str],
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    *,
    level: str = "restricted",
    **more: str,
) -> Iterator[Lab]:
    """Start everything.

    Args:
        connection: the cluster, which must be our own.
        images: images of the cluster.
        settings: environment of operators.
        tmp_path_factory: for the repository and logs.
        level: Pod Security Standard of the builds' namespace.
        more: more variables of the operator.
    """
    if not connection.own:
        pytest.skip("a git server on this machine can't be reached from a stranger's pods")
    folder, here = tmp_path_factory.mktemp("git"), address.node()
    authority = Authority.create(folder, here)
    repository = repositories.new_repository(folder / "app.git")
    tenant = tenants.create(connection, "builds")
    namespace = f"{tenant.namespace}-pods"
    tenant.kubectl("create", "namespace", namespace)
    tenant.kubectl("label", "namespace", namespace, f"pod-security.kubernetes.io/enforce={level}")
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
        **more,
    }
    operator = OperatorProcess(environment, tmp_path_factory.mktemp("operator") / "operator.log")
    with HttpsServer(authority, repository, address=here).running() as server:
        operator.start()
        operator.wait_ready()
        yield Lab(
            Place(tenant, operator, images["test-components"]), server, repository, namespace, connection.kubeconfig
        )
        operator.end()
    tenant.kubectl("delete", "namespace", namespace, "--wait=false")
    tenant.delete()

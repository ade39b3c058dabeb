"""The chart refuses a namespace whose Pod Security Standard does not allow what log servers need.

Only the API server knows the labels of a namespace, so the chart is rendered against it. Nothing is installed.
"""

import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dev.cluster.build import builds
from dev.cluster.connection import Connection, load
from dev.install import chart

pytestmark = pytest.mark.cluster


@dataclass(frozen=True)
class Place:
    """A namespace that enforces a Pod Security Standard."""

    connection: Connection
    namespace: str

    def install(self, *values: str) -> subprocess.CompletedProcess[str]:
        """What `helm install` would do."""
        flags = [word for value in ("image.repository=r.test/componentrun", *values) for word in ("--set", value)]
        command = ["helm", "install", "release", str(chart.CHART), f"--namespace={self.namespace}", "--dry-run=server"]
        path = f"{self.connection.bin_dir}{os.pathsep}{os.environ.get('PATH', '')}"
        environment = os.environ | {"KUBECONFIG": str(self.connection.kubeconfig), "PATH": path}
        return subprocess.run([*command, *flags], env=environment, capture_output=True, text=True, check=False)

    def enforce(self, standard: str) -> None:
        """Have the namespace enforce another standard."""
        label = f"pod-security.kubernetes.io/enforce={standard}"
        kubectl(self.connection, "label", "namespace", self.namespace, label, "--overwrite")


def kubectl(connection: Connection, *arguments: str) -> None:
    command = [str(connection.bin_dir / "kubectl"), f"--kubeconfig={connection.kubeconfig}", *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    builds.build(["helm"])
    made = Place(load(), f"hostpath-{uuid.uuid4().hex[:8]}")
    kubectl(made.connection, "create", "namespace", made.namespace)
    yield made
    kubectl(made.connection, "delete", "namespace", made.namespace, "--wait=false")


@pytest.mark.parametrize("standard", ["restricted", "baseline"])
def test_a_namespace_that_forbids_hostpath_is_refused_with_both_ways_out(place: Place, standard: str) -> None:
    place.enforce(standard)
    refused = place.install()
    assert refused.returncode != 0
    assert f"namespace {place.namespace} enforces the Pod Security Standard `{standard}`" in refused.stderr
    assert f"kubectl label namespace {place.namespace} pod-security.kubernetes.io/enforce=privileged" in refused.stderr
    assert "--set collector.reader=api" in refused.stderr


@pytest.mark.parametrize("values", [("collector.reader=api",), ("collector.enabled=false",)])
def test_a_restricted_namespace_is_enough_without_log_servers(place: Place, values: tuple[str, ...]) -> None:
    place.enforce("restricted")
    done = place.install(*values, "crds.install=false", "admissionPolicy.enabled=false", "rbac.aggregate=false")
    assert done.returncode == 0, done.stderr
    assert "hostPath" not in done.stdout


def test_a_namespace_that_allows_hostpath_gets_log_servers(place: Place) -> None:
    place.enforce("privileged")
    done = place.install("crds.install=false", "admissionPolicy.enabled=false", "rbac.aggregate=false")
    assert done.returncode == 0, done.stderr
    assert "hostPath" in done.stdout
    assert "describe daemonset release-componentrun-node-logs" in done.stdout, "the notes say where to look"

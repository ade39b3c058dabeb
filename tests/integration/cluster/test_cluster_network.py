"""A real cluster is ready, resolves names, pulls pushed images, and enforces NetworkPolicies.

A temporary namespace contains two pods of a program that reports what it can reach. A policy denies all egress of one
of the pods.
"""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from dev.cluster.build import builds, images
from dev.cluster.connection import Connection, load

pytestmark = pytest.mark.cluster
API_SERVICE_PORT = 443


@dataclass(frozen=True)
class Playground:
    """A namespace with the pods `free` and `denied`, each with `addresses` and a server on port 8080."""

    connection: Connection
    namespace: str
    addresses: dict[str, str]

    def probe(self, pod: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return kubectl(self.connection, "-n", self.namespace, "exec", pod, "--", "/probe", *arguments, check=False)

    def reaches(self, pod: str, target: str) -> bool:
        return self.probe(pod, "reach", target).returncode == 0

    def told(self, pod: str, *arguments: str) -> str:
        """Run the pod's program until it succeeds, and return its output. Its timeouts are short for a busy machine."""
        end = time.monotonic() + 60
        while (done := self.probe(pod, *arguments)).returncode:
            assert time.monotonic() < end, done.stderr
        return done.stdout


def kubectl(
    connection: Connection, *arguments: str, stdin: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"KUBECONFIG": str(connection.kubeconfig)}
    environment["PATH"] = f"{connection.bin_dir}:{environment['PATH']}"
    done = subprocess.run(
        ["kubectl", *arguments], input=stdin, env=environment, capture_output=True, text=True, check=False, timeout=180
    )
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def connection() -> Connection:
    return load()


@pytest.fixture(scope="module")
def playground(connection: Connection) -> Iterator[Playground]:
    image = images.bring_program(connection, (builds.build(["probe"]) / "probe").resolve())
    namespace = f"cluster-test-{uuid.uuid4().hex[:8]}"
    kubectl(connection, "create", "namespace", namespace)
    try:
        # The service account is created after the namespace, and no pod is admitted without it.
        kubectl(connection, "-n", namespace, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        items = [pod("free", image), pod("denied", image), deny_all_egress("denied")]
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        kubectl(connection, "-n", namespace, "apply", "-f", "-", stdin=document)
        kubectl(connection, "-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
        found = json.loads(kubectl(connection, "-n", namespace, "get", "pods", "-o", "json").stdout)["items"]
        addresses = {item["metadata"]["name"]: item["status"]["podIP"] for item in found}
        yield Playground(connection, namespace, addresses)
    finally:
        kubectl(connection, "delete", "namespace", namespace, "--wait=false")


def pod(name: str, image: str) -> dict[str, object]:
    listens = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    container = {"name": "probe", "image": image, "args": ["serve", "8080"], "readinessProbe": listens}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def deny_all_egress(app: str) -> dict[str, object]:
    spec = {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": ["Egress"], "egress": []}
    meta = {"name": "deny-egress"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}


def store_address(connection: Connection) -> str:
    parts = urlsplit(connection.lake.endpoint)
    return f"{parts.hostname}:{parts.port or {'http': 80, 'https': 443}[parts.scheme]}"


def service_address(playground: Playground) -> str:
    service = json.loads(kubectl(playground.connection, "get", "service", "kubernetes", "-o", "json").stdout)
    return str(service["spec"]["clusterIP"])


def await_denial(playground: Playground, target: str) -> None:
    """Wait until a policy takes effect on the node. After a minute it counts as not enforced."""
    end = time.monotonic() + 60
    while playground.reaches("denied", target):
        assert time.monotonic() < end, f"the pod under a deny-all policy still reaches {target}"


def test_a_node_is_ready(connection: Connection) -> None:
    kubectl(connection, "wait", "--for=condition=Ready", f"node/{connection.node_name}", "--timeout=30s")


def test_a_pod_resolves_the_api_server_by_name(playground: Playground) -> None:
    assert playground.told("free", "resolve", "kubernetes.default.svc").split() == [service_address(playground)]


def test_a_pod_reaches_the_api_server_by_its_service(playground: Playground) -> None:
    playground.told("free", "reach", f"kubernetes.default.svc:{API_SERVICE_PORT}")


def test_a_pod_reaches_the_store_and_its_neighbour(playground: Playground) -> None:
    playground.told("free", "reach", store_address(playground.connection))
    playground.told("free", "reach", f"{playground.addresses['denied']}:8080")


def test_a_pod_whose_egress_is_denied_reaches_neither_pod_nor_store_nor_api_server(playground: Playground) -> None:
    await_denial(playground, f"{playground.addresses['free']}:8080")
    assert not playground.reaches("denied", store_address(playground.connection))
    assert not playground.reaches("denied", f"{service_address(playground)}:{API_SERVICE_PORT}")
    assert playground.probe("denied", "resolve", "kubernetes.default.svc").returncode != 0


def test_the_neighbour_of_a_denied_pod_is_free(playground: Playground) -> None:
    await_denial(playground, f"{playground.addresses['free']}:8080")
    playground.told("free", "reach", store_address(playground.connection))

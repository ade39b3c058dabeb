"""`helm upgrade --install`, left out where nothing changed."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from e2e.cluster import commands
from e2e.cluster.connection import Connection
from e2e.cluster.errors import ClusterError
from e2e.cluster.progress import step
from e2e.install import chart

NAMESPACE: Final = "componentrun-system"
RELEASE: Final = "componentrun"
_IMAGE: Final = "componentrun"
_FINGERPRINT: Final = "componentrun.dev/installed-from"
_WAIT: Final = "180s"
_MOST_LOG: Final = 5000

Values = Mapping[str, Any]


def install(connection: Connection, images: Mapping[str, str], values: Values | None = None) -> None:
    """Bring the operator to the cluster, or up to date; returns when it is ready.

    Args:
        connection: the cluster.
        images: references by name, as `e2e.images.ensure` returns them; `componentrun` must be among them.
        values: further values of the chart, nested as in its values.yaml.

    Raises:
        ClusterError: helm failed, or the operator did not become ready; with what its pods say.
    """
    repository, _, tag = images[_IMAGE].rpartition(":")
    given = {**(values or {}), "image": {"repository": repository, "tag": tag}}
    wanted = _fingerprint(given)
    tools = Tools(connection)
    if tools.installed() == wanted and tools.ready():
        return
    with step("installing the operator with helm"):
        tools.create_namespace()
        tools.upgrade(given)
        tools.remember(wanted)


def uninstall(connection: Connection) -> None:
    """Take the operator away; runs and their definitions stay."""
    tools = Tools(connection)
    with step("uninstalling the operator"):
        tools.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found", "--wait")
        tools.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")


def _fingerprint(values: Values) -> str:
    """Stands for the chart's files and the values."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for file in sorted(path for path in chart.CHART.rglob("*") if path.is_file()):
        digest.update(f"\0{file.relative_to(chart.CHART)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


class Tools:
    """helm and kubectl on one cluster."""

    def __init__(self, connection: Connection) -> None:
        self._environment = os.environ | {
            "KUBECONFIG": str(connection.kubeconfig),
            "PATH": f"{connection.bin_dir}{os.pathsep}{os.environ.get('PATH', '')}",
            # Nothing of the person's own helm is read or changed.
            "HELM_PLUGINS": os.devnull,
        }

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        return commands.run(["helm", *arguments], env=self._environment, stdin=stdin, timeout=300)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return commands.run(["kubectl", *arguments], env=self._environment, stdin=stdin, timeout=300)

    def create_namespace(self) -> None:
        """The operator's own namespace holds to the strictest pod security standard."""
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(namespace))

    def upgrade(self, values: Values) -> None:
        # --take-ownership: a test may have applied the resource definitions before.
        flags = ("--take-ownership", "--force-conflicts", "--server-side=true", "--wait", f"--timeout={_WAIT}")
        try:
            self.helm(
                "upgrade", "--install", RELEASE, str(chart.CHART), "--namespace", NAMESPACE, *flags, "--values=-",
                stdin=json.dumps(values),
            )  # fmt: skip
        except ClusterError as error:
            raise ClusterError(f"{error.problem}\n{self._told_by_pods()}", hint=error.hint) from error

    def installed(self) -> str:
        """Fingerprint of what is installed; empty where nothing is."""
        path = "jsonpath={.metadata.annotations.componentrun\\.dev/installed-from}"
        return self.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", f"--output={path}").strip()

    def remember(self, fingerprint: str) -> None:
        self.kubectl("annotate", "--overwrite", "namespace", NAMESPACE, f"{_FINGERPRINT}={fingerprint}")

    def ready(self) -> bool:
        """Whether every Deployment has the replicas it should have."""
        listed = json.loads(self.kubectl("get", "deployments", f"--namespace={NAMESPACE}", "--output=json"))["items"]
        return bool(listed) and all(item.get("status", {}).get("availableReplicas") for item in listed)

    def _told_by_pods(self) -> str:
        selector = f"--selector=app.kubernetes.io/instance={RELEASE}"
        where = f"--namespace={NAMESPACE}"
        pods = self.kubectl("get", "pods", where, selector, "--output=wide")
        logs = self.kubectl("logs", where, selector, "--tail=5", "--ignore-errors")[-_MOST_LOG:]
        return f"Its pods:\n{pods}\nTheir logs:\n{logs}"

"""Run `helm upgrade --install`, unless nothing changed."""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, Final

import yaml

from dev.cluster import commands, paths
from dev.cluster.connection import Connection
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say, step
from dev.install import chart

NAMESPACE: Final = "componentrun-system"
RELEASE: Final = "componentrun"
IMAGES: Final = ("componentrun", "componentrun-loader")
"""Images of the chart. Without the second image, the chart is installed without the loader."""
_IMAGE, _LOADER_IMAGE = IMAGES
_FINGERPRINT: Final = "componentrun.dev/installed-from"
_WAIT: Final = "300s"
_COMMAND_SECONDS: Final = 420
_MOST_LOG: Final = 5000
_AVAILABLE: Final = {"availableReplicas", "numberAvailable"}
"""Status fields of workloads that are nonzero if a pod is available."""

Values = Mapping[str, Any]


def install(
    connection: Connection, images: Mapping[str, str], values: Values | None = None, namespace: str = NAMESPACE
) -> None:
    """Install or update the operator, and wait until it is ready.

    Args:
        connection: the cluster.
        images: references of `IMAGES` by name, as returned by `dev.images.ensure`.
        values: additional values of the chart, nested as in its values.yaml.
        namespace: the operator's namespace. A second operator needs another one.

    Raises:
        ClusterError: helm failed, or the operator did not become ready. Contains the state of its pods.
    """
    chart_values = {
        **(values or {}),
        "operator": _operator(values or {}, connection),
        "image": _named(images[_IMAGE]),
        "loader": _loader(values or {}, images),
    }
    fingerprint = _fingerprint(chart_values)
    release = Release(connection, namespace)
    with paths.lock("install"):
        if release.fingerprint() == fingerprint and release.ready():
            return
        with step(f"installing the operator with helm in namespace {namespace}"):
            release.create_namespace(_standard(chart_values))
            release.upgrade(chart_values)
            release.remember(fingerprint)


def uninstall(connection: Connection, namespace: str = NAMESPACE) -> None:
    """Uninstall the operator. Runs and CRDs are kept."""
    release = Release(connection, namespace)
    with paths.lock("install"), step(f"uninstalling the operator of namespace {namespace}"):
        release.remove()
        release.kubectl("delete", "namespace", namespace, "--ignore-not-found")


def _loader(values: Values, images: Mapping[str, str]) -> dict[str, Any]:
    loader_values = dict(values.get("loader", {}))
    return loader_values | ({"image": _named(images[_LOADER_IMAGE])} if _LOADER_IMAGE in images else {"enabled": False})


def _operator(values: Values, connection: Connection) -> dict[str, Any]:
    """The operator's values. The registry of our own cluster has no TLS."""
    operator_values = dict(values.get("operator", {}))
    if connection.own and connection.registry is not None:
        registries = {"plainHttp": [connection.registry.partition("/")[0]]}
        operator_values["registries"] = registries | operator_values.get("registries", {})
    return operator_values


def _named(reference: str) -> dict[str, str]:
    repository, _, tag = reference.rpartition(":")
    return {"repository": repository, "tag": tag}


def _standard(values: Values) -> str:
    """The strictest pod security standard that these values allow. Log servers need a host path."""
    collector = {
        **yaml.safe_load((chart.CHART / "values.yaml").read_text())["collector"],
        **values.get("collector", {}),
    }
    return "privileged" if collector["enabled"] and collector["reader"] == "node" else "restricted"


def _fingerprint(values: Values) -> str:
    """Hash of the chart's files and the values."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for file in sorted(path for path in chart.CHART.rglob("*") if path.is_file()):
        digest.update(f"\0{file.relative_to(chart.CHART)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


class Release:
    """The Helm release in one namespace, managed with helm and kubectl."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._namespace = namespace
        self._where = f"--namespace={namespace}"
        self._environment = os.environ | {
            "KUBECONFIG": str(connection.kubeconfig),
            "PATH": f"{connection.bin_dir}{os.pathsep}{os.environ.get('PATH', '')}",
            # The user's own helm configuration is neither read nor changed.
            "HELM_PLUGINS": os.devnull,
        }

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        return commands.run(["helm", *arguments], env=self._environment, stdin=stdin, timeout=_COMMAND_SECONDS)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return commands.run(["kubectl", *arguments], env=self._environment, stdin=stdin, timeout=_COMMAND_SECONDS)

    def create_namespace(self, standard: str) -> None:
        """Create the operator's namespace, which enforces this pod security standard."""
        labels = {f"pod-security.kubernetes.io/{mode}": standard for mode in ("enforce", "warn")}
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace, "labels": labels}}
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(document))

    def upgrade(self, values: Values) -> None:
        """Run `helm upgrade --install` and wait until the pods are ready."""
        if self._interrupted():
            say("an earlier helm was interrupted: removing what it left (runs and their definitions stay)")
            self.remove()
        # Take ownership of CRDs that a test may have applied before. Helm 4 uses server-side apply, which reports
        # fields of other owners as conflicts. Helm 3 has no conflicts.
        old = self.helm("version", "--template={{.Version}}").startswith("v3")
        flags = [
            "--take-ownership",
            *([] if old else ["--force-conflicts"]),
            "--wait",
            f"--timeout={_WAIT}",
            "--values=-",
        ]
        try:
            self.helm("upgrade", "--install", RELEASE, str(chart.CHART), self._where, *flags, stdin=json.dumps(values))
        except ClusterError as error:
            raise ClusterError(f"{error.problem}\n{self._state()}", hint=error.hint) from error

    def remove(self) -> None:
        """Run `helm uninstall`."""
        self.helm("uninstall", RELEASE, self._where, "--ignore-not-found", "--wait", f"--timeout={_WAIT}")

    def fingerprint(self) -> str:
        """Fingerprint of the installed release; empty if nothing is installed."""
        path = "jsonpath={.metadata.annotations.componentrun\\.dev/installed-from}"
        return self.kubectl("get", "namespace", self._namespace, "--ignore-not-found", f"--output={path}").strip()

    def remember(self, fingerprint: str) -> None:
        self.kubectl("annotate", "--overwrite", "namespace", self._namespace, f"{_FINGERPRINT}={fingerprint}")

    def ready(self) -> bool:
        """Whether every workload has an available pod."""
        kinds = "deployments,statefulsets,daemonsets"
        items = json.loads(self.kubectl("get", kinds, self._where, "--output=json"))["items"]
        return bool(items) and all(_AVAILABLE & item.get("status", {}).keys() for item in items)

    def _interrupted(self) -> bool:
        """Whether a killed helm left the release locked. Later helm commands would be rejected."""
        releases = json.loads(self.helm("list", self._where, "--pending", "--filter", f"^{RELEASE}$", "--output=json"))
        return bool(releases)

    def _state(self) -> str:
        """What a person needs to see why the operator did not become ready: pods, logs, warnings, nodes."""
        selector = f"--selector=app.kubernetes.io/instance={RELEASE}"
        conditions = 'jsonpath={range .items[*].status.conditions[*]}{.type}={.status} {.message}{"\\n"}{end}'
        parts = {
            "Its pods": ("get", "pods", self._where, selector, "--output=wide"),
            "Their logs": ("logs", self._where, selector, "--tail=5", "--ignore-errors"),
            "Warnings of its namespace": ("get", "events", self._where, "--field-selector=type=Warning"),
            "Conditions of the nodes": ("get", "nodes", f"--output={conditions}"),
        }
        return "\n".join(f"{title}:\n{self._output(*command)[-_MOST_LOG:]}" for title, command in parts.items())

    def _output(self, *command: str) -> str:
        """Output of a kubectl command, or its error: one failed command must not hide the others."""
        try:
            return self.kubectl(*command)
        except ClusterError as error:
            return error.problem

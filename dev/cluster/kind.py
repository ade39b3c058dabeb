"""A cluster of kind, for machines with Docker or Podman: `CLUSTER=kind`. Nothing of Kubernetes is built for it."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dev.cluster import commands, paths
from dev.cluster.errors import ClusterError
from dev.cluster.progress import step

VARIABLE: Final = "CLUSTER"
NAME: Final = "componentrun"
_CREATE_SECONDS: Final = 900


def is_chosen(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether CLUSTER asks for kind.

    Raises:
        ClusterError: CLUSTER names something else.
    """
    value = environment.get(VARIABLE, "")
    if value not in {"", "kind"}:
        raise ClusterError(f"{VARIABLE} is `{value}`", hint="set it to `kind`, or unset it for a cluster of our own")
    return value == "kind"


def engine() -> str | None:
    """The container engine that works here: `docker`, `podman`, or None."""
    return next((name for name in ("docker", "podman") if commands.succeeds([name, "info"], timeout=20)), None)


def offer(environment: Mapping[str, str] = os.environ) -> str:
    """What a person may do instead of building Kubernetes; empty if there is nothing."""
    if is_chosen(environment) or environment.get("KUBECONFIG"):
        return ""
    found = engine()
    if found is None:
        return "kind is installed, but neither Docker nor Podman runs, so it can't be used." if _is_installed() else ""
    if _is_installed():
        return f"{found} and kind are here: `make demo {VARIABLE}=kind` builds no Kubernetes and is faster."
    return f"{found} is here: with kind installed (https://kind.sigs.k8s.io), `make demo {VARIABLE}=kind` is faster."


def load_command() -> str:
    """The command that brings an image archive onto the cluster's node."""
    return f"env KIND_EXPERIMENTAL_PROVIDER={engine() or 'docker'} kind load image-archive {{archive}} --name {NAME}"


def kubeconfig() -> Path:
    """Where the administrator's access to the cluster is kept."""
    return paths.home() / "kind" / "kubeconfig"


def up() -> Path:
    """Create the cluster unless it exists, and return its kubeconfig.

    Raises:
        ClusterError: kind or an engine is missing, or kind failed.
    """
    found = engine()
    if found is None:
        raise ClusterError(f"{VARIABLE}=kind needs Docker or Podman, and neither runs here", hint=f"unset {VARIABLE}")
    if not _is_installed():
        raise ClusterError("kind is not installed", hint="see https://kind.sigs.k8s.io/docs/user/quick-start")
    paths.make_private(kubeconfig().parent)
    environment = _environment(found)
    if NAME in commands.run(["kind", "get", "clusters"], env=environment).split():
        commands.run(["kind", "export", "kubeconfig", "--name", NAME, "--kubeconfig", kubeconfig()], env=environment)
    else:
        with step(f"creating the cluster `{NAME}` with kind"):
            create: list[str | Path] = [
                "kind",
                "create",
                "cluster",
                "--name",
                NAME,
                "--kubeconfig",
                kubeconfig(),
                "--wait",
                "3m",
            ]
            commands.run(create, env=environment, timeout=_CREATE_SECONDS, hint="can it pull the image kindest/node?")
    return kubeconfig()


def down() -> bool:
    """Delete the cluster. Returns whether there was one."""
    found = engine()
    if found is None or not _is_installed():
        return False
    environment = _environment(found)
    if NAME not in commands.run(["kind", "get", "clusters"], env=environment).split():
        return False
    commands.run(["kind", "delete", "cluster", "--name", NAME, "--kubeconfig", kubeconfig()], env=environment)
    return True


def _is_installed() -> bool:
    return shutil.which("kind") is not None


def _environment(found: str) -> dict[str, str]:
    return os.environ | {"KIND_EXPERIMENTAL_PROVIDER": found}

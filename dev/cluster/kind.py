"""A kind cluster for machines with Docker or Podman: `CLUSTER=kind`. Kubernetes is not built from source."""

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
    """Whether CLUSTER selects kind.

    Raises:
        ClusterError: CLUSTER has an unknown value.
    """
    value = environment.get(VARIABLE, "")
    if value not in {"", "kind"}:
        raise ClusterError(f"{VARIABLE} is `{value}`", hint="set it to `kind`, or unset it for a cluster of our own")
    return value == "kind"


def engine() -> str | None:
    """The container engine that works on this machine: `docker`, `podman`, or None."""
    return next((name for name in ("docker", "podman") if commands.succeeds([name, "info"], timeout=20)), None)


def offer(environment: Mapping[str, str] = os.environ) -> str:
    """Suggestion for an alternative to building Kubernetes; empty if there is none."""
    if is_chosen(environment) or environment.get("KUBECONFIG"):
        return ""
    engine_name = engine()
    if engine_name is None:
        return "kind is installed, but neither Docker nor Podman runs, so it can't be used." if _is_installed() else ""
    if _is_installed():
        return f"{engine_name} and kind are here: `make demo {VARIABLE}=kind` builds no Kubernetes and is faster."
    return (
        f"{engine_name} is here: with kind installed (https://kind.sigs.k8s.io), `make demo {VARIABLE}=kind` is faster."
    )


def load_command() -> str:
    """The command that loads an image archive into the cluster's node."""
    return f"env KIND_EXPERIMENTAL_PROVIDER={engine() or 'docker'} kind load image-archive {{archive}} --name {NAME}"


def kubeconfig() -> Path:
    """Path of the administrator's kubeconfig."""
    return paths.home() / "kind" / "kubeconfig"


def up() -> Path:
    """Create the cluster unless it exists, and return the path of its kubeconfig.

    Raises:
        ClusterError: kind or a container engine is missing, or kind failed.
    """
    engine_name = engine()
    if engine_name is None:
        raise ClusterError(f"{VARIABLE}=kind needs Docker or Podman, and neither runs here", hint=f"unset {VARIABLE}")
    if not _is_installed():
        raise ClusterError("kind is not installed", hint="see https://kind.sigs.k8s.io/docs/user/quick-start")
    paths.make_private(kubeconfig().parent)
    environment = _environment(engine_name)
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
    """Delete the cluster. Returns whether it existed."""
    engine_name = engine()
    if engine_name is None or not _is_installed():
        return False
    environment = _environment(engine_name)
    if NAME not in commands.run(["kind", "get", "clusters"], env=environment).split():
        return False
    commands.run(["kind", "delete", "cluster", "--name", NAME, "--kubeconfig", kubeconfig()], env=environment)
    return True


def _is_installed() -> bool:
    return shutil.which("kind") is not None


def _environment(engine_name: str) -> dict[str, str]:
    return os.environ | {"KIND_EXPERIMENTAL_PROVIDER": engine_name}

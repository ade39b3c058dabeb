"""Fake nodes, how KWOK plays their kubelets, and a scheduler that its client does not hold back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

__all__ = ["kwok", "node", "scheduler"]

_ANNOTATION: Final = "kwok.x-k8s.io/node"
_STAGES: Final = Path(__file__).with_name("stages.yaml")
_ROOM: Final = {"cpu": "10k", "memory": "16Ti", "ephemeral-storage": "16Ti", "pods": "20000"}
"""More than all pods together ask for: the scheduler never has to wait."""


def node(number: int) -> dict[str, Any]:
    """One node."""
    name = f"fake-{number:02}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {_ANNOTATION: "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
        },
        "status": {"allocatable": _ROOM, "capacity": _ROOM},
    }


def kwok() -> str:
    """KWOK's configuration, with the stages."""
    options = {
        "manageNodesWithAnnotationSelector": f"{_ANNOTATION}=fake",
        "podPlayStageParallelism": 32,
        "nodePlayStageParallelism": 4,
        "nodeLeaseDurationSeconds": 40,
        "nodeLeaseParallelism": 4,
    }
    head = {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokConfiguration", "options": options}
    return f"{json.dumps(head)}\n---\n{_STAGES.read_text(encoding='utf-8')}"


def scheduler(kubeconfig: Path) -> str:
    """The scheduler's configuration."""
    connection = {"kubeconfig": str(kubeconfig), "qps": 2000, "burst": 4000}
    return json.dumps(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": connection,
            "leaderElection": {"leaderElect": False},
        }
    )

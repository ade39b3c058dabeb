"""Configuration of simulated nodes, of KWOK, and of a scheduler without client rate limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from benchmarks.throughput.simulation.stages import pod_stages

__all__ = ["kwok", "node", "scheduler"]

_ANNOTATION: Final = "kwok.x-k8s.io/node"
_NODE_STAGE: Final = Path(__file__).with_name("node_stage.yaml")
_ROOM: Final = {"cpu": "10k", "memory": "16Ti", "ephemeral-storage": "16Ti", "pods": "20000"}
"""More than the requests of all pods together, so that the scheduler never waits."""


def node(number: int) -> dict[str, Any]:
    """Return a node."""
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
    """Return KWOK's configuration, with the stages."""
    options = {
        "manageNodesWithAnnotationSelector": f"{_ANNOTATION}=fake",
        "podPlayStageParallelism": 32,
        "nodePlayStageParallelism": 4,
        "nodeLeaseDurationSeconds": 40,
        "nodeLeaseParallelism": 4,
    }
    head = {"apiVersion": "config.kwok.x-k8s.io/v1alpha1", "kind": "KwokConfiguration", "options": options}
    documents = [json.dumps(head), _NODE_STAGE.read_text(encoding="utf-8"), *map(json.dumps, pod_stages())]
    return "\n---\n".join(documents)


def scheduler(kubeconfig: Path) -> str:
    """Return the scheduler's configuration."""
    connection = {"kubeconfig": str(kubeconfig), "qps": 2000, "burst": 4000}
    return json.dumps(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": connection,
            "leaderElection": {"leaderElect": False},
        }
    )

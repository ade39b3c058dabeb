"""Manifests of the benchmark's objects: runs, and the same pod as a bare pod and in a Job."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.common import API_VERSION
from componentrun.api.componentrun import ComponentRun
from componentrun.core.pod.build import PodSettings, build_pod
from componentrun.core.request.resolve import resolve
from componentrun.process.kubernetes.resources import PODS, RUNS, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["AGENT_IMAGE", "BATCH", "COMPONENT", "INPUT", "JOB", "KINDS", "NAMESPACE", "POD", "RUN", "STORAGE", "Kind"]

NAMESPACE: Final = "throughput"
STORAGE: Final = "main"
AGENT_IMAGE: Final = "registry.example.com/componentrun:0"
BATCH: Final = "benchmark"
"""Label with the batch of an object."""
INPUT: Final = "in.c-bench.small"
_JOBS: Final = Resource("batch", "v1", "jobs", "Job")
_IMAGE: Final = "registry.example.com/component:0"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object that runs a pod."""

    name: str
    resource: Resource
    ended: str
    """Field selector of successful objects; empty if a label is used."""
    build: Callable[[str], Mapping[str, Any]]
    """Returns the object with this name, without its labels."""
    ended_label: str = ""
    """Label selector of successful objects, if a label is used."""

    @property
    def path(self) -> str:
        """Path of the collection."""
        return self.resource.path(NAMESPACE)

    def body(self, name: str, batch: str) -> dict[str, Any]:
        """Return the object to create."""
        body = copy.copy(dict(self.build(name)))
        body["metadata"] = {"name": name, "labels": {BATCH: batch}}
        return body


def _run(name: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": ComponentRun.KIND,
        "spec": {
            "image": _IMAGE,
            "configuration": {"parameters": {"name": name, "rows": 3}},
            "input": {"tables": [{"source": INPUT, "destination": "small.csv"}]},
            "timeout": "1h",
            "resources": {"limits": {"cpu": "1", "memory": "256Mi"}},
        },
    }


def _pod_spec() -> dict[str, Any]:
    """Return the spec of the pod that the operator creates for such a run."""
    metadata = {"name": "any", "namespace": NAMESPACE, "uid": "0", "generation": 1, "resourceVersion": "1"}
    run = ComponentRun.model_validate({**_run("any"), "metadata": metadata})
    pod = build_pod(resolve(run, None, STORAGE), run, 1, AGENT_IMAGE, PodSettings())
    return dict(pod["spec"])


_POD_SPEC: Final = _pod_spec()
COMPONENT: Final = {key: _POD_SPEC["containers"][0][key] for key in ("image", "resources")}
"""A run's container without the operator's additions."""


def _pod(_: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "spec": _POD_SPEC}


def _job(_: str) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": {"app": "bench"}}, "spec": _POD_SPEC}},
    }


POD: Final = Kind("pod", PODS, "status.phase=Succeeded", _pod)
JOB: Final = Kind("job", _JOBS, "status.successful=1", _job)
RUN: Final = Kind("run", RUNS, "status.phase=Succeeded", _run)
KINDS: Final = (POD, JOB, RUN)

"""Argo's workflow controller, for comparison: as it comes but for its client's limits, which would hold it back.

Its CRDs are the smallest that it works with, as its own "minimal" ones are: nothing in them is checked.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.throughput.client import RefusedError, until
from benchmarks.throughput.manifests import BATCH, COMPONENT, NAMESPACE, Kind
from benchmarks.throughput.plane import ARGO
from componentrun.process.kubernetes.resources import PODS, Resource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from benchmarks.throughput.client import Api
    from benchmarks.throughput.plane import Plane

__all__ = ["WORKFLOW", "clear", "controller"]

_GROUP: Final = "argoproj.io"
_VERSION: Final = "v1alpha1"
_CONFIG: Final = "workflow-controller-configmap"
_IMAGE: Final = "registry.example.com/argoexec:0"
_WHOSE: Final = "workflows.argoproj.io/workflow"
_HEALTH: Final = "http://127.0.0.1:6060/healthz?checkPeriod=1m"
"""Its port can't be chosen."""
_KINDS: Final = {
    "workflows": ("Workflow", "Namespaced"),
    "workflowtemplates": ("WorkflowTemplate", "Namespaced"),
    "clusterworkflowtemplates": ("ClusterWorkflowTemplate", "Cluster"),
    "cronworkflows": ("CronWorkflow", "Namespaced"),
    "workflowtasksets": ("WorkflowTaskSet", "Namespaced"),
    "workflowtaskresults": ("WorkflowTaskResult", "Namespaced"),
    "workflowartifactgctasks": ("WorkflowArtifactGCTask", "Namespaced"),
    "workfloweventbindings": ("WorkflowEventBinding", "Namespaced"),
}
_ARGUMENTS: Final = (
    "--qps=500",
    "--burst=1000",
    "--workflow-workers=64",
    "--pod-cleanup-workers=64",
    "--namespaced",
    f"--managed-namespace={NAMESPACE}",
    f"--namespace={NAMESPACE}",
    f"--executor-image={_IMAGE}",
    "--loglevel=warn",
)
_ENVIRONMENT: Final = {
    "LEADER_ELECTION_DISABLE": "true",
    # It would look again at a workflow after ten seconds.
    "DEFAULT_REQUEUE_TIME": "1s",
}


def _workflow(_: str) -> dict[str, Any]:
    """One step with the component's container; Argo puts its own `init` and `wait` beside it."""
    container = {**COMPONENT, "command": ["component"]}  # or the controller would ask the image's registry for it
    return {
        "apiVersion": f"{_GROUP}/{_VERSION}",
        "kind": "Workflow",
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "container": container}]},
    }


WORKFLOW: Final = Kind(
    "workflow",
    Resource(_GROUP, _VERSION, "workflows"),
    ended="",
    build=_workflow,
    ended_label="workflows.argoproj.io/phase=Succeeded",
)


@asynccontextmanager
async def controller(api: Api, plane: Plane) -> AsyncIterator[None]:
    """Have it run; its CRDs stay, what it made must be gone by the end (`clear`)."""
    for plural, (kind, scope) in _KINDS.items():
        await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", _crd(plural, kind, scope))
    for plural in _KINDS:
        await until(partial(_is_served, api, plural), 60)
    body = {"metadata": {"name": _CONFIG}, "data": {"metricsConfig": "enabled: false\n"}}
    await api.create(f"/api/v1/namespaces/{NAMESPACE}/configmaps", body)
    with plane.also(ARGO, [f"--kubeconfig={plane.kubeconfig}", *_ARGUMENTS], _HEALTH, _ENVIRONMENT):
        yield


async def clear(api: Api) -> None:
    """Delete all workflows, and wait until their pods are gone: the controller must still run for that."""
    await api.delete(f"{WORKFLOW.path}?labelSelector={BATCH}")
    await api.empty(WORKFLOW.path, BATCH)
    await api.empty(PODS.path(NAMESPACE), _WHOSE)


async def _is_served(api: Api, plural: str) -> bool:
    try:
        await api.get(f"/apis/{_GROUP}/{_VERSION}/{plural}")
    except RefusedError:
        return False
    return True


def _crd(plural: str, kind: str, scope: str) -> Mapping[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": _VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{_GROUP}"},
        "spec": {"group": _GROUP, "names": names, "scope": scope, "versions": [version]},
    }

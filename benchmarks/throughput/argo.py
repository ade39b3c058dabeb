"""Argo's workflow controller, for comparison, with its defaults except for its client's rate limits.

A workflow is one step that reads and writes an artifact, as a run reads and writes a table. The CRDs are Argo's own,
with their full schemas. KWOK runs no containers, so the benchmark sends the requests of the step's `wait` container:
it creates a WorkflowTaskResult and patches it twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from benchmarks.throughput.api_client import Api, RefusedError, until
from benchmarks.throughput.control_plane import ARGO
from benchmarks.throughput.manifests import BATCH, COMPONENT, NAMESPACE, Kind
from componentrun.process.kubernetes.resources import PODS, Resource
from dev.cluster.build import golang

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from benchmarks.throughput.control_plane import ControlPlane

__all__ = ["WORKFLOW", "clear", "controller", "install"]

_GROUP: Final = "argoproj.io"
_VERSION: Final = "v1alpha1"
_CONFIG: Final = "workflow-controller-configmap"
_IMAGE: Final = "registry.example.com/argoexec:0"
_WHOSE: Final = "workflows.argoproj.io/workflow"
_HEALTH: Final = "http://127.0.0.1:6060/healthz?checkPeriod=1m"
"""Its port can't be configured."""
_RESULTS: Final = Resource(_GROUP, _VERSION, "workflowtaskresults", "WorkflowTaskResult")
_MODULE: Final = "github.com/argoproj/argo-workflows/v3"
_BUILD: Final = Path(__file__).parents[2] / "dev" / "cluster" / "build" / "tools" / "argo"
_NODE: Final = "workflows.argoproj.io/node-id"
_REPORTED: Final = "workflows.argoproj.io/report-outputs-completed"
_STARTED: Final = "status.phase!=Pending"
_EXECUTOR: Final = "argoexec"
"""User agent of the `wait` containers."""
_INPUT: Final = {"name": "small", "path": "/data/in/small.csv", "s3": {"key": "in/small.csv"}}
_OUTPUT: Final = {"name": "small", "path": "/data/out/small.csv", "s3": {"key": "out/small.csv"}}
_STORE: Final = {
    "archiveLogs": False,
    "s3": {
        "endpoint": "s3.example.com",
        "bucket": "bench",
        "accessKeySecret": {"name": "keys", "key": "accessKeyId"},
        "secretKeySecret": {"name": "keys", "key": "secretAccessKey"},
    },
}
_SERVED_WITHIN: Final = 300.0
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
    # The default is ten seconds.
    "DEFAULT_REQUEUE_TIME": "1s",
}


def _workflow(_: str) -> dict[str, Any]:
    """One step with the component's container; Argo adds its own `init` and `wait` containers."""
    template = {
        "name": "main",
        "container": {**COMPONENT, "command": ["component"]},  # or the controller would ask the image's registry for it
        "inputs": {"artifacts": [_INPUT]},
        "outputs": {"artifacts": [_OUTPUT]},
    }
    return {
        "apiVersion": f"{_GROUP}/{_VERSION}",
        "kind": "Workflow",
        "spec": {"entrypoint": "main", "templates": [template]},
    }


WORKFLOW: Final = Kind(
    "workflow",
    Resource(_GROUP, _VERSION, "workflows", "Workflow"),
    ended="",
    build=_workflow,
    ended_label="workflows.argoproj.io/phase=Succeeded",
)


async def install(api: Api) -> None:
    """Create Argo's CRDs and its configuration."""
    crds = await asyncio.to_thread(_crds)
    for crd in crds:
        await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    for crd in crds:
        plural = crd["spec"]["names"]["plural"]
        await until(partial(_is_served, api, plural), _SERVED_WITHIN, f"the API server serves {plural} of Argo")
    body = {
        "metadata": {"name": _CONFIG},
        "data": {"metricsConfig": "enabled: false\n", "artifactRepository": json.dumps(_STORE)},
    }
    await api.create(f"/api/v1/namespaces/{NAMESPACE}/configmaps", body)


@asynccontextmanager
async def controller(control_plane: ControlPlane) -> AsyncIterator[None]:
    """Run the controller and simulate its `wait` containers. Its objects must be deleted with `clear` before the end.

    Raises:
        ExceptionGroup: a request of a `wait` container failed.
    """
    arguments = [f"--kubeconfig={control_plane.kubeconfig}", *_ARGUMENTS]
    with control_plane.extra_part(ARGO, arguments, _HEALTH, _ENVIRONMENT):
        async with Api(control_plane.kubeconfig, _EXECUTOR) as executor, asyncio.TaskGroup() as group:
            waits = group.create_task(_wait_containers(executor))
            yield
            waits.cancel()


async def clear(api: Api) -> None:
    """Delete all workflows, and wait until all their objects are gone: the controller must still run for that."""
    await api.delete(f"{WORKFLOW.path}?labelSelector={BATCH}")
    await api.empty(WORKFLOW.path, BATCH)
    for resource in (PODS, _RESULTS):
        await api.empty(resource.path(NAMESPACE), _WHOSE)


def _crds() -> list[dict[str, Any]]:
    """Return the CRDs of the version that is built."""
    command = [str(golang.find().program), "mod", "download", "-json", _MODULE]
    done = subprocess.run(command, cwd=_BUILD, capture_output=True, text=True, check=True)
    folder = Path(json.loads(done.stdout)["Dir"]) / "manifests" / "base" / "crds" / "full"
    files = sorted(folder.glob("argoproj.io_*.yaml"))
    return [yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) for file in files]


async def _wait_containers(api: Api) -> None:
    """Send the requests of the `wait` container of each pod when that container would."""
    main_ended: dict[str, asyncio.Event] = {}
    path = PODS.path(NAMESPACE)
    selectors = {"labelSelector": _WHOSE, "fieldSelector": _STARTED}
    version = await api.version(path)
    async with asyncio.TaskGroup() as group, contextlib.aclosing(api.watch(path, version, **selectors)) as events:
        async for event in events:
            pod = event["object"]
            uid = pod["metadata"]["uid"]
            if event["type"] == "DELETED":
                main_ended.pop(uid, None)
                continue
            if uid not in main_ended:
                main_ended[uid] = asyncio.Event()
                group.create_task(_report(api, pod, main_ended[uid]))
            if _is_main_terminated(pod):
                main_ended[uid].set()


def _is_main_terminated(pod: Mapping[str, Any]) -> bool:
    (main,) = (item for item in pod["status"]["containerStatuses"] if item["name"] != "wait")
    return "terminated" in main["state"]


async def _report(api: Api, pod: Mapping[str, Any], main_ended: asyncio.Event) -> None:
    """Write a pod's WorkflowTaskResult, from the start of its containers to their end."""
    (owner,) = pod["metadata"]["ownerReferences"]
    metadata = {
        "name": pod["metadata"]["annotations"][_NODE],
        "labels": {_WHOSE: owner["name"], _REPORTED: "false"},
        "ownerReferences": [{key: owner[key] for key in ("apiVersion", "kind", "name", "uid")}],
    }
    body = {"apiVersion": f"{_GROUP}/{_VERSION}", "kind": "WorkflowTaskResult", "metadata": metadata}
    await api.create(_RESULTS.path(NAMESPACE), body)
    await main_ended.wait()
    path = _RESULTS.path(NAMESPACE, metadata["name"])
    await api.patch(path, {"outputs": {"artifacts": [_OUTPUT]}})
    await api.patch(path, {"metadata": {"labels": {_REPORTED: "true"}}})


async def _is_served(api: Api, plural: str) -> bool:
    try:
        await api.get(f"/apis/{_GROUP}/{_VERSION}/{plural}")
    except RefusedError:
        return False
    return True

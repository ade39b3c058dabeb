"""The same work as a bare pod, as a hand-written Job, and as a ComponentRun."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import kubernetes
import kubernetes.client

from benchmarks.harness.testbed import sweep
from benchmarks.overhead.phases import JOB_CONTAINERS, RUN_CONTAINERS, phase_seconds
from benchmarks.overhead.watch_log import JOBS, PODS, RUNS, WatchLog
from componentrun.api.common import GROUP, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.overhead.watch_log import WatchEvent
    from e2e.tenant import Tenant

__all__ = ["KEYS", "BarePod", "CopyTask", "HandWrittenJob", "Run", "Timed", "Workload", "run_once", "timed"]

KEYS: Final = "s5cmd-keys"
"""Secret with the environment of s5cmd."""
_FILE: Final = "table.csv"
_IN: Final = "/data/in/tables"
_OUT: Final = "/data/out/tables"
_S5CMD_RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}


@dataclass(frozen=True, slots=True)
class CopyTask:
    """The work: one table in, `copy`, one table out."""

    subject: str
    """Middle of the figures' names: `tiny`."""
    table: str
    """The input as a table."""
    object: str
    """Key of the input as a plain object."""
    component_image: str
    s5cmd_image: str
    resources: dict[str, Any]
    """Resources of the component."""
    bare_pod_moves_data: bool
    """Whether the bare pod's container also downloads and uploads the table."""


class Workload(Protocol):
    """A way to do the work."""

    @property
    def title(self) -> str:
        """End of the figures' names."""

    @property
    def kind(self) -> str:
        """Kind of the object that shows its end."""

    @property
    def containers(self) -> tuple[str, ...]:
        """Containers whose ends divide it into phases; empty if it has only one."""

    def create(self, name: str) -> None:
        """Send the request that starts it."""

    def ended(self, status: Mapping[str, Any]) -> bool:
        """Whether it has succeeded.

        Raises:
            AssertionError: it has failed.
        """

    def clean(self, name: str) -> None:
        """Delete its pod."""

    def forget(self, name: str) -> None:
        """Delete its other objects after the pod was deleted."""


def run_once(watch_log: WatchLog, workload: Workload, task: CopyTask) -> dict[str, float]:
    """Run a workload once; return the whole time and its phases, by the names of figures."""
    found = timed(watch_log, workload)
    title = f"overhead.{task.subject}.{workload.title}"
    figures = {title: found.ended - found.begun}
    if workload.containers:
        cut = phase_seconds(found.begun, found.ended, found.events, workload.containers)
        figures |= {f"{title}.{part}": seconds for part, seconds in cut.items()}
    return figures


def timed(watch_log: WatchLog, workload: Workload) -> Timed:
    """Run a workload once, then delete its objects."""
    watch_log.forget()
    name = f"b-{uuid.uuid4().hex[:8]}"
    begun = time.monotonic()
    workload.create(name)
    last = watch_log.until(
        workload.kind, lambda seen: seen.name == name and workload.ended(seen.object.get("status") or {})
    )
    found = Timed(begun, last.at, watch_log.all())
    workload.clean(name)
    watch_log.until(PODS, lambda seen: seen.event == "DELETED")
    workload.forget(name)
    return found


@dataclass(frozen=True, slots=True)
class Timed:
    """When a workload ran, by `time.monotonic()`."""

    begun: float
    """When its create request was sent."""
    ended: float
    """When the event with its end arrived."""
    events: Sequence[WatchEvent]
    """The events until then."""


@dataclass(frozen=True)
class BarePod:
    """A pod with one container."""

    tenant: Tenant
    task: CopyTask
    title: str = "pod"
    kind: str = PODS
    containers: tuple[str, ...] = ()

    def create(self, name: str) -> None:
        task = self.task
        container = (
            _s5cmd("all", task.s5cmd_image, f"{_download(task, self.tenant)} && {_copy()} && {_upload(self.tenant)}")
            if task.bare_pod_moves_data
            else _component(task)
        )
        body = {"metadata": {"name": name}, "spec": _pod_spec([container])}
        self.tenant.core.create_namespaced_pod(self.tenant.namespace, body)

    def ended(self, status: Mapping[str, Any]) -> bool:
        assert status.get("phase") != "Failed", f"the bare pod failed: {status}"
        return status.get("phase") == "Succeeded"

    def clean(self, name: str) -> None:
        self.tenant.core.delete_namespaced_pod(name, self.tenant.namespace)

    def forget(self, name: str) -> None:
        """Nothing to delete."""


@dataclass(frozen=True)
class HandWrittenJob:
    """Download and component as init containers, the upload as main container, because a Job has no later step."""

    tenant: Tenant
    task: CopyTask
    title: str = "job"
    kind: str = JOBS
    containers: tuple[str, ...] = JOB_CONTAINERS

    def create(self, name: str) -> None:
        download, component, upload = self.containers
        before = [
            _s5cmd(download, self.task.s5cmd_image, _download(self.task, self.tenant)),
            {**_component(self.task), "name": component},
        ]
        spec = _pod_spec([_s5cmd(upload, self.task.s5cmd_image, _upload(self.tenant))], before)
        body = {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": {"spec": spec}}}
        self._batch.create_namespaced_job(self.tenant.namespace, body)

    def ended(self, status: Mapping[str, Any]) -> bool:
        holds = {item["type"] for item in status.get("conditions") or [] if item["status"] == "True"}
        assert "Failed" not in holds, f"the Job failed: {status}"
        return "Complete" in holds

    def clean(self, name: str) -> None:
        self._batch.delete_namespaced_job(name, self.tenant.namespace, propagation_policy="Background")

    def forget(self, name: str) -> None:
        """Keep the output, which is overwritten each time."""

    @property
    def _batch(self) -> Any:
        return kubernetes.client.BatchV1Api(self.tenant.api)


@dataclass(frozen=True)
class Run:
    """A ComponentRun."""

    tenant: Tenant
    task: CopyTask
    title: str = "run"
    kind: str = RUNS
    containers: tuple[str, ...] = RUN_CONTAINERS
    processors: Mapping[str, Any] | None = None
    """`spec.processors`."""

    def create(self, name: str) -> None:
        self.tenant.run(
            self.task.component_image,
            "copy",
            name=name,
            resources=self.task.resources,
            timeout="10m",
            input={"tables": [{"source": self.task.table, "destination": _FILE}]},
            output={"tables": [{"source": _FILE, "destination": "out.c-main.copy"}]},
            processors=self.processors,
        )

    def ended(self, status: Mapping[str, Any]) -> bool:
        assert status.get("phase") not in {"Failed", "Cancelled"}, f"the run failed: {status}"
        return status.get("phase") == "Succeeded"

    def clean(self, name: str) -> None:
        """The operator deletes the pod when the events are delivered."""

    def forget(self, name: str) -> None:
        uid = self.tenant.get(name)["metadata"]["uid"]
        self.tenant.custom.delete_namespaced_custom_object(GROUP, VERSION, self.tenant.namespace, "componentruns", name)
        sweep(self.tenant.store, self.tenant.settings.layout.data(uid, 1))


def _pod_spec(containers: list[dict[str, Any]], before: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": before or [],
        "containers": containers,
        "volumes": [{"name": "data", "emptyDir": {}}],
    }  # fmt: skip


def _component(task: CopyTask) -> dict[str, Any]:
    return _container("component", task.component_image) | {"args": ["copy"], "resources": task.resources}


def _s5cmd(name: str, image: str, script: str) -> dict[str, Any]:
    return _container(name, image) | {
        "command": ["/bin/sh", "-c", script],
        "envFrom": [{"secretRef": {"name": KEYS}}],
        "resources": _S5CMD_RESOURCES,
    }


def _container(name: str, image: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }


def _download(task: CopyTask, tenant: Tenant) -> str:
    source = f"s3://{tenant.settings.bucket}/{task.object}"
    return f"mkdir -p {_IN} {_OUT} && s5cmd --log error cp {source} {_IN}/{_FILE}"


def _copy() -> str:
    return f"cp {_IN}/{_FILE} {_OUT}/"


def _upload(tenant: Tenant) -> str:
    target = f"s3://{tenant.settings.bucket}/{tenant.prefix}/files/out/"
    return f"s5cmd --log error cp '{_OUT}/*' {target}"

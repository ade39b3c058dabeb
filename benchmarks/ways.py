"""The same work three ways: a bare pod, a Job as one would write it by hand, a ComponentRun."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import kubernetes
import kubernetes.client

from benchmarks.chain import JOB_CHAIN, RUN_CHAIN, parts
from benchmarks.journal import JOBS, PODS, RUNS, Journal
from benchmarks.lab import sweep
from componentrun.api.common import GROUP, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from e2e.tenant import Tenant

__all__ = ["KEYS", "BarePod", "HandWrittenJob", "Run", "Way", "Work", "once"]

KEYS: Final = "s5cmd-keys"
"""Secret with the environment of s5cmd."""
_FILE: Final = "table.csv"
_IN: Final = "/data/in/tables"
_OUT: Final = "/data/out/tables"
_S5CMD_RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: one table in, `copy`, one table out."""

    subject: str
    """Middle of the figures' names: `tiny`."""
    table: str
    """The input as a table."""
    object: str
    """The input as a plain object; its whole key."""
    component_image: str
    s5cmd_image: str
    resources: dict[str, Any]
    """Of the component."""
    bare_pod_moves_data: bool
    """Whether the bare pod brings and uploads the table, too, in its one container."""


class Way(Protocol):
    """One way of doing it."""

    @property
    def title(self) -> str:
        """End of the figures' names."""

    @property
    def kind(self) -> str:
        """Of the object that says when it has ended."""

    @property
    def chain(self) -> tuple[str, ...]:
        """Containers whose ends divide it; empty: it has only one."""

    def create(self, name: str) -> None:
        """Send the one call that sets it off."""

    def ended(self, status: Mapping[str, Any]) -> bool:
        """Whether it has ended well.

        Raises:
            AssertionError: it has ended badly.
        """

    def clean(self, name: str) -> None:
        """Have its pod go away."""

    def forget(self, name: str) -> None:
        """Delete what it left once the pod is gone."""


def once(journal: Journal, way: Way, work: Work) -> dict[str, float]:
    """Do it once: the whole time and its parts, by the figures' names."""
    journal.forget()
    name = f"b-{uuid.uuid4().hex[:8]}"
    begun = time.monotonic()
    way.create(name)
    last = journal.until(way.kind, lambda seen: seen.name == name and way.ended(seen.object.get("status") or {}))
    title = f"overhead.{work.subject}.{way.title}"
    found = {title: last.at - begun}
    if way.chain:
        cut = parts(begun, last.at, journal.all(), way.chain)
        found |= {f"{title}.{part}": seconds for part, seconds in cut.items()}
    way.clean(name)
    journal.until(PODS, lambda seen: seen.event == "DELETED")
    way.forget(name)
    return found


@dataclass(frozen=True)
class BarePod:
    """A pod with one container."""

    tenant: Tenant
    work: Work
    title: str = "pod"
    kind: str = PODS
    chain: tuple[str, ...] = ()

    def create(self, name: str) -> None:
        work = self.work
        container = (
            _s5cmd("all", work.s5cmd_image, f"{_download(work, self.tenant)} && {_copy()} && {_upload(self.tenant)}")
            if work.bare_pod_moves_data
            else _component(work)
        )
        body = {"metadata": {"name": name}, "spec": _pod_spec([container])}
        self.tenant.core.create_namespaced_pod(self.tenant.namespace, body)

    def ended(self, status: Mapping[str, Any]) -> bool:
        assert status.get("phase") != "Failed", f"the bare pod failed: {status}"
        return status.get("phase") == "Succeeded"

    def clean(self, name: str) -> None:
        self.tenant.core.delete_namespaced_pod(name, self.tenant.namespace)

    def forget(self, name: str) -> None:
        """Nothing is left."""


@dataclass(frozen=True)
class HandWrittenJob:
    """Download and component as init containers, the upload as main container: a Job knows no `after`."""

    tenant: Tenant
    work: Work
    title: str = "job"
    kind: str = JOBS
    chain: tuple[str, ...] = JOB_CHAIN

    def create(self, name: str) -> None:
        download, component, upload = self.chain
        before = [
            _s5cmd(download, self.work.s5cmd_image, _download(self.work, self.tenant)),
            {**_component(self.work), "name": component},
        ]
        spec = _pod_spec([_s5cmd(upload, self.work.s5cmd_image, _upload(self.tenant))], before)
        body = {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": {"spec": spec}}}
        self._batch.create_namespaced_job(self.tenant.namespace, body)

    def ended(self, status: Mapping[str, Any]) -> bool:
        holds = {item["type"] for item in status.get("conditions") or [] if item["status"] == "True"}
        assert "Failed" not in holds, f"the Job failed: {status}"
        return "Complete" in holds

    def clean(self, name: str) -> None:
        self._batch.delete_namespaced_job(name, self.tenant.namespace, propagation_policy="Background")

    def forget(self, name: str) -> None:
        """Its output has the same key each time."""

    @property
    def _batch(self) -> Any:
        return kubernetes.client.BatchV1Api(self.tenant.api)


@dataclass(frozen=True)
class Run:
    """A ComponentRun."""

    tenant: Tenant
    work: Work
    title: str = "run"
    kind: str = RUNS
    chain: tuple[str, ...] = RUN_CHAIN

    def create(self, name: str) -> None:
        self.tenant.run(
            self.work.component_image,
            "copy",
            name=name,
            resources=self.work.resources,
            timeout="10m",
            input={"tables": [{"source": self.work.table, "destination": _FILE}]},
            output={"tables": [{"source": _FILE, "destination": "out.c-main.copy"}]},
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


def _component(work: Work) -> dict[str, Any]:
    return _container("component", work.component_image) | {"args": ["copy"], "resources": work.resources}


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


def _download(work: Work, tenant: Tenant) -> str:
    source = f"s3://{tenant.settings.bucket}/{work.object}"
    return f"mkdir -p {_IN} {_OUT} && s5cmd --log error cp {source} {_IN}/{_FILE}"


def _copy() -> str:
    return f"cp {_IN}/{_FILE} {_OUT}/"


def _upload(tenant: Tenant) -> str:
    target = f"s3://{tenant.settings.bucket}/{tenant.prefix}/files/out/"
    return f"s5cmd --log error cp '{_OUT}/*' {target}"

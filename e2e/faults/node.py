"""A node without a kubelet: the real scheduler binds pods to it, and the test writes the status that a kubelet would.

For situations that the only real node can't simulate while other tests use it: memory pressure, shutdown, node loss.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import kubernetes.client

from componentrun.wire.agents import StageInResult, to_json
from dev.cluster import waiting

if TYPE_CHECKING:
    from types import TracebackType

    from e2e.tenant import Tenant

__all__ = ["FakeNode"]

_TAINT: Final = "componentrun.dev/no-kubelet"
_RESOURCES: Final = {"cpu": "8", "memory": "16Gi", "ephemeral-storage": "500Gi", "pods": "50"}
_INPUT_IS_IN: Final = to_json(StageInResult(ok=True))


@dataclass(frozen=True)
class FakeNode:
    """A Node object. As a context manager, it exists within the block."""

    tenant: Tenant
    name: str = field(default_factory=lambda: f"fake-{uuid.uuid4().hex[:8]}")

    def __enter__(self) -> Self:
        """Create the Node with a taint that keeps other pods away."""
        self.tenant.core.create_node(
            {
                "metadata": {"name": self.name, "labels": {"kubernetes.io/hostname": self.name}},
                "spec": {"podCIDR": "192.0.2.0/28", "taints": [{"key": _TAINT, "effect": "NoSchedule"}]},
            }
        )
        self.live()
        return self

    def live(self) -> None:
        """Send a heartbeat, as a kubelet does every few seconds. After 50 s without one, a node counts as lost."""
        now = _stamp()
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now}
        status = {
            "capacity": _RESOURCES,
            "allocatable": _RESOURCES,
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
            "conditions": [{**ready, "lastTransitionTime": now, "message": "made by a test"}],
        }
        self.tenant.core.patch_node_status(self.name, {"status": status})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the Node unless the test has deleted it."""
        self.remove()

    def remove(self) -> None:
        """Delete the Node object, as a cloud provider does for a deleted machine."""
        for node in self.tenant.core.list_node(field_selector=f"metadata.name={self.name}").items:
            self.tenant.core.delete_node(node.metadata.name)

    def taint(self, key: str) -> None:
        """Add a taint that evicts pods without a matching toleration, as the node controller does for a lost node."""
        taints = [{"key": _TAINT, "effect": "NoSchedule"}, {"key": key, "effect": "NoExecute"}]
        self.tenant.core.patch_node(self.name, {"spec": {"taints": taints}})

    @property
    def pod_template(self) -> dict[str, Any]:
        """Pod template that places a run's pod on this node only."""
        tolerations = [{"key": _TAINT, "operator": "Exists"}]
        return {"nodeSelector": {"kubernetes.io/hostname": self.name}, "tolerations": tolerations}

    def say_running(self, pod: str) -> None:
        """Write the status that a kubelet writes when the component is running."""
        running = {"running": {"startedAt": _stamp()}}
        self.say(pod, component=running, stage_out=running, phase="Running")

    def say_staging_in(self, pod: str) -> None:
        """Write the status of a pod whose stage-in is running."""
        running = {"running": {"startedAt": _stamp()}}
        waits = {"waiting": {"reason": "PodInitializing"}}
        self.say(pod, component=waits, stage_out=running, phase="Pending", stage_in=running)

    def say_uploading(self, pod: str) -> None:
        """Write the status of a pod whose component has succeeded and whose stage-out is running."""
        running = {"running": {"startedAt": _stamp()}}
        self.say(pod, component=self.ended(0, reason="Completed"), stage_out=running, phase="Running")

    def obey(self, pod: str) -> None:
        """Wait until the pod is being deleted, then report its containers as ended by SIGTERM and finish the deletion.

        Raises:
            ClusterError: nobody deleted the pod in time.
        """
        waiting.until(lambda: self._goes_on(pod), what=f"the deletion of {pod}", timeout=60)
        for item in self._found(pod):
            status = self.tenant.api.sanitize_for_serialization(item.status)
            for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
                if "running" in container["state"]:
                    container["state"] = self.ended(143, "told to stop")
            status["phase"] = "Failed"
            self.tenant.core.patch_namespaced_pod_status(pod, self.tenant.namespace, {"status": status})
            self._let_go(pod)

    def _let_go(self, pod: str) -> None:
        try:
            self.tenant.core.delete_namespaced_pod(pod, self.tenant.namespace, grace_period_seconds=0)
        except kubernetes.client.ApiException as error:
            if error.status != HTTPStatus.NOT_FOUND:  # else the operator was faster: a finished pod is deleted at once
                raise

    def _goes_on(self, pod: str) -> str | None:
        """None if the pod is being deleted or no longer exists."""
        return (
            "nobody told it to go" if any(not item.metadata.deletion_timestamp for item in self._found(pod)) else None
        )

    def _found(self, pod: str) -> list[Any]:
        pods = self.tenant.core.list_namespaced_pod(self.tenant.namespace, field_selector=f"metadata.name={pod}")
        return list(pods.items)

    def say(
        self,
        pod: str,
        *,
        component: dict[str, Any],
        stage_out: dict[str, Any],
        phase: str,
        stage_in: dict[str, Any] | None = None,
        **status: Any,
    ) -> None:
        """Write a pod's status as a kubelet would. By default stage-in has succeeded."""
        now = _stamp()
        state = stage_in or {"terminated": _ended(0, _INPUT_IS_IN, "Completed", now)}
        self.tenant.core.patch_namespaced_pod_status(
            pod,
            self.tenant.namespace,
            {
                "status": {
                    "phase": phase,
                    "startTime": now,
                    "initContainerStatuses": [_container("stage-out", stage_out), _container("stage-in", state)],
                    "containerStatuses": [_container("component", component)],
                    **status,
                }
            },
        )

    @staticmethod
    def ended(code: int, words: str = "", reason: str = "Error") -> dict[str, Any]:
        """State of a terminated container."""
        return {"terminated": _ended(code, words, reason, _stamp())}


def _ended(code: int, message: str, reason: str, now: str) -> dict[str, Any]:
    return {"exitCode": code, "reason": reason, "message": message, "startedAt": now, "finishedAt": now}


def _container(name: str, state: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "image": name, "imageID": "", "ready": False, "restartCount": 0, "state": state}


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Operator and collector of the installed release: kill them, and detect unexpected restarts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dev.install import NAMESPACE
from e2e.faults import process

if TYPE_CHECKING:
    from collections.abc import Iterable

    from e2e.tenant import Tenant

__all__ = ["PARTS", "Instance", "Restarts", "holder_among", "kill", "kill_parts", "look"]

PARTS: Final = ("operator", "collector")


@dataclass(frozen=True)
class Instance:
    """A pod of a part, and its restart count."""

    part: str
    pod: str
    restarts: int = 0


@dataclass
class Restarts:
    """Counts restarts of parts that the soak did not cause.

    A container's restart count exists only as long as its pod, so `note` must be called directly before a pod is
    killed, and at the end.
    """

    killed: set[str] = field(default_factory=set)
    """Names of pods that the soak killed."""
    counts: dict[str, int] = field(default_factory=dict)
    """Unexpected restarts, by part."""
    problems: list[str] = field(default_factory=list)
    _instances: dict[str, Instance] = field(default_factory=dict)

    def start(self, instances: Iterable[Instance]) -> None:
        """Record the initial instances. Earlier restarts do not count."""
        self._instances = {item.pod: item for item in instances}

    def note(self, instances: Iterable[Instance]) -> None:
        """Count the unexpected restarts since the last call."""
        now = {item.pod: item for item in instances}
        for pod, item in now.items():
            previous_restarts = self._instances[pod].restarts if pod in self._instances else 0
            if pod not in self.killed and item.restarts > previous_restarts:
                self._count(
                    item,
                    item.restarts - previous_restarts,
                    f"restarted {item.restarts - previous_restarts} times by the kubelet",
                )
        for pod, item in self._instances.items():
            if pod not in now and pod not in self.killed:
                self._count(item, 1, "gone")
        self._instances = now

    def _count(self, item: Instance, ends: int, event: str) -> None:
        self.counts[item.part] = self.counts.get(item.part, 0) + ends
        self.problems.append(f"pod {item.pod} of the {item.part}, which nobody killed, was {event}")


def look(tenant: Tenant) -> list[Instance]:
    """All pods of the parts."""
    return [_instance(part, pod) for part in PARTS for pod in _pods(tenant, part)]


def kill_parts(tenant: Tenant, restarts: Restarts) -> None:
    """Kill the active operator and all collectors."""
    restarts.note(look(tenant))
    operators, collectors = (_pods(tenant, part) for part in PARTS)
    output = tenant.kubectl("get", "leases", "-n", NAMESPACE, "--output=jsonpath={.items[*].spec.holderIdentity}")
    holder = holder_among([pod.metadata.name for pod in operators], output.stdout)
    for part, pod in (
        *(("operator", pod) for pod in operators if pod.metadata.name == holder),
        *(("collector", pod) for pod in collectors),
    ):
        restarts.killed.add(pod.metadata.name)
        kill(tenant, part, pod)


def holder_among(pods: list[str], holders: str) -> str:
    """The pod that holds the Lease, or the first pod if none does; empty if there are no pods."""
    return next((pod for pod in pods if pod in holders), pods[0] if pods else "")


def kill(tenant: Tenant, part: str, pod: Any) -> None:
    """Send SIGKILL to the process if the cluster is our own, and force-delete the pod.

    Without SIGKILL, the process would have time to shut down in order. Without the deletion, the soak would measure
    the kubelet's restart backoff, which grows to five minutes.
    """
    if tenant.connection.own and process.processes_of(pod, part):
        process.kill(pod, part)
    tenant.kubectl(
        "delete", "pod", pod.metadata.name, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false",
        "--ignore-not-found",
    )  # fmt: skip


def _pods(tenant: Tenant, part: str) -> list[Any]:
    selector = f"app.kubernetes.io/component={part}"
    return list(tenant.core.list_namespaced_pod(NAMESPACE, label_selector=selector).items)


def _instance(part: str, pod: Any) -> Instance:
    statuses = pod.status.container_statuses or ()
    return Instance(part, pod.metadata.name, sum(item.restart_count for item in statuses))

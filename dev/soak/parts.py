"""Operator and collector of the installed release: kill them, and notice when one ends that nobody killed."""

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
    """A pod of a part, and how often its container was restarted."""

    part: str
    pod: str
    restarts: int = 0


@dataclass
class Restarts:
    """Counts ends of parts that the soak did not cause.

    A container that the kubelet started again has a restart count for as long as its pod lives. So `note` has to be
    called right before a pod is killed, and at the end.
    """

    killed: set[str] = field(default_factory=set)
    """Names of pods that the soak has killed."""
    counts: dict[str, int] = field(default_factory=dict)
    """Unexpected ends, by part."""
    problems: list[str] = field(default_factory=list)
    _known: dict[str, Instance] = field(default_factory=dict)

    def start(self, found: Iterable[Instance]) -> None:
        """These are there at the beginning; what was before does not count."""
        self._known = {item.pod: item for item in found}

    def note(self, found: Iterable[Instance]) -> None:
        """Count what has happened since the last call."""
        now = {item.pod: item for item in found}
        for pod, item in now.items():
            before = self._known[pod].restarts if pod in self._known else 0
            if pod not in self.killed and item.restarts > before:
                self._count(item, item.restarts - before, f"restarted {item.restarts - before} times by the kubelet")
        for pod, item in self._known.items():
            if pod not in now and pod not in self.killed:
                self._count(item, 1, "gone")
        self._known = now

    def _count(self, item: Instance, ends: int, what: str) -> None:
        self.counts[item.part] = self.counts.get(item.part, 0) + ends
        self.problems.append(f"pod {item.pod} of the {item.part}, which nobody killed, was {what}")


def look(tenant: Tenant) -> list[Instance]:
    """All pods of the parts."""
    return [_instance(part, pod) for part in PARTS for pod in _pods(tenant, part)]


def kill_parts(tenant: Tenant, restarts: Restarts) -> None:
    """Kill the operator that works, and all collectors."""
    restarts.note(look(tenant))
    operators, collectors = (_pods(tenant, part) for part in PARTS)
    listed = tenant.kubectl("get", "leases", "-n", NAMESPACE, "--output=jsonpath={.items[*].spec.holderIdentity}")
    holder = holder_among([pod.metadata.name for pod in operators], listed.stdout)
    for part, pod in (
        *(("operator", pod) for pod in operators if pod.metadata.name == holder),
        *(("collector", pod) for pod in collectors),
    ):
        restarts.killed.add(pod.metadata.name)
        kill(tenant, part, pod)


def holder_among(pods: list[str], holders: str) -> str:
    """The pod that holds the Lease; the first one if none does; empty if there is no pod."""
    return next((pod for pod in pods if pod in holders), pods[0] if pods else "")


def kill(tenant: Tenant, part: str, pod: Any) -> None:
    """SIGKILL the process, on a machine of ours, and delete the pod by force.

    Without SIGKILL it would have some seconds to end in order. Without the deletion the kubelet would wait longer
    before each restart of the container, up to five minutes, and the soak would measure that.
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

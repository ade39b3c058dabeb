"""The DaemonSets that keep images on nodes, and their pods, as watches report them.

These pods have no label of a run, so that neither the watch of runs' pods nor the collector sees them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.common import GROUP
from componentrun.controller.watching.cachekeys import Key, version_of
from componentrun.controller.watching.target import CountedTarget
from componentrun.core.images.prepullstatus import NodePod, read_pod
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, DAEMON_SETS, PODS
from componentrun.process.kubernetes.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from componentrun.controller.metrics import Metrics
    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.eventerrors import EventErrors

__all__ = ["PrePullsSeen", "make_pre_pull_watches", "owner_of"]

_KINDS: Final = frozenset({COMPONENTS.kind, CLUSTER_COMPONENTS.kind})


def owner_of(daemon_set: Mapping[str, Any]) -> tuple[Key, str] | None:
    """Key and uid of the Component, or ClusterComponent, that owns a DaemonSet; None if somebody has removed it."""
    metadata = daemon_set["metadata"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("kind") in _KINDS and str(owner.get("apiVersion", "")).startswith(f"{GROUP}/"):
            namespace = metadata["namespace"] if owner["kind"] == COMPONENTS.kind else ""
            return Key(namespace, owner["name"]), str(owner["uid"])
    return None


class PrePullsSeen:
    """The latest known DaemonSets and pods."""

    def __init__(self, changed: Callable[[Key], object]) -> None:
        """Call `changed` with the key of the Component of whatever has changed."""
        self._changed = changed
        self._daemon_sets: dict[Key, dict[str, Any]] = {}
        self._pods: dict[Key, dict[str, tuple[int, NodePod]]] = {}
        """Version and content of pods by uid, by the key of their DaemonSet."""

    def daemon_set(self, key: Key) -> dict[str, Any] | None:
        """The DaemonSet of this name."""
        return self._daemon_sets.get(key)

    def pods(self, key: Key) -> tuple[NodePod, ...]:
        """The pods of this DaemonSet."""
        return tuple(pod for _, pod in self._pods.get(key, {}).values())

    def of_owner(self, uid: str) -> list[dict[str, Any]]:
        """The DaemonSets of a Component."""
        return [item for item in self._daemon_sets.values() if (owner_of(item) or (None, ""))[1] == uid]

    def owners(self) -> set[Key]:
        """Keys of the Components that have DaemonSets."""
        return {owner[0] for item in self._daemon_sets.values() if (owner := owner_of(item)) is not None}

    def saw_daemon_set(self, raw: Mapping[str, Any]) -> None:
        """Store a DaemonSet, unless a newer version is known."""
        key = Key.of(raw)
        known = self._daemon_sets.get(key)
        if known is not None and version_of(raw) <= version_of(known):
            return
        metadata = {name: value for name, value in raw["metadata"].items() if name != "managedFields"}
        self._daemon_sets[key] = {**raw, "metadata": metadata}
        self._tell(raw)

    def lost_daemon_set(self, key: Key, uid: str) -> None:
        """Remove a DaemonSet that was deleted."""
        known = self._daemon_sets.get(key)
        if known is not None and known["metadata"]["uid"] == uid:
            del self._daemon_sets[key]
            self._tell(known)

    def saw_pod(self, raw: Mapping[str, Any]) -> None:
        """Store a pod."""
        key, uid = _daemon_set_of(raw), raw["metadata"]["uid"]
        version, pods = version_of(raw), self._pods.setdefault(key, {})
        known = pods.get(uid)
        if known is not None and version <= known[0]:
            return
        pods[uid] = version, read_pod(raw)
        if known is None or known[1] != pods[uid][1]:
            self._tell_of(key)

    def lost_pod(self, key: Key, uid: str) -> None:
        """Remove a pod of a DaemonSet."""
        pods = self._pods.get(key, {})
        if pods.pop(uid, None) is not None:
            if not pods:
                del self._pods[key]
            self._tell_of(key)

    def vanished_daemon_sets(self, uids: AbstractSet[str], errors: EventErrors) -> None:
        """Remove DaemonSets that a listing lacks."""
        for key, item in list(self._daemon_sets.items()):
            uid = item["metadata"]["uid"]
            if uid in uids:
                with errors.of(uid, str(key)):
                    self.lost_daemon_set(key, uid)

    def vanished_pods(self, uids: AbstractSet[str], errors: EventErrors) -> None:
        """Remove pods that a listing lacks."""
        for key, pods in list(self._pods.items()):
            for uid in uids & pods.keys():
                with errors.of(uid, str(key)):
                    self.lost_pod(key, uid)

    def _tell_of(self, key: Key) -> None:
        daemon_set = self._daemon_sets.get(key)
        if daemon_set is not None:
            self._tell(daemon_set)

    def _tell(self, daemon_set: Mapping[str, Any]) -> None:
        owner = owner_of(daemon_set)
        if owner is not None:
            self._changed(owner[0])


def _daemon_set_of(pod: Mapping[str, Any]) -> Key:
    return Key(pod["metadata"]["namespace"], pod["metadata"]["labels"][names.PRE_PULL_LABEL])


def make_pre_pull_watches(kube: Kube, seen: PrePullsSeen, metrics: Metrics, namespaces: Sequence[str]) -> list[Watch]:
    """Watches of the DaemonSets and of their pods: for each of these namespaces, or for all."""
    scopes: tuple[str | None, ...] = tuple(namespaces) or (None,)
    daemon_sets = CountedTarget(
        DAEMON_SETS,
        metrics,
        key_of=Key.of,
        saw=seen.saw_daemon_set,
        lost=seen.lost_daemon_set,
        vanished=seen.vanished_daemon_sets,
    )
    pods = CountedTarget(
        PODS, metrics, key_of=_daemon_set_of, saw=seen.saw_pod, lost=seen.lost_pod, vanished=seen.vanished_pods
    )
    return [
        Watch(kube, resource, namespace, names.OUR_PRE_PULLS, target, metrics)
        for namespace in scopes
        for resource, target in ((DAEMON_SETS, daemon_sets), (PODS, pods))
    ]

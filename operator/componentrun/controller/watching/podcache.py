"""Cache of pods by run, updated by watches, listings and single requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from componentrun.controller.watching.bynamespace import ByNamespace
from componentrun.controller.watching.cachekeys import Gone, Key, nobody, version_of
from componentrun.core.pod.identity import identity_of
from componentrun.core.podstatus.reading import read_pod, with_history

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from componentrun.core.pod.identity import PodIdentity
    from componentrun.core.podstatus.view import PodView

__all__ = ["PodCache", "run_of_pod"]


@dataclass(frozen=True, slots=True)
class _CachedPod:
    run_uid: str
    version: int
    view: PodView


class PodCache:
    """Pods by run. A deleted pod is kept as `gone` until its run no longer needs it.

    A watch also reports DELETED if a pod loses a label of the selector; such a pod may reappear.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._pods: ByNamespace[dict[str, _CachedPod]] = ByNamespace()
        self._gone = Gone()
        self._expected: set[str] = set()
        self.on_pod: Callable[[Key, str, str, PodView], object] = nobody
        """Called with the run, its uid, and the uid and state of each pod that was created, changed or deleted."""

    def __len__(self) -> int:
        """Number of pods, including deleted ones."""
        return sum(len(pods) for pods in self._pods.values())

    def seen(self, obj: Mapping[str, Any], *, watched: bool = False) -> bool:
        """Store a pod. Returns False if this version or a newer one is already known.

        Args:
            obj: the pod, as the API server sent it.
            watched: whether a watch delivered it, which delivers all states of a pod in order. A listing or a response
                may have missed some.
        """
        return self._remember(obj, identity_of(obj), gone=False, watched=watched)

    def found(self, obj: Mapping[str, Any], identity: PodIdentity) -> bool:
        """Store a pod that was just read by name, regardless of what a watch reported and of its labels."""
        return self._remember(obj, identity, gone=False, asked=True)

    def absent(self, key: Key, uid: str) -> bool:
        """Record that a request by name did not find the pod. Returns False if that was known."""
        known = self._pods.get(key, {}).get(uid)
        if known is None or known.view.confirmed:
            return False
        view = replace(known.view, gone=True, missed=known.view.missed or not known.view.gone, confirmed=True)
        self._change(key, uid, known, view)
        return True

    def expect_deletion(self, uid: str) -> None:
        """Record that the operator deletes this pod, so that its disappearance needs no confirmation."""
        self._expected.add(uid)

    def unconfirmed(self, run: Key, run_uid: str, *, before_attempt: int) -> list[tuple[str, PodView]]:
        """Pods whose deletion was reported but not confirmed, and that no plan reads, each with the uid of its run.

        Pods that may still run keep their run's place. Without confirmation, pods of earlier attempts and of finished
        runs could remain, because only the operator deletes them.

        Args:
            run: name of the run.
            run_uid: uid of the run that has the name now; empty if there is none.
            before_attempt: number of an attempt of that run; plans read the pods of this attempt and later ones.
        """
        unconfirmed = []
        for uid, pod in self._pods.get(run, {}).items():
            is_read_by_plans = pod.run_uid == run_uid and pod.view.attempt >= before_attempt
            if not pod.view.gone or pod.view.confirmed or is_read_by_plans:
                continue
            if pod.view.can_run_component or (pod.run_uid == run_uid and uid not in self._expected):
                unconfirmed.append((pod.run_uid, pod.view))
        return unconfirmed

    def deleted(self, obj: Mapping[str, Any]) -> bool:
        """Store the last state of a deleted pod. Returns False if that was already known."""
        return self._remember(obj, identity_of(obj), gone=True, watched=True)

    def vanished(self, key: Key, uid: str) -> bool:
        """Record that a pod was deleted and its last state was missed. Returns False if that changes nothing."""
        known = self._pods.get(key, {}).get(uid)
        if known is None or known.view.gone:
            return False
        self._change(key, uid, known, replace(known.view, gone=True, missed=True))
        return True

    def current(self, run: Key, run_uid: str, recorded: str = "") -> PodView | None:
        """The pod of the run's latest attempt; an existing pod takes precedence over a deleted one.

        Args:
            run: name of the run.
            run_uid: uid of the run.
            recorded: uid of the pod in the run's status; it takes precedence over all others.
        """
        views = [pod.view for pod in self._pods.get(run, {}).values() if pod.run_uid == run_uid]
        return max(
            views, key=lambda view: (view.uid == recorded, view.attempt, not view.gone, view.created), default=None
        )

    def earlier(self, run: Key, run_uid: str, current: PodView | None) -> tuple[PodView, ...]:
        """The run's existing pods, except the current one."""
        if current is None:
            return ()
        views = [pod.view for pod in self._pods.get(run, {}).values() if pod.run_uid == run_uid]
        return tuple(view for view in views if view.uid != current.uid and not view.gone)

    def all_keys(self) -> list[Key]:
        """Runs that have pods."""
        return list(self._pods)

    def there(self, run: Key) -> list[tuple[str, PodView]]:
        """All existing pods of runs of this name, each with the uid of its run."""
        return [(pod.run_uid, pod.view) for pod in self._pods.get(run, {}).values() if not pod.view.gone]

    def forget(self, run: Key, *, only_gone: bool = False) -> None:
        """Drop the pods of a run; deleted ones no longer keep its place."""
        pods = self._pods.pop(run, {})
        left = {uid: pod for uid, pod in pods.items() if only_gone and not pod.view.gone}
        if left:
            self._pods[run] = left
        for uid, pod in pods.items():
            if pod.view.gone:
                self._gone.add(uid)
                self._expected.discard(uid)
                if pod.view.can_run_component:
                    self.on_pod(run, pod.run_uid, uid, replace(pod.view, confirmed=True))

    def older_than(self, version: int, namespace: str | None) -> list[tuple[Key, str]]:
        """Runs and uids of existing pods whose latest known version is not newer than `version`."""
        return [
            (key, uid)
            for key, pods in self._pods.of(namespace)
            for uid, pod in pods.items()
            if pod.version <= version and not pod.view.gone
        ]

    def _remember(
        self,
        obj: Mapping[str, Any],
        identity: PodIdentity | None,
        *,
        gone: bool,
        asked: bool = False,
        watched: bool = False,
    ) -> bool:
        if identity is None:
            return False
        run, uid, version = (
            Key(obj["metadata"].get("namespace", ""), identity.run),
            obj["metadata"]["uid"],
            version_of(obj),
        )
        known = self._pods.get(run, {}).get(uid)
        if uid in self._gone or (known is not None and not _is_news(known, version, gone=gone, asked=asked)):
            return False
        view = read_pod(dict(obj), identity, gone=gone)
        if known is None:
            view = with_history(view, None)
        else:
            # A pod that left the watch, because it lost a label, may have changed before it came back.
            view = with_history(view, known.view, is_next=watched and not known.view.gone)
            view = replace(view, confirmed=gone and known.view.confirmed)
        self._change(run, uid, _CachedPod(identity.run_uid, version, view), view)
        return True

    def _change(self, run: Key, uid: str, known: _CachedPod, view: PodView) -> None:
        self._pods.setdefault(run, {})[uid] = replace(known, view=view)
        self.on_pod(run, known.run_uid, uid, view)


def _is_news(known: _CachedPod, version: int, *, gone: bool, asked: bool) -> bool:
    """Whether a version of a pod changes what is known.

    The DELETED event of a pod that a listing lacked may still arrive. A pod that was reported as deleted exists if a
    later version arrives, or if a request finds it.
    """
    if known.view.gone:
        return known.view.missed if gone else version > known.version or (asked and version == known.version)
    return version >= known.version if gone else version > known.version


def run_of_pod(obj: Mapping[str, Any]) -> Key | None:
    """The run that a pod belongs to; None if the pod belongs to none."""
    identity = identity_of(obj)
    return None if identity is None else Key(obj["metadata"].get("namespace", ""), identity.run)

"""Cache of pods by run, fed by watches, listings and single requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from componentrun.controller.watching.bynamespace import ByNamespace
from componentrun.controller.watching.cachekeys import Gone, Key, nobody, version_of
from componentrun.core.pod.identity import identity_of
from componentrun.core.podstatus.stuck import occupies
from componentrun.core.podstatus.view import asked_before, read_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from componentrun.core.lifecycle.observed import PodView
    from componentrun.core.pod.identity import PodIdentity

__all__ = ["PodCache", "run_of_pod"]


@dataclass(frozen=True, slots=True)
class _CachedPod:
    run_uid: str
    version: int
    view: PodView


class PodCache:
    """Pods by their run. A pod that was deleted is kept as `gone` until its run has no more use for it.

    A watch also reports DELETED if a pod loses a label that selects it; such a pod may reappear.
    """

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._pods: ByNamespace[dict[str, _CachedPod]] = ByNamespace()
        self._gone = Gone()
        self._expected: set[str] = set()
        self.on_pod: Callable[[Key, str, str, PodView], object] = nobody
        """Called with the run, its uid, the uid and the state of each pod that is new, has changed or is gone."""

    def __len__(self) -> int:
        """How many pods there are, with those that are gone."""
        return sum(len(pods) for pods in self._pods.values())

    def seen(self, obj: Mapping[str, Any]) -> bool:
        """Remember a pod. False where this or something newer was known already."""
        return self._remember(obj, identity_of(obj), gone=False)

    def found(self, obj: Mapping[str, Any], identity: PodIdentity) -> bool:
        """Store a pod that was just read by name, whatever a watch reported and whatever its labels are."""
        return self._remember(obj, identity, gone=False, asked=True)

    def absent(self, key: Key, uid: str) -> bool:
        """Store that a request by name did not find the pod. Returns False if that was known."""
        known = self._pods.get(key, {}).get(uid)
        if known is None or known.view.confirmed:
            return False
        view = replace(known.view, gone=True, missed=known.view.missed or not known.view.gone, confirmed=True)
        self._change(key, uid, known, view)
        return True

    def expect_deletion(self, uid: str) -> None:
        """The operator deletes this pod, so its disappearance needs no confirmation."""
        self._expected.add(uid)

    def unconfirmed(self, run: Key, run_uid: str, *, before_attempt: int) -> list[tuple[str, PodView]]:
        """Pods reported as deleted without confirmation, which no plan reads, each with the uid of its run.

        Pods that may still run keep their run's place. Pods of earlier attempts and of a finished run would be left
        behind, because only the operator deletes them.

        Args:
            run: its name.
            run_uid: of the run that has the name now; empty: none has.
            before_attempt: number of an attempt of that run; plans read the pods of this attempt and of later ones.
        """
        unconfirmed = []
        for uid, pod in self._pods.get(run, {}).items():
            is_read_by_plans = pod.run_uid == run_uid and pod.view.attempt >= before_attempt
            if not pod.view.gone or pod.view.confirmed or is_read_by_plans:
                continue
            if occupies(pod.view) or (pod.run_uid == run_uid and uid not in self._expected):
                unconfirmed.append((pod.run_uid, pod.view))
        return unconfirmed

    def deleted(self, obj: Mapping[str, Any]) -> bool:
        """Remember a pod that was deleted, in its last state. False where that was known already."""
        return self._remember(obj, identity_of(obj), gone=True)

    def vanished(self, key: Key, uid: str) -> bool:
        """A pod of the run is not there any more; its last state was missed. False where that changes nothing."""
        known = self._pods.get(key, {}).get(uid)
        if known is None or known.view.gone:
            return False
        self._change(key, uid, known, replace(known.view, gone=True, missed=True))
        return True

    def current(self, run: Key, run_uid: str, recorded: str = "") -> PodView | None:
        """The pod of the run's latest attempt; one that is there before one that is gone.

        Args:
            run: its name.
            run_uid: its uid.
            recorded: uid of the pod that the status says it is; it goes before all others.
        """
        views = [pod.view for pod in self._pods.get(run, {}).values() if pod.run_uid == run_uid]
        return max(
            views, key=lambda view: (view.uid == recorded, view.attempt, not view.gone, view.created), default=None
        )

    def earlier(self, run: Key, run_uid: str, current: PodView | None) -> tuple[PodView, ...]:
        """The run's pods that are there besides the current one."""
        if current is None:
            return ()
        views = [pod.view for pod in self._pods.get(run, {}).values() if pod.run_uid == run_uid]
        return tuple(view for view in views if view.uid != current.uid and not view.gone)

    def all_keys(self) -> list[Key]:
        """Runs of which there are pods."""
        return list(self._pods)

    def there(self, run: Key) -> list[tuple[str, PodView]]:
        """All pods that are there and bear this run's name, each with the uid of the run that it was made for."""
        return [(pod.run_uid, pod.view) for pod in self._pods.get(run, {}).values() if not pod.view.gone]

    def forget(self, run: Key, *, only_gone: bool = False) -> None:
        """The run needs its pods no more; those that are gone keep no place."""
        pods = self._pods.pop(run, {})
        left = {uid: pod for uid, pod in pods.items() if only_gone and not pod.view.gone}
        if left:
            self._pods[run] = left
        for uid, pod in pods.items():
            if pod.view.gone:
                self._gone.add(uid)
                self._expected.discard(uid)
                if occupies(pod.view):
                    self.on_pod(run, pod.run_uid, uid, replace(pod.view, confirmed=True))

    def older_than(self, version: int, namespace: str | None) -> list[tuple[Key, str]]:
        """Run and uid of pods that are not known as gone and were seen last at or before this version."""
        return [
            (key, uid)
            for key, pods in self._pods.of(namespace)
            for uid, pod in pods.items()
            if pod.version <= version and not pod.view.gone
        ]

    def _remember(
        self, obj: Mapping[str, Any], identity: PodIdentity | None, *, gone: bool, asked: bool = False
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
        if known is not None:
            view = replace(asked_before(view, known.view), confirmed=gone and known.view.confirmed)
        self._change(run, uid, _CachedPod(identity.run_uid, version, view), view)
        return True

    def _change(self, run: Key, uid: str, known: _CachedPod, view: PodView) -> None:
        self._pods.setdefault(run, {})[uid] = replace(known, view=view)
        self.on_pod(run, known.run_uid, uid, view)


def _is_news(known: _CachedPod, version: int, *, gone: bool, asked: bool) -> bool:
    """Whether something is to be learned.

    A pod that was noticed to be missing may still be told of with its end. One that was told to be gone and is seen at
    a later version, or found when it was asked for, is there; what was told of its end before that is old by then.
    """
    if known.view.gone:
        return known.view.missed if gone else version > known.version or (asked and version == known.version)
    return version >= known.version if gone else version > known.version


def run_of_pod(obj: Mapping[str, Any]) -> Key | None:
    """The run that a pod belongs to; None where it is none's."""
    identity = identity_of(obj)
    return None if identity is None else Key(obj["metadata"].get("namespace", ""), identity.run)

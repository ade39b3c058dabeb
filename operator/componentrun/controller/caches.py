"""What was seen last: runs, their pods, Components, Storages.

Fed by events, by listings and by the answers to our own writes (so that a stale event never repeats what was done).
What is older than what is known is ignored: resource versions grow. Objects are kept as JSON text, which takes a tenth
of the memory of parsed ones, and parsed when they are worked on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_json

from componentrun.api import names
from componentrun.api.componentrun import ComponentRun
from componentrun.core.outcome import TERMINAL
from componentrun.core.podidentity import identity_of
from componentrun.core.podview import asked_before, read_pod
from componentrun.core.waiting import occupies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from componentrun.core.observed import PodView
    from componentrun.core.podidentity import PodIdentity

__all__ = ["Caches", "Key", "ObjectCache", "PodCache", "RunCache", "version_of"]

_NO_PHASE = "Queued"
_MOST_GONE = 10_000
"""So many are remembered; what is under way comes within seconds."""


class Key(NamedTuple):
    """Name of an object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """As people write it: `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Key:
        """The key of an object of the API."""
        return cls(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def _nobody(*_: Any) -> None:
    """Nobody listens."""


def version_of(obj: Mapping[str, Any]) -> int:
    """The resource version as the number that it is on every API server; 0 where it is none, which counts as old."""
    text = str(obj["metadata"].get("resourceVersion", ""))
    return int(text) if text.isascii() and text.isdigit() else 0


@dataclass(frozen=True, slots=True)
class _Cached:
    uid: str
    version: int
    document: bytes


class _Gone:
    """Uids of objects that are gone: a listing or an answer that was under way meanwhile does not bring them back."""

    def __init__(self) -> None:
        self._uids: dict[str, None] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._uids

    def add(self, uid: str) -> None:
        self._uids[uid] = None
        if len(self._uids) > _MOST_GONE:
            del self._uids[next(iter(self._uids))]

    def discard(self, uid: str) -> None:
        self._uids.pop(uid, None)


class ObjectCache:
    """Objects of one kind by namespace and name."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._objects: dict[Key, _Cached] = {}
        self._gone = _Gone()
        self._listeners: list[Callable[[Key], object]] = []

    def listen(self, listener: Callable[[Key], object]) -> None:
        """Have this called with the key of each object that is new, has changed or is gone."""
        self._listeners.append(listener)

    def __len__(self) -> int:
        """How many objects there are."""
        return len(self._objects)

    def seen(self, obj: Mapping[str, Any]) -> bool:
        """Remember an object. False where this or something newer was known already."""
        key = Key.of(obj)
        known = self._objects.get(key)
        version = version_of(obj)
        if obj["metadata"].get("uid", "") in self._gone or (known is not None and version <= known.version):
            return False
        metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
        self._objects[key] = _Cached(metadata.get("uid", ""), version, to_json({**obj, "metadata": metadata}))
        self._tell(key)
        return True

    def gone(self, key: Key, uid: str) -> bool:
        """Forget exactly this object. False where it was not known."""
        if uid:
            self._gone.add(uid)
        known = self._objects.get(key)
        if known is None or known.uid != uid:
            return False
        del self._objects[key]
        self._tell(key)
        return True

    def _tell(self, key: Key) -> None:
        for listener in self._listeners:
            listener(key)

    def drop(self, key: Key) -> None:
        """The API server knows no such object any more."""
        known = self._objects.get(key)
        if known is not None:
            self.gone(key, known.uid)

    def document(self, key: Key) -> bytes | None:
        """The object as JSON."""
        known = self._objects.get(key)
        return None if known is None else known.document

    def of_namespace(self, namespace: str) -> Iterator[bytes]:
        """All objects of a namespace as JSON."""
        return (cached.document for key, cached in self._objects.items() if key.namespace == namespace)

    def vanished(self, key: Key, uid: str) -> bool:
        """A listing lacks this object; the same as `gone`."""
        return self.gone(key, uid)

    def all_keys(self) -> list[Key]:
        """Keys of all objects."""
        return list(self._objects)

    def older_than(self, version: int, namespace: str | None) -> list[tuple[Key, str]]:
        """Keys and uids of objects (of a namespace, or of all) that were seen last at or before this version."""
        return [
            (key, cached.uid)
            for key, cached in self._objects.items()
            if cached.version <= version and namespace in {None, key.namespace}
        ]


class RunCache(ObjectCache):
    """Runs of one operator, and how many there are in each phase."""

    def __init__(self, operator: str = "") -> None:
        """Only runs that are for the operator of this name are kept."""
        super().__init__()
        self._operator = operator
        self._others: dict[Key, str] = {}
        self._others_gone = _Gone()
        self._phases: dict[Key, str] = {}
        self.by_phase: Counter[str] = Counter()
        self.on_run: Callable[[Key, Mapping[str, Any] | None], object] = _nobody
        """Called with each run that is new or has changed, and with None in its place where one is gone."""

    def seen(self, obj: Mapping[str, Any]) -> bool:
        """Remember a run. False where this or something newer was known already, or it is another operator's."""
        key, uid = Key.of(obj), obj["metadata"]["uid"]
        if (obj["metadata"].get("labels") or {}).get(names.OPERATOR_LABEL, "") != self._operator:
            forgotten = self.gone(key, uid)
            self._gone.discard(uid)  # it may be handed back
            self._others_gone.discard(uid)
            self._others[key] = uid
            return forgotten
        self._others.pop(key, None)
        if not super().seen(obj):
            return False
        self._count(key, (obj.get("status") or {}).get("phase") or _NO_PHASE)
        self.on_run(key, obj)
        return True

    def gone(self, key: Key, uid: str) -> bool:
        """Forget exactly this run. False where it was not known."""
        if self._others.get(key) == uid:
            del self._others[key]
            self._others_gone.add(uid)
        if not super().gone(key, uid):
            return False
        self._count(key, None)
        self.on_run(key, None)
        return True

    def get(self, key: Key) -> ComponentRun | None:
        """The run."""
        document = self.document(key)
        return None if document is None else ComponentRun.model_validate_json(document)

    def is_anothers(self, key: Key) -> bool:
        """Whether a run of this name was seen that another operator carries out."""
        return key in self._others

    def was_anothers(self, uid: str) -> bool:
        """Whether this run was seen to go while another operator carried it out."""
        return uid in self._others_gone

    def has_ended(self, key: Key) -> bool:
        """Whether the run is in a phase that is never left; of one that can't be read, too."""
        return self._phases.get(key) in TERMINAL

    def in_phases(self, phases: frozenset[str]) -> list[Key]:
        """Keys of the runs that are in one of these phases."""
        return [key for key, phase in self._phases.items() if phase in phases]

    def _count(self, key: Key, phase: str | None) -> None:
        before = self._phases.pop(key, None)
        if before is not None:
            self.by_phase[before] -= 1
        if phase is not None:
            self._phases[key] = phase
            self.by_phase[phase] += 1


@dataclass(frozen=True, slots=True)
class _CachedPod:
    run_uid: str
    version: int
    view: PodView


class PodCache:
    """Pods by their run. A pod that was deleted is kept as `gone` until its run has no more use for it.

    A watch says DELETED, too, of a pod that lost a label by which it is selected: such a pod comes back.
    """

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._pods: dict[Key, dict[str, _CachedPod]] = {}
        self._gone = _Gone()
        self._dismissed: set[str] = set()
        self.on_pod: Callable[[Key, str, str, PodView], object] = _nobody
        """Called with the run, its uid, the uid and the state of each pod that is new, has changed or is gone."""

    def __len__(self) -> int:
        """How many pods there are, with those that are gone."""
        return sum(len(pods) for pods in self._pods.values())

    def seen(self, obj: Mapping[str, Any]) -> bool:
        """Remember a pod. False where this or something newer was known already."""
        return self._remember(obj, identity_of(obj), gone=False)

    def found(self, obj: Mapping[str, Any], identity: PodIdentity) -> bool:
        """Remember a pod that the API server knows now, whatever a watch said of it, and whatever it bears by now."""
        return self._remember(obj, identity, gone=False, asked=True)

    def absent(self, key: Key, uid: str) -> bool:
        """The API server, asked by name, does not know the pod (any more). False where that changes nothing."""
        known = self._pods.get(key, {}).get(uid)
        if known is None or known.view.confirmed:
            return False
        view = replace(known.view, gone=True, missed=known.view.missed or not known.view.gone, confirmed=True)
        self._change(key, uid, known, view)
        return True

    def dismissed(self, uid: str) -> None:
        """The operator has deleted this pod: that it goes is no surprise."""
        self._dismissed.add(uid)

    def doubtful(self, run: Key, run_uid: str, *, is_over: bool) -> list[tuple[str, PodView]]:
        """Pods that are said to be gone, of which no plan asks any more, each with the uid of its run.

        Those that may still run keep a place. Those of a run that has ended would be left behind: only the operator
        deletes them.

        Args:
            run: its name.
            run_uid: of the run that has the name now; empty: none has.
            is_over: whether that one has ended.
        """
        doubtful = []
        for uid, pod in self._pods.get(run, {}).items():
            if not pod.view.gone or pod.view.confirmed or (pod.run_uid == run_uid and not is_over):
                continue
            if occupies(pod.view) or (pod.run_uid == run_uid and uid not in self._dismissed):
                doubtful.append((pod.run_uid, pod.view))
        return doubtful

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
                self._dismissed.discard(uid)
                if occupies(pod.view):
                    self.on_pod(run, pod.run_uid, uid, replace(pod.view, confirmed=True))

    def older_than(self, version: int, namespace: str | None) -> list[tuple[Key, str]]:
        """Run and uid of pods that are not known as gone and were seen last at or before this version."""
        return [
            (key, uid)
            for key, pods in self._pods.items()
            for uid, pod in pods.items()
            if pod.version <= version and not pod.view.gone and namespace in {None, key.namespace}
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


@dataclass(frozen=True, slots=True)
class Caches:
    """All of them."""

    runs: RunCache = field(default_factory=RunCache)
    pods: PodCache = field(default_factory=PodCache)
    components: ObjectCache = field(default_factory=ObjectCache)
    storages: ObjectCache = field(default_factory=ObjectCache)
    unlisted: set[str] = field(default_factory=set)
    """Namespaces that were refused when all others were listed. Nothing is done about a run there: its pod may be there
    and not be known, and so may another run of its configuration."""

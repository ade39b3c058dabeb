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
from componentrun.controller.bynamespace import ByNamespace
from componentrun.core.outcome import TERMINAL
from componentrun.core.podview import asked_before, read_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from componentrun.core.observed import PodView

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
        self._objects: ByNamespace[_Cached] = ByNamespace()
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
        return (cached.document for _, cached in self._objects.of(namespace))

    def vanished(self, key: Key, uid: str) -> bool:
        """A listing lacks this object; the same as `gone`."""
        return self.gone(key, uid)

    def all_keys(self) -> list[Key]:
        """Keys of all objects."""
        return list(self._objects)

    def older_than(self, version: int, namespace: str | None) -> list[tuple[Key, str]]:
        """Keys and uids of objects (of a namespace, or of all) that were seen last at or before this version."""
        return [(key, cached.uid) for key, cached in self._objects.of(namespace) if cached.version <= version]


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
    """Pods by their run. A pod that was deleted is kept as `gone` until its run has no more use for it."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._pods: ByNamespace[dict[str, _CachedPod]] = ByNamespace()
        self._gone = _Gone()
        self.on_pod: Callable[[Key, str, str, PodView], object] = _nobody
        """Called with the run, its uid, the uid and the state of each pod that is new, has changed or is gone."""

    def __len__(self) -> int:
        """How many pods there are, with those that are gone."""
        return sum(len(pods) for pods in self._pods.values())

    def seen(self, obj: Mapping[str, Any]) -> bool:
        """Remember a pod. False where this or something newer was known already."""
        return self._remember(obj, gone=False)

    def deleted(self, obj: Mapping[str, Any]) -> bool:
        """Remember a pod that was deleted, in its last state. False where that was known already."""
        return self._remember(obj, gone=True)

    def vanished(self, key: Key, uid: str) -> bool:
        """A pod of the run is not there any more; its last state was missed. False where that changes nothing."""
        known = self._pods.get(key, {}).get(uid)
        if known is None or known.view.gone:
            return False
        view = replace(known.view, gone=True, missed=True)
        self._pods[key][uid] = replace(known, view=view)
        self.on_pod(key, known.run_uid, uid, view)
        return True

    def current(self, run: Key, run_uid: str) -> PodView | None:
        """The pod of the run's latest attempt; one that is there before one that is gone."""
        views = [pod.view for pod in self._pods.get(run, {}).values() if pod.run_uid == run_uid]
        return max(views, key=lambda view: (view.attempt, not view.gone, view.created), default=None)

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
        """The run needs its pods no more."""
        pods = self._pods.pop(run, {})
        left = {uid: pod for uid, pod in pods.items() if only_gone and not pod.view.gone}
        for uid, pod in pods.items():
            if pod.view.gone:
                self._gone.add(uid)
        if left:
            self._pods[run] = left

    def older_than(self, version: int, namespace: str | None) -> list[tuple[Key, str]]:
        """Run and uid of pods that are not known as gone and were seen last at or before this version."""
        return [
            (key, uid)
            for key, pods in self._pods.of(namespace)
            for uid, pod in pods.items()
            if pod.version <= version and not pod.view.gone
        ]

    def _remember(self, obj: Mapping[str, Any], *, gone: bool) -> bool:
        run = run_of_pod(obj)
        if run is None:
            return False
        uid = obj["metadata"]["uid"]
        version = version_of(obj)
        known = self._pods.get(run, {}).get(uid)
        if uid in self._gone or (known is not None and not _is_news(known, version, gone=gone)):
            return False
        run_uid = obj["metadata"]["labels"].get(names.RUN_UID_LABEL, "")
        view = read_pod(dict(obj), gone=gone)
        if known is not None:
            view = asked_before(view, known.view)
        self._pods.setdefault(run, {})[uid] = _CachedPod(run_uid, version, view)
        self.on_pod(run, run_uid, uid, view)
        return True


def _is_news(known: _CachedPod, version: int, *, gone: bool) -> bool:
    """Whether something is to be learned. A pod that was noticed to be missing may still be told of with its end."""
    return (gone and known.view.missed) or (not known.view.gone and (gone or version > known.version))


def run_of_pod(obj: Mapping[str, Any]) -> Key | None:
    """The run that a pod belongs to, by its labels; None where it only bears them, as a copy to look at does."""
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    name = labels.get(names.RUN_LABEL)
    if name is None or metadata["name"] != names.pod_name(name, labels.get(names.ATTEMPT_LABEL, "")):
        return None
    return Key(metadata.get("namespace", ""), name)


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

"""Caches of the latest known runs, pods, Components, ClusterComponents and Storages.

Events, listings and responses to the operator's own writes update them, so a late event never undoes a write. Older
versions are ignored, because resource versions grow. Objects are stored as JSON text, which takes a tenth of the
memory of parsed objects, and parsed when they are used.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from componentrun.api import names
from componentrun.api.componentrun import ComponentRun, ComponentRunSpec
from componentrun.api.unreadable import unknown_fields, what_is_wrong
from componentrun.controller.watching.bynamespace import ByNamespace
from componentrun.controller.watching.cachekeys import Gone, Key, nobody, version_of
from componentrun.controller.watching.podcache import PodCache, run_of_pod
from componentrun.core.lease.shard import WHOLE, Shard
from componentrun.core.lifecycle.ending import TERMINAL
from componentrun.core.lifecycle.phases import ORDER
from componentrun.errors import UnsupportedError
from componentrun.process.kubernetes.exchange import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Caches", "Key", "ObjectCache", "PodCache", "RunCache", "run_of_pod", "version_of"]

_NO_PHASE: Final = "Queued"
_IN_PROGRESS: Final = tuple(str(phase) for phase in ORDER[ORDER.index("Pending") :])
_MOST_PARSED: Final = 512
"""Maximum number of runs that are kept parsed; a parsed run needs about ten times the memory of its document."""


@dataclass(frozen=True, slots=True)
class _Cached:
    uid: str
    version: int
    document: bytes


class ObjectCache:
    """Objects of one kind by namespace and name."""

    def __init__(self) -> None:
        """Start empty."""
        self._objects: ByNamespace[_Cached] = ByNamespace()
        self._gone = Gone()
        self._listeners: list[Callable[[Key], object]] = []

    def listen(self, listener: Callable[[Key], object]) -> None:
        """Call `listener` with the key of each object that is created, changed or deleted."""
        self._listeners.append(listener)

    def __len__(self) -> int:
        """Number of objects."""
        return len(self._objects)

    def seen(self, obj: Mapping[str, Any]) -> bool:
        """Store an object. Returns False if this version or a newer one is already known."""
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
        """Remove this object, by key and uid. Returns False if it is not known."""
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

    def uid(self, key: Key) -> str:
        """Uid of the object of this name; empty if there is none."""
        known = self._objects.get(key)
        return "" if known is None else known.uid

    def document(self, key: Key) -> bytes | None:
        """The object as JSON."""
        known = self._objects.get(key)
        return None if known is None else known.document

    def is_gone(self, key: Key, uid: str) -> bool:
        """Whether this object is known to be deleted. An object that was never stored is not known to be."""
        known = self._objects.get(key)
        return uid in self._gone if known is None else known.uid != uid

    def of_namespace(self, namespace: str) -> Iterator[bytes]:
        """All objects of a namespace as JSON."""
        return (cached.document for _, cached in self._objects.of(namespace))

    def documents_of(self, namespace: str) -> Iterator[tuple[Key, bytes]]:
        """Keys of all objects of a namespace, and the objects as JSON."""
        return ((key, cached.document) for key, cached in self._objects.of(namespace))

    def vanished(self, key: Key, uid: str) -> bool:
        """Remove an object that a listing lacks. Same as `gone`."""
        return self.gone(key, uid)

    def all_keys(self) -> list[Key]:
        """Keys of all objects."""
        return list(self._objects)

    def older_than(self, version: int, namespace: str | None) -> list[tuple[Key, str]]:
        """Keys and uids of objects, of one namespace or of all, whose known version is not newer than `version`."""
        return [(key, cached.uid) for key, cached in self._objects.of(namespace) if cached.version <= version]


class RunCache(ObjectCache):
    """Runs of one operator, and their number in each phase."""

    def __init__(self, operator: str = "") -> None:
        """Keep only runs of the operator with this name."""
        super().__init__()
        self._operator = operator
        self._others: dict[Key, str] = {}
        self._others_gone = Gone()
        self._phases: dict[Key, str] = {}
        self._checked: dict[Key, tuple[str, int]] = {}
        self._parsed: OrderedDict[Key, tuple[bytes, ComponentRun]] = OrderedDict()
        """Runs that have not ended, with the documents that they were parsed from; least recently parsed first."""
        self.unsupported: set[Key] = set()
        """Runs that have not ended and whose latest version has unsupported values."""
        self.by_phase: Counter[str] = Counter()
        self.on_run: Callable[[Key, Mapping[str, Any] | None], object] = nobody
        """Called with each run that is created or changed, and with None if it is deleted."""
        self.on_others: Callable[[Key, str], object] = nobody
        """Called with the key and uid of each run that belongs to another operator."""

    def seen(self, obj: Mapping[str, Any]) -> bool:
        """Store a run. Returns False if this version or a newer one is known, or if the run is another operator's."""
        key, uid = Key.of(obj), obj["metadata"]["uid"]
        if (obj["metadata"].get("labels") or {}).get(names.OPERATOR_LABEL, "") != self._operator:
            forgotten = self.gone(key, uid)
            self._gone.discard(uid)  # the run may have been handed back to this operator
            self._others_gone.discard(uid)
            self._others[key] = uid
            self.on_others(key, uid)
            return forgotten
        self._others.pop(key, None)
        if not super().seen(obj):
            return False
        self._count(key, (obj.get("status") or {}).get("phase") or _NO_PHASE)
        self.on_run(key, obj)
        return True

    def gone(self, key: Key, uid: str) -> bool:
        """Remove this run, by key and uid. Returns False if it is not known."""
        if self._others.get(key) == uid:
            del self._others[key]
            self._others_gone.add(uid)
        if not super().gone(key, uid):
            return False
        self._count(key, None)
        self._checked.pop(key, None)
        self._parsed.pop(key, None)
        self.unsupported.discard(key)
        self.on_run(key, None)
        return True

    @property
    def in_progress(self) -> int:
        """Number of runs that have started and not ended."""
        return sum(self.by_phase[phase] for phase in _IN_PROGRESS)

    def get(self, key: Key) -> ComponentRun | None:
        """The run.

        Raises:
            UnsupportedError: the run has values that this release does not support.
        """
        document = self.document(key)
        if document is None:
            return None
        known = self._parsed.get(key)
        if known is not None and known[0] is document:
            return known[1]
        try:
            run = read_json(document, ComponentRun.model_validate_json)
            self._check_fields(run, document)
        except (ValidationError, UnsupportedError) as error:
            if not self.has_ended(key):
                self.unsupported.add(key)
            wrong = what_is_wrong(error) if isinstance(error, ValidationError) else error.message
            raise UnsupportedError(f"the run can't be read by this release of the operator: {wrong}") from error
        self.unsupported.discard(key)
        self._keep_parsed(key, document, run)
        return run

    def answered(self, obj: Mapping[str, Any]) -> ComponentRun:
        """Store a run that the API server sent in response to a write, and return it parsed.

        Raises:
            UnsupportedError: see `get`.
        """
        self.seen(obj)
        key, uid = Key.of(obj), obj["metadata"]["uid"]
        known = self._objects.get(key)
        if known is not None and (known.uid, known.version) == (uid, version_of(obj)):
            run = self.get(key)
            if run is not None:
                return run
        return ComponentRun.model_validate(obj)  # a later event was faster

    def _keep_parsed(self, key: Key, document: bytes, run: ComponentRun) -> None:
        """Keep the parsed run, unless it has ended: most reconciles are caused by a change of its pod."""
        self._parsed.pop(key, None)
        if self.has_ended(key):
            return
        self._parsed[key] = document, run
        if len(self._parsed) > _MOST_PARSED:
            self._parsed.popitem(last=False)

    def _check_fields(self, run: ComponentRun, document: bytes) -> None:
        """Refuse a spec with unknown fields; each generation is checked once."""
        key, checked = Key(run.metadata.namespace, run.metadata.name), (run.metadata.uid, run.metadata.generation)
        if self._checked.get(key) == checked:
            return
        fields = unknown_fields(ComponentRunSpec, read_json(document, from_json)["spec"])
        if fields:
            raise UnsupportedError(f"{', '.join(fields)}: unknown to this release")
        self._checked[key] = checked

    def is_anothers(self, key: Key) -> bool:
        """Whether the run of this name belongs to another operator."""
        return key in self._others

    def was_anothers(self, uid: str) -> bool:
        """Whether this run was deleted while it belonged to another operator."""
        return uid in self._others_gone

    def has_ended(self, key: Key) -> bool:
        """Whether the run is in a final phase. Known also for runs with unsupported values."""
        return self._phases.get(key) in TERMINAL

    def in_phases(self, phases: frozenset[str]) -> list[Key]:
        """Keys of the runs in these phases."""
        return [key for key, phase in self._phases.items() if phase in phases]

    def _count(self, key: Key, phase: str | None) -> None:
        before = self._phases.pop(key, None)
        if before is not None:
            self.by_phase[before] -= 1
        if phase is not None:
            self._phases[key] = phase
            self.by_phase[phase] += 1


@dataclass(frozen=True, slots=True)
class Caches:
    """All caches."""

    runs: RunCache = field(default_factory=RunCache)
    pods: PodCache = field(default_factory=PodCache)
    components: ObjectCache = field(default_factory=ObjectCache)
    cluster_components: ObjectCache = field(default_factory=ObjectCache)
    """ClusterComponents; their namespace is empty."""
    uses_cluster_components: bool = True
    """Whether runs can name ClusterComponents. An operator of listed namespaces may read nothing outside of them."""
    storages: ObjectCache = field(default_factory=ObjectCache)
    unlisted: set[str] = field(default_factory=set)
    """Namespaces whose first listing was refused. Their runs are not reconciled, because pods, or other runs of the
    same configuration, may exist without being known."""
    shard: Shard = WHOLE
    """Owns the namespaces whose objects are cached; objects in other namespaces are dropped before they get here."""

    def components_of(self, namespace: str) -> ObjectCache:
        """The Components, or the ClusterComponents if the namespace is empty."""
        return self.components if namespace else self.cluster_components

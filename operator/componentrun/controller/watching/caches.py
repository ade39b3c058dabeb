"""What was seen last: runs, their pods, Components, Storages.

Fed by events, by listings and by the answers to our own writes (so that a stale event never repeats what was done).
What is older than what is known is ignored: resource versions grow. Objects are kept as JSON text, which takes a tenth
of the memory of parsed ones, and parsed when they are worked on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from componentrun.api import names
from componentrun.api.componentrun import ComponentRun, ComponentRunSpec
from componentrun.api.unreadable import unknown_fields, what_is_wrong
from componentrun.controller.watching.bynamespace import ByNamespace
from componentrun.controller.watching.cachekeys import Gone, Key, nobody, version_of
from componentrun.controller.watching.podcache import PodCache, run_of_pod
from componentrun.core.lifecycle.ending import TERMINAL
from componentrun.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Caches", "Key", "ObjectCache", "PodCache", "RunCache", "run_of_pod", "version_of"]

_NO_PHASE = "Queued"


@dataclass(frozen=True, slots=True)
class _Cached:
    uid: str
    version: int
    document: bytes


class ObjectCache:
    """Objects of one kind by namespace and name."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._objects: ByNamespace[_Cached] = ByNamespace()
        self._gone = Gone()
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
        self._others_gone = Gone()
        self._phases: dict[Key, str] = {}
        self._checked: dict[Key, tuple[str, int]] = {}
        self.unsupported: set[Key] = set()
        """Runs that have not ended and whose last version could not be read."""
        self.by_phase: Counter[str] = Counter()
        self.on_run: Callable[[Key, Mapping[str, Any] | None], object] = nobody
        """Called with each run that is new or has changed, and with None in its place where one is gone."""
        self.on_others: Callable[[Key, str], object] = nobody
        """Called with the key and uid of each run that is seen to be another operator's."""

    def seen(self, obj: Mapping[str, Any]) -> bool:
        """Remember a run. False where this or something newer was known already, or it is another operator's."""
        key, uid = Key.of(obj), obj["metadata"]["uid"]
        if (obj["metadata"].get("labels") or {}).get(names.OPERATOR_LABEL, "") != self._operator:
            forgotten = self.gone(key, uid)
            self._gone.discard(uid)  # it may be handed back
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
        """Forget exactly this run. False where it was not known."""
        if self._others.get(key) == uid:
            del self._others[key]
            self._others_gone.add(uid)
        if not super().gone(key, uid):
            return False
        self._count(key, None)
        self._checked.pop(key, None)
        self.unsupported.discard(key)
        self.on_run(key, None)
        return True

    def get(self, key: Key) -> ComponentRun | None:
        """The run.

        Raises:
            UnsupportedError: this release does not understand it.
        """
        document = self.document(key)
        if document is None:
            return None
        try:
            run = ComponentRun.model_validate_json(document)
            self._check_fields(run, document)
        except (ValidationError, UnsupportedError) as error:
            if not self.has_ended(key):
                self.unsupported.add(key)
            wrong = what_is_wrong(error) if isinstance(error, ValidationError) else error.message
            raise UnsupportedError(f"the run can't be read by this release of the operator: {wrong}") from error
        self.unsupported.discard(key)
        return run

    def _check_fields(self, run: ComponentRun, document: bytes) -> None:
        """Refuse a spec with unknown fields; each generation is checked once."""
        key, checked = Key(run.metadata.namespace, run.metadata.name), (run.metadata.uid, run.metadata.generation)
        if self._checked.get(key) == checked:
            return
        fields = unknown_fields(ComponentRunSpec, from_json(document)["spec"])
        if fields:
            raise UnsupportedError(f"{', '.join(fields)}: unknown to this release")
        self._checked[key] = checked

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
class Caches:
    """All of them."""

    runs: RunCache = field(default_factory=RunCache)
    pods: PodCache = field(default_factory=PodCache)
    components: ObjectCache = field(default_factory=ObjectCache)
    storages: ObjectCache = field(default_factory=ObjectCache)
    unlisted: set[str] = field(default_factory=set)
    """Namespaces that were refused when all others were listed. Nothing is done about a run there: its pod may be there
    and not be known, and so may another run of its configuration."""

"""The fake API server on virtual time, with a garbage collector that takes its time, and a truth that is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.fakekube.kinds import kind_of
from tests.fakekube.messages import Request
from tests.fakekube.patches import MERGE_PATCH
from tests.fakekube.selectors import label_predicate
from tests.fakekube.server import ApiServer as FakeServer
from tests.unit.controller.simulation.processes import outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

    from tests.fakekube.kinds import Kind
    from tests.fakekube.storage import Change
    from tests.unit.controller.simulation.truth import Truth

BASE = datetime(2026, 1, 1, tzinfo=UTC)
_QUOTA = "few"

Answer = tuple[int, bytes]


@dataclass
class ApiServer:
    """See the module. `now` gives the seconds since the begin."""

    now: Callable[[], float]
    random: Random
    truth: Truth
    gates: list[dict[str, str]] = field(default_factory=list)
    on_pod: Callable[[dict[str, Any]], object] = lambda _: None
    on_stop: Callable[[str, int], object] = lambda _uid, _grace: None
    on_gone: Callable[[str], object] = lambda _: None

    def __post_init__(self) -> None:
        self.fake = fake = FakeServer("operators")
        self.objects, self.changed = fake.storage.objects, fake.storage.changed
        writer = fake.writer
        writer.now = lambda: BASE + timedelta(seconds=self.now())
        writer.uid = lambda: f"uid-{fake.storage.version + 1}"
        writer.on_create.append(self._gate)
        writer.on_stop = lambda pod, grace: self.on_stop(pod["metadata"]["uid"], grace)
        writer.on_removed = self._removed
        fake.storage.listeners.append(self._written)

    @property
    def version(self) -> int:
        """Of the last write."""
        return self.fake.storage.version

    @property
    def compacted(self) -> int:
        """Watches can't begin before this version."""
        return self.fake.storage.compacted

    @compacted.setter
    def compacted(self, version: int) -> None:
        self.fake.storage.compacted = version

    def text(self) -> str:
        return self.fake.writer.text()

    # Requests

    def handle(self, method: str, path: str, query: Mapping[str, str], data: bytes | None) -> Answer:
        if method == "POST" and path.endswith("/events"):
            return 201, data or b"{}"  # nobody reads them
        kind = MERGE_PATCH if method == "PATCH" else "application/json"
        response = self.fake.handle(Request(method, path, query, data or b"", kind))
        self.fake.requests.clear()
        return response.status, response.body

    def events(self, plural: str, labels: str, behind: int) -> Iterator[dict[str, Any]]:
        """What a watch sends that has sent everything up to a version."""
        fits = label_predicate(labels)
        for change in self.fake.storage.changes_after(behind):
            event = change.event(lambda obj: fits(obj["metadata"].get("labels") or {}))
            if change.plural == plural and event is not None:
                yield event

    # What anybody does

    def of(self, plural: str, namespace: str = "") -> list[dict[str, Any]]:
        return self.fake.of(plural, namespace)

    def find(self, plural: str, uid: str) -> dict[str, Any] | None:
        return next((obj for obj in self.of(plural) if obj["metadata"]["uid"] == uid), None)

    def put(self, plural: str, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        return self.fake.put(plural, body, namespace)

    def change(self, there: dict[str, Any], plural: str, change: Mapping[str, Any]) -> dict[str, Any]:
        return self.fake.change(plural, there["metadata"]["namespace"], there["metadata"]["name"], change)

    def delete(self, plural: str, there: dict[str, Any], grace: int | None) -> None:
        self.fake.writer.begin_deletion(kind_of(plural), there, grace)

    def remove(self, plural: str, there: dict[str, Any]) -> None:
        self.fake.writer.remove(kind_of(plural), there)

    def set_quota(self, namespace: str, pods: int) -> None:
        """Let a namespace have so many pods that have not ended."""
        self.put("resourcequotas", namespace, {"metadata": {"name": _QUOTA}, "spec": {"hard": {"pods": str(pods)}}})

    def lift_quota(self, namespace: str) -> None:
        """Let it have any number again."""
        if ("resourcequotas", namespace, _QUOTA) in self.objects:
            self.fake.remove("resourcequotas", namespace, _QUOTA)

    # What happens behind a write

    def _gate(self, kind: Kind, obj: dict[str, Any]) -> None:
        if kind.plural == "pods" and self.gates and any("kueue" in label for label in obj["metadata"]["labels"]):
            obj["spec"]["schedulingGates"] = [dict(gate) for gate in self.gates]

    def _written(self, change: Change) -> None:
        obj = change.after
        if obj is None:
            return
        if change.plural == "componentruns":
            self.truth.run_written(change.before, obj)
        if change.before is not None:
            return
        owners = {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()}
        if owners and not owners & {item["metadata"]["uid"] for item in self.objects.values()}:
            outside(self._collect, self.random.uniform(0.05, 3), owners.pop())
        if change.plural == "pods":
            metadata = obj["metadata"]
            self.truth.note(f"pod {metadata['namespace']}/{metadata['name']} {metadata['uid']} is made")
            self.truth.on_moment("pod made", metadata["name"].rpartition("-")[0])
            self.on_pod(obj)

    def _removed(self, kind: Kind, obj: dict[str, Any]) -> None:
        uid = obj["metadata"]["uid"]
        if kind.plural == "pods":
            self.truth.note(f"pod {obj['metadata']['name']} {uid} is gone")
            self.on_gone(uid)
        outside(self._collect, self.random.uniform(0.05, 3), uid)

    def _collect(self, owner: str) -> None:
        """The garbage collector, which takes its time."""
        for (plural, _, _), obj in list(self.objects.items()):
            if any(item["uid"] == owner for item in obj["metadata"].get("ownerReferences") or ()):
                self.delete(plural, obj, None)

"""The operator's client at a fake API server, for one operator that works step by step.

Real: the client above HTTP, and the rules of the API server. Left out: watches (`listener` is called with each change
instead, in the middle of the request that made it), time (pods end at once when they are deleted).
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from componentrun.api import names
from componentrun.process.kubernetes.errors import KubeError, UnavailableError
from tests.fakekube.inprocess import InProcessKube
from tests.fakekube.kinds import parse
from tests.fakekube.selectors import label_predicate
from tests.fakekube.server import ApiServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fakekube.kinds import Kind
    from tests.fakekube.storage import Change

NAMESPACE = "team"
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
_OURS = label_predicate(names.OUR_PODS)


class Crash(BaseException):
    """The operator's process is gone."""


@dataclass
class Writes:
    """Counts the writes of an operator, and ends it, or loses the answer, at the one that a test chooses.

    Attributes:
        crash_at: the operator ends right after this write.
        lose_at: this write is done, and the client gets no answer.
        repeat_at: this write is done, and the client gets the answer to its repetition.
    """

    count: int = 0
    crash_at: int | None = None
    lose_at: int | None = None
    repeat_at: int | None = None
    log: list[str] = field(default_factory=list)

    def done(self, what: str) -> None:
        self.count += 1
        self.log.append(what)
        if self.count == self.crash_at:
            raise Crash(what)

    @property
    def answer_is_lost(self) -> bool:
        return self.count == self.lose_at

    @property
    def is_repeated(self) -> bool:
        return self.count == self.repeat_at


class FakeKube(InProcessKube):
    """See the module.

    Attributes:
        refusals: by verb and plural, what the next requests fail with, after the client's own repetitions.
        unread: what reading runs is refused with behind a lost answer.
        created: every object that was created, as `pods/load-1`.
        asked: every request for one object, as `get pods`.
        gates: put on every new pod, as a webhook would.
    """

    def __init__(self, writes: Writes) -> None:
        super().__init__(ApiServer(NAMESPACE))
        self.objects = self.server.storage.objects
        self.writes = writes
        self.listener: Callable[[str, str, dict[str, Any]], None] | None = None
        self.refusals: dict[tuple[str, str], list[KubeError]] = {}
        self.unread: tuple[KubeError, ...] = ()
        self.created: list[str] = []
        self.asked: list[str] = []
        self.gates: list[dict[str, str]] = []
        numbers = itertools.count(100)
        writer = self.server.writer
        writer.uid = lambda: f"uid-{next(numbers)}"
        writer.now = lambda: datetime(2026, 1, 1, tzinfo=UTC)
        writer.longest_grace = 0
        writer.on_create.append(self._created)
        self.server.storage.listeners.append(self._changed)

    # What the operator calls

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        kind: str = "application/json",
    ) -> dict[str, Any]:
        target = parse(path)
        if target is None or (method == "GET" and not target.name):
            return await super().request(method, path, query=query, body=body, kind=kind)
        plural, verb = target.kind.plural, _VERBS[method]
        self._refuse(verb, plural)
        answer = await super().request(method, path, query=query, body=body, kind=kind)
        if method == "GET":
            return answer
        what = f"{verb} {plural}" + (f"/{target.subresource}" if method == "PATCH" else "")
        self.writes.done(what)
        if self.writes.answer_is_lost or self.writes.is_repeated:
            self.refusals.setdefault(("get", "componentruns"), []).extend(self.unread)
        if self.writes.answer_is_lost:
            raise UnavailableError(f"{what}: no answer")
        if self.writes.is_repeated:
            try:
                return await super().request(method, path, query=query, body=body, kind=kind)
            except KubeError as error:
                error.may_be_done = True
                raise
        return answer

    def _refuse(self, verb: str, plural: str) -> None:
        self.asked.append(f"{verb} {plural}")
        waiting = self.refusals.get((verb, plural))
        if waiting:
            raise waiting.pop(0)

    # What others do

    def put(self, plural: str, obj: dict[str, Any]) -> None:
        """Create an object as somebody else would."""
        self.server.put(plural, obj)

    def change(self, plural: str, name: str, change: Mapping[str, Any]) -> None:
        """Change an object as somebody else would."""
        self.server.change(plural, NAMESPACE, name, change)

    def remove(self, plural: str, namespace: str, name: str) -> None:
        """Delete an object and all that it owns."""
        self.server.remove(plural, namespace, name)

    def of(self, plural: str) -> list[dict[str, Any]]:
        """All objects of a kind."""
        return self.server.of(plural)

    def _created(self, kind: Kind, obj: dict[str, Any]) -> None:
        self.created.append(f"{kind.plural}/{obj['metadata']['name']}")
        if kind.plural == "pods" and self.gates:
            obj["spec"]["schedulingGates"] = copy.deepcopy(self.gates)

    def _changed(self, change: Change) -> None:
        event = change.event(is_ours if change.plural == "pods" else lambda _: True)
        if event is not None:
            self._tell(event["type"], change.plural, event["object"])

    def _tell(self, kind: str, plural: str, obj: dict[str, Any]) -> None:
        if self.listener is not None:
            self.listener(kind, plural, copy.deepcopy(obj))


def is_ours(pod: Mapping[str, Any]) -> bool:
    """Whether the operator's watch of pods sends this one."""
    return _OURS(pod["metadata"].get("labels") or {})

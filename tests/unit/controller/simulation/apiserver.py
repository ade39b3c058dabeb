"""An API server in memory: versions, preconditions, selectors, grace periods, owners, quotas, and a log for watches."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from componentrun.api.common import API_VERSION
from tests.unit.controller.fakes import _is_selected, merge
from tests.unit.controller.process import RESOURCES
from tests.unit.controller.simulation.processes import outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

    from tests.unit.controller.simulation.truth import Truth

BASE = datetime(2026, 1, 1, tzinfo=UTC)
_OVER = {"Succeeded", "Failed"}
_GONE = 410

Answer = tuple[int, dict[str, Any]]


@dataclass
class Event:
    """One entry of the log: the object before and after a write."""

    version: int
    plural: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    def told(self, labels: str) -> dict[str, Any] | None:
        """What a watch with this selector tells of it: an object that is selected no more is deleted."""
        was, now = (
            item is not None and _is_selected(item["metadata"].get("labels") or {}, labels)
            for item in (self.before, self.after)
        )
        if now:
            return {"type": "MODIFIED" if was else "ADDED", "object": self.after}
        if not was or self.before is None:
            return None
        metadata = {**self.before["metadata"], "resourceVersion": str(self.version)}
        return {"type": "DELETED", "object": {**self.before, "metadata": metadata}}


@dataclass
class ApiServer:
    """See the module. `now` gives the seconds since the begin."""

    now: Callable[[], float]
    random: Random
    truth: Truth
    objects: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    log: list[Event] = field(default_factory=list)
    compacted: int = 0
    """Watches can't begin before this version."""
    quotas: dict[str, int] = field(default_factory=dict)
    """How many pods that have not ended a namespace may have."""
    gates: list[dict[str, str]] = field(default_factory=list)
    version: int = 100
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    on_pod: Callable[[dict[str, Any]], object] = lambda _: None
    on_stop: Callable[[str, int], object] = lambda _uid, _grace: None
    on_gone: Callable[[str], object] = lambda _: None

    def text(self) -> str:
        return (BASE + timedelta(seconds=self.now())).strftime("%Y-%m-%dT%H:%M:%SZ")

    # Requests

    def handle(self, method: str, path: str, query: Mapping[str, str], data: bytes | None) -> Answer:  # noqa: PLR0911 - one for each kind
        if path == "/version":
            return 200, {"gitVersion": "v1.35.4"}
        if path == f"/apis/{API_VERSION}":
            return 200, {"resources": [{"name": name} for name in RESOURCES]}
        parts = path.strip("/").split("/")
        namespace, rest = "", parts[3:] if parts[0] == "apis" else parts[2:]
        if rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        plural, name, subresource = [*rest, "", ""][:3]
        body = json.loads(data) if data else {}
        if method == "POST":
            return self._create(plural, namespace, body)
        if not name:
            return self._list(plural, namespace, query.get("labelSelector", ""))
        there = self.objects.get((plural, namespace, name))
        if there is None:
            return _status(404, "NotFound", f"{plural} {name} not found")
        if method == "GET":
            return 200, there
        if method == "PATCH":
            return self._patch(plural, there, body, subresource)
        return self._delete(plural, there, body)

    def _list(self, plural: str, namespace: str, labels: str) -> Answer:
        items = [
            item for item in self.of(plural, namespace) if _is_selected(item["metadata"].get("labels") or {}, labels)
        ]
        return 200, {"metadata": {"resourceVersion": str(self.version)}, "items": items}

    def _create(self, plural: str, namespace: str, body: dict[str, Any]) -> Answer:
        name = body["metadata"]["name"]
        if (plural, namespace, name) in self.objects:
            return _status(409, "AlreadyExists", f"{plural} {name} already exists")
        if plural == "pods" and (refusal := self._quota(namespace)) is not None:
            return refusal
        if plural == "events":
            return 201, body
        return 201, self.put(plural, namespace, body)

    def _quota(self, namespace: str) -> Answer | None:
        hard = self.quotas.get(namespace)
        used = sum((pod.get("status") or {}).get("phase") not in _OVER for pod in self.of("pods", namespace))
        if hard is None or used < hard:
            return None
        what = f"exceeded quota: few, requested: pods=1, used: pods={used}, limited: pods={hard}"
        return _status(403, "Forbidden", f"pods is forbidden: {what}")

    def _patch(self, plural: str, there: dict[str, Any], body: dict[str, Any], subresource: str) -> Answer:
        version = (body.get("metadata") or {}).get("resourceVersion")
        if version is not None and version != there["metadata"]["resourceVersion"]:
            return _status(409, "Conflict", f"{there['metadata']['name']} has been modified")
        if subresource:
            return 200, self.change(there, plural, {"status": body["status"]})
        body = {**body, "metadata": {k: v for k, v in body.get("metadata", {}).items() if k != "resourceVersion"}}
        body.pop("status", None)
        return 200, self.change(there, plural, body)

    def _delete(self, plural: str, there: dict[str, Any], body: dict[str, Any]) -> Answer:
        metadata, wanted = there["metadata"], body.get("preconditions") or {}
        if any(metadata[field] != value for field, value in wanted.items()):
            return _status(409, "Conflict", f"precondition failed for {metadata['name']}")
        return 200, self.delete(plural, there, body.get("gracePeriodSeconds"))

    # What anybody does

    def of(self, plural: str, namespace: str = "") -> list[dict[str, Any]]:
        return [
            obj
            for (kind, where, _), obj in self.objects.items()
            if kind == plural and (not namespace or where == namespace)
        ]

    def find(self, plural: str, uid: str) -> dict[str, Any] | None:
        return next((obj for obj in self.of(plural) if obj["metadata"]["uid"] == uid), None)

    def put(self, plural: str, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        obj = copy.deepcopy(body)
        obj["metadata"] |= {
            "namespace": namespace,
            "uid": f"uid-{self.version + 1}",
            "creationTimestamp": self.text(),
            "generation": 1,
        }
        if "stringData" in obj:
            obj["data"] = {key: base64.b64encode(text.encode()).decode() for key, text in obj.pop("stringData").items()}
        if plural == "pods" and self.gates and any("kueue" in label for label in obj["metadata"].get("labels") or {}):
            obj["spec"]["schedulingGates"] = copy.deepcopy(self.gates)
        self._write(plural, None, obj)
        owners = {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()}
        if owners and not owners & {item["metadata"]["uid"] for item in self.objects.values()}:
            outside(self._collect, self.random.uniform(0.05, 3), owners.pop())
        if plural == "pods":
            self.truth.note(f"pod {namespace}/{obj['metadata']['name']} {obj['metadata']['uid']} is made")
            self.truth.on_moment("pod made", obj["metadata"]["name"].rpartition("-")[0])
            self.on_pod(obj)
        return obj

    def change(self, there: dict[str, Any], plural: str, change: Mapping[str, Any]) -> dict[str, Any]:
        merged = merge(there, change)
        if merged == there:
            return there
        if merged.get("spec") != there.get("spec"):
            merged["metadata"]["generation"] = there["metadata"]["generation"] + 1
        self._write(plural, there, merged)
        return merged

    def delete(self, plural: str, there: dict[str, Any], grace: int | None) -> dict[str, Any]:
        if plural != "pods":
            return self.remove(plural, there)
        started = (there.get("spec") or {}).get("nodeName") and (there.get("status") or {}).get("phase") not in _OVER
        seconds = there["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
        metadata = there["metadata"]
        self.truth.note(f"pod {metadata['name']} {metadata['uid']} is deleted, grace {seconds}")
        if not started or not seconds:
            return self.remove(plural, there)
        if metadata.get("deletionTimestamp") and metadata["deletionGracePeriodSeconds"] <= seconds:
            return there
        until = (BASE + timedelta(seconds=self.now() + seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        first = not metadata.get("deletionTimestamp")
        told = {"deletionTimestamp": until, "deletionGracePeriodSeconds": seconds}
        told |= {"generation": metadata["generation"] + 1}
        deleted = self.change(there, plural, {"metadata": told})
        if first:
            self.on_stop(metadata["uid"], seconds)
        return {"kind": "Pod", **deleted}

    def remove(self, plural: str, there: dict[str, Any]) -> dict[str, Any]:
        self._write(plural, there, None)
        uid = there["metadata"]["uid"]
        if plural == "pods":
            self.truth.note(f"pod {there['metadata']['name']} {uid} is gone")
            self.on_gone(uid)
        outside(self._collect, self.random.uniform(0.05, 3), uid)
        return {"kind": "Status"}

    def _collect(self, owner: str) -> None:
        """The garbage collector, which takes its time."""
        for plural, obj in [(plural, obj) for (plural, _, _), obj in self.objects.items()]:
            if any(item["uid"] == owner for item in obj["metadata"].get("ownerReferences") or ()):
                self.delete(plural, obj, None)

    async def changed(self, seconds: float) -> None:
        """Until something is written, at most so long."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await waiting

    def _write(self, plural: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        self.version += 1
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()
        metadata = (after or before or {})["metadata"]
        key = plural, metadata["namespace"], metadata["name"]
        if after is None:
            del self.objects[key]
        else:
            after["metadata"]["resourceVersion"] = str(self.version)
            self.objects[key] = after
            if plural == "componentruns":
                self.truth.run_written(before, after)
        self.log.append(Event(self.version, plural, before, after))

    def events(self, plural: str, labels: str, behind: int) -> Iterator[dict[str, Any]]:
        """What a watch tells that has told of everything up to a version."""
        for event in self._behind(behind):
            if event.plural == plural and (told := event.told(labels)) is not None:
                yield told

    def _behind(self, version: int) -> list[Event]:
        # Each write has a version of its own, so that its place in the log is known.
        first = self.log[0].version if self.log else 0
        return self.log[max(version + 1 - first, 0) :]


def _status(code: int, reason: str, message: str) -> Answer:
    return code, {"kind": "Status", "code": code, "reason": reason, "message": message}

"""Create, replace, patch and delete, with the checks that the API server makes."""

from __future__ import annotations

import base64
import copy
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tests.fakekube import refusals
from tests.fakekube.applying import APPLY_PATCH, Owners, applied, changed_fields, fields_of
from tests.fakekube.kinds import Kind, kind_of
from tests.fakekube.patches import JSON_PATCH, MERGE_PATCH, apply_operations, merge
from tests.fakekube.refusals import Refused
from tests.fakekube.schemas import set_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fakekube.kinds import Target
    from tests.fakekube.messages import Request
    from tests.fakekube.storage import Storage

FINISHED: Final = frozenset({"Succeeded", "Failed"})
_GENERATED: Final = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_LENGTH: Final = 5
_GRACE_SECONDS: Final = 30
_KEPT: Final = ("uid", "creationTimestamp", "namespace", "name", "deletionTimestamp", "deletionGracePeriodSeconds")
"""Metadata that no write changes."""
_PATCH_OPTIONS: Final = Kind("meta.k8s.io", "v1", "patchoptions", "PatchOptions")
_UNNAMED: Final = "unknown"
"""Manager of requests that name none; the API server takes the name of their program."""
_NOT_SPEC: Final = frozenset({"apiVersion", "kind", "metadata", "status"})


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Writer:
    """Carries out writes.

    Attributes:
        now: the server's clock.
        uid: makes a uid for a new object.
        longest_grace: upper limit, in seconds, of every grace period; 0 removes pods at once, as if a kubelet had
            already stopped them.
        schemas: schemas by the plural of a kind, of which custom resources get the defaults. Empty unless a test sets
            `schemas.crd_schemas()`.
        on_create: changes a new object before it is stored, as a mutating webhook would.
        on_stop: called when the graceful deletion of a pod begins, with the pod and its seconds.
        on_removed: called with each object that was removed; the garbage collector.
    """

    storage: Storage
    now: Callable[[], datetime] = _now
    uid: Callable[[], str] = lambda: str(uuid.uuid4())
    longest_grace: int | None = None
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    on_create: list[Callable[[Kind, dict[str, Any]], object]] = field(default_factory=list)
    on_stop: Callable[[dict[str, Any], int], object] = lambda _pod, _grace: None
    on_removed: Callable[[Kind, dict[str, Any]], object] = lambda _kind, _obj: None
    _owners: dict[tuple[str, str, str], Owners] = field(default_factory=dict)
    _random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 - names that are the same in each test

    def text(self) -> str:
        """The time, as objects have it."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def create(self, target: Target, body: dict[str, Any], request: Request) -> dict[str, Any]:
        """Store a new object.

        Raises:
            Refused: its name is taken, or it has none, or its namespace does not exist or is being deleted, or a quota
                is used up.
        """
        kind, namespace = target.kind, target.namespace
        obj = copy.deepcopy(body)
        metadata = obj.setdefault("metadata", {})
        if kind.is_custom and "kind" not in obj:
            why = f"the object provided is unrecognized (must be of type {kind.kind}): Object 'Kind' is missing"
            raise refusals.bad_request(why)
        if metadata.get("namespace") not in {None, "", namespace}:
            raise refusals.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        self._give_name(kind, metadata)
        self._check_namespace(kind, namespace, metadata["name"])
        there = self.storage.objects.get((kind.plural, namespace, metadata["name"]))
        if there is not None:
            is_going = "deletionTimestamp" in there["metadata"]
            raise refusals.already_exists(kind, metadata["name"], is_being_deleted=is_going)
        if kind.plural == "pods":
            self._check_quota(kind, namespace, metadata["name"])
        if kind.has_status:
            obj.pop("status", None)
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "creationTimestamp", "resourceVersion", "uid"):
            metadata.pop(name, None)
        metadata.pop("generation", None)
        if kind.plural == "pods":
            _set_pod_defaults(obj)
        elif kind.plural == "resourcequotas":
            obj["status"] = {"hard": obj["spec"]["hard"], "used": {}}
        return self.put(kind, namespace, obj, is_dry_run=request.is_dry_run)

    def put(self, kind: Kind, namespace: str, body: dict[str, Any], *, is_dry_run: bool = False) -> dict[str, Any]:
        """Store an object without any check, also in the place of another of its name."""
        obj = {"apiVersion": kind.api_version, "kind": kind.kind} | copy.deepcopy(body)
        obj["metadata"] = metadata = {key: value for key, value in obj["metadata"].items() if key != "namespace"}
        metadata |= {"namespace": namespace} if kind.namespaced else {}
        there = self.storage.objects.get((kind.plural, namespace, metadata["name"]))
        kept = {} if there is None else there["metadata"]
        metadata.setdefault("uid", kept.get("uid") or self.uid())
        metadata.setdefault("creationTimestamp", kept.get("creationTimestamp") or self.text())
        if kind.has_generation:
            metadata.setdefault("generation", kept.get("generation", 0) + 1)
        _encode(obj)
        set_defaults(obj, self.schemas.get(kind.plural, {}))
        for change in self.on_create if there is None else ():
            change(kind, obj)
        return obj if is_dry_run else self.storage.write(kind.plural, there, obj)

    def _give_name(self, kind: Kind, metadata: dict[str, Any]) -> None:
        if metadata.get("name"):
            return
        if not metadata.get("generateName"):
            why = "Required value: name or generateName is required"
            raise refusals.invalid(kind, "", "metadata.name", "FieldValueRequired", why)
        ending = "".join(self._random.choice(_GENERATED) for _ in range(_GENERATED_LENGTH))
        metadata["name"] = metadata["generateName"] + ending

    def _check_namespace(self, kind: Kind, namespace: str, name: str) -> None:
        if not kind.namespaced:
            return
        found = self.storage.objects.get(("namespaces", "", namespace))
        if found is None:
            raise refusals.not_found(kind_of("namespaces"), namespace)
        if "deletionTimestamp" in found["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {"reason": "NamespaceTerminating", "message": f"namespace {namespace} is being terminated"}
            raise refusals.forbidden(kind, name, why, [cause | {"field": "metadata.namespace"}])

    def _check_quota(self, kind: Kind, namespace: str, name: str) -> None:
        """Refuse a pod for which a ResourceQuota has no room; other resources than `pods` are not counted."""
        for quota in self.storage.of("resourcequotas", namespace):
            hard = (quota.get("spec") or {}).get("hard", {}).get("pods")
            pods = self.storage.of("pods", namespace)
            used = sum((pod.get("status") or {}).get("phase") not in FINISHED for pod in pods)
            if hard is not None and used >= int(hard):
                what = f"requested: pods=1, used: pods={used}, limited: pods={hard}"
                raise refusals.forbidden(kind, name, f"exceeded quota: {quota['metadata']['name']}, {what}")

    def replace(self, target: Target, body: dict[str, Any], request: Request) -> dict[str, Any]:
        """Store this object in the place of the one of its name (PUT).

        Raises:
            Refused: there is none, or it has another version or uid, or a custom resource was sent without a version.
        """
        there, metadata = self.find(target), body.get("metadata") or {}
        if target.kind.is_custom and not metadata.get("resourceVersion"):
            raise refusals.unversioned(target.kind, target.name)
        return self._update(target, there, copy.deepcopy(body), is_dry_run=request.is_dry_run)

    def patch(self, target: Target, request: Request) -> dict[str, Any]:
        """Change an object.

        Raises:
            Refused: there is none, or it has another version or uid than the patch says, or the patch is of a format
                that this server does not take.
        """
        if request.content_type == APPLY_PATCH:
            return self._apply(target, request)
        if request.content_type not in {MERGE_PATCH, JSON_PATCH}:
            raise _unsupported(request.content_type)
        there = self.find(target)
        try:
            patch = json.loads(request.body)
        except ValueError as error:
            raise refusals.bad_request(f"error decoding patch: {error}") from None
        changed = merge(there, patch) if request.content_type == MERGE_PATCH else apply_operations(there, patch)
        fields = changed_fields(there, changed)
        result = self._update(target, there, changed, is_dry_run=request.is_dry_run)
        if not request.is_dry_run:
            self._own(target, request.query.get("fieldManager", _UNNAMED), fields)
        return result

    def _own(self, target: Target, manager: str, fields: set[tuple[str, ...]]) -> None:
        """Fields that a manager has changed by another way than an apply are its own from now on."""
        owners = self._owners.setdefault((target.kind.plural, target.namespace, target.name), {})
        for paths in owners.values():
            paths.difference_update(fields)
        owners[manager] = owners.get(manager, set()) | fields

    def _apply(self, target: Target, request: Request) -> dict[str, Any]:
        body = request.document()
        manager = request.query.get("fieldManager")
        if not manager:
            why = "Required value: is required for apply patch"
            raise refusals.invalid(_PATCH_OPTIONS, "", "fieldManager", "FieldValueRequired", why)
        key = (target.kind.plural, target.namespace, target.name)
        there = self.storage.objects.get(key)
        if there is None:
            created = self.create(target, body, request)
            if not request.is_dry_run:
                self._owners[key] = {manager: set(fields_of(body))}
            return created
        owners = copy.deepcopy(self._owners.setdefault(key, {}))
        is_forced = request.query.get("force") == "true"
        changed = applied(target.kind, there, body, owners, manager, is_forced=is_forced)
        result = self._update(target, there, changed, is_dry_run=request.is_dry_run)
        if not request.is_dry_run:
            self._owners[key] = owners
        return result

    def _update(
        self, target: Target, there: dict[str, Any], changed: dict[str, Any], *, is_dry_run: bool
    ) -> dict[str, Any]:
        kind, name, before = target.kind, target.name, there["metadata"]
        metadata = dict(changed.get("metadata") or {})
        if metadata.get("resourceVersion") not in {None, "", before["resourceVersion"]}:
            raise refusals.modified(kind, name)
        if metadata.get("uid") not in {None, "", before["uid"]}:
            why = f'Invalid value: "{metadata["uid"]}": field is immutable'
            raise refusals.invalid(kind, name, "metadata.uid", "FieldValueInvalid", why)
        metadata |= {key: before[key] for key in (*_KEPT, "resourceVersion", "generation") if key in before}
        if target.subresource == "status":
            changed = {**there, "status": changed["status"]} if "status" in changed else _without(there, "status")
        else:
            changed["metadata"] = metadata
            _encode(changed)
            if kind.has_status:
                changed = {**_without(changed, "status"), **({"status": there["status"]} if "status" in there else {})}
        return self._finish_update(kind, there, changed, is_dry_run=is_dry_run)

    def _finish_update(
        self, kind: Kind, there: dict[str, Any], changed: dict[str, Any], *, is_dry_run: bool
    ) -> dict[str, Any]:
        set_defaults(changed, self.schemas.get(kind.plural, {}))
        before, metadata = there["metadata"], changed["metadata"]
        added = set(metadata.get("finalizers") or ()) - set(before.get("finalizers") or ())
        if added and "deletionTimestamp" in before:
            why = "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
            why += str(sorted(added))
            raise refusals.invalid(kind, metadata["name"], "metadata.finalizers", "FieldValueForbidden", why)
        if changed == there or is_dry_run:
            return changed
        if kind.has_generation and _spec_of(changed) != _spec_of(there):
            metadata["generation"] = before.get("generation", 0) + 1
        was_kept = "deletionTimestamp" in before and before.get("finalizers")
        if was_kept and not metadata.get("finalizers") and not before.get("deletionGracePeriodSeconds"):
            self.remove(kind, there)
            return changed
        return self.storage.write(kind.plural, there, changed)

    def change(self, kind: Kind, namespace: str, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into an object, its status as well, as a controller with all rights would; nothing is checked."""
        there = self.storage.objects[kind.plural, namespace, name]
        changed = merge(there, change)
        if changed == there:
            return there
        if kind.has_generation and _spec_of(changed) != _spec_of(there):
            changed["metadata"]["generation"] = there["metadata"].get("generation", 0) + 1
        return self.storage.write(kind.plural, there, changed)

    def delete(self, target: Target, options: Mapping[str, Any], request: Request) -> dict[str, Any]:
        """Delete an object: at once, or when its grace period is over and its finalizers are removed.

        Raises:
            Refused: there is none, or a precondition does not hold.
        """
        kind, there = target.kind, self.find(target)
        _check_preconditions(kind, there["metadata"], options.get("preconditions") or {})
        if request.is_dry_run:
            return refusals.success(kind, target.name, there["metadata"]["uid"])
        grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        return self.begin_deletion(kind, there, None if grace is None else int(grace))

    def begin_deletion(self, kind: Kind, there: dict[str, Any], grace: int | None = None) -> dict[str, Any]:
        """Delete an object as `delete` does, without preconditions."""
        metadata = there["metadata"]
        seconds = self._grace(kind, there, grace)
        if not seconds and not metadata.get("finalizers"):
            self.remove(kind, there)
            if kind.plural != "pods":
                return refusals.success(kind, metadata["name"], metadata["uid"])
            ended = {"deletionTimestamp": self.text(), "deletionGracePeriodSeconds": 0}
            return {**there, "metadata": metadata | ended}
        is_first = "deletionTimestamp" not in metadata
        if not is_first and metadata["deletionGracePeriodSeconds"] <= seconds:
            return there
        until = (self.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        marks: dict[str, Any] = {"deletionTimestamp": until, "deletionGracePeriodSeconds": seconds}
        if kind.has_generation and is_first:
            marks["generation"] = metadata.get("generation", 0) + 1
        deleted = self.storage.write(kind.plural, there, {**there, "metadata": metadata | marks})
        if is_first and kind.plural == "pods":
            self.on_stop(deleted, seconds)
        return deleted

    def _grace(self, kind: Kind, there: dict[str, Any], asked: int | None) -> int:
        """Seconds that a pod may live on; no other kind has any."""
        spec = there.get("spec") or {}
        is_running = spec.get("nodeName") and (there.get("status") or {}).get("phase") not in FINISHED
        if kind.plural != "pods" or not is_running:
            return 0
        seconds = int(spec.get("terminationGracePeriodSeconds", _GRACE_SECONDS)) if asked is None else asked
        return seconds if self.longest_grace is None else min(seconds, self.longest_grace)

    def remove(self, kind: Kind, there: dict[str, Any]) -> None:
        """Remove an object at once, whatever finalizers it has."""
        self.storage.write(kind.plural, there, None)
        self._owners.pop((kind.plural, there["metadata"].get("namespace", ""), there["metadata"]["name"]), None)
        self.on_removed(kind, there)

    def exists(self, target: Target) -> bool:
        """Whether there is an object that a request names."""
        return (target.kind.plural, target.namespace, target.name) in self.storage.objects

    def find(self, target: Target) -> dict[str, Any]:
        """The object that a request names.

        Raises:
            Refused: there is none.
        """
        found = self.storage.objects.get((target.kind.plural, target.namespace, target.name))
        if found is None:
            raise refusals.not_found(target.kind, target.name)
        return found


def _check_preconditions(kind: Kind, metadata: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    fields = (("uid", "UID", "deleted and then recreated"), ("resourceVersion", "ResourceVersion", "modified"))
    for key, name, fate in fields:
        value, found = wanted.get(key), metadata[key]
        if value not in {None, found}:
            why = f"the {name} in the precondition ({value}) does not match the {name} in record ({found})"
            raise refusals.precondition_failed(kind, metadata["name"], f"{why}. The object might have been {fate}")


def _unsupported(content_type: str) -> Refused:
    known = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
    assert content_type not in known, f"the API server takes {content_type}, the fake does not"
    why = "the body of the request was in an unknown format - accepted media types include"
    return Refused(415, "UnsupportedMediaType", f"{why}: {', '.join(known)}")


def _spec_of(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in obj.items() if name not in _NOT_SPEC}


def _without(obj: Mapping[str, Any], field_name: str) -> dict[str, Any]:
    return {name: value for name, value in obj.items() if name != field_name}


def _encode(obj: dict[str, Any]) -> None:
    """Move a Secret's `stringData` into its `data`."""
    texts = obj.pop("stringData", None)
    if texts:
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _set_pod_defaults(pod: dict[str, Any]) -> None:
    spec = pod.setdefault("spec", {})
    spec.setdefault("terminationGracePeriodSeconds", _GRACE_SECONDS)
    spec.setdefault("restartPolicy", "Always")
    pod["status"] = {"phase": "Pending"}

"""The API server: finds out what a request wants, and has it done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from tests.fakekube.applying import APPLY_PATCH
from tests.fakekube.faults import Faults
from tests.fakekube.kinds import KINDS, Kind, Target, kind_of, kinds_of, parse
from tests.fakekube.messages import Request, Response, json_response, text_response
from tests.fakekube.podresources import PodResources
from tests.fakekube.reading import Reader
from tests.fakekube.refusals import Refused
from tests.fakekube.storage import Storage
from tests.fakekube.watching import Watcher
from tests.fakekube.writing import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ApiServer"]

VERSION: Final = "v1.35.4"
_VERBS: Final = ("create", "delete", "get", "list", "patch", "update", "watch")
_INVALID_TOKEN: Final = {"user": {}, "error": "invalid bearer token"}


class ApiServer:
    """See the package.

    Attributes:
        storage: the objects; a test may look at `storage.objects` and listen to changes.
        writer: the rules of writing, with what a test may set: clock, uids, hooks.
        watcher: holds and cuts watches.
        pods: subresources of pods; a test whose pods print something replaces it.
        faults: what goes wrong with requests.
        requests: all that came, in their order.
        reviews: statuses of TokenReviews by token; any other token is invalid.
        user: who asks, for a SelfSubjectReview.
    """

    def __init__(self, *namespaces: str) -> None:
        """A server with these namespaces."""
        self.storage = Storage()
        self.writer = Writer(self.storage, on_removed=self._collect)
        self.reader = Reader(self.storage)
        self.watcher = Watcher(self.storage, self.reader)
        self.pods = PodResources(self.writer)
        self.faults = Faults()
        self.requests: list[Request] = []
        self.reviews: dict[str, dict[str, Any]] = {}
        self.user = "jane"
        self._first_namespace = namespaces[0] if namespaces else "default"
        for name in namespaces:
            self.add_namespace(name)

    # Requests

    async def carry(self, request: Request) -> Response:
        """The response to a request, with what goes wrong on its way.

        Raises:
            ConnectionResetError: the request, or its answer, was lost.
        """
        await asyncio.sleep(0)
        fault = self.faults.take(request)
        if fault is None:
            return self.handle(request)
        await asyncio.sleep(fault.delay)
        if fault.lost == "request":
            raise ConnectionResetError("the request was lost")
        if fault.status:
            self.requests.append(request)
            return fault.response()
        response = self.handle(request)
        if fault.lost == "answer":
            raise ConnectionResetError("the answer was lost")
        return response

    def handle(self, request: Request) -> Response:
        """The response to a request that has arrived."""
        self.requests.append(request)
        target = parse(request.path)
        try:
            return self._discover(request.path) if target is None else self._handle(target, request)
        except Refused as refused:
            return json_response(refused.code, refused.status)

    def _handle(self, target: Target, request: Request) -> Response:
        if target.subresource not in {"", "status"}:
            return self._handle_pod_resource(target, request)
        if target.subresource == "status" and not target.kind.has_status:
            return text_response(404, "404 page not found\n")
        if request.method == "GET":
            return self._read(target, request)
        if request.method == "POST" and not target.name:
            return json_response(201, self._create(target, request))
        is_new = request.content_type == APPLY_PATCH and not self.writer.exists(target)
        return json_response(201 if is_new else 200, self._write(target, request))

    def _write(self, target: Target, request: Request) -> dict[str, Any]:
        if request.method == "PUT" and target.name:
            return self.writer.replace(target, request.document(), request)
        if request.method == "PATCH" and target.name:
            return self.writer.patch(target, request)
        if request.method == "DELETE":
            return self._delete(target, request)
        message = "the server does not allow this method on the requested resource"
        raise Refused(405, "MethodNotAllowed", message, {})

    def _read(self, target: Target, request: Request) -> Response:
        if target.name:
            return json_response(200, self.writer.find(target))
        if request.is_watch:
            stream = self.watcher.watch(target, request.query)
            return Response(200, headers={"Content-Type": "application/json"}, stream=stream)
        return json_response(200, self.reader.page(target, request.query))

    def _create(self, target: Target, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = request.document()
        if target.kind.plural == "tokenreviews":
            return body | {"status": self.reviews.get(body["spec"].get("token", ""), _INVALID_TOKEN)}
        if target.kind.plural == "selfsubjectreviews":
            return body | {"status": {"userInfo": {"username": self.user}}}
        return self.writer.create(target, body, request)

    def _delete(self, target: Target, request: Request) -> dict[str, Any]:
        options = request.document()
        if target.name and target.kind.plural == "namespaces":
            return self._terminate(self.writer.find(target))
        if target.name:
            return self.writer.delete(target, options, request)
        found = self.reader.page(target, request.query)
        for obj in self.reader.selected(target, request.query):
            self.writer.begin_deletion(target.kind, obj, options.get("gracePeriodSeconds"))
        return found

    def _handle_pod_resource(self, target: Target, request: Request) -> Response:
        if target.kind.plural == "pods" and request.method == "GET" and target.subresource == "log":
            return self.pods.log(target, request.query)
        if target.kind.plural == "pods" and request.method == "POST" and target.subresource == "eviction":
            return self.pods.evict(target, request.document())
        if target.kind.plural == "pods" and request.method == "POST" and target.subresource == "binding":
            return self.pods.bind(target, request.document())
        return text_response(404, "404 page not found\n")

    def _discover(self, path: str) -> Response:
        if path == "/version":
            return json_response(200, {"major": "1", "minor": "35", "gitVersion": VERSION})
        if path == "/api":
            return json_response(200, {"kind": "APIVersions", "versions": ["v1"]})
        if path == "/apis":
            return json_response(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups()})
        group_version = path.removeprefix("/apis/").removeprefix("/api/")
        group, _, version = group_version.rpartition("/")
        found = kinds_of(group, version)
        if not found and path.startswith("/api/v1/"):
            raise Refused(404, "NotFound", "the server could not find the requested resource", {})
        if not found:
            return text_response(404, "404 page not found\n")
        resources = [item for kind in found for item in _resources(kind)]
        return json_response(200, {"kind": "APIResourceList", "groupVersion": group_version, "resources": resources})

    # What others do, with all rights and without checks

    def add_namespace(self, name: str) -> None:
        """Add a namespace, if it does not exist."""
        if ("namespaces", "", name) not in self.storage.objects:
            self.put("namespaces", {"metadata": {"name": name}, "status": {"phase": "Active"}})

    def put(self, plural: str, obj: dict[str, Any], namespace: str = "") -> dict[str, Any]:
        """Add an object as it is, with its status, or replace the one of its name.

        Its namespace is its own, or the one that is given, or the server's first; it is added if it does not exist.
        """
        kind = kind_of(plural)
        where = (obj["metadata"].get("namespace") or namespace or self._first_namespace) if kind.namespaced else ""
        if where:
            self.add_namespace(where)
        return self.writer.put(kind, where, obj)

    def get(self, plural: str, namespace: str, name: str) -> dict[str, Any]:
        """An object; it must exist."""
        return self.storage.objects[plural, namespace, name]

    def of(self, plural: str, namespace: str = "") -> list[dict[str, Any]]:
        """All objects of a kind, in the order of their creation."""
        return self.storage.of(plural, namespace)

    def change(self, plural: str, namespace: str, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge into an object, its status as well."""
        return self.writer.change(kind_of(plural), namespace, name, change)

    def remove(self, plural: str, namespace: str, name: str) -> dict[str, Any]:
        """Remove an object at once, and what it owns; the object as it was."""
        there = self.get(plural, namespace, name)
        self.writer.remove(kind_of(plural), there)
        return there

    def _collect(self, kind: Kind, owner: dict[str, Any]) -> None:
        """Take the part of the controllers that delete, without delay.

        The garbage collector deletes what only this object owned, and a namespace that is being deleted goes when it
        is empty.
        """
        uids = {obj["metadata"]["uid"] for obj in self.storage.objects.values()}
        for (plural, _, _), obj in list(self.storage.objects.items()):
            owners = {item["uid"] for item in obj["metadata"].get("ownerReferences") or ()}
            if owner["metadata"]["uid"] in owners and not owners & uids:
                self.writer.begin_deletion(kind_of(plural), obj)
        if kind.namespaced:
            self._remove_if_empty(owner["metadata"]["namespace"])

    def _terminate(self, namespace: dict[str, Any]) -> dict[str, Any]:
        """Delete a namespace and all that is in it."""
        marks = {"metadata": {"deletionTimestamp": self.writer.text()}, "status": {"phase": "Terminating"}}
        name = namespace["metadata"]["name"]
        deleted = self.change("namespaces", "", name, marks)
        for (plural, where, _), obj in list(self.storage.objects.items()):
            if where == name:
                self.writer.begin_deletion(kind_of(plural), obj)
        self._remove_if_empty(name)
        return deleted

    def _remove_if_empty(self, namespace: str) -> None:
        found = self.storage.objects.get(("namespaces", "", namespace))
        is_empty = not any(where == namespace for _, where, _ in self.storage.objects)
        if is_empty and found is not None and "deletionTimestamp" in found["metadata"]:
            self.storage.write("namespaces", found, None)


def _groups() -> list[dict[str, Any]]:
    groups = dict.fromkeys((kind.group, kind.version) for kind in KINDS if kind.group)
    return [
        {
            "name": group,
            "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
            "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version},
        }
        for group, version in groups
    ]


def _resources(kind: Kind) -> list[dict[str, Any]]:
    item = {"singularName": kind.kind.lower(), "namespaced": kind.namespaced, "kind": kind.kind, "verbs": list(_VERBS)}
    names = [kind.plural] + ([f"{kind.plural}/status"] if kind.has_status else [])
    return [{"name": name, **item} for name in names]
